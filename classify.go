package spalora

import (
	"context"
	"slices"

	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tokenize"
)

// Class is a prediction of [Model.Classify] for a text.
type Class = seqcls.Class

// Pair is two texts that are read together.
type Pair struct {
	First, Second string
	Adapter       string // as in [Text]
}

// Classify returns the class of a text, for a regression its value: one result, or one for each adapter that [Use]
// names. A text that is longer than the model allows is truncated. If the model is for another task, Classify returns
// an error.
func (m *Model) Classify(ctx context.Context, text string, options ...CallOption) ([]Class, error) {
	names := each(options)
	return m.classify(ctx, slices.Repeat([]tokenize.Input{{Text: text}}, len(names)), names)
}

// ClassifyAll returns the class of each text, in order, with the adapter that it names. Texts of several adapters share
// batches. See [Model.Classify].
func (m *Model) ClassifyAll(ctx context.Context, texts []Text, options ...CallOption) ([]Class, error) {
	names, err := perRow(len(texts), adapterOf(texts), options)
	if err != nil {
		return nil, err
	}
	inputs := make([]tokenize.Input, len(texts))
	for i, t := range texts {
		inputs[i].Text = t.Text
	}
	return m.classify(ctx, inputs, names)
}

// ClassifyPairs returns the class of each pair of texts, in order, with the adapter that it names. See
// [Model.Classify].
func (m *Model) ClassifyPairs(ctx context.Context, pairs []Pair, options ...CallOption) ([]Class, error) {
	names, err := perRow(len(pairs), func(i int) string { return pairs[i].Adapter }, options)
	if err != nil {
		return nil, err
	}
	inputs := make([]tokenize.Input, len(pairs))
	for i, p := range pairs {
		inputs[i] = tokenize.Input{Text: p.First, Pair: p.Second, HasPair: true}
	}
	return m.classify(ctx, inputs, names)
}

// classify classifies each input with the adapter of the same number.
func (m *Model) classify(ctx context.Context, inputs []tokenize.Input, adapters []string) ([]Class, error) {
	return call(m, adapters, func(p []*seqcls.Opened) ([]Class, error) {
		return seqcls.ClassifyEach(ctx, inputs, func(i int) *seqcls.Predictor { return p[i].Predictor })
	})
}
