// Package golden compares results with numbers that a reference implementation computed. It is for tests.
//
// Fixtures are safetensors files under testdata, written by the scripts in reference/:
//
//	g := golden.Open(t, "testdata/linear.safetensors")
//	y := forward(g.Float32("x"), g.Float32("weight"))
//	golden.Close(t, "y", y, g.Float32("y"), 1e-5, 1e-6)
//
// A failure prints the worst element, so that a wrong formula can be distinguished from rounding at a glance.
package golden

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// Fixture is an opened fixture file. Its methods end the test if a tensor is missing or has another type.
type Fixture struct {
	t    testing.TB
	path string
	file *safetensors.File
}

// Open opens the fixture at path until the end of the test.
func Open(t testing.TB, path string) *Fixture {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatalf("fixture: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Fixture{t: t, path: path, file: f}
}

// Names returns the names of all tensors in the order of the file.
func (f *Fixture) Names() []string { return f.file.Names() }

// Has reports whether the fixture has a tensor with the given name.
func (f *Fixture) Has(name string) bool {
	_, ok := f.file.Tensor(name)
	return ok
}

// Tensor returns a tensor as stored. Its Data is read-only and valid until the end of the test.
func (f *Fixture) Tensor(name string) safetensors.Tensor {
	f.t.Helper()
	t, ok := f.file.Tensor(name)
	if !ok {
		f.t.Fatalf("fixture %s: no tensor %q", f.path, name)
	}
	return t
}

// Shape returns the shape of a tensor.
func (f *Fixture) Shape(name string) []int {
	f.t.Helper()
	return f.Tensor(name).Shape
}

// Float32 returns the values of an F32, F16 or BF16 tensor; the slice belongs to the caller.
func (f *Fixture) Float32(name string) []float32 {
	f.t.Helper()
	values, err := safetensors.AsFloat32(f.Tensor(name))
	if err != nil {
		f.t.Fatalf("fixture %s: %v", f.path, err)
	}
	return append([]float32(nil), values...)
}

// Ints returns the values of an integer or boolean tensor; the slice belongs to the caller.
func (f *Fixture) Ints(name string) []int {
	f.t.Helper()
	t := f.Tensor(name)
	var values []int
	switch t.DType {
	case safetensors.Bool, safetensors.U8:
		for _, b := range t.Data {
			values = append(values, int(b))
		}
	case safetensors.I32:
		for i := 0; i < len(t.Data); i += 4 {
			values = append(values, int(int32(binary.LittleEndian.Uint32(t.Data[i:]))))
		}
	case safetensors.I64:
		for i := 0; i < len(t.Data); i += 8 {
			values = append(values, int(int64(binary.LittleEndian.Uint64(t.Data[i:]))))
		}
	default:
		f.t.Fatalf("fixture %s: tensor %q has dtype %s, want BOOL, U8, I32 or I64", f.path, name, t.DType)
	}
	return values
}

// Close fails the test unless |got − want| ≤ atol + rtol·|want| for every element; NaN equals NaN. It prints the
// worst element and the number of failing ones.
func Close(t testing.TB, label string, got, want []float32, rtol, atol float64) {
	t.Helper()
	if message := compare(got, want, rtol, atol); message != "" {
		t.Errorf("%s: %s", label, message)
	}
}

// compare returns the message that Close prints, or "" if all elements are close.
func compare(got, want []float32, rtol, atol float64) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d values, want %d", len(got), len(want))
	}
	failures, worst, excess := 0, -1, 0.0
	for i := range got {
		g, w := float64(got[i]), float64(want[i])
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		// times is the difference divided by the allowed one; NaN and infinities count as larger than all others.
		times := math.Abs(g-w) / (atol + rtol*math.Abs(w))
		if math.IsNaN(times) || math.IsInf(g, 0) || math.IsInf(w, 0) {
			times = math.Inf(1)
		}
		if times <= 1 {
			continue
		}
		failures++
		if worst < 0 || times > excess {
			worst, excess = i, times
		}
	}
	if failures == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d values differ (rtol %g, atol %g); worst at %d: got %v, want %v, "+
		"difference %.3g is %.3g times what is allowed",
		failures, len(got), rtol, atol, worst, got[worst], want[worst], math.Abs(float64(got[worst])-float64(want[worst])),
		excess)
}

// RelFrobenius returns ‖got − want‖ / ‖want‖ in the Frobenius norm. It returns 0 if both are equal, and +Inf
// if only want is all zero or a value is NaN or infinite. It panics if the lengths differ.
func RelFrobenius(got, want []float32) float64 {
	checkLen(got, want)
	var difference, norm float64
	for i := range got {
		d := float64(got[i]) - float64(want[i])
		difference += d * d
		norm += float64(want[i]) * float64(want[i])
	}
	return ratio(math.Sqrt(difference), math.Sqrt(norm))
}

// MaxRel returns max|got − want| / max|want|. It returns 0 if both are equal, and +Inf if only want is all zero or a
// value is NaN or infinite. It panics if the lengths differ.
func MaxRel(got, want []float32) float64 {
	checkLen(got, want)
	var difference, largest float64
	for i := range got {
		difference = max(difference, math.Abs(float64(got[i])-float64(want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	return ratio(difference, largest)
}

// ratio returns difference/size, but +Inf in place of NaN, because a comparison such as ratio > bound is false for NaN.
func ratio(difference, size float64) float64 {
	if difference == 0 {
		return 0
	}
	if r := difference / size; !math.IsNaN(r) {
		return r
	}
	return math.Inf(1)
}

func checkLen(got, want []float32) {
	if len(got) != len(want) {
		panic(fmt.Sprintf("golden: got %d values, want %d", len(got), len(want)))
	}
}
