package vit_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/vit"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

const small = `{"model_type":"%s","hidden_size":16,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":24,
	"image_size":[8,12],"patch_size":4,"num_channels":1,"initializer_range":0.3,"hidden_dropout_prob":0.2,
	"attention_probs_dropout_prob":0.3}`

func fresh(t *testing.T, modelType string) models.ImageClassifier {
	t.Helper()
	m, err := models.NewImageClassifier(fmt.Appendf(nil, small, modelType), 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// grids has images of these numbers of patches, down and across.
func grids(sizes ...[2]int) *batch.Batch {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}, Grids: sizes}
	for i, g := range sizes {
		r := nn.NewRand(uint64(i), fmt.Sprint(g))
		for range g[0] * g[1] * 16 {
			b.Features = append(b.Features, float32(r.NormFloat64()))
		}
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.Features)/16)
		b.Seqs.Index = append(b.Seqs.Index, 7*i+3)
	}
	return b
}

// TestImagesDoNotSeeEachOther: an image has the same logits, and with dropout the same masks, alone and in a batch with
// images of other sizes.
func TestImagesDoNotSeeEachOther(t *testing.T) {
	for _, modelType := range []string{"vit", "deit"} {
		m := fresh(t, modelType)
		b := grids([2]int{2, 3}, [2]int{3, 3}, [2]int{1, 2}, [2]int{2, 3}, [2]int{3, 3})
		for _, p := range []nn.Pass{{}, {Train: true, Key: op.Key{Seed: 4, Step: 9}}} {
			whole := logits(m, p, b)
			for i, g := range b.Grids {
				lo, hi := b.Seqs.Starts[i], b.Seqs.Starts[i+1]
				one := &batch.Batch{
					Seqs: op.Seqs{Starts: []int{0, hi - lo}, Index: b.Seqs.Index[i : i+1]}, Features: b.Features[lo*16 : hi*16],
				}
				if g != [2]int{2, 3} {
					one.Grids = b.Grids[i : i+1]
				}
				alone, together := logits(m, p, one), whole[3*i:3*i+3]
				for j, v := range alone {
					if math.Abs(float64(v-together[j])) > 1e-5 {
						t.Errorf("%s, train %v, image %d: %v alone, %v in the batch", modelType, p.Train, i, alone, together)
						break
					}
				}
			}
		}
	}
}

func logits(m models.ImageClassifier, p nn.Pass, b *batch.Batch) []float32 {
	p.Tape = op.NewEvalTape(nil)
	defer p.Tape.Close()
	return slices.Clone(op.Values(m.Logits(&p, b)))
}

// TestInit: fresh weights are drawn as transformers draws them.
func TestInit(t *testing.T) {
	c := config(t, "vit")
	c.Width, c.Heads, c.Layers, c.Inner, c.InitializerRange = 64, 2, 1, 64, 1.5
	m := vit.New(c)
	if err := m.Init(3); err != nil {
		t.Fatal(err)
	}
	spread := func(w *op.Weight) (std, most float64) {
		for _, v := range w.Float32() {
			std, most = std+float64(v)*float64(v), math.Max(most, math.Abs(float64(v)))
		}
		return math.Sqrt(std / float64(w.Len())), most
	}
	for name, w := range map[string]*op.Weight{
		"projection": m.Embeddings.Patches.Weight, "query": m.Layers[0].Query.Weight,
	} {
		if std, most := spread(w); math.Abs(std-1.5) > 0.1 || most < 3 {
			t.Errorf("%s: standard deviation %.2f, largest %.2f", name, std, most)
		}
	}
	if std, most := spread(m.Embeddings.Positions); math.Abs(std-1.023) > 0.03 || most > 2 { // within −2 and 2
		t.Errorf("positions: standard deviation %.2f, largest %.2f", std, most)
	}
	d := vit.New(func() vit.Config { c.ModelType = "deit"; return c }())
	if err := d.Init(3); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*op.Weight{d.Embeddings.Token, d.Embeddings.Distillation, d.Embeddings.Positions} {
		if _, most := spread(w); most != 0 {
			t.Errorf("a token or positions of DeiT start with %g", most)
		}
	}
	if again := vit.New(d.Config); again.Init(3) != nil || !again.Layers[0].Up.Weight.Same(d.Layers[0].Up.Weight) {
		t.Error("the same seed gives other weights")
	}
}
