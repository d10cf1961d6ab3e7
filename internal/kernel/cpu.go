package kernel

import (
	"fmt"
	"os"
	"slices"
)

// versionVariable is the environment variable that holds the program to a version of its functions.
const versionVariable = "SPALORA_KERNEL"

// Names of versions.
const (
	avx512 = "avx512"
	avx2   = "avx2"
	plain  = "go"
)

// versionNames lists the names of the versions, the fastest first.
var versionNames = []string{avx512, avx2, plain}

// wanted is the fastest version that may be used.
var wanted = os.Getenv(versionVariable)

// allowed reports whether a version may be used: none is faster than the one that the environment asks for.
func allowed(version string) bool {
	return slices.Index(versionNames, version) >= slices.Index(versionNames, wanted)
}

// CheckEnvironment returns an error if SPALORA_KERNEL is set to something else than the name of a version: avx512, avx2
// or go. The package then behaves as if it were not set.
func CheckEnvironment() error {
	if wanted != "" && !slices.Contains(versionNames, wanted) {
		return fmt.Errorf("kernel: the environment variable %s is %q; want avx512, avx2 or go, or leave it unset",
			versionVariable, wanted)
	}
	return nil
}

// alternative is one version of a family of functions, for example the tiles of a matrix product in AVX2 assembly.
type alternative[K any] struct {
	name   string // one of versionNames
	usable bool   // whether this processor can run it and SPALORA_KERNEL allows it
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
