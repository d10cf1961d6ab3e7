package golden

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name       string
		got, want  []float32
		rtol, atol float64
		message    string // a part of the message, "" if all values are close
	}{
		{"equal", []float32{1, nan, inf, -inf}, []float32{1, nan, inf, -inf}, 0, 0, ""},
		{"empty", nil, nil, 0, 0, ""},
		{"within rtol", []float32{1001}, []float32{1000}, 1e-3, 0, ""},
		{"within atol", []float32{0.001}, []float32{0}, 0, 1.1e-3, ""},
		{"length", []float32{1}, nil, 0, 0, "1 values, want 0"},
		{
			"worst by allowance", []float32{1002, 0.1, 5}, []float32{1000, 0, 5}, 1e-3, 1e-6,
			"2 of 3 values differ (rtol 0.001, atol 1e-06); worst at 1: got 0.1, want 0",
		},
		{
			"NaN", []float32{9, nan}, []float32{1, 1}, 1e-3, 1e-3,
			"2 of 2 values differ (rtol 0.001, atol 0.001); worst at 1: got NaN",
		},
		{"infinite", []float32{9, inf}, []float32{1, 1}, 1e-3, 1e-3, "worst at 1: got +Inf"},
		{"want infinite", []float32{1}, []float32{inf}, 1e-3, 1e-3, "worst at 0: got 1, want +Inf"},
		{"want NaN", []float32{1}, []float32{nan}, 1, 1, "want NaN"},
		{"no tolerance", []float32{1}, []float32{2}, 0, 0, "worst at 0"},
	} {
		if got := compare(c.got, c.want, c.rtol, c.atol); (got == "") != (c.message == "") ||
			!strings.Contains(got, c.message) {
			t.Errorf("%s: %q, want %q", c.name, got, c.message)
		}
	}
}

func TestNorms(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		got, want         []float32
		frobenius, maxRel float64
	}{
		{nil, nil, 0, 0},
		{[]float32{0}, []float32{0}, 0, 0},
		{[]float32{3, 4}, []float32{3, 4}, 0, 0},
		{[]float32{3, 5}, []float32{3, 4}, 0.2, 0.25},
		{[]float32{1}, []float32{0}, math.Inf(1), math.Inf(1)},
		{[]float32{nan, 1}, []float32{1, 1}, math.Inf(1), math.Inf(1)},
	} {
		if f, m := RelFrobenius(c.got, c.want), MaxRel(c.got, c.want); math.Abs(f-c.frobenius) > 1e-12 ||
			math.Abs(m-c.maxRel) > 1e-12 {
			t.Errorf("%v, %v: %v and %v, want %v and %v", c.got, c.want, f, m, c.frobenius, c.maxRel)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("different lengths do not panic")
		}
	}()
	MaxRel([]float32{1}, nil)
}

func TestFixture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	err := safetensors.WriteFile(path, []safetensors.Tensor{
		{Name: "f", DType: safetensors.F16, Shape: []int{1, 2}, Data: []byte{0, 0x3c, 0, 0xc0}},
		{Name: "bool", DType: safetensors.Bool, Shape: []int{2}, Data: []byte{1, 0}},
		{Name: "i32", DType: safetensors.I32, Shape: []int{1}, Data: []byte{0xfe, 0xff, 0xff, 0xff}},
		{Name: "i64", DType: safetensors.I64, Shape: []int{1}, Data: []byte{0x9c, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := Open(t, path)
	if got := g.Float32("f"); !slices.Equal(got, []float32{1, -2}) || !slices.Equal(g.Shape("f"), []int{1, 2}) {
		t.Errorf("f: %v %v", got, g.Shape("f"))
	}
	for name, want := range map[string][]int{"bool": {1, 0}, "i32": {-2}, "i64": {-100}} {
		if got := g.Ints(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if len(g.Names()) != 4 || !g.Has("f") || g.Has("none") {
		t.Error(g.Names())
	}
	for want, call := range map[string]func(tb testing.TB){
		`no tensor "none"`:  func(tb testing.TB) { g.t = tb; g.Float32("none") },
		"has dtype I32":     func(tb testing.TB) { g.t = tb; g.Float32("i32") },
		"has dtype F16":     func(tb testing.TB) { g.t = tb; g.Ints("f") },
		"missing":           func(tb testing.TB) { Open(tb, "missing") },
		"y: 1 of 1 values":  func(tb testing.TB) { Close(tb, "y", []float32{1}, []float32{2}, 0, 0) },
		"logits: 0 values,": func(tb testing.TB) { Close(tb, "logits", nil, []float32{2}, 0, 0) },
	} {
		var r recorder
		func() {
			defer func() { _ = recover() }()
			call(&r)
		}()
		if !strings.Contains(r.message, want) {
			t.Errorf("message %q, want %q", r.message, want)
		}
	}
}

// recorder is a test that records its failure.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Errorf(format string, args ...any) { r.message = fmt.Sprintf(format, args...) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic("ends the test")
}
