package tasks

import (
	"context"
	"errors"
	"slices"
	"sort"
	"sync"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// EvalTokens is the default number of tokens of a batch in evaluation and prediction.
const EvalTokens = 4096

// Tapes keeps evaluation tapes and their memory from call to call. It is safe for concurrent use: concurrent calls use
// different tapes.
type Tapes struct {
	pool *op.Pool

	mu     sync.Mutex
	free   []*op.Tape
	closed bool
}

// NewTapes returns an empty list of tapes on a pool of workers; nil: the caller's goroutine alone.
func NewTapes(pool *op.Pool) *Tapes { return &Tapes{pool: pool} }

// Pool returns the workers.
func (t *Tapes) Pool() *op.Pool { return t.pool }

// Use calls f with a tape, which f must not keep. The tape is reset afterwards.
func (t *Tapes) Use(f func(tape *op.Tape) error) error {
	tape := t.take()
	done := false
	defer func() {
		if !done { // a panic: the tape may be in any state
			_ = tape.Close()
		}
	}()
	err := f(tape)
	tape.Reset()
	done = true
	return errors.Join(err, t.give(tape))
}

func (t *Tapes) take() *op.Tape {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		tape := t.free[n-1]
		t.free = t.free[:n-1]
		return tape
	}
	return op.NewEvalTape(t.pool)
}

func (t *Tapes) give(tape *op.Tape) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return tape.Close()
	}
	t.free = append(t.free, tape)
	return nil
}

// Close releases the memory of the tapes. Tapes that are in use are released when their call ends.
func (t *Tapes) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	var err error
	for _, tape := range t.free {
		err = errors.Join(err, tape.Close())
	}
	t.free = nil
	return err
}

// EachBatch calls f with all examples in batches of at most the given number of tokens (a longer example is a batch
// by itself). The longest examples come first, so that equal lengths meet and the largest batch is the first.
func EachBatch(ctx context.Context, s batch.Set, tokens int, f func(examples []int, b *batch.Batch) error) error {
	return eachBatch(ctx, s, tokens, nil, f)
}

// eachBatch is EachBatch; arrange, unless nil, may change the order of the examples of a batch.
func eachBatch(
	ctx context.Context, s batch.Set, tokens int, arrange func(examples []int),
	f func(examples []int, b *batch.Batch) error,
) error {
	order := byLength(s)
	for lo := 0; lo < len(order); {
		hi, n := lo, 0
		for hi < len(order) && (hi == lo || n+s.Tokens(order[hi]) <= tokens) {
			n += s.Tokens(order[hi])
			hi++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if arrange != nil {
			arrange(order[lo:hi])
		}
		b, err := s.Batch(ctx, order[lo:hi], op.Key{})
		if err != nil {
			return err
		}
		if err := f(order[lo:hi], b); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// byLength returns the numbers of all examples, the longest first, in their own order among equals.
func byLength(s batch.Set) []int {
	order := make([]int, s.Len())
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return s.Tokens(order[a]) > s.Tokens(order[b]) })
	return order
}

// Inference is a forward pass over all examples of a set that records nothing for a backward.
type Inference struct {
	Tapes   *Tapes
	Adapter nn.AdapterSet // nil: the base model
	Tokens  int           // of a batch; 0: EvalTokens
	// AdapterOf, if set, returns the adapter of each example, in place of Adapter. Examples of several adapters share
	// batches, which changes no bit of the results.
	AdapterOf func(example int) nn.AdapterSet
	// Forward computes the result for a batch. An error ends the run.
	Forward func(p *nn.Pass, b *batch.Batch) (mat.Tensor, error)
}

// Run computes all batches and calls use with the numbers of the examples, the batch and its result, which are valid
// until use returns. The longest examples come first.
func (n Inference) Run(
	ctx context.Context, set batch.Set, use func(examples []int, tape *op.Tape, b *batch.Batch, y mat.Tensor) error,
) error {
	tokens := n.Tokens
	if tokens == 0 {
		tokens = EvalTokens
	}
	var arrange func(examples []int)
	if n.AdapterOf != nil {
		arrange = n.besides(set.Len())
	}
	return n.Tapes.Use(func(tape *op.Tape) error {
		return eachBatch(ctx, set, tokens, arrange, func(examples []int, b *batch.Batch) error {
			p := &nn.Pass{Tape: tape, Adapter: n.Adapter}
			if n.AdapterOf != nil {
				p.Serve(n.adapters(examples, b))
			}
			y, err := n.Forward(p, b)
			if err == nil {
				err = use(examples, tape, b, y)
			}
			tape.Reset()
			return err
		})
	})
}

// besides returns a function that puts examples of one adapter side by side, those of the adapter that comes first
// among all n examples before those of the second, and so on.
func (n Inference) besides(examples int) func(list []int) {
	place := map[nn.AdapterSet]int{}
	for i := range examples {
		if a := n.AdapterOf(i); place[a] == 0 {
			place[a] = len(place) + 1
		}
	}
	return func(list []int) {
		slices.SortStableFunc(list, func(a, b int) int { return place[n.AdapterOf(a)] - place[n.AdapterOf(b)] })
	}
}

// adapters returns the adapter of each sequence of a batch of examples.
func (n Inference) adapters(examples []int, b *batch.Batch) []nn.AdapterSet {
	list := make([]nn.AdapterSet, 0, b.Seqs.Len())
	for i, e := range examples {
		count := 1
		if b.Groups != nil {
			count = b.Groups[i+1] - b.Groups[i]
		}
		for range count {
			list = append(list, n.AdapterOf(e))
		}
	}
	return list
}
