package arch

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Encoder is a base model below a head that several architectures share.
type Encoder interface {
	spago.Model
	// Forward returns the hidden states: N×C for the N tokens of b, or p.Keep's rows of it.
	Forward(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Width returns C.
	Width() int
	// MaxLength, Vocabulary and TokenTypes return the limits of the inputs, see [nn.Limits].
	MaxLength() int
	Vocabulary() int
	TokenTypes() int
}

// Origin says how transformers names a model with a head.
type Origin struct {
	Name  string // of the base model in a checkpoint: "bert"
	Class string // beginning of the names of classes: "Bert"
	Last  bool   // the base model is printed after the head
}

// ForTokenClassification is an encoder with a linear head that gives each token a row of logits (transformers'
// BertForTokenClassification, RobertaForTokenClassification, …):
//
//	logits = classifier(drop(encoder(x)))
type ForTokenClassification struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Encoder    Encoder     `hf:"$base"`
	Drop       *nn.Dropout `hf:"dropout"`
	Classifier *nn.Linear  `hf:"classifier"` // C→labels
	origin     Origin      `hf:"-"`
}

// NewForTokenClassification returns the model with an empty head on e. dropout is the probability before the head.
func NewForTokenClassification(e Encoder, o Origin, dropout float32, labels int) *ForTokenClassification {
	m := &ForTokenClassification{
		Limits: limits(e), Encoder: e, Drop: &nn.Dropout{P: dropout}, Classifier: nn.NewLinear(e.Width(), labels, true),
		origin: o,
	}
	nn.Number(m)
	return m
}

// Logits returns N×labels for the N tokens of b, or p.Keep's rows of it.
func (m *ForTokenClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x := m.Encoder.Forward(p, b)
	p = p.With(b.Seqs).After()
	return m.Classifier.Forward(p, m.Drop.Forward(p, x))
}

// Labels returns the number of columns of the logits.
func (m *ForTokenClassification) Labels() int { return m.Classifier.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForTokenClassification) String() string { return nn.Tree(m, nil) }

// Base names the encoder in a checkpoint.
func (m *ForTokenClassification) Base() string { return m.origin.Name }

// Class names the model in the printed tree.
func (m *ForTokenClassification) Class() string { return m.origin.Class + "ForTokenClassification" }

// Trailing names the part that the printed tree has last.
func (m *ForTokenClassification) Trailing() string { return m.origin.Trailing() }

// ForQuestionAnswering is an encoder with a linear head that gives each token two logits: the answer begins with it,
// and the answer ends with it (transformers' BertForQuestionAnswering, RobertaForQuestionAnswering, …).
type ForQuestionAnswering struct {
	spago.Module
	nn.Limits `hf:"-"`
	Encoder   Encoder    `hf:"$base"`
	Outputs   *nn.Linear `hf:"qa_outputs"` // C→2: start, end
	origin    Origin     `hf:"-"`
}

// NewForQuestionAnswering returns the model with an empty head on e.
func NewForQuestionAnswering(e Encoder, o Origin) *ForQuestionAnswering {
	m := &ForQuestionAnswering{Limits: limits(e), Encoder: e, Outputs: nn.NewLinear(e.Width(), 2, true), origin: o}
	nn.Number(m)
	return m
}

// Logits returns N×2 for the N tokens of b, or p.Keep's rows of it: start and end.
func (m *ForQuestionAnswering) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x := m.Encoder.Forward(p, b)
	return m.Outputs.Forward(p.With(b.Seqs).After(), x)
}

// String prints the module tree in the style of PyTorch.
func (m *ForQuestionAnswering) String() string { return nn.Tree(m, nil) }

// Base names the encoder in a checkpoint.
func (m *ForQuestionAnswering) Base() string { return m.origin.Name }

// Class names the model in the printed tree.
func (m *ForQuestionAnswering) Class() string { return m.origin.Class + "ForQuestionAnswering" }

// Trailing names the part that the printed tree has last.
func (m *ForQuestionAnswering) Trailing() string { return m.origin.Trailing() }

// Trailing returns the name of the base model if it is printed after the head, else "".
func (o Origin) Trailing() string {
	if o.Last {
		return o.Name
	}
	return ""
}

// ForSequenceClassification is an encoder–decoder with a head of two layers on the last end token of each sequence
// (transformers' BartForSequenceClassification, T5ForSequenceClassification, …). With one label it predicts a number.
type ForSequenceClassification struct {
	spago.Module
	nn.Limits `hf:"-"`
	Encoder   Encoder             `hf:"$base"`
	Head      *ClassificationHead `hf:"classification_head"`
	end       EndToken            `hf:"-"`
	origin    Origin              `hf:"-"`
}

// NewForSequenceClassification returns the model with an empty head on e, whose rows are those of a decoder that reads
// the sequence itself. dropout is the probability before both layers of the head.
func NewForSequenceClassification(e Encoder, o Origin, end EndToken, dropout float32,
	labels int,
) *ForSequenceClassification {
	m := &ForSequenceClassification{
		Limits: limits(e), Encoder: e, Head: NewClassificationHead(e.Width(), labels, dropout, o.Class), end: end, origin: o,
	}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b. It reads the last end token of each sequence, or the last token of
// a sequence without one; in the last block the other rows only serve as keys and values.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(b.Seqs)
	p.Keep = nn.LastOf(p.Seqs, b.IDs, int(m.end))
	return m.Head.Forward(p.After(), m.Encoder.Forward(p, b))
}

// Labels returns the number of outputs.
func (m *ForSequenceClassification) Labels() int { return m.Head.Out.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForSequenceClassification) String() string { return nn.Tree(m, nil) }

// Base names the encoder–decoder in a checkpoint.
func (m *ForSequenceClassification) Base() string { return m.origin.Name }

// Class names the model in the printed tree.
func (m *ForSequenceClassification) Class() string {
	return m.origin.Class + "ForSequenceClassification"
}

// ClassificationHead is out(drop(tanh(dense(drop(x))))) (transformers' RobertaClassificationHead,
// BartClassificationHead, …).
type ClassificationHead struct {
	spago.Module
	Dense *nn.Linear  `hf:"dense"` // C→C
	Drop  *nn.Dropout `hf:"dropout"`
	Out   *nn.Linear  `hf:"out_proj"` // C→labels
	class string      `hf:"-"`        // in the printed tree
}

// NewClassificationHead returns the empty head for rows of the given width. class is the beginning of its name in the
// printed tree.
func NewClassificationHead(width, labels int, dropout float32, class string) *ClassificationHead {
	return &ClassificationHead{
		Dense: nn.NewLinear(width, width, true), Out: nn.NewLinear(width, labels, true),
		Drop: &nn.Dropout{P: dropout}, class: class + "ClassificationHead",
	}
}

// Forward turns B×C into B×labels.
func (h *ClassificationHead) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	x = op.Activate(p.Tape, h.Dense.Forward(p, h.Drop.Forward(p, x)), op.Tanh)
	return h.Out.Forward(p, h.Drop.Again().Forward(p, x))
}

// Class names the head in the printed tree.
func (h *ClassificationHead) Class() string { return h.class }

func limits(e Encoder) nn.Limits {
	return nn.Limits{Positions: e.MaxLength(), Words: e.Vocabulary(), Types: e.TokenTypes()}
}
