package train

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Optimizer is the rule by which a step changes the parameters.
type Optimizer string

// The optimisers.
const (
	AdamW  Optimizer = "adamw"   // torch.optim.AdamW
	LoRAFA Optimizer = "lora-fa" // PEFT's LoRA-FA: A is frozen, Adam steps B along its projected gradient
)

// LoRAFAEps is PEFT's adam_epsilon for LoRAFA.
const LoRAFAEps = 1e-6

// Valid reports whether o is one of the optimisers.
func (o Optimizer) Valid() bool { return o == AdamW || o == LoRAFA }

// optimizer updates a list of parameters by the gradients that they hold.
type optimizer struct {
	pool    *op.Pool
	cfg     Config
	params  []nn.NamedParam
	moments []moments // one for each parameter
	parts   []part
	squares []float64 // one for each part

	rates       []float64    // peak learning rate of each parameter
	projections []projection // of the gradients of B, for LoRAFA
}

// moments is the state of one parameter: exp_avg, exp_avg_sq and step of torch.optim.AdamW.
type moments struct {
	m, v  []float32
	steps int
}

// part is a range of the values of one parameter, on which one worker works at a time.
type part struct{ param, from, to int }

// partSize is the largest number of values of a part. It is constant, so that sums over parts do not depend on the
// number of workers.
const partSize = 1 << 15

func newOptimizer(params []nn.NamedParam, cfg Config) *optimizer {
	o := &optimizer{pool: cfg.Pool, cfg: cfg, params: params, moments: make([]moments, len(params))}
	if cfg.Optimizer == LoRAFA {
		o.freeze()
	}
	for i, p := range params {
		o.rates = append(o.rates, cfg.rate(p.Role))
		n := len(op.Values(p.Param))
		if !p.Param.RequiresGrad() {
			continue
		}
		o.moments[i] = moments{m: make([]float32, n), v: make([]float32, n)}
		for from := 0; from < n; from += partSize {
			o.parts = append(o.parts, part{i, from, min(n, from+partSize)})
		}
	}
	o.squares = make([]float64, len(o.parts))
	return o
}

// each runs f over the parts of all parameters that have a gradient.
func (o *optimizer) each(f func(number int, p part, grad []float32)) {
	o.pool.For(len(o.parts), func(task, _ int) {
		p := o.parts[task]
		if g := op.Grad(o.params[p.param].Param); g != nil {
			f(task, p, g[p.from:p.to])
		}
	})
}

// norm returns the global norm of the gradients, √Σg², summed in float64 in the order of the parameters. It is
// finite if and only if every gradient is.
func (o *optimizer) norm() float64 {
	clear(o.squares)
	o.each(func(number int, _ part, g []float32) { o.squares[number] = kernel.SumSquares(g) })
	sum := 0.0
	for _, s := range o.squares {
		sum += s
	}
	return math.Sqrt(sum)
}

// scale multiplies all gradients by s.
func (o *optimizer) scale(s float32) {
	if s == 1 {
		return
	}
	o.each(func(_ int, _ part, g []float32) { kernel.Scale(g, g, s) })
}

// clipFactor returns the factor by which torch.nn.utils.clip_grad_norm_ multiplies gradients of the given norm:
// limit/(norm + 1e-6), at most 1. With a limit of 0 it is 1.
func clipFactor(norm, limit float64) float64 {
	if limit == 0 {
		return 1
	}
	return min(1, limit/(norm+1e-6))
}

// rate returns the peak learning rate of a parameter, as PEFT's create_loraplus_optimizer groups them.
func (c Config) rate(r nn.Role) float64 {
	switch {
	case c.LoRAPlusRatio == 0:
	case r == nn.TableFactor:
		return c.LoRAPlusEmbedding
	case r == nn.FactorB || r == nn.Vector:
		return c.LearningRate * c.LoRAPlusRatio
	}
	return c.LearningRate
}

// update does one step with the given factor of the peak learning rates. As in PyTorch, a parameter without a gradient
// keeps its values and moments, and its bias correction counts only the steps in which it had a gradient.
func (o *optimizer) update(factor float64) {
	adam := kernel.AdamW
	if o.cfg.Optimizer == LoRAFA {
		o.project()
		adam = kernel.AdamHF
	}
	for i, p := range o.params {
		if op.Grad(p.Param) != nil {
			o.moments[i].steps++
		}
	}
	o.each(func(_ int, p part, g []float32) {
		rate := o.rates[p.param] * factor
		c := kernel.AdamWConfig{
			LR: rate, Beta1: o.cfg.Beta1, Beta2: o.cfg.Beta2, Eps: o.cfg.Eps, WeightDecay: o.cfg.WeightDecay,
		}
		if (o.cfg.NoDecayNormBias || o.cfg.LoRAPlusRatio != 0) && o.params[p.param].NoDecay {
			c.WeightDecay = 0
		}
		m := o.moments[p.param]
		values := op.Values(o.params[p.param].Param)
		adam(values[p.from:p.to], g, m.m[p.from:p.to], m.v[p.from:p.to], c, m.steps)
	})
}

// clearGradients removes the gradients but keeps their buffers.
func (o *optimizer) clearGradients() {
	for _, p := range o.params {
		op.ZeroGrad(p.Param)
	}
}

// withoutGradient returns the names of the trainable parameters that have no gradient. A gradient of zeros is a
// gradient.
func (o *optimizer) withoutGradient() []string {
	var names []string
	for _, p := range o.params {
		if p.Param.RequiresGrad() && op.Grad(p.Param) == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// badValue describes the first parameter with a NaN or infinite value. It returns "" if there is none.
func (o *optimizer) badValue() string {
	for _, p := range o.params {
		if s := describeBad("parameter", p.Name, op.Values(p.Param)); s != "" {
			return s
		}
	}
	return ""
}

// badGradient describes the first parameter whose gradient has a NaN or infinite value. It returns "" if there is none.
func (o *optimizer) badGradient() string {
	for _, p := range o.params {
		if s := describeBad("gradient of", p.Name, op.Grad(p.Param)); s != "" {
			return s
		}
	}
	return ""
}

// describeBad describes the first NaN or infinite value. It returns "" if there is none.
func describeBad(what, name string, values []float32) string {
	i := kernel.FirstNonFinite(values)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%s %s is %v at element %d", what, name, values[i], i)
}

// values returns a copy of the values of all parameters. It reuses the slices of all, an older copy, unless that is
// nil.
func (o *optimizer) values(all [][]float32) [][]float32 {
	if all == nil {
		all = make([][]float32, len(o.params))
	}
	for i, p := range o.params {
		all[i] = append(all[i][:0], op.Values(p.Param)...)
	}
	return all
}

// setValues copies all, the values of all parameters, into them.
func (o *optimizer) setValues(all [][]float32) {
	for i, p := range o.params {
		copy(op.Values(p.Param), all[i])
	}
}
