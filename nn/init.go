package nn

import (
	"math"
	"math/rand/v2"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// NewRand returns the generator that fresh weights are drawn from: PCG, which Go promises to keep, seeded by a seed and
// the name of what is drawn, so that one weight's values do not depend on which others are drawn.
func NewRand(seed uint64, name string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}

// Init makes all weights of m fresh: those of norms 1, biases 0, the others normal with the standard deviation that std gives for their
// path. The draw depends on seed and path only.
func Init(m spago.Model, seed uint64, std func(path string) float64) error {
	var err error
	norm := ""
	seen := map[*op.Weight]bool{}
	Walk(m, func(path string, module any) {
		switch v := module.(type) {
		case *LayerNorm, *RMSNorm:
			norm = path + ".weight"
		case *op.Weight:
			if err != nil || seen[v] {
				return
			}
			seen[v] = true
			if path == norm {
				err = ones(v)
			} else {
				err = Normal(v, std(path), NewRand(seed, path))
			}
		}
	})
	return err
}

// InitMissing gives the weights of m that have no values yet fresh ones: normal with standard deviation std, biases 0. It is for heads of
// one's own on a model that was opened. The draw depends on seed and path only.
func InitMissing(m spago.Model, std float64, seed uint64) error {
	for _, w := range Weights(m) {
		if w.Weight.Filled() {
			continue
		}
		if err := Normal(w.Weight, std, NewRand(seed, w.Name)); err != nil {
			return err
		}
	}
	return nil
}

func ones(w *op.Weight) error {
	v := make([]float32, w.Len())
	for i := range v {
		v[i] = 1
	}
	return w.SetValues(v)
}

// Normal fills w with fresh values from a normal distribution; a vector (bias) with zeros.
func Normal(w *op.Weight, std float64, r *rand.Rand) error {
	v := make([]float32, w.Len())
	if !w.Vector {
		for i := range v {
			v[i] = float32(r.NormFloat64() * std)
		}
	}
	return w.SetValues(v)
}

// KaimingUniform draws from U(−b, b) with b = √(6 / ((1 + a²)·fanIn)), He et al. 2015, as torch.nn.init.kaiming_uniform_.
func KaimingUniform(v []float32, fanIn int, a float64, r *rand.Rand) {
	b := math.Sqrt(6 / ((1 + a*a) * float64(max(fanIn, 1))))
	for i := range v {
		v[i] = float32((2*r.Float64() - 1) * b)
	}
}
