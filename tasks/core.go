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
	MaxLength  int // tokens of a sequence, special tokens included; 0: what model and tokenizer allow
	EvalTokens int // tokens of a batch that is not trained on; 0: the constant EvalTokens
	Pool       *op.Pool
	Adapter    nn.AdapterSet // in use when evaluating and predicting; nil: the base model
}

// Core is what the predictors of all task types share: a model with its tokenizer, and the memory of a call, which it
// keeps for the next. It is safe for concurrent use.
type Core[M models.TextModel] struct {
	CoreConfig
	Net   M
	Tok   *tokenize.Tokenizer
	Tapes *Tapes
	limit int
}

// NewCore returns the core of a predictor. [CheckText] returns the errors about its settings. A text with a token for
// which the model has no word embedding is an error when it is tokenised.
func NewCore[M models.TextModel](m M, tok *tokenize.Tokenizer, c CoreConfig) Core[M] {
	return Core[M]{c, m, tok.Within(m.Vocabulary()), NewTapes(c.Pool), TextLimit(m, tok, c.MaxLength)}
}

// Close releases the memory that the predictor keeps.
func (c *Core[M]) Close() error { return c.Tapes.Close() }

// Limit returns how many tokens a sequence may have; what is longer is cut.
func (c *Core[M]) Limit() int { return c.limit }

// CheckRoom returns an error if the limit leaves no room beside the special tokens of a text, or of a pair.
func (c *Core[M]) CheckRoom(pair bool) error { return CheckRoom(c.Tok, c.MaxLength, pair) }

// NewSet returns an empty set of texts for the model.
func (c *Core[M]) NewSet() *TextSet { return NewTextSet(c.Net.TokenTypes() > 1) }

// Encode tokenises texts into a set, truncates those that are longer than the limit, and calls cut, unless it is nil,
// with the number of each of these. It returns an error that names the line of a text without tokens.
func (c *Core[M]) Encode(
	ctx context.Context, t Texts, truncation tokenize.Strategy, cut func(i int),
) (*TextSet, error) {
	s := c.NewSet()
	s.starts = make([]int, 0, t.Len)
	o := tokenize.Options{MaxLength: c.limit, Truncation: truncation}
	err := Encode(ctx, c.Tok, t, o, c.Pool.Workers(), func(i int, e *tokenize.Encoding) error {
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
func (c *Core[M]) Inference(forward func(p *nn.Pass, b *batch.Batch) mat.Tensor) Inference {
	return Inference{
		Tapes: c.Tapes, Adapter: c.Adapter, Tokens: c.EvalTokens,
		Forward: func(p *nn.Pass, b *batch.Batch) (mat.Tensor, error) { return forward(p, b), nil },
	}
}

// Rows computes forward over a set of n sequences and returns its results, k values for each sequence, in the order of
// their numbers in Seqs.Index. each, if set, is called with every batch and its result.
func (c *Core[M]) Rows(
	ctx context.Context, set batch.Set, n, k int, forward func(p *nn.Pass, b *batch.Batch) mat.Tensor,
	each func(tape *op.Tape, b *batch.Batch, y mat.Tensor),
) ([]float32, error) {
	out := make([]float32, n*k)
	return out, c.Inference(forward).Run(ctx, set, func(_ []int, tape *op.Tape, b *batch.Batch, y mat.Tensor) error {
		v := op.Values(y)
		for i, seq := range b.Seqs.Index {
			copy(out[seq*k:(seq+1)*k], v[i*k:(i+1)*k])
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
