package op

import "github.com/spalora/spalora/internal/kernel"

// Pool is the set of workers that operators spread their work over. One pool serves any number of tapes and goroutines,
// and any number of workers gives the same bits.
type Pool = kernel.Pool

// NewPool starts workers; 0 means one for each processor that Go may use. Close stops them.
func NewPool(workers int) *Pool { return kernel.NewPool(workers) }

// Key is the random stream of one training step: dropout depends on it.
type Key = kernel.Key
