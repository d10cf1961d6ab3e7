package llama

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// ForCausalLM predicts the next token (transformers' LlamaForCausalLM and its kin).
type ForCausalLM struct {
	spago.Module
	nn.Limits `hf:"-"`
	Model     *Model     `hf:"model"`
	Head      *nn.Linear `hf:"lm_head"` // C→V; the word table itself if tie_word_embeddings
}

// NewForCausalLM returns the model with empty weights. The configuration must have passed Check.
func NewForCausalLM(c Config) *ForCausalLM {
	m := &ForCausalLM{Limits: c.limits(), Model: New(c)}
	if c.TieWordEmbeddings {
		m.Head = nn.NewTied(m.Model.Words)
	} else {
		m.Head = nn.NewLinear(c.HiddenSize, c.VocabSize, false)
	}
	nn.Number(m)
	return m
}

// Init draws all weights from seed as transformers does: from N(0, initializer_range²).
func (m *ForCausalLM) Init(seed uint64) error {
	return nn.Init(m, seed, func(string) float64 { return m.Model.Config.InitializerRange })
}

// Logits returns the logits of the next token, rows×V: of every row of b, or of p.Keep's.
func (m *ForCausalLM) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return nn.CausalLogits(p, b.Seqs, b.IDs, m.Model, m.Head)
}

// Loss returns the summed cross-entropy (1×1) of the rows of b that have a label, the id that follows the row.
func (m *ForCausalLM) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, op.TargetStats) {
	return nn.CausalLoss(p, b.Seqs, b.IDs, b.Labels, m.Model, m.Head)
}

// NewCache returns an empty cache for generating the given number of sequences of at most capacity tokens.
func (m *ForCausalLM) NewCache(sequences, capacity int) *nn.Cache {
	c := m.Model.Config
	return nn.NewCache(c.Layers, sequences, capacity, c.keyValueHeads()*c.headSize())
}

// String prints the module tree in the style of PyTorch.
func (m *ForCausalLM) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForCausalLM) Class() string { return m.Model.Config.class("ForCausalLM") }

// ForSequenceClassification reads the last token of each sequence (transformers' LlamaForSequenceClassification and
// its kin). With one label it predicts a number.
type ForSequenceClassification struct {
	spago.Module
	nn.Limits `hf:"-"`
	Model     *Model     `hf:"model"`
	Score     *nn.Linear `hf:"score"` // C→labels, no bias
}

// NewForSequenceClassification returns the model with empty weights. The configuration must have passed Check.
func NewForSequenceClassification(c Config, labels int) *ForSequenceClassification {
	m := &ForSequenceClassification{Limits: c.limits(), Model: New(c), Score: nn.NewLinear(c.HiddenSize, labels, false)}
	nn.Number(m)
	return m
}

// Logits returns B×labels for the B sequences of b. It reads the last token of each sequence that is not
// pad_token_id; in the last block the other rows only serve as keys and values.
func (m *ForSequenceClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return nn.LastTokenLogits(p, b.Seqs, b.IDs, m.Model.Words.Padding, m.Model, m.Score)
}

// Labels returns the number of outputs.
func (m *ForSequenceClassification) Labels() int { return m.Score.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForSequenceClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForSequenceClassification) Class() string {
	return m.Model.Config.class("ForSequenceClassification")
}

// ForTokenClassification gives every token a row of logits (transformers' LlamaForTokenClassification and its kin).
type ForTokenClassification struct {
	spago.Module
	nn.Limits `hf:"-"`
	Model     *Model      `hf:"model"`
	Drop      *nn.Dropout `hf:"dropout"`
	Score     *nn.Linear  `hf:"score"` // C→labels
}

// NewForTokenClassification returns the model with empty weights. The configuration must have passed Check.
func NewForTokenClassification(c Config, labels int) *ForTokenClassification {
	m := &ForTokenClassification{
		Limits: c.limits(), Model: New(c), Drop: &nn.Dropout{P: c.classifierDropout()},
		Score: nn.NewLinear(c.HiddenSize, labels, true),
	}
	nn.Number(m)
	return m
}

// Logits returns N×labels for the N tokens of b, or p.Keep's rows of it.
func (m *ForTokenClassification) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return nn.TokenLogits(p, b.Seqs, b.IDs, m.Model, m.Drop, m.Score)
}

// Labels returns the number of outputs of a token.
func (m *ForTokenClassification) Labels() int { return m.Score.Weight.Rows }

// String prints the module tree in the style of PyTorch.
func (m *ForTokenClassification) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *ForTokenClassification) Class() string {
	return m.Model.Config.class("ForTokenClassification")
}
