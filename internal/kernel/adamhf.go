package kernel

import (
	"fmt"
	"math"
)

// AdamHF does one step of Adam as PEFT's LoRA-FA optimiser does, which has it from transformers' former AdamW: in
// contrast to [AdamW], eps is added to √v before its bias correction, and the decay follows the step. step counts
// from 1:
//
//	m = m·beta1 + g·(1 - beta1)
//	v = v·beta2 + g·g·(1 - beta2)
//	p = p - lr·√(1 - beta2^step)/(1 - beta1^step) · m / (√v + eps)
//	p = p - p·lr·decay
//
// p, g, m and v have the same length; all but g are updated in place. AdamHF panics if the lengths differ or step < 1.
func AdamHF(p, g, m, v []float32, c AdamWConfig, step int) {
	mustMatch3("AdamHF", len(p), len(g), len(m))
	mustMatch("AdamHF", len(p), len(v))
	if step < 1 {
		panic(fmt.Sprintf("kernel: AdamHF: step %d, want a count from 1", step))
	}
	correction1 := 1 - math.Pow(c.Beta1, float64(step))
	correction2 := 1 - math.Pow(c.Beta2, float64(step))
	size := float32(c.LR * math.Sqrt(correction2) / correction1)
	beta1, oneBeta1 := float32(c.Beta1), float32(1-c.Beta1)
	beta2, oneBeta2 := float32(c.Beta2), float32(1-c.Beta2)
	eps, decay := float32(c.Eps), float32(c.LR*c.WeightDecay)
	for i, x := range g {
		m[i] = float32(m[i]*beta1) + float32(x*oneBeta1)
		v[i] = float32(v[i]*beta2) + float32(float32(x*x)*oneBeta2)
		w := p[i] - float32(size*float32(m[i]/(float32(math.Sqrt(float64(v[i])))+eps)))
		p[i] = w - float32(w*decay)
	}
}
