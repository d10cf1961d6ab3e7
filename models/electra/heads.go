package electra

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// origin names the models whose heads other architectures share.
var origin = arch.Origin{Name: "electra", Class: "Electra"}

// ForSequenceClassification is the encoder with a head of two layers on the first token (transformers'
// ElectraForSequenceClassification). With one label it predicts a number.
type ForSequenceClassification struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Electra    *Model              `hf:"electra"`
	Classifier *ClassificationHead `hf:"classifier"`
}

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *ForSequenceClassification {
	m := &ForSequenceClassification{Limits: c.limits(), Electra: New(c), Classifier: newClassificationHead(c, labels)}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Electra.one(p, b, nn.FirstRows)
	return m.Classifier.Forward(p, x)
}

// Labels returns the number of outputs.
func (m *ForSequenceClassification) Labels() int { return m.Classifier.Out.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForSequenceClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForSequenceClassification) Class() string { return "ElectraForSequenceClassification" }

// ClassificationHead is out(drop(gelu(dense(drop(x))))), with GELU for every hidden_act (transformers'
// ElectraClassificationHead).
type ClassificationHead struct {
	spago.Module
	Dense *nn.Linear     `hf:"dense"` // C→C
	Act   *nn.Activation `hf:"activation"`
	Drop  *nn.Dropout    `hf:"dropout"`
	Out   *nn.Linear     `hf:"out_proj"` // C→labels
}

func newClassificationHead(c Config, labels int) *ClassificationHead {
	return &ClassificationHead{
		Dense: nn.NewLinear(c.HiddenSize, c.HiddenSize, true), Act: activation("gelu"),
		Out:  nn.NewLinear(c.HiddenSize, labels, true),
		Drop: &nn.Dropout{P: c.HeadDropout()},
	}
}

// Forward turns B×C into B×labels.
func (h *ClassificationHead) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	x = h.Act.Forward(p, h.Dense.Forward(p, h.Drop.Forward(p, x)))
	return h.Out.Forward(p, h.Drop.Again().Forward(p, x))
}

// Class names the head in the printed tree.
func (h *ClassificationHead) Class() string { return "ElectraClassificationHead" }

// ForMultipleChoice gives each sequence, one choice of a question, a score from its summary (transformers'
// ElectraForMultipleChoice).
type ForMultipleChoice struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Electra    *Model           `hf:"electra"`
	Summary    *SequenceSummary `hf:"sequence_summary"`
	Classifier *nn.Linear       `hf:"classifier"` // C→1
}

// NewForMultipleChoice returns the model with empty weights. The configuration must have passed Check.
func NewForMultipleChoice(c Config) *ForMultipleChoice {
	m := &ForMultipleChoice{
		Limits: c.limits(), Electra: New(c), Summary: newSequenceSummary(c),
		Classifier: nn.NewLinear(c.HiddenSize, 1, true),
	}
	nn.Number(m)
	return m
}

// Logits returns B×1, a score for each of the B sequences of b. A softmax over the choices of a question gives
// probabilities.
func (m *ForMultipleChoice) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	x, p := m.Electra.one(p, b, m.Summary.rows)
	return m.Classifier.Forward(p, m.Summary.Forward(p, x))
}

// String prints the module tree in the style of PyTorch.
func (m *ForMultipleChoice) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForMultipleChoice) Class() string { return "ElectraForMultipleChoice" }

// SequenceSummary is drop(act(linear(drop(x)))) of one row of each sequence (transformers' ElectraSequenceSummary).
// Parts that the configuration leaves out are nil, and a note replaces them in the printed tree.
type SequenceSummary struct {
	spago.Module
	Linear    *nn.Linear     `hf:"summary"` // C→C
	NoLinear  *nn.Note       `hf:"summary"`
	Act       *nn.Activation `hf:"activation"`
	NoAct     *nn.Note       `hf:"activation"`
	FirstDrop *nn.Dropout    `hf:"first_dropout"`
	NoFirst   *nn.Note       `hf:"first_dropout"`
	LastDrop  *nn.Dropout    `hf:"last_dropout"`
	NoLast    *nn.Note       `hf:"last_dropout"`
	last      bool           `hf:"-"` // the last row of a sequence is read, not the first
}

func newSequenceSummary(c Config) *SequenceSummary {
	s := &SequenceSummary{last: c.SummaryType != "first"}
	part := func(there bool, build func()) *nn.Note {
		if !there {
			return &nn.Note{Text: "Identity()"}
		}
		build()
		return nil
	}
	s.NoLinear = part(c.SummaryUseProj, func() { s.Linear = nn.NewLinear(c.HiddenSize, c.HiddenSize, true) })
	s.NoAct = part(c.SummaryActivation != "", func() { s.Act = activation(c.SummaryActivation) })
	s.NoFirst = part(c.SummaryFirstDropout > 0, func() { s.FirstDrop = &nn.Dropout{P: c.SummaryFirstDropout} })
	s.NoLast = part(c.SummaryLastDropout > 0, func() { s.LastDrop = &nn.Dropout{P: c.SummaryLastDropout} })
	return s
}

// rows picks the row of each sequence that is read. With summary_type last it is the sequence's last token;
// transformers reads the last column of a padded batch, which is that token where the sequences are equally long.
func (s *SequenceSummary) rows(seqs op.Seqs) *nn.Kept {
	if s.last {
		return nn.LastRows(seqs)
	}
	return nn.FirstRows(seqs)
}

// Forward takes and returns B×C.
func (s *SequenceSummary) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	if s.FirstDrop != nil {
		x = s.FirstDrop.Forward(p, x)
	}
	if s.Linear != nil {
		x = s.Linear.Forward(p, x)
	}
	if s.Act != nil {
		x = s.Act.Forward(p, x)
	}
	if s.LastDrop != nil {
		x = s.LastDrop.Forward(p, x)
	}
	return x
}

// Class names the summary in the printed tree.
func (s *SequenceSummary) Class() string { return "ElectraSequenceSummary" }

// activation returns a function whose name Check has accepted.
func activation(name string) *nn.Activation {
	a, err := nn.NewActivation(name)
	if err != nil {
		panic(err)
	}
	return a
}

// NewForTokenClassification returns the model with empty weights. The configuration must have passed Check.
func NewForTokenClassification(c Config, labels int) *arch.ForTokenClassification {
	return arch.NewForTokenClassification(New(c), origin, c.HeadDropout(), labels)
}

// NewForQuestionAnswering returns the model with empty weights. The configuration must have passed Check.
func NewForQuestionAnswering(c Config) *arch.ForQuestionAnswering {
	return arch.NewForQuestionAnswering(New(c), origin)
}
