package generate

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

var inf = float32(math.Inf(1))

// plainWarp is a literal copy of transformers' sampling processors on the whole vocabulary: it sets −Inf for a token
// that may not be drawn.
func plainWarp(logits []float32, cfg Config) []float32 {
	x := slices.Clone(logits)
	for i := range x {
		x[i] /= float32(cfg.Temperature)
	}
	ascending := func() []int {
		order := make([]int, len(x))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(a, b int) bool { return x[order[a]] < x[order[b]] })
		return order
	}
	if cfg.TopK > 0 {
		order := ascending()
		least := x[order[len(x)-min(cfg.TopK, len(x))]]
		for i := range x {
			if x[i] < least {
				x[i] = -inf
			}
		}
	}
	if cfg.TopP < 1 {
		order, p, sum := ascending(), plainSoftmax(x), 0.0
		for k, i := range order[:len(order)-1] {
			sum += float64(float32(p[i]))
			if float32(sum) <= float32(1-cfg.TopP) {
				x[order[k]] = -inf
			}
		}
	}
	if cfg.MinP > 0 {
		p := plainSoftmax(x)
		most := float32(slices.Max(p))
		for i := range x {
			if float32(p[i]) < float32(cfg.MinP)*most {
				x[i] = -inf
			}
		}
	}
	return x
}

func plainSoftmax(x []float32) []float64 {
	p, sum, most := make([]float64, len(x)), 0.0, slices.Max(x)
	for i, v := range x {
		p[i] = math.Exp(float64(v - most))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// TestWarp: the heaps keep the same tokens as sorting does, also with many equal logits, and their probabilities add up
// to 1.
func TestWarp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...float64) float64 { return list[r.IntN(len(list))] }
	c := &chooser{}
	for n := range 3000 {
		x := make([]float32, 1+r.IntN(60))
		steps := pick(2, 4, 1000) // few steps give many ties
		for i := range x {
			x[i] = float32(math.Round(r.NormFloat64()*steps) / steps * pick(1, 1, 3))
		}
		if n%5 == 0 {
			x[r.IntN(len(x))] = -inf
		}
		if argmax(x) < 0 || x[argmax(x)] == -inf {
			continue
		}
		cfg := Config{Temperature: pick(1, 0.5, 1.3), TopK: int(pick(0, 1, 3, 10, 100)), TopP: pick(0, 0.1, 0.5, 0.9, 1, 1),
			MinP: pick(0, 0, 0.05, 0.3, 1)}
		c.cfg = cfg
		want := plainWarp(x, cfg)
		p := plainSoftmax(want)
		c.warp(slices.Clone(x))
		k, sum := 0, 0.0
		for i, v := range want {
			if v == -inf {
				continue
			}
			if k >= len(c.left) || c.left[k].id != int32(i) || math.Abs(c.left[k].p-p[i]) > 1e-12 {
				t.Fatalf("%+v of %v:\n got %v\nwant %v", cfg, x, c.left, want)
			}
			sum += c.left[k].p
			k++
		}
		if k != len(c.left) || math.Abs(sum-1) > 1e-9 {
			t.Fatalf("%+v of %v:\n got %v (sum %v)\nwant %v", cfg, x, c.left, sum, want)
		}
	}
}

// TestDraw: tokens are drawn as often as their probabilities require.
func TestDraw(t *testing.T) {
	c := &chooser{cfg: Config{Temperature: 1, TopP: 1}}
	c.warp([]float32{0, -inf, 1, -2, 0.5})
	const n = 10000
	counts := map[int32]int{}
	for i := range n { // evenly spaced numbers give exact counts, within 2
		counts[c.left.draw((float64(i)+0.5)/n)]++
	}
	for _, k := range c.left {
		if d := float64(counts[k.id]) - n*k.p; math.Abs(d) > 2 {
			t.Errorf("token %d of probability %.4f was drawn %d times in %d", k.id, k.p, counts[k.id], n)
		}
	}
	if counts[1] != 0 {
		t.Error("a token without probability was drawn")
	}
	for _, u := range []float64{0, math.Nextafter(1, 0)} {
		if id := c.left.draw(u); id != 0 && id != 4 {
			t.Errorf("%v draws %d", u, id)
		}
	}
}

// TestArgmax: argmax returns the first among equal values, as torch does, and −1 for NaN.
func TestArgmax(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		x    []float32
		want int
	}{
		{[]float32{1, 3, 3, 2}, 1}, {[]float32{-inf, -inf, -5}, 2}, {[]float32{-inf, -inf}, 0}, {[]float32{2, 1}, 0},
		{[]float32{nan, 1}, -1},
		{[]float32{3, nan, 1}, -1}, {[]float32{1, nan, 3}, -1}, {nil, -1},
	} {
		if got := argmax(c.x); got != c.want {
			t.Errorf("%v: got %d, want %d", c.x, got, c.want)
		}
	}
	for _, x := range [][]float32{{nan, 1}, {1, nan}, {inf, 0}, {-inf, -inf}} {
		for _, sample := range []bool{false, true} {
			cfg := Defaults()
			cfg.DoSample = sample
			c := &chooser{cfg: cfg}
			if id, err := c.next(slices.Clone(x), &history{}, rand.New(rand.NewPCG(1, 1))); err == nil {
				t.Errorf("%v (sample %t) chose %d", x, sample, id)
			}
		}
	}
}
