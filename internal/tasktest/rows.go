package tasktest

import (
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/tasks"
)

// Rows returns the tokenised texts of a fixture without their targets: its tensors ids and starts and, if batches are
// to have token types and it has some, types.
func Rows(g *golden.Fixture, typed bool) *tasks.TextSet {
	s, ids, starts := tasks.NewTextSet(typed), Int32s(g, "ids"), g.Ints("starts")
	var types []int32
	if typed && g.Has("types") {
		types = Int32s(g, "types")
	}
	for i := range len(starts) - 1 {
		lo, hi := starts[i], starts[i+1]
		if types == nil {
			s.Append(ids[lo:hi], nil)
		} else {
			s.Append(ids[lo:hi], types[lo:hi])
		}
	}
	return s
}

// Int32s returns the values of an integer tensor of a fixture.
func Int32s(g *golden.Fixture, name string) []int32 {
	var list []int32
	for _, x := range g.Ints(name) {
		list = append(list, int32(x))
	}
	return list
}

// First lists the numbers of the first n examples of a set.
func First(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
