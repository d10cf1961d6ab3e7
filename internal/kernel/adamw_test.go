package kernel

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// hashed and gradientOf compute the gradients of reference/adamw_fixture.py.
func hashed(n int) uint32 {
	h := uint32(n) * 2654435761
	h ^= h >> 15
	h *= 2246822519
	return h ^ h>>13
}

func gradientOf(step, i int) float32 {
	if i%5 == 4 && step%2 == 1 {
		return 0
	}
	return float32(math.Ldexp(float64(int(hashed(step*1000+i)>>8)-1<<23), -23-i%12))
}

// TestAdamWEqualsPyTorch repeats 100 steps of torch.optim.AdamW from reference/adamw_fixture.py.
func TestAdamWEqualsPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/adamw.json")
	if err != nil {
		t.Fatal(err)
	}
	var fixture struct {
		Elements int
		Cases    []struct {
			LR, Beta1, Beta2, Eps float64
			WeightDecay           float64 `json:"weight_decay"`
			Kept                  []struct {
				Step    int
				P, M, V []float32
			}
		}
	}
	if err := json.Unmarshal(text, &fixture); err != nil {
		t.Fatal(err)
	}
	for version, f := range versions(adamW, adamWGeneric) {
		for _, c := range fixture.Cases {
			config := AdamWConfig{c.LR, c.Beta1, c.Beta2, c.Eps, c.WeightDecay}
			n := fixture.Elements
			p, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range p {
				p[i] = float32(math.Ldexp(float64(hashed(i)>>8), -23) - 1)
			}
			var worst float64
			for step, kept := 1, c.Kept; len(kept) > 0; step++ {
				for i := range g {
					g[i] = gradientOf(step, i)
				}
				factors := config.factors(step)
				f(p, g, m, v, &factors)
				if step == kept[0].Step {
					worst = max(worst, distance(p, kept[0].P), distance(m, kept[0].M), distance(v, kept[0].V))
					kept = kept[1:]
				}
			}
			if worst != 0 {
				t.Errorf("%s, %+v: differs from PyTorch by %.2g of an element, want equal bits", version, config, worst)
			}
		}
	}
}

// distance returns the largest difference, relative to the element or to the smallest normal number.
func distance(got, want []float32) float64 {
	var worst float64
	for i := range want {
		d := math.Abs(float64(got[i])-float64(want[i])) / max(math.Abs(float64(want[i])), 0x1p-126)
		if !(d <= worst) {
			worst = d
		}
	}
	return worst
}

// TestAdamWVersions checks that all versions give the same bits, independent of the position of an element, and write
// nothing else.
func TestAdamWVersions(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	config := AdamWConfig{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01}
	longest := 2*maxCall + 9
	in := [4][]float32{
		randomSlice(rng, longest), randomSlice(rng, longest), randomSlice(rng, longest), randomSlice(rng, longest),
	}
	for i, v := range in[3] {
		in[3][i] = float32(math.Abs(float64(v)))
	}
	var want [4][]float32
	for k := range want {
		want[k] = append([]float32(nil), in[k]...)
	}
	factors := config.factors(3)
	adamWGeneric(want[0], want[1], want[2], want[3], &factors)
	for _, n := range lengths() {
		var f [4]fenced
		for k := range f {
			f[k] = fence(in[k][:n], (n+2*k)%9)
		}
		AdamW(f[0].data, f[1].data, f[2].data, f[3].data, config, 3)
		for k := range f {
			what := fmt.Sprintf("AdamW of %d, slice %d", n, k)
			mustEqualBits(t, what, f[k].data, want[k][:n])
			f[k].check(t, what)
		}
	}
}
