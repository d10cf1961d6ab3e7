package kernel

import (
	"fmt"
	"math"
)

// AdamWConfig holds the hyperparameters of AdamW, named as in torch.optim.AdamW. It has no defaults: every field must
// be set.
type AdamWConfig struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
}

// AdamW does one step of Adam with decoupled weight decay (Loshchilov and Hutter 2019) on a parameter p with gradient g
// and moments m and v, all of the same length, as torch.optim.AdamW does on float32 tensors. step counts from 1:
//
//	p = p·(1 - lr·decay)
//	m = m + (g - m)·(1 - beta1), or g - (g - m)·beta1 if beta1 <= 1/2
//	v = v·beta2 + (1 - beta2)·g·g
//	p = p - lr/(1 - beta1^step) · m / (√v/√(1 - beta2^step) + eps)
//
// The factors are computed in float64 and rounded to float32 once; the additions to m and v are fused with the product
// before them. So the bits are those of PyTorch's vectorised loops on x86-64. p, m and v are updated in place; g is
// only read. AdamW panics if the lengths differ or step < 1.
func AdamW(p, g, m, v []float32, c AdamWConfig, step int) {
	mustMatch3("AdamW", len(p), len(g), len(m))
	mustMatch("AdamW", len(p), len(v))
	if step < 1 {
		panic(fmt.Sprintf("kernel: AdamW: step %d, want a count from 1", step))
	}
	f := c.factors(step)
	adamW(p, g, m, v, &f)
}

// factors returns the factors of the given step.
func (c AdamWConfig) factors(step int) adamWFactors {
	correction1 := 1 - math.Pow(c.Beta1, float64(step))
	correction2 := 1 - math.Pow(c.Beta2, float64(step))
	weight, from := float32(1-c.Beta1), float32(1)
	if weight >= 0.5 {
		weight, from = weight-1, -1
	}
	return adamWFactors{
		decay:      float32(1 - c.LR*c.WeightDecay),
		weight:     weight,
		from:       from,
		beta2:      float32(c.Beta2),
		oneBeta2:   float32(1 - c.Beta2),
		correction: float32(math.Sqrt(correction2)),
		eps:        float32(c.Eps),
		size:       float32(-c.LR / correction1),
	}
}

// adamWFactors holds the factors that all elements of a step share.
type adamWFactors struct {
	decay      float32 // 1 - lr·weight decay
	weight     float32 // factor of g - m in the new m: 1 - beta1 if counted from m, -beta1 if counted from g
	from       float32 // 1 if the new m is counted from m, -1 if from g
	beta2      float32
	oneBeta2   float32 // 1 - beta2
	correction float32 // √(1 - beta2^step)
	eps        float32
	size       float32 // -lr/(1 - beta1^step)
}
