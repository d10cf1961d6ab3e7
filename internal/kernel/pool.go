package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a set of resident workers. The goroutine that calls [Pool.For] is worker 0 of that call.
//
// A nil *Pool runs everything on the caller. A Pool is safe for concurrent use, but serves one call at a time: a call
// that finds it busy runs its tasks on its own goroutine, and so does a call from inside a task. Neither waits, so
// neither can deadlock.
type Pool struct {
	workers int
	spin    bool // whether waiting workers spin before they park
	skips   bool // nothing is computed

	busy   atomic.Bool  // whether a call owns the workers
	region atomic.Int64 // the region's number (shifted), whether it is open, and the workers inside: see join
	next   atomic.Int64 // the next task to hand out
	tasks  int64
	body   func(task, worker int)

	mu       sync.Mutex
	panicked any // first panic of the region's tasks, nil if none

	parked  []parking     // one for each resident worker, at index worker−1
	idle    chan struct{} // receives a token when a worker leaves the region while the caller sleeps
	asleep  atomic.Bool   // whether the caller sleeps on idle
	closed  atomic.Bool
	running sync.WaitGroup

	bf16    bool      // see UseBF16
	scratch []scratch // one for each worker, for the call that owns the workers
}

// parking is the place where one worker sleeps. The padding keeps workers off each other's cache lines.
type parking struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [48]byte
}

const (
	regionOpen  = 1 << 16        // flag: tasks may be taken
	regionStep  = 1 << 17        // increment of the region's number
	regionCount = regionOpen - 1 // mask of the number of workers inside

	// spins is the number of rounds that a worker waits before it parks: about half a millisecond, longer than most gaps
	// in a training step.
	spins = 5000
	// maxWorkers is far above the cores of any machine, and keeps the count of workers within its bits.
	maxWorkers = regionOpen >> 1
)

// NewPool starts a pool of the given number of workers, which includes the caller; workers <= 0 means GOMAXPROCS. Close
// ends the workers.
func NewPool(workers int) *Pool {
	procs := runtime.GOMAXPROCS(0)
	if workers <= 0 {
		workers = procs
	}
	workers = min(workers, maxWorkers)
	p := &Pool{
		workers: workers,
		spin:    workers <= procs,
		parked:  make([]parking, workers-1),
		idle:    make(chan struct{}, 1),
		scratch: make([]scratch, workers),
	}
	for i := range p.parked {
		p.parked[i].wake = make(chan struct{}, 1)
		p.running.Add(1)
		go p.serve(i + 1)
	}
	return p
}

// NewSkippingPool returns a pool that computes nothing: [Pool.For] runs no task, and products check the sizes of their
// operands and leave their results as they are. It reports the given number of workers, but has none, so it need not
// be closed. Code that allocates outside of tasks and reads no result then allocates as it does with a real pool of as
// many workers, which shows how much memory it takes.
func NewSkippingPool(workers int) *Pool { return &Pool{workers: max(workers, 1), skips: true} }

// UseBF16 sets what BF16 returns. It must not be called while the pool computes.
func (p *Pool) UseBF16(yes bool) { p.bf16 = yes }

// BF16 reports whether callers that multiply by frozen weights should set [Term].BF16. The pool itself makes no
// difference.
func (p *Pool) BF16() bool { return p != nil && p.bf16 }

// Skips reports whether the pool is one of [NewSkippingPool].
func (p *Pool) Skips() bool { return p != nil && p.skips }

// Workers returns the number of workers, which includes the caller: 1 for a nil pool. Tasks get worker numbers below
// it.
func (p *Pool) Workers() int {
	if p == nil {
		return 1
	}
	return p.workers
}

// Close ends the workers and waits for them. It must not be called while a call of For runs. Later calls of For run on
// their caller.
func (p *Pool) Close() {
	if p == nil || p.closed.Swap(true) {
		return
	}
	p.wakeAll()
	p.running.Wait()
}

// For runs body(task, worker) once for each task in [0, tasks), in any order, on all workers, and returns when all are
// done.
//
// A counter hands out tasks one at a time. Within one call, no two bodies run at the same time with the same worker
// number, so scratch that is indexed by worker is safe if it belongs to the call. It is not safe to share between
// calls, since a call that runs on its own goroutine (pool nil, closed or busy, or a nested call) has worker number 0
// too. If body panics, For drops the remaining tasks, waits until all workers have left and raises the panic again on
// the caller.
func (p *Pool) For(tasks int, body func(task, worker int)) {
	if tasks <= 0 || p.Skips() {
		return
	}
	if tasks == 1 || !p.acquire() {
		for task := range tasks {
			body(task, 0)
		}
		return
	}
	defer p.release()
	p.forAcquired(tasks, body)
}

// acquire makes the caller the owner of the workers. It returns false if another call owns them or if there are none.
func (p *Pool) acquire() bool {
	return p != nil && p.workers > 1 && !p.closed.Load() && p.busy.CompareAndSwap(false, true)
}

func (p *Pool) release() { p.busy.Store(false) }

// forAcquired is For on a pool that the caller has acquired.
func (p *Pool) forAcquired(tasks int, body func(task, worker int)) {
	p.tasks, p.body, p.panicked = int64(tasks), body, nil
	p.next.Store(0)
	p.region.Store((p.region.Load()&^regionCount + regionStep) | regionOpen)
	p.wakeSome(tasks - 1)
	defer p.finish()
	p.work(0)
}

// finish ends the region. No worker joins a closed region, so finish does not wait for a worker that wakes late.
func (p *Pool) finish() {
	p.region.And(^int64(regionOpen))
	p.awaitEmpty()
	p.body = nil
	if p.panicked != nil {
		panic(p.panicked)
	}
}

// work takes tasks until there are none left.
func (p *Pool) work(worker int) {
	finished := false
	defer func() {
		if finished {
			return
		}
		p.next.Store(p.tasks)
		p.mu.Lock()
		defer p.mu.Unlock()
		if r := recover(); r != nil && p.panicked == nil {
			p.panicked = r
		}
	}()
	for {
		task := p.next.Add(1) - 1
		if task >= p.tasks {
			break
		}
		p.body(int(task), worker)
	}
	finished = true
}

// serve is the loop of a resident worker.
func (p *Pool) serve(worker int) {
	defer p.running.Done()
	seen := int64(0)
	for {
		seen = p.awaitRegion(worker, seen)
		if p.closed.Load() {
			return
		}
		if p.join(seen) {
			p.workAndLeave(worker)
		}
	}
}

// join counts this worker into the region with the given number. It returns false if that region is over.
func (p *Pool) join(number int64) bool {
	for {
		r := p.region.Load()
		if r&regionOpen == 0 || r/regionStep != number {
			return false
		}
		if p.region.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

func (p *Pool) workAndLeave(worker int) {
	// Deferred, so that a task that ends its goroutine (runtime.Goexit, as testing's FailNow does) does not block the
	// caller forever.
	defer func() {
		p.region.Add(-1)
		if p.asleep.Load() {
			signal(p.idle)
		}
	}()
	p.work(worker)
}

// awaitRegion returns the number of an open region other than the region seen, or any number if the pool is closed.
func (p *Pool) awaitRegion(worker int, seen int64) int64 {
	at := &p.parked[worker-1]
	for round := 0; ; round++ {
		if r := p.region.Load(); (r&regionOpen != 0 && r/regionStep != seen) || p.closed.Load() {
			return r / regionStep
		}
		if p.spin && round < spins {
			pause()
			continue
		}
		at.asleep.Store(true)
		// Look again: a region opened before asleep was set has not sent a signal.
		if r := p.region.Load(); (r&regionOpen != 0 && r/regionStep != seen) || p.closed.Load() {
			at.asleep.Store(false)
			continue
		}
		<-at.wake
		at.asleep.Store(false)
		round = 0
	}
}

// awaitEmpty returns when no worker is inside the region.
func (p *Pool) awaitEmpty() {
	for round := 0; p.region.Load()&regionCount != 0; round++ {
		if p.spin && round < spins {
			pause()
			continue
		}
		p.asleep.Store(true)
		if p.region.Load()&regionCount != 0 {
			<-p.idle
		}
		p.asleep.Store(false)
	}
}

// wakeSome wakes parked workers, at most count of them.
func (p *Pool) wakeSome(count int) {
	for i := 0; i < min(count, len(p.parked)); i++ {
		if at := &p.parked[i]; at.asleep.Load() {
			signal(at.wake)
		}
	}
}

func (p *Pool) wakeAll() { p.wakeSome(len(p.parked)) }

// signal leaves one token in a channel of capacity 1. A surplus token only makes its receiver check once more.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
