package generate

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// Model is what a Generator drives. It reads the prompts once, then computes the logits of the next token of each
// sequence, with what it has computed before in a cache.
type Model interface {
	// Vocabulary returns the number of tokens.
	Vocabulary() int
	// MaxLength returns the largest number of tokens of a prompt, and of a sequence.
	MaxLength() int
	// NewCache returns an empty cache for the given number of sequences of at most capacity tokens.
	NewCache(sequences, capacity int) *nn.Cache
	// Begin returns the tokens that the sequence for a prompt begins with: the prompt itself, or what a decoder beside an
	// encoder starts with. They count as earlier tokens of the sequence.
	Begin(prompt []int32) []int32
	// Read returns the rows of an encoder for the prompts, which the first call of Logits gets as p.Memory; nil if the
	// model has no encoder.
	Read(p *nn.Pass, prompts *batch.Batch) *nn.Memory
	// Logits appends the rows of b to p.Cache and returns the logits of the next token: of every row, or of p.Keep's.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
}

// FeatureModel is a Model whose prompts have rows of features in place of ids, such as the frames of sound. Read gets
// them as Features of the batch, and Seqs are the rows of each prompt.
type FeatureModel interface {
	Model
	// Columns returns the number of values of a row.
	Columns() int
	// CheckRows returns an error unless a prompt can have the given number of rows.
	CheckRows(rows int) error
}

// NewOf is New for any model. The prompts of a [FeatureModel] have features.
func NewOf(m Model, tok *tokenize.Tokenizer, pool *op.Pool) *Generator {
	return &Generator{model: m, tok: tok, pool: pool}
}

// NewSeq2Seq returns a generator that writes targets for sources: the prompts are the sources, and the tokens of a
// sequence are those of the target. Without a tokenizer (nil) its sequences have ids but no text. With a nil pool
// everything runs on the goroutine of the caller.
func NewSeq2Seq(m models.Seq2SeqLM, tok *tokenize.Tokenizer, pool *op.Pool) *Generator {
	return NewOf(seq2seq{m}, tok, pool)
}

// NewSpeech returns a generator that writes the text of sound: the features of a prompt are the frames of a window, at
// most m.Frames(), each of m.Bins() values. The tokens of a sequence are those of the text. Without a tokenizer (nil)
// its sequences have ids but no text. With a nil pool everything runs on the goroutine of the caller.
func NewSpeech(m models.SpeechSeq2SeqLM, tok *tokenize.Tokenizer, pool *op.Pool) *Generator {
	return NewOf(speech{seq2seq{m}, m}, tok, pool)
}

// causal continues its prompts.
type causal struct{ models.CausalLM }

// Begin implements Model.
func (causal) Begin(prompt []int32) []int32 { return prompt }

// Read implements Model.
func (causal) Read(*nn.Pass, *batch.Batch) *nn.Memory { return nil }

// seq2seq encodes its prompts, and decodes targets.
type seq2seq struct{ models.Seq2SeqLM }

// Begin implements Model: a target starts with what its first label is predicted from.
func (m seq2seq) Begin(prompt []int32) []int32 { return m.Shift(prompt[len(prompt)-1:]) }

// Read implements Model.
func (m seq2seq) Read(p *nn.Pass, prompts *batch.Batch) *nn.Memory { return m.Encode(p, prompts) }

// Logits implements Model.
func (m seq2seq) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor { return m.Decode(p, b) }

// speech encodes windows of sound, and decodes texts.
type speech struct {
	seq2seq
	sound models.SpeechSeq2SeqLM
}

// Begin implements Model: a text starts with what its first label is predicted from, whatever that label is.
func (m speech) Begin([]int32) []int32 { return m.Shift([]int32{0}) }

// Columns implements FeatureModel.
func (m speech) Columns() int { return m.sound.Bins() }

// CheckRows implements FeatureModel.
func (m speech) CheckRows(rows int) error {
	if rows < 2 || rows%2 != 0 || rows > m.sound.Frames() {
		return fmt.Errorf("%d frames; want an even number of at most %d", rows, m.sound.Frames())
	}
	return nil
}

// appendPrompt adds a prompt to b, with the number of its example. columns is the number of values of a row of its
// features, 0 for a prompt of tokens.
func appendPrompt(b *batch.Batch, number int, p Prompt, columns int) {
	if columns == 0 {
		appendSequence(b, number, p.IDs)
		return
	}
	b.Seqs.Index, b.Features = append(b.Seqs.Index, number), append(b.Features, p.Features...)
	b.Seqs.Starts = append(b.Seqs.Starts, len(b.Features)/columns)
}

// appendSequence adds a sequence of tokens to b, with the number of its example.
func appendSequence(b *batch.Batch, number int, ids []int32) {
	b.Seqs.Index, b.IDs = append(b.Seqs.Index, number), append(b.IDs, ids...)
	b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
}
