package models_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// GGUF files give the logits of transformers' models with the dequantised values, and weights with these values in
// Hugging Face's order.
func TestGGUF(t *testing.T) {
	for _, name := range []string{"llama", "qwen2", "gpt2"} {
		t.Run(name, func(t *testing.T) {
			src, err := checkpoint.Open("../testdata/gguf/" + name + ".gguf")
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			m, report, err := models.OpenCausalLM(src)
			if err != nil {
				t.Fatal(err)
			}
			values := golden.Open(t, "../testdata/gguf/"+name+"_dequantized.safetensors")
			if report.Loaded != len(values.Names()) || len(report.Skipped)+len(report.Fresh)+len(report.Notes) > 0 {
				t.Errorf("%v, want %d tensors", report, len(values.Names()))
			}
			for _, w := range nn.Weights(m) {
				want := op.NewVector(w.Weight.Len())
				x := values.Tensor(w.Name)
				if err := want.SetStored(string(x.DType), x.Data); err != nil {
					t.Fatal(err)
				}
				if fmt.Sprint(w.Weight.Shape()) != fmt.Sprint(x.Shape) {
					t.Errorf("%s is %v, want %v", w.Name, w.Weight.Shape(), x.Shape)
				}
				golden.Close(t, w.Name, w.Weight.Float32(), want.Float32(), 0, 0)
				golden.Close(t, w.Name+", the first", w.Weight.First(50), want.First(50), 0, 0)
			}
			expected := golden.Open(t, "../testdata/gguf/"+name+"_expected.safetensors")
			b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, 24}, Index: []int{0}}}
			for _, id := range expected.Ints("ids") {
				b.IDs = append(b.IDs, int32(id))
			}
			got, want := causalLogits(m, nn.Pass{}, b), expected.Float32("logits")
			if d := golden.MaxRel(got, want); len(got) != len(want) || d > 2e-5 {
				t.Errorf("logits differ by %.2g of the largest", d)
			} else {
				t.Logf("logits differ by %.2g of the largest", d)
			}
		})
	}
}

// TestTrainingOnQuantisedWeights: loss and gradients of an adapter on a quantised base have the same bits as on the
// dequantised one, and the base stays quantised.
func TestTrainingOnQuantisedWeights(t *testing.T) {
	for _, name := range []string{"llama", "qwen2", "gpt2"} {
		t.Run(name, func(t *testing.T) {
			src, err := checkpoint.Open("../testdata/gguf/" + name + ".gguf")
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			m, _, err := models.OpenCausalLM(src)
			if err != nil {
				t.Fatal(err)
			}
			nn.SetDropout(m, 0)
			wide, err := models.NewCausalLM(src.Config(), 1)
			if err != nil {
				t.Fatal(err)
			}
			nn.SetDropout(wide, 0)
			quantised := 0
			byName := map[string]*op.Weight{}
			for _, w := range nn.Weights(m) {
				byName[w.Name] = w.Weight
				if w.Weight.Type.Quantised() {
					quantised++
				}
			}
			for _, w := range nn.Weights(wide) {
				if err := w.Weight.SetValues(byName[w.Name].Float32()); err != nil {
					t.Fatal(err)
				}
			}
			b := causalBatch(5, 11, 8)
			for i := range b.IDs {
				b.IDs[i] = int32(int(b.IDs[i]) % m.Vocabulary())
			}
			targets := lora.Names(lora.AllLinear)
			got := lossAndGradients(t, m, adapter(t, m, targets), nn.Pass{}, 2, b)
			want := lossAndGradients(t, wide, adapter(t, wide, targets), nn.Pass{}, 2, b)
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("value %d is %g, on dequantised weights %g", i, got[i], want[i])
				}
			}
			if quantised == 0 {
				t.Error("no weight is quantised")
			}
		})
	}
}
