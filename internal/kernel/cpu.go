package kernel

// alternative is one version of a family of functions, for example the tiles of a matrix product in AVX2 assembly.
type alternative[K any] struct {
	name   string // as printed by tests and benchmarks: "avx2", "go"
	usable bool   // whether this processor can run it
	kernel K
}

// choose returns the first usable alternative. A list has the fastest alternative first and ends with plain Go, which
// is always usable.
func choose[K any](alternatives []alternative[K]) alternative[K] {
	for _, a := range alternatives {
		if a.usable {
			return a
		}
	}
	panic("kernel: no alternative is usable on this processor")
}
