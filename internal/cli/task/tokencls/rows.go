package predict

import (
	"fmt"
	"io"

	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// tokenRow is what is written for one sentence.
type tokenRow struct {
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

func (r *tokenClsRun) writeRows(w io.Writer, tok *tokenize.Tokenizer, task *tasks.TokenCls, t *tagged.File, predictions []tasks.TokenPrediction) error {
	return eachLine(w, "row", len(predictions), func(i int) any { return r.rowOf(tok, task, t.At(i), predictions[i]) })
}

// rowOf returns the row of one sentence.
func (r *tokenClsRun) rowOf(tok *tokenize.Tokenizer, task *tasks.TokenCls, e tagged.Sentence, p tasks.TokenPrediction) tokenRow {
	out := tokenRow{Entities: []entity{}}
	text := []rune(e.Text)
	how := tasks.Aggregation(r.aggregation)
	for _, f := range task.Entities(p, how) {
		x := entity{Group: f.Type, Score: float32(f.Score), Word: string(text[f.From:f.To]), Start: f.From, End: f.To}
		if how == tasks.AggregateNone {
			x.Group, x.Tag, x.Index = "", f.Type, &f.Index
			if f.ID != tok.UnkID() { // the text says more than [UNK]
				x.Word, _ = tok.Token(f.ID)
			}
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
	tags, scores := task.Tags(e, p)
	out.Tags, out.Scores = make([]*string, len(tags)), make([]*float32, len(tags))
	for i := range tags {
		if tags[i] != "" {
			out.Tags[i], out.Scores[i] = &tags[i], &scores[i]
		}
	}
	return out
}

// checkScores errs if a probability is no number, and names the row.
func checkScores(t *tagged.File, predictions []tasks.TokenPrediction) error {
	for i, p := range predictions {
		for _, k := range p.Tokens {
			for _, v := range k.Scores {
				if v != v {
					return fmt.Errorf("%s:%d: a score is not a number; the weights of the model or the adapter are damaged", t.Name, t.At(i).Line)
				}
			}
		}
	}
	return nil
}
