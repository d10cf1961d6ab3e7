package tokencls

import (
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks/tokencls"
)

// row is the output for one sentence.
type row struct {
	Entities []entity   `json:"entities"`
	Words    [][2]int   `json:"words,omitzero"`
	Tags     []*string  `json:"tags,omitzero"` // null: the word has no token
	Scores   []*float32 `json:"scores,omitzero"`
}

// entity is one found in a text, with the keys of transformers' pipeline.
type entity struct {
	Group string  `json:"entity_group,omitempty"`
	Tag   string  `json:"entity,omitempty"` // of a token alone
	Score float32 `json:"score"`
	Index *int    `json:"index,omitempty"` // of a token alone
	Word  string  `json:"word"`
	Start int     `json:"start"`
	End   int     `json:"end"`
}

// row returns the row of one sentence.
func (r *predicting) row(c *tokencls.Opened, e tagged.Sentence, p tokencls.Prediction) row {
	out := row{Entities: []entity{}}
	for _, f := range c.Entities(e, p, c.Aggregation) {
		x := entity{Group: f.Type, Score: float32(f.Score), Word: f.Text, Start: f.From, End: f.To}
		if c.Aggregation == tokencls.AggregateNone {
			x.Group, x.Tag, x.Index, x.Word = "", f.Type, &f.Index, c.Spelling(f)
		}
		out.Entities = append(out.Entities, x)
	}
	if !e.Split && !r.words {
		return out
	}
	if r.words {
		out.Words = make([][2]int, 0, len(e.Words))
		for _, w := range e.Words {
			out.Words = append(out.Words, [2]int{w.From, w.To})
		}
	}
	tags, scores := c.Tags(e, p)
	out.Tags, out.Scores = make([]*string, len(tags)), make([]*float32, len(tags))
	for i := range tags {
		if tags[i] != "" {
			out.Tags[i], out.Scores[i] = &tags[i], &scores[i]
		}
	}
	return out
}
