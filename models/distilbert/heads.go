package distilbert

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// origin names the models whose heads other architectures share.
var origin = arch.Origin{Name: "distilbert", Class: "DistilBert"}

// ForSequenceClassification is the encoder with a head of two layers on the first token (transformers'
// DistilBertForSequenceClassification). With one label it predicts a number.
type ForSequenceClassification struct {
	spago.Module
	nn.Limits  `hf:"-"`
	DistilBert *Model      `hf:"distilbert"`
	Pre        *nn.Linear  `hf:"pre_classifier"` // C→C
	Classifier *nn.Linear  `hf:"classifier"`     // C→labels
	Drop       *nn.Dropout `hf:"dropout"`
}

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *ForSequenceClassification {
	m := &ForSequenceClassification{
		Limits: c.limits(), DistilBert: New(c), Pre: nn.NewLinear(c.Width, c.Width, true),
		Classifier: nn.NewLinear(c.Width, labels, true),
		Drop:       &nn.Dropout{P: c.SequenceDropout},
	}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.DistilBert.pooled(p, b, m.Pre)
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// pooled returns relu(pre(x)) of the first token of each sequence of b, B×C, and the pass for these rows. In the
// last block the other rows only serve as keys and values, which does not change the result.
func (m *Model) pooled(p *nn.Pass, b *batch.Batch, pre *nn.Linear) (mat.Tensor, *nn.Pass) {
	p = p.With(b.Seqs)
	p.Keep = nn.FirstRows(p.Seqs)
	x := m.Forward(p, b)
	p = p.After()
	return op.Activate(p.Tape, pre.Forward(p, x), op.ReLU), p
}

// Labels returns the number of outputs.
func (m *ForSequenceClassification) Labels() int { return m.Classifier.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForSequenceClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForSequenceClassification) Class() string { return "DistilBertForSequenceClassification" }

// ForMultipleChoice gives each sequence, one choice of a question, a score from its first token (transformers'
// DistilBertForMultipleChoice).
type ForMultipleChoice struct {
	spago.Module
	nn.Limits  `hf:"-"`
	DistilBert *Model      `hf:"distilbert"`
	Pre        *nn.Linear  `hf:"pre_classifier"` // C→C
	Classifier *nn.Linear  `hf:"classifier"`     // C→1
	Drop       *nn.Dropout `hf:"dropout"`
}

// NewForMultipleChoice returns the model with empty weights. The configuration must have passed Check.
func NewForMultipleChoice(c Config) *ForMultipleChoice {
	m := &ForMultipleChoice{
		Limits: c.limits(), DistilBert: New(c), Pre: nn.NewLinear(c.Width, c.Width, true),
		Classifier: nn.NewLinear(c.Width, 1, true),
		Drop:       &nn.Dropout{P: c.SequenceDropout},
	}
	nn.Number(m)
	return m
}

// Logits returns B×1, a score for each of the B sequences of b. A softmax over the choices of a question gives
// probabilities.
func (m *ForMultipleChoice) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.DistilBert.pooled(p, b, m.Pre)
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// String prints the module tree in the style of PyTorch.
func (m *ForMultipleChoice) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForMultipleChoice) Class() string { return "DistilBertForMultipleChoice" }

// NewForTokenClassification returns the model with empty weights. The configuration must have passed Check.
func NewForTokenClassification(c Config, labels int) *arch.ForTokenClassification {
	return arch.NewForTokenClassification(New(c), origin, c.Dropout, labels)
}

// ForQuestionAnswering gives every token two logits: the answer begins with it, and the answer ends with it
// (transformers' DistilBertForQuestionAnswering).
type ForQuestionAnswering struct {
	spago.Module
	nn.Limits  `hf:"-"`
	DistilBert *Model      `hf:"distilbert"`
	Outputs    *nn.Linear  `hf:"qa_outputs"` // C→2: start, end
	Drop       *nn.Dropout `hf:"dropout"`
}

// NewForQuestionAnswering returns the model with empty weights. The configuration must have passed Check.
func NewForQuestionAnswering(c Config) *ForQuestionAnswering {
	m := &ForQuestionAnswering{
		Limits: c.limits(), DistilBert: New(c), Outputs: nn.NewLinear(c.Width, 2, true),
		Drop: &nn.Dropout{P: c.QADropout},
	}
	nn.Number(m)
	return m
}

// Logits returns N×2 for the N tokens of b, or p.Keep's rows of it: start and end.
func (m *ForQuestionAnswering) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x := m.DistilBert.Forward(p, b)
	p = p.With(b.Seqs).After()
	return m.Outputs.Forward(p, m.Drop.Forward(p, x))
}

// String prints the module tree in the style of PyTorch.
func (m *ForQuestionAnswering) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForQuestionAnswering) Class() string { return "DistilBertForQuestionAnswering" }
