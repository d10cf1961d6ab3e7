package op

import (
	"math"
	"slices"
	"testing"
)

// TestSoftCrossEntropy compares the loss of mixed classes, and its gradient, with the sum of the losses of both.
func TestSoftCrossEntropy(t *testing.T) {
	const n, k = 3, 4
	x := random(seedOf("soft"), n*k, 2)
	first, second, share := []int32{0, 2, 3}, []int32{1, 2, 0}, []float64{0.25, 0.5, 0}
	for _, smoothing := range []float32{0, 0.1} {
		targets := make([]float32, n*k)
		for i := range n {
			targets[i*k+int(first[i])] += float32(1 - share[i])
			targets[i*k+int(second[i])] += float32(share[i])
		}
		tape := NewTape(nil)
		p := NewParam(n, k, slices.Clone(x))
		if err := tape.Backward(SoftCrossEntropy(tape, p, targets, smoothing)); err != nil {
			t.Fatal(err)
		}
		got := slices.Clone(Grad(p))
		var loss float64
		want := make([]float64, n*k)
		for i := range n {
			for _, y := range []struct {
				class int32
				share float64
			}{{first[i], 1 - share[i]}, {second[i], share[i]}} {
				one := NewTape(nil)
				row := NewParam(1, k, slices.Clone(x[i*k:(i+1)*k]))
				sum, _ := CrossEntropy(one, row, []int32{y.class}, CrossEntropyConfig{Smoothing: smoothing})
				loss += y.share * float64(Values(sum)[0])
				if err := one.Backward(sum); err != nil {
					t.Fatal(err)
				}
				for j, g := range Grad(row) {
					want[i*k+j] += y.share * float64(g)
				}
				one.Close()
			}
		}
		eval := NewEvalTape(nil)
		sum := float64(Values(SoftCrossEntropy(eval, p, targets, smoothing))[0])
		if math.Abs(sum-loss) > 1e-5*loss {
			t.Errorf("smoothing %g: loss %g, want %g", smoothing, sum, loss)
		}
		for i, g := range got {
			if math.Abs(float64(g)-want[i]) > 1e-6 {
				t.Errorf("smoothing %g: gradient %d is %g, want %g", smoothing, i, g, want[i])
			}
		}
		eval.Close()
		tape.Close()
	}
}

// TestDraws: numbers of an example depend on key, stream and example only, and are spread evenly.
func TestDraws(t *testing.T) {
	take := func(k Key, stream, example uint32) []float64 {
		draw, list := Draws(k, stream, example), make([]float64, 4000)
		for i := range list {
			list[i] = draw()
		}
		return list
	}
	first := take(Key{Seed: 1, Step: 2}, 1<<31, 3)
	if !slices.Equal(first, take(Key{Seed: 1, Step: 2}, 1<<31, 3)) {
		t.Error("the numbers of an example are not always the same")
	}
	for _, other := range [][]float64{
		take(Key{Seed: 2, Step: 2}, 1<<31, 3), take(Key{Seed: 1, Step: 3}, 1<<31, 3),
		take(Key{Seed: 1, Step: 2}, 1<<31+1, 3), take(Key{Seed: 1, Step: 2}, 1<<31, 4),
	} {
		if slices.Equal(first[:8], other[:8]) {
			t.Error("another key, stream or example gives the same numbers")
		}
	}
	var tenths [10]int
	for _, v := range first {
		if v < 0 || v >= 1 {
			t.Fatalf("%g is not in [0, 1)", v)
		}
		tenths[int(10*v)]++
	}
	for i, n := range tenths {
		if n < 320 || n > 480 { // 400 ± 4 standard deviations
			t.Errorf("%d of 4000 numbers are in tenth %d", n, i)
		}
	}
}
