package tasks

import (
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn/op"
)

// BatchOf returns the batch of examples of a set that must not fail.
func BatchOf(t testing.TB, s batch.Set, examples ...int) *batch.Batch {
	t.Helper()
	b, err := s.Batch(t.Context(), examples, op.Key{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
