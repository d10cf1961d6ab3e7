package bench

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// BenchmarkFingerprint hashes a language model of 500 MB in each type with two workers.
func BenchmarkFingerprint(b *testing.B) {
	for _, c := range []struct {
		kind   op.DType
		layers int
	}{{op.F32, 14}, {op.F16, 31}, {op.BF16, 31}} {
		b.Run(c.kind.String(), func(b *testing.B) {
			dir := b.TempDir()
			size := writeModel(b, dir, c.kind, c.layers)
			src, err := checkpoint.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			defer src.Close()
			net, report, err := models.OpenCausalLM(src)
			if err != nil {
				b.Fatal(err)
			}
			pool := op.NewPool(2)
			defer pool.Close()
			b.SetBytes(size)
			for b.Loop() {
				m := &base.Model[models.CausalLM]{Net: net, Base: &base.Base{Source: src}, Report: report}
				m.Fingerprint(pool)
			}
		})
	}
}

// writeModel writes a LLaMA with random values in a type and returns the number of bytes of its weights.
func writeModel(b *testing.B, dir string, kind op.DType, layers int) (size int64) {
	b.Helper()
	config := fmt.Appendf(nil, `{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32000,
		"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": %d, "num_attention_heads": 12,
		"num_key_value_heads": 12, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "hidden_act": "silu",
		"tie_word_embeddings": true}`, layers)
	m, err := models.NewCausalLM(config, 1)
	if err != nil {
		b.Fatal(err)
	}
	var list []safetensors.Tensor
	for _, w := range nn.Weights(m) {
		t := safetensors.Tensor{Name: w.Name, DType: safetensors.DType(kind.String()), Shape: w.Weight.Shape()}
		v := w.Weight.Float32()
		t.Data = safetensors.Bytes(v)
		if kind != op.F32 {
			half := make([]uint16, len(v))
			kernel.Narrow(half, v, kind)
			t.Data = make([]byte, 0, 2*len(half))
			for _, x := range half {
				t.Data = append(t.Data, byte(x), byte(x>>8))
			}
		}
		size += int64(len(t.Data))
		list = append(list, t)
	}
	for name, write := range map[string]func(io.Writer) error{
		"config.json":       files.Bytes(config),
		"model.safetensors": func(w io.Writer) error { return safetensors.Write(w, list, nil) },
	} {
		if err := files.WriteFile(filepath.Join(dir, name), write); err != nil {
			b.Fatal(err)
		}
	}
	return size
}
