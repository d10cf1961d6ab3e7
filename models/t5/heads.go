package t5

import (
	"strings"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// ForConditionalGeneration writes a target for a source (transformers' T5ForConditionalGeneration).
type ForConditionalGeneration struct {
	spago.Module
	nn.Limits `hf:"-"`
	Config    Config          `hf:"-"`
	Shared    *nn.SharedTable `hf:"shared"` // V×C
	Encoder   *Encoder        `hf:"encoder"`
	Decoder   *Decoder        `hf:"decoder"`
	Head      *nn.Linear      `hf:"lm_head"` // C→V; the shared table, unless the checkpoint has another one
}

// NewForConditionalGeneration returns the model with empty weights. The configuration must have passed Check.
func NewForConditionalGeneration(c Config) *ForConditionalGeneration {
	b := New(c)
	m := &ForConditionalGeneration{
		Limits: b.Limits, Config: c, Shared: b.Shared, Encoder: b.Encoder, Decoder: b.Decoder, Head: b.Shared.Head(),
	}
	nn.Number(m)
	return m
}

// Encode returns the encoder's rows for the source b.
func (m *ForConditionalGeneration) Encode(p *nn.Pass, b *batch.Batch) *nn.Memory {
	return m.Encoder.read(p, b)
}

// Decode returns the logits of the next token, rows×V, for the target's rows b, which read p.Memory: of every row, or
// of p.Keep's. With a cache, only the first call needs a memory.
func (m *ForConditionalGeneration) Decode(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return nn.CausalLogits(p, b.Seqs, b.IDs, scaled{m}, m.Head)
}

// Logits returns the logits for the rows of b.Target given those before them: rows×V, of every row, or of p.Keep's.
func (m *ForConditionalGeneration) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return m.Decode(p.Read(m.Encode(p, b)), b.Target)
}

// Loss returns the summed cross-entropy (1×1) of the rows of b.Target that have a label.
func (m *ForConditionalGeneration) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, op.TargetStats) {
	t := b.Target
	return nn.CausalLoss(p.Read(m.Encode(p, b)), t.Seqs, t.IDs, t.Labels, scaled{m}, m.Head)
}

// scaled is the decoder with the factor that its rows get before the head.
type scaled struct{ m *ForConditionalGeneration }

// Forward implements [nn.Decoder].
func (s scaled) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	return op.Scale(p.Tape, s.m.Decoder.Forward(p, ids), s.m.Config.headScale())
}

// Shift returns the decoder's inputs for the labels of a target: decoder_start_token_id, then each label but the last.
// A label that is ignored becomes padding.
func (m *ForConditionalGeneration) Shift(labels []int32) []int32 {
	ids := make([]int32, len(labels))
	m.Config.shift(ids, labels)
	return ids
}

// shift sets the decoder's inputs for labels.
func (c Config) shift(ids, labels []int32) {
	for i := range ids {
		switch {
		case i == 0:
			ids[i] = int32(c.start())
		case labels[i-1] == batch.Ignore:
			ids[i] = int32(c.PadTokenID)
		default:
			ids[i] = labels[i-1]
		}
	}
}

// Untied returns the keys of config.json, beside tie_word_embeddings, of a model whose word tables or head have weights
// of their own: T5 would take the end of the tie for the end of the factor before the head.
func (m *ForConditionalGeneration) Untied() map[string]any {
	if m.Config.ModelType == "mt5" { // never scales
		return nil
	}
	return map[string]any{"scale_decoder_outputs": m.Config.headScale() != 1}
}

// NewCache returns an empty cache for generating the given number of targets of at most capacity tokens.
func (m *ForConditionalGeneration) NewCache(sequences, capacity int) *nn.Cache {
	return nn.NewCache(m.Config.decoderLayers(), sequences, capacity, m.Config.Heads*m.Config.HeadSize)
}

// Init draws all weights from seed as transformers does: from normal distributions whose standard deviation depends on
// the inputs of a layer, since products of queries and keys are not scaled.
func (m *ForConditionalGeneration) Init(seed uint64) error {
	c := m.Config
	inner := c.Heads * c.HeadSize
	return nn.Init(m, seed, func(path string) float64 {
		switch {
		case path == "shared.weight" || path == "lm_head.weight":
			return c.InitializerFactor
		case strings.HasSuffix(path, "Attention.q.weight"):
			return c.InitializerFactor * inverseRoot(c.Width*c.HeadSize)
		case strings.HasSuffix(path, "Attention.o.weight"):
			return c.InitializerFactor * inverseRoot(inner)
		case strings.HasSuffix(path, "wo.weight"):
			return c.InitializerFactor * inverseRoot(c.FeedForward)
		}
		return c.InitializerFactor * inverseRoot(c.Width)
	})
}

// String prints the module tree in the style of PyTorch.
func (m *ForConditionalGeneration) String() string { return nn.Tree(m, nil) }

const noPadding = op.NoPadding

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *arch.ForSequenceClassification {
	return arch.NewForSequenceClassification(New(c), c.origin("transformer"), c.End, c.HeadDropout, labels)
}

// NewForTokenClassification returns the encoder with a head for tokens and empty weights. The configuration must have
// passed Check.
func NewForTokenClassification(c Config, labels int) *arch.ForTokenClassification {
	return arch.NewForTokenClassification(NewEncoderModel(c), c.origin("transformer"), c.HeadDropout, labels)
}

// NewForQuestionAnswering returns the model with empty weights. Its head reads the decoder's rows. The configuration
// must have passed Check.
func NewForQuestionAnswering(c Config) *arch.ForQuestionAnswering {
	return arch.NewForQuestionAnswering(New(c), c.origin(""))
}

// origin names the models whose heads other architectures share; base is the name of the model below the head.
func (c Config) origin(base string) arch.Origin {
	return arch.Origin{Name: base, Class: classes[c.ModelType]}
}
