package audio

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

var ratePairs = [][2]int{
	{8000, 16000}, {11025, 16000}, {22050, 16000}, {44100, 16000}, {48000, 16000}, {12345, 16000}, {16000, 8000},
}

// TestResampleEqualsTorchaudio compares noise, which has all frequencies, and both ends of it.
func TestResampleEqualsTorchaudio(t *testing.T) {
	g := golden.Open(t, "testdata/resample.safetensors")
	worst := 0.0
	for _, p := range ratePairs {
		clip := &Clip{g.Float32(fmt.Sprintf("x.%d", p[0])), p[0]}
		got, err := clip.Resample(p[1])
		if err != nil {
			t.Fatal(err)
		}
		want := g.Float32(fmt.Sprintf("y.%d.%d", p[0], p[1]))
		golden.Close(t, fmt.Sprint(p), got.Samples, want, 0, 1e-6)
		worst = max(worst, largestDifference(got.Samples, want))
	}
	t.Logf("largest difference: %.1e", worst)
}

// TestResampleNearSoxr compares tones below 0.8 × the Nyquist frequency with another library's filter. Near the ends
// filters of other lengths differ.
func TestResampleNearSoxr(t *testing.T) {
	g := golden.Open(t, "testdata/resample.safetensors")
	worst := 0.0
	for _, p := range ratePairs {
		clip := &Clip{g.Float32(fmt.Sprintf("tone.%d.%d", p[0], p[1])), p[0]}
		got, err := clip.Resample(p[1])
		if err != nil {
			t.Fatal(err)
		}
		want := g.Float32(fmt.Sprintf("soxr.%d.%d", p[0], p[1]))
		if n := len(got.Samples) - len(want); n < 0 || n > 1 { // soxr rounds the length
			t.Fatalf("%v: %d samples, want %d", p, len(got.Samples), len(want))
		}
		edge := len(want) / 4
		middle := got.Samples[edge : len(want)-edge]
		golden.Close(t, fmt.Sprint(p), middle, want[edge:len(want)-edge], 0, 1e-4)
		worst = max(worst, largestDifference(middle, want[edge:len(want)-edge]))
	}
	t.Logf("largest difference: %.1e", worst)
}

func largestDifference(a, b []float32) (d float64) {
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}

func TestResample(t *testing.T) {
	clip := &Clip{make([]float32, 1000), 8000}
	if same, err := clip.Resample(8000); err != nil || same != clip {
		t.Error(same, err)
	}
	for i := range clip.Samples {
		clip.Samples[i] = 1
	}
	for _, c := range []struct{ rate, n int }{{16000, 2000}, {7999, 1000}, {1000, 125}, {384000, 48000}} {
		got, err := clip.Resample(c.rate)
		if err != nil || len(got.Samples) != c.n || got.Rate != c.rate {
			t.Fatalf("%d Hz: %d samples, %v", c.rate, len(got.Samples), err)
		}
		if v := got.Samples[c.n/2]; math.Abs(float64(v)-1) > 1e-4 {
			t.Errorf("%d Hz: a constant becomes %v", c.rate, v)
		}
	}
	if got, err := (&Clip{[]float32{1}, 48000}).Resample(16000); err != nil || len(got.Samples) != 1 {
		t.Error(got, err)
	}
	if got, err := (&Clip{nil, 48000}).Resample(16000); err != nil || len(got.Samples) != 0 {
		t.Error(got, err)
	}
	for _, c := range [][2]int{{0, 16000}, {16000, 0}, {16000, 999}, {384001, 16000}} {
		_, err := (&Clip{[]float32{1}, c[0]}).Resample(c[1])
		if err == nil || !strings.Contains(err.Error(), "rates are 1000 to 384000") {
			t.Error(err)
		}
	}
}
