package bert

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
)

// origin names the models whose heads other architectures share.
var origin = arch.Origin{Name: "bert", Class: "Bert"}

// ForSequenceClassification is the encoder with a linear head on the pooled first token (transformers'
// BertForSequenceClassification). With one label it predicts a number.
type ForSequenceClassification struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Bert       *Model      `hf:"bert"`
	Drop       *nn.Dropout `hf:"dropout"`
	Classifier *nn.Linear  `hf:"classifier"` // C→labels
}

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *ForSequenceClassification {
	m := &ForSequenceClassification{
		Limits: c.limits(), Bert: New(c), Drop: &nn.Dropout{P: c.HeadDropout()},
		Classifier: nn.NewLinear(c.HiddenSize, labels, true),
	}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Bert.pooled(p, b)
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// pooled returns the pooler's output for the first token of each sequence of b, B×C, and the pass for these rows.
// In the last block the other rows only serve as keys and values, which does not change the result.
func (m *Model) pooled(p *nn.Pass, b *batch.Batch) (mat.Tensor, *nn.Pass) {
	p = p.With(b.Seqs)
	p.Keep = nn.FirstRows(p.Seqs)
	x := m.Forward(p, b)
	p = p.After()
	return m.Pooler.Forward(p, x), p
}

// Labels returns the number of outputs.
func (m *ForSequenceClassification) Labels() int { return m.Classifier.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForSequenceClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForSequenceClassification) Class() string { return "BertForSequenceClassification" }

// ForMultipleChoice gives each sequence, one choice of a question, a score from its pooled first token (transformers'
// BertForMultipleChoice).
type ForMultipleChoice struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Bert       *Model      `hf:"bert"`
	Drop       *nn.Dropout `hf:"dropout"`
	Classifier *nn.Linear  `hf:"classifier"` // C→1
}

// NewForMultipleChoice returns the model with empty weights. The configuration must have passed Check.
func NewForMultipleChoice(c Config) *ForMultipleChoice {
	m := &ForMultipleChoice{
		Limits: c.limits(), Bert: New(c), Drop: &nn.Dropout{P: c.HeadDropout()},
		Classifier: nn.NewLinear(c.HiddenSize, 1, true),
	}
	nn.Number(m)
	return m
}

// Logits returns B×1, a score for each of the B sequences of b. A softmax over the choices of a question gives
// probabilities.
func (m *ForMultipleChoice) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Bert.pooled(p, b)
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// String prints the module tree in the style of PyTorch.
func (m *ForMultipleChoice) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForMultipleChoice) Class() string { return "BertForMultipleChoice" }

// NewForTokenClassification returns the model with empty weights. The configuration must have passed Check.
func NewForTokenClassification(c Config, labels int) *arch.ForTokenClassification {
	return arch.NewForTokenClassification(newModel(c), origin, c.HeadDropout(), labels)
}

// NewForQuestionAnswering returns the model with empty weights. The configuration must have passed Check.
func NewForQuestionAnswering(c Config) *arch.ForQuestionAnswering {
	return arch.NewForQuestionAnswering(newModel(c), origin)
}
