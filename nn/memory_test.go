package nn_test

import (
	"math"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// reader is a block of a decoder: self attention with the pass's bias, then attention to its memory.
type reader struct {
	q, k, v, cross, key, value *nn.Linear
	attn                       nn.Attention
}

func newReader(layer int) *reader {
	r := &reader{attn: nn.Attention{Heads: 2, KV: 2, Dim: 2, Causal: true, Scale: 1, Layer: layer}}
	for i, l := range []**nn.Linear{&r.q, &r.k, &r.v, &r.cross, &r.key, &r.value} {
		*l = nn.NewLinear(4, 4, false)
		filled(uint64(10*layer+i), (*l).Weight)
	}
	return r
}

func (r *reader) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := r.attn.Forward(p, x, r.q, r.k, r.v, nn.Dropout{P: 0.3, Site: 1})
	x, p = p.KeptRows(x)
	a := op.Add(p.Tape, x, h)
	return op.Add(p.Tape, a, r.attn.Cross(p, a, r.cross, r.key, r.value, nn.Dropout{P: 0.3, Site: 2}))
}

// TestMemoryInStack: a decoder of several blocks passes gradients to the encoder's rows and to a shared bias, with the
// same bits with and without checkpoints, and for the kept rows only.
func TestMemoryInStack(t *testing.T) {
	blocks := []*reader{newReader(1), newReader(2), newReader(3)}
	own, other := op.Seqs{Starts: []int{0, 3, 4}}, op.Seqs{Starts: []int{0, 2, 7}}
	grads := func(p nn.Pass) (all []float32) {
		p.Tape = op.NewTape(nil)
		defer p.Tape.Close()
		x, memory, bias := values(4, 4, 1), values(7, 4, 2), values(3, 2, 3)
		p.Seqs, p.Train = own, true
		p.Memory = &nn.Memory{X: op.Add(p.Tape, memory), Seqs: other}
		p.Bias = op.Bias{X: op.Add(p.Tape, bias), Low: -2}
		y := nn.Stack(&p, op.Add(p.Tape, x), blocks)
		rows, _ := op.Size(y)
		if err := p.Tape.Backward(op.MSE(p.Tape, y, make([]float32, rows*4))); err != nil {
			t.Fatal(err)
		}
		return slices.Concat(op.Grad(x), op.Grad(memory), op.Grad(bias))
	}
	for _, keep := range []*nn.Kept{nil, nn.LastRows(own)} {
		want, got := grads(nn.Pass{Keep: keep}), grads(nn.Pass{Keep: keep, Checkpoint: true})
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("gradient %d is %g with checkpoints, %g without", i, got[i], want[i])
			}
			if want[i] == 0 && keep == nil && i < 16+28 {
				t.Errorf("gradient %d is 0", i)
			}
		}
	}
}

// picked is a decoder of one block over rows of x: its ids are indices of rows.
type picked struct {
	*reader
	x mat.Tensor
}

func (d picked) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	rows := make([]int, len(ids))
	for i, id := range ids {
		rows[i] = int(id)
	}
	return d.reader.Forward(p, op.Rows(p.Tape, d.x, rows))
}

// TestCrossFromCache: after the first call a decoder reads the encoder's rows from the cache, and gives the results of
// a pass over all rows.
func TestCrossFromCache(t *testing.T) {
	d, head := picked{newReader(0), values(5, 4, 1)}, nn.NewLinear(4, 3, false)
	filled(7, head.Weight)
	memory := &nn.Memory{X: values(7, 4, 2), Seqs: op.Seqs{Starts: []int{0, 2, 7}}}
	bias := op.Bias{X: values(3, 2, 3), Low: -2}
	logits := func(p nn.Pass, ids []int32, starts ...int) []float32 {
		p.Bias = bias
		return run(p, func(p *nn.Pass) mat.Tensor {
			return nn.CausalLogits(p, op.Seqs{Starts: starts}, ids, d, head)
		})
	}
	want := logits(nn.Pass{Memory: memory}, []int32{0, 1, 2, 3, 4}, 0, 3, 5)
	cache := nn.NewCache(1, 2, 3, 4)
	for step, part := range []struct {
		ids    []int32
		starts []int
		memory *nn.Memory
	}{{[]int32{0, 1, 3}, []int{0, 2, 3}, memory}, {[]int32{2, 4}, []int{0, 1, 2}, nil}} {
		got := logits(nn.Pass{Memory: part.memory, Cache: cache}, part.ids, part.starts...)
		for i, row := range part.ids {
			for j := range 3 {
				if d := math.Abs(float64(got[3*i+j] - want[3*int(row)+j])); d > 1e-6 {
					t.Errorf("step %d, row %d: logit %d is off by %g", step, row, j, d)
				}
			}
		}
	}
}

// TestSourcePass: the pass of an encoder has nothing of its decoder's.
func TestSourcePass(t *testing.T) {
	s := op.Seqs{Starts: []int{0, 2}}
	p := &nn.Pass{Keep: nn.LastRows(s), Cache: nn.NewCache(1, 1, 1, 1), Memory: &nn.Memory{}, Train: true}
	q := p.Source(s)
	if q.Keep != nil || q.Cache != nil || q.Memory != nil || !q.Train || q.Seqs.Rows() != 2 || p.Cache == nil {
		t.Errorf("the pass of the source is %+v", q)
	}
}
