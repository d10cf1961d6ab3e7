package vit

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// ForImageClassification is the encoder with a linear head on the class token (transformers' ViTForImageClassification
// and DeiTForImageClassification).
type ForImageClassification struct {
	spago.Module
	Encoder    *Model     `hf:"$base"`
	Classifier *nn.Linear `hf:"classifier"` // C→labels
}

// NewForImageClassification returns the model with empty weights. The configuration must have passed Check.
func NewForImageClassification(c Config, labels int) *ForImageClassification {
	m := &ForImageClassification{Encoder: newModel(c), Classifier: nn.NewLinear(c.Width, labels, true)}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B images of b. In the last block the rows of patches only serve as keys and values,
// which does not change the result.
func (m *ForImageClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(m.Encoder.Rows(b.Seqs))
	p.Keep = firstRows(p.Seqs, 1)
	return m.Classifier.Forward(p.After(), m.Encoder.Forward(p, b))
}

// Labels returns the number of outputs.
func (m *ForImageClassification) Labels() int { return m.Classifier.Weight.Rows }

// Image returns the size of the images that the positions were learned for.
func (m *ForImageClassification) Image() (channels, height, width int) { return m.Encoder.Image() }

// Patch returns the size of a patch in pixels.
func (m *ForImageClassification) Patch() (height, width int) { return m.Encoder.Patch() }

// Init draws all weights from seed as transformers does.
func (m *ForImageClassification) Init(seed uint64) error { return m.Encoder.init(m, seed) }

// String prints the module tree in the style of PyTorch.
func (m *ForImageClassification) String() string { return nn.Tree(m, nil) }

// Base names the encoder in a checkpoint.
func (m *ForImageClassification) Base() string { return m.Encoder.Config.ModelType }

// Class names the model in the printed tree.
func (m *ForImageClassification) Class() string {
	return m.Encoder.Config.class("ForImageClassification")
}

// ForImageClassificationWithTeacher is DeiT with two linear heads, one on the class token and one on the token that
// learned from a teacher; its logits are the mean of both (transformers' class of that name). It is for predictions:
// how the heads would train is not defined, as in transformers.
type ForImageClassificationWithTeacher struct {
	spago.Module
	Encoder *Model     `hf:"deit"`
	Own     *nn.Linear `hf:"cls_classifier"`          // C→labels
	Teacher *nn.Linear `hf:"distillation_classifier"` // C→labels
}

// TeacherClass is the class of [ForImageClassificationWithTeacher] in config.json.
const TeacherClass = "DeiTForImageClassificationWithTeacher"

// NewForImageClassificationWithTeacher returns the model with empty weights. The configuration must be DeiT's and have
// passed Check.
func NewForImageClassificationWithTeacher(c Config, labels int) *ForImageClassificationWithTeacher {
	m := &ForImageClassificationWithTeacher{
		Encoder: newModel(c), Own: nn.NewLinear(c.Width, labels, true), Teacher: nn.NewLinear(c.Width, labels, true),
	}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B images of b: the mean of both heads.
func (m *ForImageClassificationWithTeacher) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(m.Encoder.Rows(b.Seqs))
	p.Keep = firstRows(p.Seqs, 2)
	x := m.Encoder.Forward(p, b)
	p = p.After()
	head := func(rows *nn.Kept, l *nn.Linear) mat.Tensor {
		q := p.With(p.Seqs)
		q.Keep = rows
		x, q := q.KeptRows(x)
		return l.Forward(q, x)
	}
	own, teacher := head(nn.FirstRows(p.Seqs), m.Own), head(nn.LastRows(p.Seqs), m.Teacher)
	return op.Scale(p.Tape, op.Add(p.Tape, own, teacher), 0.5)
}

// Labels returns the number of outputs.
func (m *ForImageClassificationWithTeacher) Labels() int { return m.Own.Weight.Rows }

// Image returns the size of the images that the positions were learned for.
func (m *ForImageClassificationWithTeacher) Image() (channels, height, width int) {
	return m.Encoder.Image()
}

// Patch returns the size of a patch in pixels.
func (m *ForImageClassificationWithTeacher) Patch() (height, width int) { return m.Encoder.Patch() }

// Init draws all weights from seed as transformers does.
func (m *ForImageClassificationWithTeacher) Init(seed uint64) error { return m.Encoder.init(m, seed) }

// String prints the module tree in the style of PyTorch.
func (m *ForImageClassificationWithTeacher) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForImageClassificationWithTeacher) Class() string { return TeacherClass }
