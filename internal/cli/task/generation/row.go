package generation

import "github.com/spalora/spalora/generate"

// Row is the output for one generated sequence, behind what it was generated from.
type Row struct {
	Copy   *int            `json:"sequence,omitempty"` // of several for one prompt
	Text   string          `json:"text"`
	Finish generate.Finish `json:"finish_reason"`
	Tokens []int32         `json:"tokens"`
	Score  *float32        `json:"score,omitempty"` // of beam search
}

// RowOf returns the row of a sequence that was generated with a configuration.
func RowOf(s generate.Sequence, c generate.Config) Row {
	row := Row{Text: s.Text, Finish: s.Finish, Tokens: s.IDs}
	if c.NumReturnSequences > 1 {
		row.Copy = &s.Copy
	}
	if c.NumBeams > 1 {
		row.Score = &s.Score
	}
	return row
}
