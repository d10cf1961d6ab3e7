package roberta

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
)

// origin names the models whose heads other architectures share. transformers' XLM-RoBERTa makes the encoder after the
// head.
func (c Config) origin() arch.Origin {
	return arch.Origin{Name: "roberta", Class: c.ClassPrefix(), Last: c.ModelType == "xlm-roberta"}
}

// ForSequenceClassification is the encoder with a head of two layers on the first token (transformers'
// RobertaForSequenceClassification). With one label it predicts a number.
type ForSequenceClassification struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Roberta    *Model                   `hf:"roberta"`
	Classifier *arch.ClassificationHead `hf:"classifier"`
}

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *ForSequenceClassification {
	m := &ForSequenceClassification{
		Limits: c.limits(), Roberta: newModel(c),
		Classifier: arch.NewClassificationHead(c.HiddenSize, labels, c.HeadDropout(), c.ClassPrefix()),
	}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Roberta.first(p, b)
	return m.Classifier.Forward(p, x)
}

// Labels returns the number of outputs.
func (m *ForSequenceClassification) Labels() int { return m.Classifier.Out.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForSequenceClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForSequenceClassification) Class() string {
	return m.Roberta.class("ForSequenceClassification")
}

// Trailing names the part that the printed tree has last.
func (m *ForSequenceClassification) Trailing() string { return m.Roberta.trailing() }

// ForMultipleChoice gives each sequence, one choice of a question, a score from its pooled first token (transformers'
// RobertaForMultipleChoice).
type ForMultipleChoice struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Roberta    *Model      `hf:"roberta"`
	Drop       *nn.Dropout `hf:"dropout"`
	Classifier *nn.Linear  `hf:"classifier"` // C→1
}

// NewForMultipleChoice returns the model with empty weights. The configuration must have passed Check.
func NewForMultipleChoice(c Config) *ForMultipleChoice {
	m := &ForMultipleChoice{
		Limits: c.limits(), Roberta: newModel(c), Drop: &nn.Dropout{P: c.HiddenDropout},
		Classifier: nn.NewLinear(c.HiddenSize, 1, true),
	}
	m.Roberta.Pooler = bert.NewPooler(c.Config)
	nn.Number(m)
	return m
}

// Logits returns B×1, a score for each of the B sequences of b. A softmax over the choices of a question gives
// probabilities.
func (m *ForMultipleChoice) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Roberta.first(p, b)
	return m.Classifier.Forward(p, m.Drop.Forward(p, m.Roberta.Pooler.Forward(p, x)))
}

// String prints the module tree in the style of PyTorch.
func (m *ForMultipleChoice) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForMultipleChoice) Class() string { return m.Roberta.class("ForMultipleChoice") }

// Trailing names the part that the printed tree has last.
func (m *ForMultipleChoice) Trailing() string { return m.Roberta.trailing() }

// NewForTokenClassification returns the model with empty weights. The configuration must have passed Check.
func NewForTokenClassification(c Config, labels int) *arch.ForTokenClassification {
	return arch.NewForTokenClassification(newModel(c), c.origin(), c.HeadDropout(), labels)
}

// NewForQuestionAnswering returns the model with empty weights. The configuration must have passed Check.
func NewForQuestionAnswering(c Config) *arch.ForQuestionAnswering {
	return arch.NewForQuestionAnswering(newModel(c), c.origin())
}
