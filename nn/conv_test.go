package nn_test

import (
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestConv1dPrint compares the printed layer with PyTorch's.
func TestConv1dPrint(t *testing.T) {
	for want, c := range map[string]*nn.Conv1d{
		"Conv1d(80, 384, kernel_size=(3,), stride=(2,), padding=(1,))": nn.NewConv1d(80, 384, op.Window{Size: 3, Stride: 2,
			Padding: 1}),
		"Conv1d(4, 5, kernel_size=(2,), stride=(1,))": nn.NewConv1d(4, 5, op.Window{Size: 2, Stride: 1}),
	} {
		if got := c.Describe(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// copies is an adapter with its own copy of some weights.
type copies map[*op.Weight]*op.Weight

func (*copies) Correction(*op.Weight) *op.Correction  { return nil }
func (c *copies) Replacement(w *op.Weight) *op.Weight { return (*c)[w] }

// drawn fills w with random values and returns it.
func drawn(t *testing.T, w *op.Weight, seed uint64) *op.Weight {
	t.Helper()
	if err := nn.Normal(w, 1, nn.NewRand(seed, "")); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestConv1dServed: sequences of a batch whose adapters have weights of their own are computed with these, as alone.
func TestConv1dServed(t *testing.T) {
	c := nn.NewConv1d(3, 2, op.Window{Size: 3, Stride: 2, Padding: 1})
	drawn(t, c.Weight, 1)
	drawn(t, c.Bias, 0)
	own := &copies{c.Weight: drawn(t, nn.NewConv1d(3, 2, c.Window).Weight, 3)}
	x := mat.NewDense[float32](mat.WithShape(10, 3), mat.WithBacking(drawn(t, op.NewMatrix(10, 3), 4).Float32()))
	seqs := op.Seqs{Starts: []int{0, 4, 10}}
	run := func(set func(p *nn.Pass)) []float32 {
		tape := op.NewEvalTape(nil)
		defer tape.Close()
		p := &nn.Pass{Tape: tape, Seqs: seqs}
		set(p)
		y, q := c.Forward(p, x)
		if want := []int{0, 2, 5}; !slices.Equal(q.Seqs.Starts, want) {
			t.Errorf("the windows are %v, want %v", q.Seqs.Starts, want)
		}
		return slices.Clone(op.Values(y))
	}
	base := run(func(*nn.Pass) {})
	adapted := run(func(p *nn.Pass) { p.Adapter = own })
	both := run(func(p *nn.Pass) { p.Serve([]nn.AdapterSet{nil, own}) })
	if want := slices.Concat(base[:4], adapted[4:]); !slices.Equal(both, want) || slices.Equal(base, adapted) {
		t.Errorf("got %v, want %v", both, want)
	}
}
