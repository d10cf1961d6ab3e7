package train

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// projection maps the gradient of a B to that which LoRA-FA steps along:
//
//	g·(A·Aᵀ + δI)⁺/s²
//
// where g is out×r, A is r×in and s is the scale of the correction (Zhang et al. 2023, arXiv:2308.03303, as PEFT
// has it in create_lorafa_optimizer).
type projection struct {
	b     *spago.Param
	right []float64 // r×r, symmetric
}

// freeze freezes every A.
func (o *optimizer) freeze() {
	for _, p := range o.params {
		if p.Role == nn.FactorB {
			p.A.SetRequiresGrad(false)
		}
	}
}

// prepareProjections makes the projections of all Bs. A does not change from the first step on.
func (o *optimizer) prepareProjections() {
	for _, p := range o.params {
		if p.Role == nn.FactorB {
			o.projections = append(o.projections, projection{p.Param, pseudoInverse(p.A, p.Scale)})
		}
	}
}

// thaw makes the parameters that freeze froze trainable again.
func (o *optimizer) thaw() {
	for _, p := range o.params {
		p.Param.SetRequiresGrad(true)
	}
}

// pseudoInverse returns (A·Aᵀ + δI)⁺/s² for A (r×in) in float64. Like torch.linalg.pinv on float32, it takes
// singular values of at most r·2⁻²³ times the largest for zero.
func pseudoInverse(a *spago.Param, scale float32) []float64 {
	const delta = 1e-8
	r, in := op.Size(a)
	values := make([]float64, r*in)
	for i, x := range op.Values(a) {
		values[i] = float64(x)
	}
	wide := mat.NewDense(r, in, values)
	gram := mat.NewSymDense(r, nil)
	gram.SymOuterK(1, wide)
	for i := range r {
		gram.SetSym(i, i, gram.At(i, i)+delta)
	}
	out := make([]float64, r*r)
	var eigen mat.EigenSym
	if !eigen.Factorize(gram, true) { // only if a value is not finite, which the first step reports
		return out
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	lambda := eigen.Values(nil) // ascending, none is negative but for rounding
	least := lambda[r-1] * float64(r) / (1 << 23)
	for k, l := range lambda {
		if l <= least {
			continue
		}
		for i := range r {
			for j := range r {
				out[i*r+j] += vectors.At(i, k) * vectors.At(j, k) / l
			}
		}
	}
	s := float64(scale)
	for i := range out {
		out[i] /= s * s
	}
	return out
}

// project replaces the gradient of each B by its projection.
func (o *optimizer) project() {
	if o.projections == nil { // not before a checkpoint is loaded
		o.prepareProjections()
	}
	for _, p := range o.projections {
		g := op.Grad(p.b)
		if g == nil {
			continue
		}
		out, r := op.Size(p.b)
		step := max(1, partSize/(r*r))
		o.pool.For((out+step-1)/step, func(task, _ int) {
			row := make([]float64, r)
			for n := task * step; n < min(out, (task+1)*step); n++ {
				projectRow(g[n*r:(n+1)*r], p.right, row)
			}
		})
	}
}

// projectRow sets g to g·right; row is a buffer of the same length.
func projectRow(g []float32, right, row []float64) {
	clear(row)
	for i, x := range g {
		for j := range row {
			row[j] += float64(x) * right[i*len(g)+j]
		}
	}
	for j, x := range row {
		g[j] = float32(x)
	}
}

// checkRoles adds the problems of optimisers that need an adapter.
func checkRoles(params []nn.NamedParam, c Config, p *problems) {
	has := map[nn.Role]string{}
	for _, q := range params {
		has[q.Role] = q.Name
	}
	needs := ""
	switch {
	case c.LoRAPlusRatio != 0:
		needs = "`loraplus_lr_ratio`"
	case c.Optimizer == LoRAFA:
		needs = fmt.Sprintf("`optimizer` %s", LoRAFA)
	default:
		return
	}
	p.check(has[nn.FactorB] != "" || c.LoRAPlusRatio != 0 && has[nn.TableFactor] != "",
		"%s needs an adapter with low-rank pairs of linear layers, but none trains; leave it out", needs)
	p.check(c.Optimizer != LoRAFA || has[nn.TableFactor] == "",
		"%s cannot train %s: it freezes A, which starts at 0 in an embedding; leave embeddings out of `target_modules`",
		needs, has[nn.TableFactor])
}
