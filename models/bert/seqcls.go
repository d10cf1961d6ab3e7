package bert

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// ForSequenceClassification is the encoder with a linear head on the pooled first token (transformers'
// BertForSequenceClassification). With one label it predicts a number.
type ForSequenceClassification struct {
	spago.Module
	Bert       *Model      `hf:"bert"`
	Drop       *nn.Dropout `hf:"dropout"`
	Classifier *nn.Linear  `hf:"classifier"` // C→labels
}

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *ForSequenceClassification {
	p := c.HiddenDropout
	if c.ClassifierDropout != nil {
		p = *c.ClassifierDropout
	}
	m := &ForSequenceClassification{Bert: New(c), Drop: &nn.Dropout{P: p}, Classifier: nn.NewLinear(c.HiddenSize, labels, true)}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b. In the last block only the first token of each sequence goes further
// than keys and values: the head reads nothing else, and the result is the same.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *data.Batch) mat.Tensor {
	p = p.With(op.Seqs{Starts: b.Starts, Index: b.Rows})
	p.Keep = nn.FirstRows(p.Seqs)
	x := m.Bert.Forward(p, b)
	p = p.With(p.Keep.Seqs)
	return m.Classifier.Forward(p, m.Drop.Forward(p, m.Bert.Pooler.Forward(p, x)))
}

// MaxLength returns how many tokens a sequence may have.
func (m *ForSequenceClassification) MaxLength() int { return m.Bert.Config.MaxPositions }

// Vocabulary returns how many token ids the model knows.
func (m *ForSequenceClassification) Vocabulary() int { return m.Bert.Config.VocabSize }

// Labels returns the number of outputs.
func (m *ForSequenceClassification) Labels() int { return m.Classifier.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForSequenceClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForSequenceClassification) Class() string { return "BertForSequenceClassification" }

// Groups is empty: no tag is dotted.
func (m *ForSequenceClassification) Groups() map[string]string { return nil }
