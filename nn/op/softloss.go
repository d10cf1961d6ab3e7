package op

import (
	"math"

	"github.com/nlpodyssey/spago/mat"
)

// SoftCrossEntropy returns the sum (1×1) of −Σ target·log softmax(logits) over the rows of logits (N×K): that of
// PyTorch's cross_entropy with probabilities as targets (N×K) and label_smoothing. Sums run in float64.
// SoftCrossEntropy panics if the sizes do not fit.
func SoftCrossEntropy(t *Tape, logits mat.Tensor, targets []float32, smoothing float32) mat.Tensor {
	n, k := Size(logits)
	mustBe(len(targets) == n*k, "SoftCrossEntropy of %d×%d logits with %d targets", n, k, len(targets))
	f := &softCrossEntropy{targets: targets, smoothing: float64(smoothing)}
	f.init(logits, f.row)
	return t.run(f)
}

type softCrossEntropy struct {
	rowLoss
	targets   []float32
	smoothing float64
}

func (f *softCrossEntropy) row(i int, x, dx []float32) float64 {
	k := len(x)
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
	loss, total := 0.0, 0.0
	target := func(j int) float64 {
		return float64(f.targets[i*k+j])*(1-f.smoothing) + f.smoothing/float64(k)
	}
	for j, v := range x {
		loss += target(j) * (lse - float64(v))
		total += target(j)
	}
	for j := range dx {
		dx[j] = float32(math.Exp(float64(x[j])-lse)*total - target(j))
	}
	return loss
}
