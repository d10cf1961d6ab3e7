package lora

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// TestClamp limits the factors of PEFT's decompositions as PEFT does with svd_clamp 0.9.
func TestClamp(t *testing.T) {
	f := golden.Open(t, filepath.Join("..", "testdata", "combine", "expected.safetensors"))
	n := 0
	for _, name := range f.Names() {
		i, path, ok := strings.Cut(name, ".unclamped.")
		if path, isA := strings.CutSuffix(path, ".A"); ok && isA {
			n++
			a, b := f.Float32(name), f.Float32(strings.TrimSuffix(name, "A")+"B")
			clampAt(0.9, b, a)
			golden.Close(t, path+" A", a, f.Float32(i+"."+path+".A"), 1e-6, 0)
			golden.Close(t, path+" B", b, f.Float32(i+"."+path+".B"), 1e-6, 0)
		}
	}
	if n == 0 {
		t.Error("the fixture has no decompositions")
	}
}

// TestKeepLargest prunes values with equal magnitudes.
func TestKeepLargest(t *testing.T) {
	for _, x := range []struct {
		values  []float32
		density float64
		want    []float32
	}{
		{[]float32{3, -1, 2, -4}, 0.5, []float32{3, 0, 0, -4}},
		{[]float32{1, -1, 1, 1, 2}, 0.6, []float32{1, -1, 0, 0, 2}},
		{[]float32{1, 2, 3}, 0.3, []float32{0, 0, 0}},
		{[]float32{0, 0, 5, 0}, 0.75, []float32{0, 0, 5, 0}},
	} {
		if got := keepLargest(x.values, x.density); !slices.Equal(got, x.want) {
			t.Errorf("%v of %v: %v, want %v", x.density, x.values, got, x.want)
		}
	}
}
