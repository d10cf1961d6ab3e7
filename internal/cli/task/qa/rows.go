package qa

import (
	"bytes"
	"io"

	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks/qa"
)

// answerRow is the output for one question.
type answerRow struct {
	ID string `json:"id"`
	spanRow
	NullDiff *float64  `json:"null_score_diff,omitempty"`
	Answers  []spanRow `json:"answers,omitzero"` // nil without --all-answers
}

// spanRow is an answer.
type spanRow struct {
	Answer     string   `json:"answer"`
	Start      *int     `json:"start"`
	End        *int     `json:"end"`
	Score      float64  `json:"score"`
	StartLogit *float32 `json:"start_logit,omitempty"`
	EndLogit   *float32 `json:"end_logit,omitempty"`
}

func spanOf(s qa.Span) spanRow {
	row := spanRow{Answer: s.Text, Score: s.Score}
	if !s.Null() {
		row.Start, row.End = &s.Start, &s.End
	}
	return row
}

// row returns the row of one question, which may have no answer if null is true.
func (r *predicting) row(id string, p *qa.Answer, null bool) answerRow {
	row := answerRow{ID: id, spanRow: spanOf(p.Span)}
	if null {
		row.NullDiff = &p.NullDiff
	}
	if r.allAnswers {
		row.Answers = make([]spanRow, 0, len(p.NBest))
		for k := range p.NBest {
			a := spanOf(p.NBest[k])
			a.StartLogit, a.EndLogit = &p.NBest[k].StartLogit, &p.NBest[k].EndLogit
			row.Answers = append(row.Answers, a)
		}
	}
	return row
}

// writeSQuAD writes one JSON object with the text of each answer by the id of its question.
func writeSQuAD(w io.Writer, q *question.File, list []qa.Answer) error {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		if err := task.AppendJSON(&b, q.At(i).ID); err != nil {
			return err
		}
		b.WriteString(": ")
		if err := task.AppendJSON(&b, list[i].Text); err != nil {
			return err
		}
	}
	b.WriteString("\n}\n")
	_, err := w.Write(b.Bytes())
	return err
}
