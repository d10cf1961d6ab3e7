package electra

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the encoder (transformers' ElectraModel). By itself it is the model for feature extraction.
type Model struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Config     Config           `hf:"-"`
	Embeddings *bert.Embeddings `hf:"embeddings"`
	Project    *nn.Linear       `hf:"embeddings_project"` // E→C; nil if the tables have the width of the encoder
	Layers     []*bert.Layer    `hf:"encoder.layer"`
}

// New returns the encoder with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	m := &Model{
		Limits: c.limits(), Config: c, Embeddings: bert.NewEmbeddings(c.Config, c.EmbeddingSize),
		Layers: bert.NewLayers(c.Config),
	}
	if c.EmbeddingSize != c.HiddenSize {
		m.Project = nn.NewLinear(c.EmbeddingSize, c.HiddenSize, true)
	}
	nn.Number(m)
	return m
}

// Forward returns the hidden states after the last layer: N×C for the N tokens of b, or p.Keep's rows of it.
func (m *Model) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(b.Seqs)
	x := m.Embeddings.Forward(p, b)
	if m.Project != nil {
		narrow := x
		x = m.Project.Forward(p, narrow)
		p.Tape.Release(narrow)
	}
	return nn.Stack(p, x, m.Layers)
}

// one returns the hidden states of one token of each sequence of b, B×C, and the pass for these rows. In the last
// block the other rows only serve as keys and values, which does not change the result.
func (m *Model) one(p *nn.Pass, b *batch.Batch, pick func(op.Seqs) *nn.Kept) (mat.Tensor, *nn.Pass) {
	p = p.With(b.Seqs)
	p.Keep = pick(p.Seqs)
	return m.Forward(p, b), p.After()
}

// Width returns C, the columns of a hidden state.
func (m *Model) Width() int { return m.Config.HiddenSize }

// String prints the module tree in the style of PyTorch.
func (m *Model) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree, as transformers does.
func (m *Model) Class() string { return "ElectraModel" }

// Groups names the modules of dotted tags.
func (m *Model) Groups() map[string]string { return map[string]string{"encoder": "ElectraEncoder"} }
