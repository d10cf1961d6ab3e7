package spalora

import (
	"context"
	"slices"

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
	Adapter  string   // as in [Text], for [Model.ChooseAll]
}

// Choose picks one of the choices of a question: one result, or one for each adapter that [Use] names. Texts that are
// longer than the model allows are truncated. If the model is for another task, Choose returns an error.
func (m *Model) Choose(ctx context.Context, question ChoiceQuestion, options ...CallOption) ([]Choice, error) {
	names := each(options)
	return m.choose(ctx, slices.Repeat([]ChoiceQuestion{question}, len(names)), names)
}

// ChooseAll picks one of the choices of each question, in order, with the adapter that it names. Questions of several
// adapters share batches. See [Model.Choose].
func (m *Model) ChooseAll(ctx context.Context, questions []ChoiceQuestion, options ...CallOption) ([]Choice, error) {
	names, err := perRow(len(questions), func(i int) string { return questions[i].Adapter }, options)
	if err != nil {
		return nil, err
	}
	return m.choose(ctx, questions, names)
}

func (m *Model) choose(ctx context.Context, questions []ChoiceQuestion, adapters []string) ([]Choice, error) {
	list := make([]choice.Question, len(questions))
	for i, q := range questions {
		list[i] = choice.Question{Context: q.Context, Question: q.Question, Endings: q.Choices}
	}
	return call(m, adapters, func(p []*multiplechoice.Opened) ([]Choice, error) {
		return multiplechoice.ChooseEach(ctx, list, func(i int) *multiplechoice.Predictor { return p[i].Predictor })
	})
}
