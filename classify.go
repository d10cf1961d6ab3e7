package spalora

import (
	"context"

	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tokenize"
)

// Class is a prediction of [Model.Classify] for a text.
type Class = seqcls.Class

// Pair is two texts that are read together.
type Pair struct{ First, Second string }

// Classify returns the class of each text, for a regression its value, in order. Texts that are longer than the model
// allows are truncated. If the model is for another task, Classify returns an error.
func (m *Model) Classify(ctx context.Context, texts ...string) ([]Class, error) {
	inputs := make([]tokenize.Input, len(texts))
	for i, text := range texts {
		inputs[i].Text = text
	}
	return m.classify(ctx, inputs)
}

// ClassifyPairs returns the class of each pair of texts. See [Model.Classify].
func (m *Model) ClassifyPairs(ctx context.Context, pairs ...Pair) ([]Class, error) {
	inputs := make([]tokenize.Input, len(pairs))
	for i, p := range pairs {
		inputs[i] = tokenize.Input{Text: p.First, Pair: p.Second, HasPair: true}
	}
	return m.classify(ctx, inputs)
}

func (m *Model) classify(ctx context.Context, inputs []tokenize.Input) ([]Class, error) {
	return call(m, func(p *seqcls.Opened) ([]Class, error) { return p.Classify(ctx, inputs) })
}
