package tasks

import (
	"context"
	"errors"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// Targets are what texts should come out as, for [Texts].
type Targets struct {
	Labels []int32   // one for each text, which batches hold in Labels; nil: none
	Values []float32 // equally many for each text, one text after another, which batches hold in Values; nil: none
}

// Texts tokenises texts and pairs for a model and returns them as a set of examples: what a task of one's own needs to implement
// [train.Task]. A text longer than model and tokenizer allow is cut; one without a token is an error. examples/custom_task shows its use.
func Texts(ctx context.Context, m models.TextModel, tok *tokenize.Tokenizer, inputs []tokenize.Input, t Targets, pool *op.Pool) (batch.Set, error) {
	errs := checkText(m, tok, 0)
	n := len(inputs)
	if t.Labels != nil && len(t.Labels) != n {
		errs = append(errs, fmt.Errorf("%d labels for %d texts", len(t.Labels), n))
	}
	if t.Values != nil && (n == 0 || len(t.Values)%n != 0) {
		errs = append(errs, fmt.Errorf("%d values for %d texts", len(t.Values), n))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("tasks: %w", errors.Join(errs...))
	}
	o := tokenize.Options{MaxLength: textLimit(m, tok, 0)}
	s, _, err := encodeInputs(ctx, tok, "texts", inputs, func(i int) int { return i + 1 }, o, pool.Workers())
	if err != nil {
		return nil, err
	}
	if m.TokenTypes() < 2 {
		s.types = nil
	}
	s.labels, s.values = t.Labels, t.Values
	if t.Values != nil {
		s.width = len(t.Values) / n
	}
	return s, nil
}

// Infer computes forward over all examples of a set, without recording anything for a backward, and calls use with each batch and what
// came out; Rows of the batch are the numbers of its examples. The tensor is only valid until use returns. Batches hold up to 4096 tokens, the longest examples
// first. adapter may be nil.
func Infer(ctx context.Context, set batch.Set, pool *op.Pool, adapter nn.AdapterSet, forward func(p *nn.Pass, b *batch.Batch) mat.Tensor, use func(b *batch.Batch, y mat.Tensor)) error {
	return infer(ctx, set, 4096, pool, adapter, forward, use)
}

// infer is Infer with batches of up to so many tokens.
func infer(ctx context.Context, set batch.Set, tokens int, pool *op.Pool, adapter nn.AdapterSet, forward func(p *nn.Pass, b *batch.Batch) mat.Tensor, use func(b *batch.Batch, y mat.Tensor)) error {
	tape := op.NewEvalTape(pool)
	err := eachBatch(ctx, set, tokens, func(_ []int, b *batch.Batch) error {
		use(b, forward(&nn.Pass{Tape: tape, Adapter: adapter}, b))
		tape.Reset()
		return nil
	})
	return errors.Join(err, tape.Close())
}
