package op

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// mmix is the generator of reference/crf_fixtures.py: Knuth's, with 24 bits of each value.
type mmix uint64

func (g *mmix) next() float64 {
	*g = *g*6364136223846793005 + 1442695040888963407
	return float64(*g>>40) / (1 << 24)
}

func (g *mmix) values(n int, size float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32((2*g.next() - 1) * size)
	}
	return v
}

// fixtureChain repeats sentence i of the script.
func fixtureChain(i int) (c chainCase, mask []bool) {
	g := mmix(i + 1)
	for range 4 {
		g.next()
	}
	words, tags := 1+i%40, 2+i%12
	size := []float64{0.5, 3, 10}[i/40%3]
	c.k = tags
	c.emissions, c.transitions = g.values(words*tags, size), g.values((tags+1)*(tags+1), size/2)
	for range words {
		c.tags = append(c.tags, int32(g.next()*float64(tags)))
	}
	if i%3 == 2 {
		mask = make([]bool, (tags+1)*(tags+1))
		for j := range mask {
			mask[j] = g.next() < 0.25
		}
		last := 0
		for _, y := range c.tags {
			mask[last*(tags+1)+int(y)+1] = false
			last = int(y) + 1
		}
		mask[last*(tags+1)] = false
	}
	return c, mask
}

func float64s(b []byte) []float64 {
	v := make([]float64, len(b)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return v
}

// TestCRFEqualsReference compares losses, gradients and best paths with PyTorch's in float64, for 300 sentences.
func TestCRFEqualsReference(t *testing.T) {
	g := golden.Open(t, "testdata/crf.safetensors")
	loss, spread := float64s(g.Tensor("loss").Data), float64s(g.Tensor("spread").Data)
	de, dt := float64s(g.Tensor("demissions").Data), float64s(g.Tensor("dtransitions").Data)
	paths := g.Ints("path")
	if len(loss) != 300 {
		t.Fatalf("%d sentences in the fixture", len(loss))
	}
	for i, want := range loss {
		c, mask := fixtureChain(i)
		got, dx, dw := c.run(mask)
		if math.Abs(got-want) > 1e-5*want+1e-9 {
			t.Errorf("sentence %d: loss %g, want %g", i, got, want)
		}
		for what, pair := range map[string][2][]float64{"emissions": {wide(dx), de}, "transitions": {wide(dw), dt}} {
			w := mmix(1000 + i)
			var sums [4]float64
			for _, v := range pair[0] {
				for k := range sums {
					sums[k] += v * (2*w.next() - 1)
				}
			}
			for k, v := range sums {
				if want := pair[1][4*i+k]; math.Abs(v-want) > 1e-6*math.Max(1, math.Abs(want)) {
					t.Errorf("sentence %d: sum %d of the gradient of the %s is %g, want %g", i, k, what, v, want)
				}
			}
		}
		chain, path := NewChain(c.weight(), mask), make([]int32, len(c.tags))
		chain.Viterbi(c.emissions, path)
		for j, y := range paths[:len(path)] {
			if int(path[j]) != y {
				t.Errorf("sentence %d: best path %v, want %v", i, path, paths[:len(path)])
				break
			}
		}
		paths = paths[len(path):]
		best, _ := chain.Loss(c.emissions, path)
		if again, _ := chain.Loss(c.emissions, c.tags); math.Abs(again-best-spread[i]) > 1e-6*math.Max(1, spread[i]) {
			t.Errorf("sentence %d: the best path's score is %g above the tags', want %g", i, again-best, spread[i])
		}
	}
	if len(paths) != 0 {
		t.Errorf("%d tags of best paths are left", len(paths))
	}
}
