package op

import "github.com/spalora/spalora/internal/kernel"

// Pool is a set of workers that share the work of operators. One pool serves any number of tapes and goroutines.
// Results have the same bits for any number of workers.
type Pool = kernel.Pool

// NewPool starts the given number of workers and returns their pool; 0 means one for each processor that Go may use.
// The caller must Close the pool, which stops them.
func NewPool(workers int) *Pool { return kernel.NewPool(workers) }

// Key is the seed and the step of the random stream that dropout draws from in one training step.
type Key = kernel.Key
