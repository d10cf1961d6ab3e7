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
type Question struct {
	Question, Context string
	Adapter           string // as in [Text]
}

// Answer returns the most probable answer to a question: a part of the context. A context that is longer than the
// model allows is read in overlapping windows. [Use] may name one adapter. If the model is for another task, Answer
// returns an error.
func (m *Model) Answer(ctx context.Context, question, context string, options ...CallOption) (Answer, error) {
	answers, err := m.AnswerAll(ctx, []Question{{Question: question, Context: context}}, options...)
	if err != nil {
		return Answer{}, err
	}
	return answers[0], nil
}

// AnswerAll returns the answer to each question, in order, with the adapter that it names. Questions of several
// adapters share batches. See [Model.Answer].
func (m *Model) AnswerAll(ctx context.Context, questions []Question, options ...CallOption) ([]Answer, error) {
	names, err := perRow(len(questions), func(i int) string { return questions[i].Adapter }, options)
	if err != nil {
		return nil, err
	}
	f := question.New("questions")
	for i, q := range questions {
		f.Append(question.Question{ID: strconv.Itoa(i + 1), Question: q.Question, Context: q.Context, Line: i + 1})
	}
	return call(m, names, func(opened []*qa.Opened) ([]Answer, error) {
		p := make([]*qa.Predictor, len(opened))
		for i, o := range opened {
			if p[i], err = o.For(f); err != nil {
				return nil, err
			}
		}
		answers, _, err := qa.PredictEach(ctx, f, func(i int) *qa.Predictor { return p[i] })
		return answers, err
	})
}
