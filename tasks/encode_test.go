package tasks

import (
	"testing"

	"github.com/spalora/spalora/batch"
)

// BatchOf returns the batch of examples of a set.
func BatchOf(t testing.TB, s batch.Set, examples ...int) *batch.Batch {
	t.Helper()
	return s.Batch(examples)
}
