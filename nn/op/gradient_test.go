package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/kernel"
)

// leaf is an input of a sample.
type leaf struct {
	name       string
	rows, cols int
	v          []float32
}

// sample is one use of one function: its operands and parameters, the call, and a plain float64 forward.
type sample struct {
	name string
	xs   []leaf // operands, which may be results of other functions
	ps   []leaf // parameters: weights and the factors of corrections
	run  func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor
	ref  func(xs, ps [][]float64) []float64
	big  bool // too large for central differences; only its bits are compared
}

// The kinds of a sample's operands. Each kind takes other paths through the bookkeeping of gradients.
type operands int

const (
	leaves  operands = iota // parameters themselves
	results                 // results of another function
	shared                  // results that a function recorded later reads too, so that they have a gradient already
	frozen                  // constants, which must not get a gradient
)

func (o operands) String() string {
	return [...]string{"leaves", "results", "shared", "frozen"}[o]
}

// probe is the loss Σ c·y + d·y²/2, whose backward reads its operand, so that values which the tape has freed must
// be recomputed.
type probe struct {
	node
	x    mat.Tensor
	c, d []float32
}

func newProbe(t *Tape, x mat.Tensor, c, d []float32) mat.Tensor {
	return t.run(&probe{node: node{inputs: []mat.Tensor{x}}, x: x, c: c, d: d})
}

func (f *probe) Forward() (mat.Tensor, error) {
	sum := 0.0
	for i, v := range Values(f.x) {
		sum += float64(f.c[i])*float64(v) + float64(f.d[i])*float64(v)*float64(v)/2
	}
	y := f.t.tensor(1, 1)
	y.data[0] = float32(sum)
	f.hold(f.x)
	return y, nil
}

func (f *probe) Backward(gy mat.Tensor) error {
	s := Values(gy)[0]
	f.into(f.x, func(dst []float32, add bool) {
		for i, v := range Values(f.x) {
			g := s * (f.c[i] + f.d[i]*v)
			if add {
				g += dst[i]
			}
			dst[i] = g
		}
	})
	return nil
}

func refProbe(y []float64, c, d []float32) float64 {
	sum := 0.0
	for i, v := range y {
		sum += float64(c[i])*v + float64(d[i])*v*v/2
	}
	return sum
}

// random returns n values with magnitudes between 0.1 and 1.1 times size, so that none is near a kink at 0.
func random(r *rand.Rand, n int, size float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = (0.1 + r.Float32()) * size
		if r.IntN(2) == 0 {
			v[i] = -v[i]
		}
	}
	return v
}

func wide(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

func seedOf(name string) *rand.Rand {
	h := uint64(7)
	for _, b := range []byte(name) {
		h = h*31 + uint64(b)
	}
	return rand.New(rand.NewPCG(1, h))
}

// coefficients of the probes, the same for every run of a sample.
func (s sample) coefficients(n int, what string) (c, d []float32) {
	r := seedOf(s.name + what)
	return random(r, n, 1), random(r, n, 0.5)
}

// outcome is the result of a run of a sample.
type outcome struct {
	value []float32
	loss  float32
	grads map[string][]float32 // by leaf
}

// execute runs a sample forward and backward.
func (s sample) execute(t testing.TB, tape *Tape, how operands, backward func(*Tape, mat.Tensor) error) outcome {
	t.Helper()
	params := map[string]*spago.Param{}
	scope := tape.Scope()
	var xs []mat.Tensor
	for _, l := range s.xs {
		v := append([]float32(nil), l.v...)
		if how == frozen {
			xs = append(xs, dense(v, l.rows, l.cols))
			continue
		}
		p := NewParam(l.rows, l.cols, v)
		params[l.name] = p
		if how == leaves {
			xs = append(xs, p)
		} else {
			xs = append(xs, Add(tape, p))
		}
	}
	var ps []*spago.Param
	for _, l := range s.ps {
		p := NewParam(l.rows, l.cols, append([]float32(nil), l.v...))
		params[l.name] = p
		ps = append(ps, p)
	}
	y := s.run(tape, xs, ps)
	out := outcome{value: append([]float32(nil), Values(y)...), grads: map[string][]float32{}}
	c, d := s.coefficients(len(out.value), "")
	losses := []mat.Tensor{newProbe(tape, y, c, d)}
	if how == shared {
		for i, l := range s.xs {
			c, d := s.coefficients(len(l.v), l.name)
			losses = append(losses, newProbe(tape, xs[i], c, d))
		}
	}
	loss := Add(tape, losses...)
	out.loss = Values(loss)[0]
	tape.Leave(scope, loss)
	if len(params) > 0 {
		if err := backward(tape, loss); err != nil {
			t.Fatal(err)
		}
	} else if len(tape.nodes) != 0 {
		t.Errorf("%d functions are recorded although nothing trains", len(tape.nodes))
	}
	for name, p := range params {
		out.grads[name] = append([]float32(nil), Grad(p)...)
	}
	tape.Reset()
	if now, _ := tape.Memory(); now != 0 {
		t.Errorf("%d bytes are left in the arena after Reset", now)
	}
	return out
}

func walk(t *Tape, loss mat.Tensor) error { return t.Backward(loss) }

// reference returns the loss of a sample, computed with the plain forward.
func (s sample) reference(xs, ps [][]float64, how operands) float64 {
	y := s.ref(xs, ps)
	c, d := s.coefficients(len(y), "")
	sum := refProbe(y, c, d)
	if how == shared {
		for i, l := range s.xs {
			c, d := s.coefficients(len(l.v), l.name)
			sum += refProbe(xs[i], c, d)
		}
	}
	return sum
}

// compare compares an outcome with central differences of the reference, at up to 40 elements of each leaf.
func (s sample) compare(t *testing.T, got outcome, how operands) {
	t.Helper()
	xs, ps := make([][]float64, len(s.xs)), make([][]float64, len(s.ps))
	for i, l := range s.xs {
		xs[i] = wide(l.v)
	}
	for i, l := range s.ps {
		ps[i] = wide(l.v)
	}
	for i, want := range s.ref(xs, ps) {
		if !near(float64(got.value[i]), want) {
			t.Fatalf("value %d is %g, want %g", i, got.value[i], want)
		}
	}
	check := func(l leaf, v []float64) {
		g := got.grads[l.name]
		if len(g) != len(v) {
			t.Fatalf("gradient of %s has %d values, want %d", l.name, len(g), len(v))
		}
		for _, i := range some(len(v), l.name) {
			const h = 1e-5
			x := v[i]
			v[i] = x + h
			up := s.reference(xs, ps, how)
			v[i] = x - h
			down := s.reference(xs, ps, how)
			v[i] = x
			if want := (up - down) / (2 * h); !near(float64(g[i]), want) {
				t.Errorf("gradient %d of %s is %g, central difference %g", i, l.name, g[i], want)
			}
		}
	}
	if how != frozen {
		for i, l := range s.xs {
			check(l, xs[i])
		}
	}
	for i, l := range s.ps {
		check(l, ps[i])
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-5+1e-3*math.Abs(want) }

// some returns up to 40 of the numbers below n.
func some(n int, name string) []int {
	all := seedOf(name).Perm(n)
	return all[:min(n, 40)]
}

// TestGradients compares every function with a plain float64 forward and its central differences, for each kind of
// operands.
func TestGradients(t *testing.T) {
	for _, s := range samples() {
		if s.big {
			continue
		}
		for _, how := range []operands{leaves, results, shared, frozen} {
			t.Run(fmt.Sprintf("%s/%v", s.name, how), func(t *testing.T) {
				tape := NewTape(nil)
				defer tape.Close()
				s.compare(t, s.execute(t, tape, how, walk), how)
			})
		}
	}
}

// TestSpagoBackward compares Backward of a tape with spago's on a heap tape.
func TestSpagoBackward(t *testing.T) {
	for _, s := range samples() {
		for _, how := range []operands{leaves, results, shared} {
			t.Run(fmt.Sprintf("%s/%v", s.name, how), func(t *testing.T) {
				tape := NewTape(nil)
				defer tape.Close()
				ours := s.execute(t, tape, how, walk)
				theirs := s.execute(t, NewHeapTape(nil), how, func(_ *Tape, loss mat.Tensor) error { return ag.Backward(loss) })
				both := s.execute(t, NewHeapTape(nil), how, walk)
				if ours.loss != theirs.loss || ours.loss != both.loss {
					t.Errorf("loss %g, %g on the heap", ours.loss, theirs.loss)
				}
				for name, g := range ours.grads {
					closeNorm(t, name+" under ag.Backward", theirs.grads[name], g)
					closeNorm(t, name+" walked on the heap", both.grads[name], g)
				}
			})
		}
	}
}

func closeNorm(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d values, want %d", what, len(got), len(want))
	}
	diff, norm := 0.0, 0.0
	for i := range got {
		diff += math.Pow(float64(got[i])-float64(want[i]), 2)
		norm += math.Pow(float64(want[i]), 2)
	}
	if !(math.Sqrt(diff) <= 1e-6*math.Sqrt(norm)+1e-12) {
		t.Errorf("%s: off by %.2g of %.2g", what, math.Sqrt(diff), math.Sqrt(norm))
	}
}

// TestSameBits requires equal bits from 1, 2, 3 and 7 workers, and from two runs.
func TestSameBits(t *testing.T) {
	pools := map[string]*kernel.Pool{"again": nil}
	for _, n := range []int{1, 2, 3, 7} {
		pools[fmt.Sprint(n)] = NewPool(n)
		defer pools[fmt.Sprint(n)].Close()
	}
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			run := func(pool *kernel.Pool) outcome {
				tape := NewTape(pool)
				defer tape.Close()
				return s.execute(t, tape, shared, walk)
			}
			want := run(nil)
			for name, pool := range pools {
				got := run(pool)
				equalBits(t, name+" workers: value", got.value, want.value)
				for l, g := range want.grads {
					equalBits(t, name+" workers: gradient of "+l, got.grads[l], g)
				}
			}
		})
	}
}

func equalBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %g, then %g", what, i, want[i], got[i])
		}
	}
}
