package roberta

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the encoder with its pooler (transformers' RobertaModel and XLMRobertaModel). By itself it is the model
// for feature extraction.
type Model struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Config     Config        `hf:"-"`
	Embeddings *Embeddings   `hf:"embeddings"`
	Layers     []*bert.Layer `hf:"encoder.layer"`
	Pooler     *bert.Pooler  `hf:"pooler"` // nil below heads that do not read it
}

// New returns the encoder with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	m := newModel(c)
	m.Pooler = bert.NewPooler(c.Config)
	nn.Number(m)
	return m
}

// newModel returns the encoder without pooler, for heads that do not read it.
func newModel(c Config) *Model {
	return &Model{Limits: c.limits(), Config: c, Embeddings: newEmbeddings(c), Layers: bert.NewLayers(c.Config)}
}

// Forward returns the hidden states after the last layer: N×C for the N tokens of b, or p.Keep's rows of it.
func (m *Model) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(b.Seqs)
	return nn.Stack(p, m.Embeddings.Forward(p, b), m.Layers)
}

// first returns the hidden states of the first token of each sequence of b, B×C, and the pass for these rows. In the
// last block the other rows only serve as keys and values, which does not change the result.
func (m *Model) first(p *nn.Pass, b *batch.Batch) (mat.Tensor, *nn.Pass) {
	p = p.With(b.Seqs)
	p.Keep = nn.FirstRows(p.Seqs)
	return m.Forward(p, b), p.After()
}

// Width returns C, the columns of a hidden state.
func (m *Model) Width() int { return m.Config.HiddenSize }

// String prints the module tree in the style of PyTorch.
func (m *Model) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree, as transformers does.
func (m *Model) Class() string { return m.class("Model") }

// trailing returns the part that heads print after their other parts.
func (m *Model) trailing() string { return m.Config.origin().Trailing() }

// class returns the name of a class with the beginning that transformers gives it for this model_type.
func (m *Model) class(name string) string { return m.Config.ClassPrefix() + name }

// Groups names the modules of dotted tags.
func (m *Model) Groups() map[string]string { return map[string]string{"encoder": m.class("Encoder")} }

// Embeddings turns ids into vectors: words + types + positions, normalised.
type Embeddings struct {
	spago.Module
	Words     *nn.Embedding `hf:"word_embeddings"`       // V×C
	Types     *nn.Embedding `hf:"token_type_embeddings"` // type_vocab_size×C: mostly one row, which is added everywhere
	Norm      *nn.LayerNorm `hf:"LayerNorm"`
	Drop      *nn.Dropout   `hf:"dropout"`
	Positions *nn.Embedding `hf:"position_embeddings"` // max_position_embeddings×C
	class     string        `hf:"-"`
}

func newEmbeddings(c Config) *Embeddings {
	pad := c.Padding()
	return &Embeddings{
		Words:     nn.NewEmbedding(c.VocabSize, c.HiddenSize, pad),
		Types:     nn.NewEmbedding(c.TypeVocabSize, c.HiddenSize, op.NoPadding),
		Norm:      nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		Drop:      &nn.Dropout{P: c.HiddenDropout},
		Positions: nn.NewEmbedding(c.MaxPositions, c.HiddenSize, pad),
		class:     c.ClassPrefix() + "Embeddings",
	}
}

// Forward returns N×C for the N ids of b, whose sequences the pass has. Without types all are 0.
func (e *Embeddings) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	scope := p.Tape.Scope()
	// The order of the sum is transformers': words + types, then positions.
	x := op.Add(p.Tape, e.Words.Forward(p, b.IDs), bert.LookUpTypes(p, b, e.Types),
		e.Positions.Forward(p, e.positions(p, b.IDs)))
	y := e.Drop.Forward(p, e.Norm.Forward(p, x))
	p.Tape.Leave(scope, y)
	return y
}

// positions counts the tokens of each sequence that are not the padding token, from the padding token's id + 1. The
// position of a padding token inside a text is its id. The slice is lent until the tape's Reset.
func (e *Embeddings) positions(p *nn.Pass, ids []int32) []int32 {
	list, pad := p.Tape.Ints(len(ids)), int32(e.Words.Padding)
	for i := range p.Seqs.Len() {
		next := pad
		for row := p.Seqs.Starts[i]; row < p.Seqs.Starts[i+1]; row++ {
			list[row] = pad
			if ids[row] != pad {
				next++
				list[row] = next
			}
		}
	}
	return list
}

// Class names the embeddings in the printed tree.
func (e *Embeddings) Class() string { return e.class }
