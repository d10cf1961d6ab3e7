package vit

import (
	"math"
	"math/rand/v2"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Init draws all weights from seed as transformers does.
func (m *Model) Init(seed uint64) error { return m.init(m, seed) }

// init draws the weights of whole, which contains m: from N(0, initializer_range²), biases 0. The class token and the
// positions of ViT are drawn from the same distribution within −2 and 2, as torch.nn.init.trunc_normal_ does; tokens
// and positions of DeiT start at 0.
func (m *Model) init(whole spago.Model, seed uint64) error {
	std := m.Config.InitializerRange
	if err := nn.Init(whole, seed, func(string) float64 { return std }); err != nil {
		return err
	}
	e := m.Embeddings
	for name, w := range map[string]*op.Weight{
		"cls_token": e.Token, "distillation_token": e.Distillation, "position_embeddings": e.Positions,
	} {
		if w == nil {
			continue
		}
		v := make([]float32, w.Len())
		if !m.Config.distilled() {
			truncatedNormal(v, std, nn.NewRand(seed, "embeddings."+name))
		}
		if err := w.SetValues(v); err != nil {
			return err
		}
	}
	return nil
}

// truncatedNormal fills v with values from N(0, std²) within −2 and 2.
func truncatedNormal(v []float32, std float64, r *rand.Rand) {
	for i := range v {
		x := math.Inf(1)
		for math.Abs(x) > 2 {
			x = r.NormFloat64() * std
		}
		v[i] = float32(x)
	}
}
