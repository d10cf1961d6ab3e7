package spalora

import (
	"context"

	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/tasks/multiplechoice"
)

// Choice is a prediction of [Model.Choose] for a question.
type Choice = multiplechoice.Choice

// ChoiceQuestion is a question with its choices. Context or Question may be empty, but not both.
type ChoiceQuestion struct {
	Context  string   // text that the question is about
	Question string   // asked, or the words that every choice continues
	Choices  []string // two or more, none of them blank
}

// Choose picks one of the choices of each question, in order. Texts that are longer than the model allows are
// truncated. If the model is for another task, Choose returns an error.
func (m *Model) Choose(ctx context.Context, questions ...ChoiceQuestion) ([]Choice, error) {
	list := make([]choice.Question, len(questions))
	for i, q := range questions {
		list[i] = choice.Question{Context: q.Context, Question: q.Question, Endings: q.Choices}
	}
	return call(m, func(p *multiplechoice.Opened) ([]Choice, error) { return p.Choose(ctx, list) })
}
