package bert

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
)

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
		Limits: c.limits(), Bert: New(c), Drop: &nn.Dropout{P: c.HeadDropout()}, Classifier: nn.NewLinear(c.HiddenSize, labels, true),
	}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Bert.pooled(p, b)
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// pooled returns what the pooler makes of the first token of each sequence of b, B×C, and the pass for these rows. In the last block only
// the first tokens go further than keys and values: nothing else is read, and the result is the same.
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
		Limits: c.limits(), Bert: New(c), Drop: &nn.Dropout{P: c.HeadDropout()}, Classifier: nn.NewLinear(c.HiddenSize, 1, true),
	}
	nn.Number(m)
	return m
}

// Logits returns B×1, a score for each of the B sequences of b; a softmax over the choices of a question makes them probabilities.
func (m *ForMultipleChoice) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Bert.pooled(p, b)
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// String prints the module tree in the style of PyTorch.
func (m *ForMultipleChoice) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForMultipleChoice) Class() string { return "BertForMultipleChoice" }

// ForTokenClassification gives every token a row of logits (transformers' BertForTokenClassification).
type ForTokenClassification struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Bert       *Model      `hf:"bert"`
	Drop       *nn.Dropout `hf:"dropout"`
	Classifier *nn.Linear  `hf:"classifier"` // C→labels
}

// NewForTokenClassification returns the model with empty weights. The configuration must have passed Check.
func NewForTokenClassification(c Config, labels int) *ForTokenClassification {
	m := &ForTokenClassification{
		Limits: c.limits(), Bert: newModel(c), Drop: &nn.Dropout{P: c.HeadDropout()}, Classifier: nn.NewLinear(c.HiddenSize, labels, true),
	}
	nn.Number(m)
	return m
}

// Logits returns N×labels for the N tokens of b, or p.Keep's rows of it.
func (m *ForTokenClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x := m.Bert.Forward(p, b)
	p = p.With(b.Seqs).After()
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// Labels returns the number of outputs of a token.
func (m *ForTokenClassification) Labels() int { return m.Classifier.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForTokenClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForTokenClassification) Class() string { return "BertForTokenClassification" }

// ForQuestionAnswering gives every token two logits: that the answer begins with it, and that it ends with it (transformers'
// BertForQuestionAnswering).
type ForQuestionAnswering struct {
	spago.Module
	nn.Limits `hf:"-"`
	Bert      *Model     `hf:"bert"`
	Outputs   *nn.Linear `hf:"qa_outputs"` // C→2: start, end
}

// NewForQuestionAnswering returns the model with empty weights. The configuration must have passed Check.
func NewForQuestionAnswering(c Config) *ForQuestionAnswering {
	m := &ForQuestionAnswering{Limits: c.limits(), Bert: newModel(c), Outputs: nn.NewLinear(c.HiddenSize, 2, true)}
	nn.Number(m)
	return m
}

// Logits returns N×2 for the N tokens of b, or p.Keep's rows of it: start and end.
func (m *ForQuestionAnswering) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x := m.Bert.Forward(p, b)
	return m.Outputs.Forward(p.With(b.Seqs).After(), x)
}

// String prints the module tree in the style of PyTorch.
func (m *ForQuestionAnswering) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForQuestionAnswering) Class() string { return "BertForQuestionAnswering" }
