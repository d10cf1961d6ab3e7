package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// TargetStats counts the rows of a loss over next tokens.
type TargetStats struct {
	Targets int // rows that have a label
	Correct int // rows with a label whose largest logit (the first among equal ones) is that of the label
}

// LinearCrossEntropy computes a head and its cross-entropy in one operator. It returns the sum (1×1) of −log
// softmax(logits)[label] over the rows of x (N×C) that have a label, and the counts of these rows. The logits are
// x·Wᵀ + b + s·drop(x)·Aᵀ·Bᵀ, as in [Affine]. labels has N entries, [Ignore] for a row without a label. It
// panics if the sizes do not fit or a label is out of range.
//
// It computes at most 64 MiB of logits at a time and turns them into their gradient in place (Hsu et al. 2024,
// arXiv:2410.10989): the N×V matrix never exists, rows without a label cost nothing, and no logit is computed twice.
func LinearCrossEntropy(t *Tape, x mat.Tensor, drop Drop, head Projection, labels []int32) (sum mat.Tensor,
	stats TargetStats) {
	n, in := Size(x)
	w := head.Weight
	mustBe(w.Cols == in && (head.Bias == nil || head.Bias.Len() == w.Rows),
		"LinearCrossEntropy of %d×%d with a head %d×%d", n, in, w.Rows, w.Cols)
	mustBe(len(labels) == n, "LinearCrossEntropy of %d×%d with %d labels", n, in, len(labels))
	f := &headLoss{x: x, head: head, drop: drop, labels: labels, in: in}
	f.inputs = trained([]mat.Tensor{x}, w, head.Bias)
	if c := head.Adapt; c != nil {
		c.mustFit(w.Cols, w.Rows)
		f.inputs = append(f.inputs, c.A, c.B)
		f.drop.P, f.drop.Site = c.Dropout, c.Site
	}
	if head.Adapt == nil || drop.Seqs.Starts == nil {
		f.drop = Drop{}
	}
	f.drop.mustFit(n)
	for i, y := range labels {
		if y == Ignore {
			continue
		}
		if uint(y) >= uint(w.Rows) {
			panic(fmt.Sprintf("op: LinearCrossEntropy label %d of %d classes", y, w.Rows))
		}
		f.rows = append(f.rows, i)
	}
	y := t.run(f)
	return y, TargetStats{len(f.rows), f.correct}
}

// logitsAtOnce is the number of logits in memory at a time: 64 MiB.
const logitsAtOnce = 16 << 20

type headLoss struct {
	node
	x       mat.Tensor
	head    Projection
	drop    Drop
	labels  []int32
	rows    []int // rows that have a label
	in      int
	correct int

	// Gradients for an upstream gradient of 1; nil if not wanted.
	dx, dw, db, da, dB []float32
}

// chunk holds the rows whose logits are in memory at the same time.
type chunk struct {
	rows   []int
	x, xd  []float32 // len(rows)×C, with dropout for the adapter
	u      []float32 // s·xd·Aᵀ
	logits []float32 // len(rows)×V, then their gradient
	first  bool
}

// Forward computes the sum, and the gradients if a backward will ask for them.
func (f *headLoss) Forward() (mat.Tensor, error) {
	t, v := f.t, f.head.Weight.Rows
	y := t.tensor(1, 1)
	f.makeBuffers()
	parts := (len(f.rows)*v + logitsAtOnce - 1) / logitsAtOnce
	parts = min(max(parts, 1), max(len(f.rows), 1))
	most := (len(f.rows) + parts - 1) / parts
	logits, x := t.alloc(most*v), t.alloc(most*f.in)
	losses := make([]float64, most)
	sum := 0.0
	for i := range parts {
		c := chunk{rows: f.rows[i*len(f.rows)/parts : (i+1)*len(f.rows)/parts], logits: logits, x: x, first: i == 0}
		c.logits, c.x = logits[:len(c.rows)*v], x[:len(c.rows)*f.in]
		f.project(&c)
		sum += f.losses(&c, losses)
		if f.keep {
			f.gradients(&c, i*len(f.rows)/parts)
		}
		f.freeChunk(&c)
	}
	t.free(logits)
	t.free(x)
	y.data[0] = float32(sum)
	return y, nil
}

// makeBuffers allocates the buffers of the gradients.
func (f *headLoss) makeBuffers() {
	if !f.keep {
		return
	}
	if f.x.RequiresGrad() {
		f.dx = f.buffer(len(f.rows) * f.in)
	}
	if f.head.Weight.Param != nil {
		f.dw = f.buffer(f.head.Weight.Len())
	}
	if b := f.head.Bias; b != nil && b.Param != nil {
		f.db = f.buffer(b.Len())
		clear(f.db)
	}
	if c := f.head.Adapt; c != nil {
		f.da, f.dB = f.buffer(len(Values(c.A))), f.buffer(len(Values(c.B)))
	}
}

// project gathers the rows of a chunk and computes their logits.
func (f *headLoss) project(c *chunk) {
	t, w := f.t, f.head.Weight
	x := Values(f.x)
	for i, r := range c.rows {
		copy(c.x[i*f.in:(i+1)*f.in], x[r*f.in:(r+1)*f.in])
	}
	n := len(c.rows)
	terms := [2]kernel.Term{{A: matrix(c.x, f.in), B: w.transposed(), K: f.in}}
	used := 1
	if a := f.head.Adapt; a != nil {
		r := a.Rank()
		c.xd = c.x
		if f.drop.on() {
			c.xd = t.alloc(n * f.in)
			for i, row := range c.rows {
				f.drop.row(c.xd[i*f.in:(i+1)*f.in], c.x[i*f.in:(i+1)*f.in], row)
			}
		}
		c.u = t.alloc(n * r)
		low := kernel.Term{A: matrix(c.xd, f.in), B: transposed(Values(a.A), f.in), K: f.in}
		t.pool.MatMul(c.u, r, n, r, []kernel.Term{low}, kernel.Epilogue{})
		kernel.Scale(c.u, c.u, a.Scale)
		terms[1] = kernel.Term{A: matrix(c.u, r), B: transposed(Values(a.B), r), K: r}
		used = 2
	}
	var e kernel.Epilogue
	if f.head.Bias != nil {
		e.Bias = f.head.Bias.vector()
	}
	t.pool.MatMul(c.logits, w.Rows, n, w.Rows, terms[:used], e)
}

// losses returns the sum of the losses, rows in order, and replaces the logits by their gradient if it is wanted.
func (f *headLoss) losses(c *chunk, losses []float64) float64 {
	v := f.head.Weight.Rows
	right := make([]bool, len(c.rows))
	f.t.pool.For(len(c.rows), func(i, _ int) {
		losses[i], right[i] = kernel.CrossEntropyRow(c.logits[i*v:(i+1)*v], int(f.labels[c.rows[i]]), f.keep)
	})
	sum := 0.0
	for i := range c.rows {
		sum += losses[i]
		if right[i] {
			f.correct++
		}
	}
	return sum
}

// gradients adds the contribution of a chunk whose first row is the one with index at in f.rows:
//
//	dX = dL·W + drop(V·A)    dW = dLᵀ·X    db = Σ rows of dL
//	dA = Vᵀ·drop(X)          dB = dLᵀ·U    with V = s·dL·B
func (f *headLoss) gradients(c *chunk, at int) {
	t, v, n := f.t, f.head.Weight.Rows, len(c.rows)
	dl, dlT := matrix(c.logits, v), transposed(c.logits, v)
	sum := kernel.Epilogue{Accumulate: !c.first}
	if f.dw != nil {
		if f.head.Weight.InOut {
			t.pool.MatMul(f.dw, v, f.in, v, []kernel.Term{{A: transposed(c.x, f.in), B: dl, K: n}}, sum)
		} else {
			t.pool.MatMul(f.dw, f.in, v, f.in, []kernel.Term{{A: dlT, B: matrix(c.x, f.in), K: n}}, sum)
		}
	}
	if f.db != nil {
		for i := range n {
			kernel.AddTo(f.db, c.logits[i*v:(i+1)*v])
		}
	}
	terms := [2]kernel.Term{{A: dl, B: f.head.Weight.mat(), K: v}}
	used := 1
	var low []float32
	if a := f.head.Adapt; a != nil {
		r := a.Rank()
		low = t.alloc(n * r)
		t.pool.MatMul(low, r, n, r, []kernel.Term{{A: dl, B: matrix(Values(a.B), r), K: v}}, kernel.Epilogue{})
		kernel.Scale(low, low, a.Scale)
		t.pool.MatMul(f.da, f.in, r, f.in, []kernel.Term{{A: transposed(low, r), B: matrix(c.xd, f.in), K: n}}, sum)
		t.pool.MatMul(f.dB, r, v, r, []kernel.Term{{A: dlT, B: matrix(c.u, r), K: n}}, sum)
		terms[1] = kernel.Term{A: matrix(low, r), B: matrix(Values(a.A), f.in), K: r}
		if !f.drop.on() {
			used = 2
		}
	}
	if f.dx != nil {
		dx := f.dx[at*f.in : (at+n)*f.in]
		t.pool.MatMul(dx, f.in, n, f.in, terms[:used], kernel.Epilogue{})
		if low != nil && f.drop.on() {
			f.addDropped(c, dx, terms[1:])
		}
	}
	t.free(low)
}

// addDropped adds drop(V·A) to the gradient of a chunk's rows.
func (f *headLoss) addDropped(c *chunk, dx []float32, low []kernel.Term) {
	g := f.t.alloc(len(dx))
	f.t.pool.MatMul(g, f.in, len(c.rows), f.in, low, kernel.Epilogue{})
	for i, row := range c.rows {
		from := g[i*f.in : (i+1)*f.in]
		f.drop.row(from, from, row)
		kernel.AddTo(dx[i*f.in:(i+1)*f.in], from)
	}
	f.t.free(g)
}

func (f *headLoss) freeChunk(c *chunk) {
	f.t.free(c.u)
	if c.xd != nil && f.drop.on() {
		f.t.free(c.xd)
	}
}

// Backward multiplies the gradients by that of the sum.
func (f *headLoss) Backward(gy mat.Tensor) error {
	s := Values(gy)[0]
	f.into(f.x, func(dst []float32, add bool) {
		if !add {
			clear(dst)
		}
		for i, r := range f.rows {
			kernel.AddScaled(dst[r*f.in:(r+1)*f.in], f.dx[i*f.in:(i+1)*f.in], s)
		}
	})
	give := func(x mat.Tensor, g []float32) {
		f.into(x, func(dst []float32, add bool) {
			switch {
			case len(f.rows) == 0 && !add:
				clear(dst)
			case len(f.rows) == 0:
			case add:
				kernel.AddScaled(dst, g, s)
			default:
				kernel.Scale(dst, g, s)
			}
		})
	}
	if f.dw != nil {
		give(f.head.Weight.Param, f.dw)
	}
	if f.db != nil {
		give(f.head.Bias.Param, f.db)
	}
	if c := f.head.Adapt; c != nil {
		give(c.A, f.da)
		give(c.B, f.dB)
	}
	return nil
}
