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
	// CrossEntropy is the sum of −log softmax(logits)[label] over these rows: the loss without label smoothing.
	CrossEntropy float32
}

// LinearCrossEntropy computes a head and its cross-entropy in one operator. It returns the sum (1×1) of −log
// softmax(logits)[label] over the rows of x (N×C) that have a label, and the counts of these rows. The logits are
// x·Wᵀ + b + s·drop(x)·Aᵀ·Bᵀ and the rest of the [Correction], as in [Affine]. labels has N entries, [Ignore]
// for a row without a label. smoothing, in [0, 1), is PyTorch's label_smoothing: that share of a row's loss is
// the mean of −log softmax over all V ids. It panics if sizes do not fit or a label or smoothing is out of range.
//
// It computes at most 64 MiB of logits at a time and turns them into their gradient in place (Hsu et al. 2024,
// arXiv:2410.10989): the N×V matrix never exists, rows without a label cost nothing, and no logit is computed twice.
func LinearCrossEntropy(t *Tape, x mat.Tensor, drop Drop, head Projection, labels []int32, smoothing float32) (
	sum mat.Tensor, stats TargetStats,
) {
	n, in := Size(x)
	head.mustFit("LinearCrossEntropy", n, in)
	mustBe(len(labels) == n, "LinearCrossEntropy of %d×%d with %d labels", n, in, len(labels))
	mustBe(smoothing >= 0 && smoothing < 1, "LinearCrossEntropy with a label smoothing of %g", smoothing)
	f := &headLoss{x: x, head: head, drop: drop, labels: labels, smoothing: float64(smoothing), in: in, out: head.out()}
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
	return y, TargetStats{len(f.rows), f.correct, float32(f.plain)}
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

	smoothing float64
	correct   int
	plain     float64 // sum of the losses without smoothing

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
	losses := make([]rowOfLoss, most)
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
func (f *headLoss) losses(c *chunk, losses []rowOfLoss) float64 {
	v := f.out
	f.t.pool.For(c.rows, func(i, _ int) {
		logits, label := c.logits[i*v:][:f.classes[c.at+i]], int(f.labels[c.list[i]])
		l := &losses[i]
		if f.smoothing > 0 {
			l.smooth = f.smoothing * above(logits, label)
		}
		l.plain, l.right = kernel.CrossEntropyRow(logits, label, f.keep)
		if f.keep && f.smoothing > 0 {
			logits[label] += float32(f.smoothing)
			each := float32(f.smoothing / float64(len(logits)))
			for j := range logits {
				logits[j] -= each
			}
		}
	})
	sum := 0.0
	for _, l := range losses[:c.rows] {
		sum += l.plain + l.smooth
		f.plain += l.plain
		if l.right {
			f.correct++
		}
	}
	return sum
}

// rowOfLoss is the loss of a row: plain + smooth.
type rowOfLoss struct {
	plain, smooth float64
	right         bool
}

// above returns how much x[label] is above the mean of x: the difference between the mean loss of all ids and the loss
// of the label.
func above(x []float32, label int) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v)
	}
	return float64(x[label]) - sum/float64(len(x))
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
