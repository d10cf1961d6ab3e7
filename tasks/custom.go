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

// Targets are the targets of texts for [EncodeTexts].
type Targets struct {
	Labels []int32   // one for each text, in the field Labels of batches; nil: none
	Values []float32 // equally many for each text, one text after another, in the field Values of batches; nil: none
}

// EncodeTexts tokenises texts and pairs for a model and returns them with their targets as a set of examples, for a
// custom implementation of train.Task. A text that is longer than model and tokenizer allow is truncated; a text
// without tokens is an error. examples/custom_task shows its use.
func EncodeTexts(
	ctx context.Context, m models.TextModel, tok *tokenize.Tokenizer, inputs []tokenize.Input, t Targets, pool *op.Pool,
) (*TextSet, error) {
	errs := CheckText(m, 0)
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
	core := NewCore(m, tok, CoreConfig{Pool: pool})
	s, err := core.Encode(ctx, Inputs(inputs), tokenize.LongestFirst, nil)
	if err != nil {
		return nil, err
	}
	s.Labels, s.Values = t.Labels, t.Values
	return s, nil
}

// Infer computes forward over all examples of a set on new tapes of a pool, without recording anything for a backward,
// and calls use with each batch, whose Seqs.Index has the numbers of its examples, and the result, which is valid until
// use returns. An error of forward ends it. Batches hold at most [EvalTokens] tokens, the longest examples first.
// adapter may be nil. Callers that infer often keep the tapes in an [Inference].
func Infer(
	ctx context.Context, set batch.Set, pool *op.Pool, adapter nn.AdapterSet,
	forward func(p *nn.Pass, b *batch.Batch) (mat.Tensor, error), use func(b *batch.Batch, y mat.Tensor),
) error {
	n := Inference{Tapes: NewTapes(pool), Adapter: adapter, Forward: forward}
	err := n.Run(ctx, set, func(_ []int, _ *op.Tape, b *batch.Batch, y mat.Tensor) error {
		use(b, y)
		return nil
	})
	return errors.Join(err, n.Tapes.Close())
}
