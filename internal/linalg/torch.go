package linalg

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// TorchNormal returns the matrix that torch.randn(rows, cols) makes behind torch.manual_seed(seed) on a CPU, within
// rounding, in float32 or, if double, in float64, whose values are others. The lower 24 bits of each 32-bit word (53
// bits of two words if double) of the Mersenne Twister MT19937 (Matsumoto, Nishimura 1998) are a number in [0, 1), and
// Box and Muller's method makes normal ones of pairs of these. PEFT draws the start of the decompositions of EVA in
// this way.
func TorchNormal(seed uint32, rows, cols int, double bool) *mat.Dense {
	const block = 16 // values that PyTorch fills at once: the first half of a block are lengths, the second angles
	g := newTwister(seed)
	v := make([]float64, rows*cols)
	if len(v) < block {
		for i := 0; i < len(v); i += 2 {
			angle, length := 2*math.Pi*g.double(), math.Sqrt(-2*math.Log1p(-g.double()))
			v[i] = length * math.Cos(angle)
			if i+1 < len(v) {
				v[i+1] = length * math.Sin(angle)
			}
		}
		return mat.NewDense(rows, cols, v)
	}
	draw := g.float
	if double {
		draw = g.double
	}
	for i := range v {
		v[i] = draw()
	}
	fill := func(v []float64) {
		for i := range block / 2 {
			length, angle := math.Sqrt(-2*math.Log(1-v[i])), 2*math.Pi*v[i+block/2]
			v[i], v[i+block/2] = length*math.Cos(angle), length*math.Sin(angle)
		}
	}
	whole := len(v) - len(v)%block
	for i := 0; i < whole; i += block {
		fill(v[i:][:block])
	}
	if whole < len(v) { // the last block overlaps the one before and is drawn anew
		last := v[len(v)-block:]
		for i := range last {
			last[i] = draw()
		}
		fill(last)
	}
	return mat.NewDense(rows, cols, v)
}

const twisterSize = 624 // words of the state

// twister is the generator MT19937.
type twister struct {
	state [twisterSize]uint32
	next  int
}

func newTwister(seed uint32) *twister {
	g := &twister{next: twisterSize}
	g.state[0] = seed
	for i := uint32(1); i < twisterSize; i++ {
		last := g.state[i-1]
		g.state[i] = 1812433253*(last^last>>30) + i
	}
	return g
}

// word returns the next 32 random bits.
func (g *twister) word() uint32 {
	if g.next == twisterSize {
		for i := range twisterSize {
			y := g.state[i]&0x80000000 | g.state[(i+1)%twisterSize]&0x7fffffff
			g.state[i] = g.state[(i+397)%twisterSize] ^ y>>1
			if y&1 == 1 {
				g.state[i] ^= 0x9908b0df
			}
		}
		g.next = 0
	}
	y := g.state[g.next]
	g.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// float returns a number in [0, 1) with 24 bits.
func (g *twister) float() float64 { return float64(g.word()&(1<<24-1)) / (1 << 24) }

// double returns a number in [0, 1) with 53 bits.
func (g *twister) double() float64 {
	high := uint64(g.word())
	return float64((high<<32|uint64(g.word()))&(1<<53-1)) / (1 << 53)
}
