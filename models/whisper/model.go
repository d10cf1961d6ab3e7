package whisper

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the encoder and the decoder (transformers' WhisperModel, models/whisper/modeling_whisper.py).
type Model struct {
	spago.Module
	Encoder *Encoder `hf:"encoder"`
	Decoder *Decoder `hf:"decoder"`
}

// ForConditionalGeneration writes text for sound (transformers' WhisperForConditionalGeneration).
type ForConditionalGeneration struct {
	spago.Module
	nn.Limits `hf:"-"`
	Config    Config     `hf:"-"`
	Base      *Model     `hf:"model"`
	Head      *nn.Linear `hf:"proj_out"` // C→V; the word table, unless the checkpoint has another one
}

// NewForConditionalGeneration returns the model with empty weights. The configuration must have passed Check.
func NewForConditionalGeneration(c Config) *ForConditionalGeneration {
	m := &ForConditionalGeneration{
		Limits: c.limits(), Config: c, Base: &Model{Encoder: newEncoder(c), Decoder: newDecoder(c)},
	}
	if m.Head = nn.NewTied(m.Base.Decoder.Words); !c.TieWordEmbeddings {
		m.Head = nn.NewLinear(c.Width, c.VocabSize, false)
	}
	nn.Number(m)
	return m
}

// Bins returns the number of columns of a frame.
func (m *ForConditionalGeneration) Bins() int { return m.Config.MelBins }

// Frames returns the number of frames of a whole window.
func (m *ForConditionalGeneration) Frames() int { return 2 * m.Config.SourcePositions }

// Encode returns the encoder's rows for the clips of b, whose Seqs are the frames of each and whose Features are
// frames×Bins. A clip of fewer frames than Frames is computed with the first positions; their number must be even. It
// panics if a clip has another number of frames or Features another number of values.
func (m *ForConditionalGeneration) Encode(p *nn.Pass, b *batch.Batch) *nn.Memory {
	for i := range b.Seqs.Len() {
		if n := b.Seqs.Starts[i+1] - b.Seqs.Starts[i]; n < 2 || n%2 != 0 || n > m.Frames() {
			panic(fmt.Sprintf("whisper: a clip of %d frames; want an even number of 2 to %d", n, m.Frames()))
		}
	}
	if want := b.Seqs.Rows() * m.Bins(); len(b.Features) != want {
		panic(fmt.Sprintf("whisper: %d values of features for %d frames of %d bins", len(b.Features), b.Seqs.Rows(),
			m.Bins()))
	}
	return m.Base.Encoder.Forward(p.Source(b.Seqs), b.Features)
}

// Decode returns the logits of the next token, rows×V, for the target's rows b, which read p.Memory: of every row, or
// of p.Keep's. With a cache, only the first call needs a memory.
func (m *ForConditionalGeneration) Decode(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return nn.CausalLogits(p, b.Seqs, b.IDs, m.Base.Decoder, m.Head)
}

// Logits returns the logits for the rows of b.Target given those before them: rows×V, of every row, or of p.Keep's.
func (m *ForConditionalGeneration) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return m.Decode(p.Read(m.Encode(p, b)), b.Target)
}

// Loss returns the summed cross-entropy (1×1) of the rows of b.Target that have a label.
func (m *ForConditionalGeneration) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, op.TargetStats) {
	t := b.Target
	return nn.CausalLoss(p.Read(m.Encode(p, b)), t.Seqs, t.IDs, t.Labels, m.Base.Decoder, m.Head)
}

// Shift returns the decoder's inputs for the labels of a target: decoder_start_token_id, then each label but the last.
// A label that is ignored becomes padding.
func (m *ForConditionalGeneration) Shift(labels []int32) []int32 {
	ids := make([]int32, len(labels))
	m.Config.Shift(ids, labels, int32(m.Config.DecoderStart))
	return ids
}

// NewCache returns an empty cache for generating the given number of targets of at most capacity tokens.
func (m *ForConditionalGeneration) NewCache(sequences, capacity int) *nn.Cache {
	return nn.NewCache(m.Config.DecoderLayers, sequences, capacity, m.Config.Width)
}

// Init draws all weights from seed as transformers does: from N(0, init_std²), biases 0, and computes the encoder's
// positions.
func (m *ForConditionalGeneration) Init(seed uint64) error {
	if err := nn.Init(m, seed, func(string) float64 { return m.Config.InitStd }); err != nil {
		return err
	}
	return m.Base.Encoder.Positions.fill()
}

// String prints the module tree in the style of PyTorch.
func (m *ForConditionalGeneration) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForConditionalGeneration) Class() string { return "WhisperForConditionalGeneration" }

// Class names the model without its head in the printed tree.
func (m *Model) Class() string { return "WhisperModel" }

// Class names the encoder in the printed tree.
func (e *Encoder) Class() string { return "WhisperEncoder" }

// Class names the decoder in the printed tree.
func (d *Decoder) Class() string { return "WhisperDecoder" }
