package tasks

import (
	"context"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// CoreConfig holds the settings that the predictors of all task types share. The zero value is usable.
type CoreConfig struct {
	MaxLength  int // tokens of a sequence, special tokens included; 0: what model and tokenizer allow. For text only
	EvalTokens int // tokens (of images patches) of a batch that is not trained on; 0: the constant EvalTokens
	Pool       *op.Pool
	Adapter    nn.AdapterSet // in use when evaluating and predicting; nil: the base model
	Tapes      *Tapes        // shared with other predictors, which closing this one does not close; nil: its own
}

// Runner is what the predictors of all task types share: a model, and the memory of a call, which it keeps for the
// next. It is safe for concurrent use.
type Runner[M models.Model] struct {
	CoreConfig
	Net M
	own bool // the tapes are closed with the predictor
}

// NewRunner returns the runner of a predictor.
func NewRunner[M models.Model](m M, c CoreConfig) Runner[M] {
	own := c.Tapes == nil
	if own {
		c.Tapes = NewTapes(c.Pool)
	}
	return Runner[M]{c, m, own}
}

// Close releases the memory that the predictor keeps, unless it shares it.
func (r *Runner[M]) Close() error {
	if !r.own {
		return nil
	}
	return r.Tapes.Close()
}

// AdapterSet implements [Adaptable].
func (r *Runner[M]) AdapterSet() nn.AdapterSet { return r.Adapter }

// Adapted returns a runner that uses another adapter and shares everything else; closing it has no effect.
func (r *Runner[M]) Adapted(a nn.AdapterSet) Runner[M] {
	other := *r
	other.Adapter, other.own = a, false
	return other
}

// Core is the runner of a model of text with its tokenizer.
type Core[M models.TextModel] struct {
	Runner[M]
	Tok   *tokenize.Tokenizer
	all   *tokenize.Tokenizer // Tok without the limit of the vocabulary
	limit int
}

// NewCore returns the core of a predictor. [CheckText] returns the errors about its settings. A text with a token for
// which model and adapter have no word embedding is an error when it is tokenised.
func NewCore[M models.TextModel](m M, tok *tokenize.Tokenizer, c CoreConfig) Core[M] {
	return Core[M]{NewRunner(m, c), tok.Within(nn.Vocabulary(m, c.Adapter)), tok, TextLimit(m, tok, c.MaxLength)}
}

// Adapted returns a core that uses another adapter and shares everything else; closing it has no effect.
func (c *Core[M]) Adapted(a nn.AdapterSet) Core[M] {
	d := *c
	d.Runner = c.Runner.Adapted(a)
	d.Tok = d.all.Within(d.Vocabulary())
	return d
}

// Limit returns how many tokens a sequence may have; what is longer is cut.
func (c *Core[M]) Limit() int { return c.limit }

// CheckRoom returns an error if the limit leaves no room beside the special tokens of a text, or of a pair.
func (c *Core[M]) CheckRoom(pair bool) error { return CheckRoom(c.Tok, c.MaxLength, pair) }

// Vocabulary returns the number of token ids that the model reads with the adapter.
func (c *Core[M]) Vocabulary() int { return nn.Vocabulary(c.Net, c.Adapter) }

// NewSet returns an empty set of texts for the model.
func (c *Core[M]) NewSet() *TextSet { return NewTextSet(c.Net.TokenTypes() > 1) }

// Encode tokenises texts into a set, truncates those that are longer than the limit, and calls cut, unless it is nil,
// with the number of each of these. It returns an error that names the line of a text without tokens.
func (c *Core[M]) Encode(
	ctx context.Context, t Texts, truncation tokenize.Strategy, cut func(i int),
) (*TextSet, error) {
	o := c.TextOptions(truncation)
	return c.EncodeEach(ctx, t, func(int) tokenize.Options { return o }, cut)
}

// TextOptions returns how a text is tokenised that is truncated to the limit.
func (c *Core[M]) TextOptions(truncation tokenize.Strategy) tokenize.Options {
	return tokenize.Options{MaxLength: c.limit, Truncation: truncation}
}

// EncodeEach is like [Core.Encode] for texts that several predictors on one model serve: options returns those of each.
func (c *Core[M]) EncodeEach(
	ctx context.Context, t Texts, options func(i int) tokenize.Options, cut func(i int),
) (*TextSet, error) {
	s := c.NewSet()
	s.starts = make([]int, 0, t.Len)
	err := Encode(ctx, c.Tok, t, options, c.Pool.Workers(), func(i int, e *tokenize.Encoding) error {
		if len(e.IDs) == 0 { // a tokenizer that adds nothing, as GPT-2's
			return &data.Error{File: t.Name, Line: t.Line(i), Msg: "the text has no tokens, so a classifier has nothing to read"}
		}
		s.Append(e.IDs, e.Types)
		if e.Truncated > 0 {
			s.Cut++
			if cut != nil {
				cut(i)
			}
		}
		return nil
	})
	return s, err
}

// Inference returns a forward pass over a set with the settings of the predictor.
func (r *Runner[M]) Inference(forward func(p *nn.Pass, b *batch.Batch) mat.Tensor) Inference {
	return Inference{
		Tapes: r.Tapes, Adapter: r.Adapter, Tokens: r.EvalTokens,
		Forward: func(p *nn.Pass, b *batch.Batch) (mat.Tensor, error) { return forward(p, b), nil },
	}
}

// Rows computes forward over a set of n sequences and returns its results, k values for each sequence, in the order of
// their numbers in Seqs.Index. each, if set, is called with every batch and its result.
func (r *Runner[M]) Rows(
	ctx context.Context, set batch.Set, n, k int, forward func(p *nn.Pass, b *batch.Batch) mat.Tensor,
	each func(tape *op.Tape, b *batch.Batch, y mat.Tensor),
) ([]float32, error) {
	out := make([]float32, n*k)
	row := func(seq int) []float32 { return out[seq*k : (seq+1)*k] }
	return out, r.fill(ctx, r.Inference(forward), set, row, each)
}

// RowsEach is like [Runner.Rows] for a set whose sequences several predictors on one model serve: it returns a row of
// width(seq) values for each sequence, and adapter returns the adapter of each example.
func (r *Runner[M]) RowsEach(
	ctx context.Context, set batch.Set, n int, width func(seq int) int, adapter func(example int) nn.AdapterSet,
	forward func(p *nn.Pass, b *batch.Batch) mat.Tensor,
) ([][]float32, error) {
	ends := make([]int, n+1)
	for i := range n {
		ends[i+1] = ends[i] + width(i)
	}
	all, rows := make([]float32, ends[n]), make([][]float32, n)
	for i := range rows {
		rows[i] = all[ends[i]:ends[i+1]:ends[i+1]]
	}
	run := r.Inference(forward)
	run.AdapterOf = adapter
	return rows, r.fill(ctx, run, set, func(seq int) []float32 { return rows[seq] }, nil)
}

// fill copies the results of a forward pass over a set to the rows of its sequences.
func (r *Runner[M]) fill(
	ctx context.Context, run Inference, set batch.Set, row func(seq int) []float32,
	each func(tape *op.Tape, b *batch.Batch, y mat.Tensor),
) error {
	return run.Run(ctx, set, func(_ []int, tape *op.Tape, b *batch.Batch, y mat.Tensor) error {
		v := op.Values(y)
		_, cols := op.Size(y) // of the widest head
		for i, seq := range b.Seqs.Index {
			copy(row(seq), v[i*cols:(i+1)*cols])
		}
		if each != nil {
			each(tape, b, y)
		}
		return nil
	})
}

// Splits are the examples of a task by split.
type Splits[S batch.Set] map[batch.Split]S

// Set returns the examples of a split, or nil.
func (s Splits[S]) Set(of batch.Split) batch.Set {
	if set, ok := s[of]; ok {
		return set
	}
	return nil
}

// Examples returns the examples of a split, or an error if there are none.
func (s Splits[S]) Examples(of batch.Split) (S, error) {
	set, ok := s[of]
	if !ok {
		return set, fmt.Errorf("tasks: there are no %v examples to evaluate", of)
	}
	return set, nil
}
