package whisper

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/models/bart"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Decoder predicts a text from its earlier tokens and the encoder's rows.
type Decoder struct {
	spago.Module
	Words     *nn.Embedding        `hf:"embed_tokens"`    // V×C
	Positions *nn.Embedding        `hf:"embed_positions"` // learned
	Layers    []*bart.DecoderLayer `hf:"layers"`
	Norm      *nn.LayerNorm        `hf:"layer_norm"`
	Drop      *nn.Dropout          `hf:"dropout"`
}

func newDecoder(c Config) *Decoder {
	d := &Decoder{
		Words:     nn.NewEmbedding(c.VocabSize, c.Width, c.PadTokenID),
		Positions: nn.NewEmbedding(c.TargetPositions, c.Width, op.NoPadding), Norm: c.Norm(),
		Drop: &nn.Dropout{P: c.Dropout, Silent: true},
	}
	d.Positions.Class = "WhisperPositionalEmbedding"
	for i := range c.DecoderLayers {
		d.Layers = append(d.Layers, bart.NewDecoderLayer(c.Decoder(style), i))
	}
	return d
}

// Forward returns the hidden states for the N ids of p.Seqs, which read p.Memory: N×C, or p.Keep's rows of it. It
// implements [nn.Decoder].
func (d *Decoder) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	scope := p.Tape.Scope()
	x := op.Add(p.Tape, d.Words.Forward(p, ids), d.Positions.Forward(p, p.Positions()))
	x = d.Drop.Forward(p, x)
	p.Tape.Leave(scope, x)
	return d.Norm.Forward(p.After(), nn.Stack(p, x, d.Layers))
}
