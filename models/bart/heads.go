package bart

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// ForConditionalGeneration writes a target for a source (transformers' BartForConditionalGeneration, MarianMTModel and
// so on).
type ForConditionalGeneration struct {
	spago.Module
	nn.Limits `hf:"-"`
	Base      *Model     `hf:"model"`
	Offset    *op.Weight `hf:"final_logits_bias"` // 1×V, never trained
	Head      *nn.Linear `hf:"lm_head"`           // C→V; the shared table, unless the checkpoint has another one
}

// NewForConditionalGeneration returns the model with empty weights. The configuration must have passed Check.
func NewForConditionalGeneration(c Config) *ForConditionalGeneration {
	m := &ForConditionalGeneration{Limits: c.limits(), Base: New(c), Offset: op.NewBuffer(c.VocabSize)}
	if m.Head = m.Base.Shared.Head(); !c.TieWordEmbeddings {
		m.Head = nn.NewLinear(c.Width, c.VocabSize, false)
	}
	m.Head.Offset = m.Offset
	nn.Number(m)
	return m
}

// Encode returns the encoder's rows for the source b.
func (m *ForConditionalGeneration) Encode(p *nn.Pass, b *batch.Batch) *nn.Memory {
	return m.Base.Encode(p, b)
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
// mBART starts with the target's last token that is not padding. A label that is ignored becomes padding.
func (m *ForConditionalGeneration) Shift(labels []int32) []int32 {
	ids := make([]int32, len(labels))
	m.Base.Config.shift(ids, labels)
	return ids
}

// shift sets the decoder's inputs for labels.
func (c Config) shift(ids, labels []int32) {
	start := int32(c.PadTokenID)
	switch {
	case len(labels) == 0:
		return
	case c.ModelType != "mbart":
		start = int32(*c.DecoderStart)
	default: // as transformers counts: the place that the last token has if no padding is before it
		words := 0
		for _, l := range labels {
			if l != batch.Ignore && l != int32(c.PadTokenID) {
				words++
			}
		}
		if last := labels[max(words-1, 0)]; last != batch.Ignore {
			start = last
		}
	}
	c.Shift(ids, labels, start)
}

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *arch.ForSequenceClassification {
	return arch.NewForSequenceClassification(New(c), c.origin(), c.End, c.HeadDropout, labels)
}

// NewForQuestionAnswering returns the model with empty weights. Its head reads the decoder's rows. The configuration
// must have passed Check.
func NewForQuestionAnswering(c Config) *arch.ForQuestionAnswering {
	return arch.NewForQuestionAnswering(New(c), c.origin())
}

// origin names the models whose heads other architectures share.
func (c Config) origin() arch.Origin { return arch.Origin{Name: "model", Class: c.family().class} }

// NewCache returns an empty cache for generating the given number of targets of at most capacity tokens.
func (m *ForConditionalGeneration) NewCache(sequences, capacity int) *nn.Cache {
	return nn.NewCache(m.Base.Config.DecoderLayers, sequences, capacity, m.Base.Config.Width)
}

// Init draws all weights from seed as transformers does: from N(0, init_std²), biases 0.
func (m *ForConditionalGeneration) Init(seed uint64) error {
	return nn.Init(m, seed, func(string) float64 { return m.Base.Config.InitStd })
}

// String prints the module tree in the style of PyTorch.
func (m *ForConditionalGeneration) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForConditionalGeneration) Class() string {
	return m.Base.Config.class(m.Base.Config.family().model)
}

// Class names the model without its head in the printed tree.
func (m *Model) Class() string { return m.Config.class("Model") }

// Class names the encoder in the printed tree.
func (e *Encoder) Class() string { return e.Config.class("Encoder") }

// Class names the decoder in the printed tree.
func (d *Decoder) Class() string { return d.Config.class("Decoder") }
