package spalora

import (
	"context"
	"strconv"

	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/tasks/qa"
)

// Answer is a prediction of [Model.Answer]: a part of the context, or no answer.
type Answer = qa.Answer

// Question is a question with the context in which its answer is looked for.
type Question struct{ Question, Context string }

// Answer returns the most probable answer to a question: a part of the context. A context that is longer than the
// model allows is read in overlapping windows. If the model is for another task, Answer returns an error.
func (m *Model) Answer(ctx context.Context, question, context string) (Answer, error) {
	answers, err := m.AnswerAll(ctx, Question{question, context})
	if err != nil {
		return Answer{}, err
	}
	return answers[0], nil
}

// AnswerAll returns the answer to each question, in order. See [Model.Answer].
func (m *Model) AnswerAll(ctx context.Context, questions ...Question) ([]Answer, error) {
	f := question.New("questions")
	for i, q := range questions {
		f.Append(question.Question{ID: strconv.Itoa(i + 1), Question: q.Question, Context: q.Context, Line: i + 1})
	}
	return call(m, func(o *qa.Opened) ([]Answer, error) {
		p, err := o.For(f)
		if err != nil {
			return nil, err
		}
		answers, _, err := p.Predict(ctx, f)
		return answers, err
	})
}
