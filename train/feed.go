package train

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn/op"
)

// microBatch is one batch with its place in the run.
type microBatch struct {
	*batch.Batch
	ends    bool     // it is the last of its optimiser step
	next    position // of the micro-batch after it
	epoch   float64  // number of epochs done after it
	closing bool     // it is the last of its epoch
	err     error    // error of making the batch, which is nil then
}

// ahead is the number of micro-batches that are made in advance: one in the making and one ready, so that a step does
// not wait for its batches.
const ahead = 2

// feed makes micro-batches in order on its own goroutine, without end. Its owner must close it.
type feed struct {
	batches chan microBatch
	cancel  context.CancelFunc // of the context that batches are made with
	done    chan struct{}
}

// feed returns a feed that starts at the given position. It stops when ctx is done.
func (s *sampler) feed(ctx context.Context, from position) *feed {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{batches: make(chan microBatch, ahead-1), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for e := from.Epoch; ; e++ {
			if !f.sendEpoch(ctx, s, e, from.Batch) {
				return
			}
			from.Batch = 0
		}
	}()
	return f
}

// epochKey returns what sets draw from in an epoch. It is never the zero key, which asks for examples as they are: the
// first epoch of seed 0 has the key of the last one that could be.
func epochKey(seed uint64, epoch int) op.Key {
	if seed == 0 && epoch == 0 {
		return op.Key{Step: math.MaxUint64}
	}
	return op.Key{Seed: seed, Step: uint64(epoch)}
}

// sendEpoch sends the batches of an epoch from number first on and reports whether more are wanted. What a set draws
// for an example depends on the seed, the epoch and the example, so that neither the division into batches nor resuming
// a run changes it.
func (f *feed) sendEpoch(ctx context.Context, s *sampler, number, first int) bool {
	key := epochKey(s.seed, number)
	e := s.epoch(number)
	count := len(e.ends)
	for i := first; i < count; i++ {
		b := microBatch{
			next:    position{number, i + 1},
			epoch:   float64(number) + float64(i+1)/float64(count),
			closing: i+1 == count,
		}
		if b.closing {
			b.next = position{number + 1, 0}
		}
		b.ends = b.closing || (i+1)%s.accumulate == 0
		b.Batch, b.err = makeBatch(ctx, s.set, e.rows(i), key)
		select {
		case f.batches <- b:
		case <-ctx.Done():
			return false
		}
		if b.err != nil {
			return false
		}
	}
	return true
}

// makeBatch returns the batch of rows. It returns an error that names the rows if the set returns an error or panics.
func makeBatch(ctx context.Context, set batch.Set, rows []int, key op.Key) (b *batch.Batch, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError{v, debug.Stack()}
		}
		if err != nil {
			b, err = nil, fmt.Errorf("making the batch of rows %s: %w", rowList(rows), err)
		}
	}()
	return set.Batch(ctx, rows, key)
}

// receive returns the next micro-batch. After an error there are no more. If ctx, which must be the feed's, is done,
// the error is errInterrupted, whatever error the set returned.
func (f *feed) receive(ctx context.Context) (microBatch, error) {
	select {
	case b := <-f.batches:
		if b.err != nil && ctx.Err() != nil {
			return b, errInterrupted
		}
		return b, b.err
	case <-ctx.Done():
		return microBatch{}, errInterrupted
	}
}

// close cancels the making of batches, ends the goroutine and waits for it.
func (f *feed) close() {
	f.cancel()
	<-f.done
}
