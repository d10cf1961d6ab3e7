package nn

import (
	"math"
	"math/rand/v2"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// NewRand returns the random generator for the fresh weight with the given name: PCG, whose output Go promises to keep,
// seeded by seed and name. The values of a weight therefore do not depend on which other weights are drawn.
func NewRand(seed uint64, name string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}

// Init gives all weights of m fresh values: 1 for the gains of norms, 0 for biases, and for the others values from a
// normal distribution with the standard deviation that std returns for the path of the weight. The values depend on
// seed and path only.
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

// InitMissing gives fresh values to the weights of m that have none: 0 for vectors such as biases, and for the others
// values from a normal distribution with standard deviation std. Use it for a custom head on an opened model. The
// values depend on seed and path only.
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

// Normal fills w with values from a normal distribution with standard deviation std, or with zeros if w is a vector (a
// bias).
func Normal(w *op.Weight, std float64, r *rand.Rand) error {
	v := make([]float32, w.Len())
	if !w.Vector {
		for i := range v {
			v[i] = float32(r.NormFloat64() * std)
		}
	}
	return w.SetValues(v)
}

// KaimingUniform fills v with values from U(−b, b) with b = √(6 / ((1 + a²)·fanIn)), as
// torch.nn.init.kaiming_uniform_ does (He et al. 2015, arXiv:1502.01852).
func KaimingUniform(v []float32, fanIn int, a float64, r *rand.Rand) {
	b := math.Sqrt(6 / ((1 + a*a) * float64(max(fanIn, 1))))
	for i := range v {
		v[i] = float32((2*r.Float64() - 1) * b)
	}
}
