package train

import (
	"context"

	"github.com/spalora/spalora/batch"
)

// FirstEpoch returns the number of micro-batches of the first epoch of a run with the settings c, which must be valid,
// and a function that makes the one with the given number: the same batch each time, and the one that the run trains
// on. Starting values that depend on the data are computed from them. The function returns an error if the set does.
func FirstEpoch(ctx context.Context, set batch.Set, c Config) (n int, make func(i int) (*batch.Batch, error)) {
	s := newSampler(set, c)
	e := s.epoch(0)
	return len(e.ends), func(i int) (*batch.Batch, error) {
		return makeBatch(ctx, set, e.rows(i), epochKey(c.Seed, 0))
	}
}
