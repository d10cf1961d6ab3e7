package train

import (
	"fmt"
	"runtime/debug"

	"github.com/spalora/spalora/batch"
)

// microBatch is one batch with its place in the run.
type microBatch struct {
	*batch.Batch
	ends    bool     // it is the last of its optimiser step
	next    position // of the micro-batch after it
	epoch   float64  // epochs done when it is done
	closing bool     // it is the last of its epoch
	err     error    // making the batch failed; nothing else is set
}

// ahead is how many micro-batches are made before they are asked for: one in the making and one ready hide the time of making
// them behind that of a step.
const ahead = 2

// feed makes micro-batches on a goroutine of its own, in order and without end. Its owner must close it.
type feed struct {
	batches chan microBatch
	quit    chan struct{}
	done    chan struct{}
}

// feed starts at a position.
func (s *sampler) feed(from position) *feed {
	f := &feed{batches: make(chan microBatch, ahead-1), quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for e := from.Epoch; ; e++ {
			if !f.sendEpoch(s, e, from.Batch) {
				return
			}
			from.Batch = 0
		}
	}()
	return f
}

// sendEpoch sends the batches of an epoch from number first on and reports whether more are wanted.
func (f *feed) sendEpoch(s *sampler, number, first int) bool {
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
		b.Batch, b.err = makeBatch(s.set, e.rows(i))
		select {
		case f.batches <- b:
		case <-f.quit:
			return false
		}
		if b.err != nil {
			return false
		}
	}
	return true
}

// makeBatch turns a panic of the set into an error.
func makeBatch(set batch.Set, rows []int) (b *batch.Batch, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("making the batch of rows %s: %w", rowList(rows), panicError{v, debug.Stack()})
		}
	}()
	return set.Batch(rows), nil
}

// receive returns the next micro-batch. After an error there is none.
func (f *feed) receive() (microBatch, error) {
	b := <-f.batches
	return b, b.err
}

// close ends the goroutine and waits for it.
func (f *feed) close() {
	close(f.quit)
	<-f.done
}
