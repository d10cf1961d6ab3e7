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
// x·Wᵀ + b + s·drop(x)·Aᵀ·Bᵀ and the rest of the [Correction], as in [Affine]. labels has N entries, [Ignore]
// for a row without a label. It panics if the sizes do not fit or a label is out of range.
//
// It computes at most 64 MiB of logits at a time and turns them into their gradient in place (Hsu et al. 2024,
// arXiv:2410.10989): the N×V matrix never exists, rows without a label cost nothing, and no logit is computed twice.
func LinearCrossEntropy(t *Tape, x mat.Tensor, drop Drop, head Projection, labels []int32) (sum mat.Tensor,
	stats TargetStats) {
	n, in := Size(x)
	head.mustFit("LinearCrossEntropy", n, in)
	mustBe(len(labels) == n, "LinearCrossEntropy of %d×%d with %d labels", n, in, len(labels))
	f := &headLoss{x: x, head: head, drop: drop, labels: labels, in: in, out: head.out()}
	f.inputs = head.operands([]mat.Tensor{x})
	if c := head.Adapt; c != nil {
		f.drop.P, f.drop.Site = c.Dropout, c.Site
	}
	if head.Adapt == nil || drop.Seqs.Starts == nil {
		f.drop = Drop{}
	}
	f.drop.mustFit(n)
	i := 0
	for _, part := range head.parts(n) {
		for ; part.Rows > 0; part.Rows-- {
			if y := labels[i]; y != Ignore {
				if uint(y) >= uint(part.Weight.Rows) {
					panic(fmt.Sprintf("op: LinearCrossEntropy label %d of %d classes", y, part.Weight.Rows))
				}
				f.rows, f.classes = append(f.rows, i), append(f.classes, part.Weight.Rows)
			}
			i++
		}
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
	classes []int // of each of them
	in, out int
	correct int

	// Gradients for an upstream gradient of 1.
	dx     []float32 // of the rows that have a label; nil if not wanted
	params []paramGradient
}

type paramGradient struct {
	param  mat.Tensor
	values []float32
}

// chunk holds the rows whose logits are in memory at the same time.
type chunk struct {
	product
	at     int // index in headLoss.rows of the first row
	list   []int
	x, xd  []float32 // rows×C, with dropout for the adapter
	logits []float32 // rows×V, then their gradient
}

// Forward computes the sum, and the gradients if a backward will ask for them.
func (f *headLoss) Forward() (mat.Tensor, error) {
	t, v := f.t, f.out
	y := t.tensor(1, 1)
	f.makeBuffers()
	parts := (len(f.rows)*v + logitsAtOnce - 1) / logitsAtOnce
	parts = min(max(parts, 1), max(len(f.rows), 1))
	most := (len(f.rows) + parts - 1) / parts
	logits, x := t.alloc(most*v), t.alloc(most*f.in)
	losses := make([]float64, most)
	sum := 0.0
	for i := range parts {
		lo, hi := i*len(f.rows)/parts, (i+1)*len(f.rows)/parts
		c := chunk{
			product: product{Projection: f.head, t: t, rows: hi - lo, in: f.in, keep: f.keep, dropped: f.drop.on()},
			at:      lo, list: f.rows[lo:hi], x: x[:(hi-lo)*f.in], logits: logits[:(hi-lo)*v],
		}
		c.Projection = c.of(c.list)
		f.gather(&c)
		c.forward(c.logits, v, c.x, c.xd)
		sum += f.losses(&c, losses)
		if f.keep {
			f.gradients(&c)
		}
		c.free()
		if f.drop.on() {
			t.free(c.xd)
		}
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
	for _, p := range f.inputs[1:] {
		if p.RequiresGrad() {
			f.params = append(f.params, paramGradient{p, f.buffer(len(Values(p)))})
		}
	}
}

// gather copies the rows of a chunk.
func (f *headLoss) gather(c *chunk) {
	x := Values(f.x)
	for i, row := range c.list {
		copy(c.x[i*f.in:(i+1)*f.in], x[row*f.in:(row+1)*f.in])
	}
	if c.xd = c.x; !f.drop.on() {
		return
	}
	c.xd = f.t.alloc(len(c.x))
	for i, row := range c.list {
		f.drop.row(c.xd[i*f.in:(i+1)*f.in], c.x[i*f.in:(i+1)*f.in], row)
	}
}

// losses returns the sum of the losses, rows in order, and replaces the logits by their gradient if it is wanted.
func (f *headLoss) losses(c *chunk, losses []float64) float64 {
	v := f.out
	right := make([]bool, c.rows)
	f.t.pool.For(c.rows, func(i, _ int) {
		logits := c.logits[i*v:][:f.classes[c.at+i]]
		losses[i], right[i] = kernel.CrossEntropyRow(logits, int(f.labels[c.list[i]]), f.keep)
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

// gradients adds the contribution of a chunk.
func (f *headLoss) gradients(c *chunk) {
	terms, low := c.backward(c.logits, f.head.Weight.Rows, c.x, c.xd, func(p mat.Tensor, write func([]float32, bool)) {
		for _, g := range f.params {
			if g.param == p {
				write(g.values, c.at > 0)
			}
		}
	})
	if f.dx != nil {
		dx := f.dx[c.at*f.in : (c.at+c.rows)*f.in]
		if !f.drop.on() {
			terms = append(terms, low...)
		}
		f.t.pool.MatMul(dx, f.in, c.rows, f.in, terms, kernel.Epilogue{})
		if f.drop.on() {
			f.addDropped(c, dx, low)
		}
	}
	c.spent()
}

// addDropped adds the terms that dropout masks to the gradient of a chunk's rows.
func (f *headLoss) addDropped(c *chunk, dx []float32, low []kernel.Term) {
	g := f.t.alloc(len(dx))
	f.t.pool.MatMul(g, f.in, c.rows, f.in, low, kernel.Epilogue{})
	for i, row := range c.list {
		from := g[i*f.in : (i+1)*f.in]
		f.drop.row(from, from, row)
		kernel.AddTo(dx[i*f.in:(i+1)*f.in], from)
	}
	f.t.free(g)
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
	for _, g := range f.params {
		f.into(g.param, func(dst []float32, add bool) {
			switch {
			case len(f.rows) == 0 && !add:
				clear(dst)
			case len(f.rows) == 0:
			case add:
				kernel.AddScaled(dst, g.values, s)
			default:
				kernel.Scale(dst, g.values, s)
			}
		})
	}
	return nil
}
