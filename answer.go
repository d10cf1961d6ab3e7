package spalora

import (
	"context"
	"strconv"

	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/tasks/qa"
)

// Answer is what [Model.Answer] finds for a question: a part of its context, or no answer.
type Answer = qa.Answer

// Question is a question with the context that may have its answer.
type Question struct{ Question, Context string }

// Answer returns the answer to a question: the part of the context that is most likely to be it. A context that is
// longer than the model allows is read in windows that overlap.
func (m *Model) Answer(ctx context.Context, question, context string) (Answer, error) {
	answers, err := m.AnswerAll(ctx, Question{question, context})
	if err != nil {
		return Answer{}, err
	}
	return answers[0], nil
}

// AnswerAll returns the answer to each question, in order.
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
