package op

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Ignore is the label of a row that does not count in a loss: PyTorch's ignore_index.
const Ignore int32 = -100

// CrossEntropyConfig has the options of PyTorch's cross_entropy.
type CrossEntropyConfig struct {
	ClassWeights []float32 // K, or nil: 1 each
	Smoothing    float32   // label_smoothing, in [0, 1)
}

// CrossEntropy returns the sum (1×1) of −log softmax(logits)[label] over the rows of logits (N×K), and the number
// by which PyTorch's mean divides it: that of the rows whose label is not [Ignore], or the sum of their class weights.
// Sums run in float64. The forward computes the gradient too, since the upstream gradient is a scalar. CrossEntropy
// panics if the sizes do not fit or a label is out of range.
func CrossEntropy(t *Tape, logits mat.Tensor, labels []int32, c CrossEntropyConfig) (sum mat.Tensor, targets float64) {
	n, k := Size(logits)
	mustBe(len(labels) == n, "CrossEntropy of %d×%d logits with %d labels", n, k, len(labels))
	mustBe(c.ClassWeights == nil || len(c.ClassWeights) == k,
		"CrossEntropy of %d classes with %d class weights", k, len(c.ClassWeights))
	f := &crossEntropy{labels: labels, c: c}
	f.init(logits, f.row)
	total := 1.0
	if c.ClassWeights != nil {
		total = 0
		for _, w := range c.ClassWeights {
			total += float64(w)
		}
	}
	f.total = total
	for _, y := range labels {
		if y == Ignore {
			continue
		}
		if uint(y) >= uint(k) {
			panic(fmt.Sprintf("op: CrossEntropy label %d of %d classes", y, k))
		}
		targets += float64(f.weight(y))
	}
	return t.run(f), targets
}

// rowLoss is the common part of the losses: a sum over rows whose forward computes the gradient too.
type rowLoss struct {
	node
	x    mat.Tensor
	one  func(row int, x, dx []float32) float64 // returns the loss of a row and sets dx, unless nil, to its gradient
	grad []float32
}

func (f *rowLoss) init(x mat.Tensor, one func(int, []float32, []float32) float64) {
	f.x, f.one, f.inputs = x, one, []mat.Tensor{x}
}

// Forward computes the sum, rows in order.
func (f *rowLoss) Forward() (mat.Tensor, error) {
	n, k := Size(f.x)
	x, y := Values(f.x), f.t.tensor(1, 1)
	if f.keep {
		f.grad = f.buffer(n * k)
	}
	sum := 0.0
	for i := range n {
		var dx []float32
		if f.keep {
			dx = f.grad[i*k : (i+1)*k]
		}
		sum += f.one(i, x[i*k:(i+1)*k], dx)
	}
	y.data[0] = float32(sum)
	return y, nil
}

// Backward: dX = gy·gradient.
func (f *rowLoss) Backward(gy mat.Tensor) error {
	s := Values(gy)[0]
	f.into(f.x, func(dst []float32, add bool) {
		if add {
			kernel.AddScaled(dst, f.grad, s)
		} else {
			kernel.Scale(dst, f.grad, s)
		}
	})
	return nil
}

type crossEntropy struct {
	rowLoss
	labels []int32
	c      CrossEntropyConfig
	total  float64 // sum of all class weights
}

func (f *crossEntropy) weight(class int32) float32 {
	if f.c.ClassWeights == nil {
		return 1
	}
	return f.c.ClassWeights[class]
}

func (f *crossEntropy) row(i int, x, dx []float32) float64 {
	y := f.labels[i]
	if y == Ignore {
		clear(dx)
		return 0
	}
	top := math.Inf(-1)
	for _, v := range x {
		if top = math.Max(top, float64(v)); math.IsNaN(top) {
			break
		}
	}
	z := 0.0
	for _, v := range x {
		z += math.Exp(float64(v) - top)
	}
	lse := top + math.Log(z)
	hard, w := 1-float64(f.c.Smoothing), float64(f.weight(y))
	loss := hard * w * (lse - float64(x[y]))
	soft := float64(f.c.Smoothing) / float64(len(x))
	total := f.total
	if f.c.ClassWeights == nil {
		total = float64(len(x))
	}
	if soft > 0 {
		for j, v := range x {
			loss += soft * float64(f.weight(int32(j))) * (lse - float64(v))
		}
	}
	for j := range dx {
		p := math.Exp(float64(x[j]) - lse)
		g := hard*w*p + soft*(p*total-float64(f.weight(int32(j))))
		if int32(j) == y {
			g -= hard * w
		}
		dx[j] = float32(g)
	}
	return loss
}

// BCEWithLogits returns the binary cross-entropy of sigmoid(logits) and targets, summed (1×1) over all elements of
// logits (N×K). targets has N·K values from 0 to 1, row after row. PyTorch's mean divides the sum by N·K. It panics
// if the sizes do not fit.
func BCEWithLogits(t *Tape, logits mat.Tensor, targets []float32) mat.Tensor {
	n, k := Size(logits)
	mustBe(len(targets) == n*k, "BCEWithLogits of %d×%d logits with %d targets", n, k, len(targets))
	f := &rowLoss{}
	f.init(logits, func(i int, x, dx []float32) float64 {
		sum := 0.0
		for j, v := range x {
			z, y := float64(v), float64(targets[i*k+j])
			e := math.Exp(-math.Abs(z))
			sum += math.Max(z, 0) - z*y + math.Log1p(e)
			if dx != nil {
				p := 1 / (1 + e)
				if z < 0 {
					p = e / (1 + e)
				}
				dx[j] = float32(p - y)
			}
		}
		return sum
	})
	return t.run(f)
}

// MSE returns the sum (1×1) of (x − target)² over all elements of x (N×K). targets has N·K values, row after row.
// PyTorch's mean divides the sum by N·K. It panics if the sizes do not fit.
func MSE(t *Tape, x mat.Tensor, targets []float32) mat.Tensor {
	n, k := Size(x)
	mustBe(len(targets) == n*k, "MSE of %d×%d values with %d targets", n, k, len(targets))
	f := &rowLoss{}
	f.init(x, func(i int, x, dx []float32) float64 {
		sum := 0.0
		for j, v := range x {
			d := float64(v) - float64(targets[i*k+j])
			sum += d * d
			if dx != nil {
				dx[j] = float32(2 * d)
			}
		}
		return sum
	})
	return t.run(f)
}
