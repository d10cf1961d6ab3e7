package lora

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// mlxAdapter writes an adapter as mlx-lm does: A is in×r, B is r×out.
func mlxAdapter(t *testing.T, config string, tensors ...safetensors.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	if len(tensors) > 0 {
		if err := safetensors.WriteFile(filepath.Join(dir, mlxWeights), tensors, nil); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func counted(name string, shape ...int) safetensors.Tensor {
	values := make([]float32, shape[0]*shape[1])
	for i := range values {
		values[i] = float32(i)
	}
	return safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape, Data: safetensors.Bytes(values)}
}

const mlxText = `{"fine_tune_type":"lora","model":"org/model","num_layers":16,
	"lora_parameters":{"rank":2,"scale":20.0,"dropout":0.25}}`

// TestReadMLX reads layers whose values say where they were. The scale of mlx-lm is the factor itself.
func TestReadMLX(t *testing.T) {
	d, err := ReadMLX(mlxAdapter(t, mlxText,
		counted("model.layers.0.self_attn.q_proj.lora_a", 3, 2), counted("model.layers.0.self_attn.q_proj.lora_b", 2, 4),
		counted("model.embed_tokens.lora_a", 5, 2), counted("model.embed_tokens.lora_b", 2, 3),
		counted("model.h.1.attn.c_attn.lora_a", 3, 2), counted("model.h.1.attn.c_attn.lora_b", 2, 9)))
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Config; c.R != 2 || c.Alpha != 40 || c.Dropout != 0.25 || c.TaskType != CausalLM ||
		c.BaseModel != "org/model" {
		t.Errorf("the configuration is %+v", c)
	}
	var paths []string
	for _, l := range d.Layers {
		paths = append(paths, l.Path)
		if l.Scale != 20 || l.Rank != 2 {
			t.Errorf("%s: scale %g, rank %d", l.Path, l.Scale, l.Rank)
		}
	}
	want := []string{"model.embed_tokens", "model.layers.0.self_attn.q_proj", "transformer.h.1.attn.c_attn"}
	if !slices.Equal(paths, want) {
		t.Fatalf("the layers are %v, want %v", paths, want)
	}
	q := d.Layers[1]
	if !slices.Equal(q.A, []float32{0, 2, 4, 1, 3, 5}) || !slices.Equal(q.B, []float32{0, 4, 1, 5, 2, 6, 3, 7}) ||
		q.In != 3 || q.Out != 4 {
		t.Errorf("A is %v, B is %v", q.A, q.B)
	}
	if e := d.Layers[0]; !e.Table || e.In != 5 || e.Out != 3 {
		t.Errorf("the embedding is %+v", e)
	}
}

func TestReadMLXRefuses(t *testing.T) {
	a, b := counted("model.layers.0.mlp.up_proj.lora_a", 3, 2), counted("model.layers.0.mlp.up_proj.lora_b", 2, 4)
	for want, dir := range map[string]string{
		`fine_tune_type is "dora"`:    mlxAdapter(t, strings.Replace(mlxText, `"lora"`, `"dora"`, 1), a, b),
		"no lora_parameters":          mlxAdapter(t, `{"peft_type":"LORA"}`, a, b),
		"no adapters.safetensors":     mlxAdapter(t, mlxText),
		"is not a matrix A or B":      mlxAdapter(t, mlxText, a, b, counted("model.norm.weight", 1, 3)),
		"only one tensor of the pair": mlxAdapter(t, mlxText, a),
		"they belong to different":    mlxAdapter(t, strings.Replace(mlxText, `"rank":2`, `"rank":3`, 1), a, b),
		"no such file":                t.TempDir(),
		"cannot unmarshal":            mlxAdapter(t, `{"lora_parameters":[]}`, a, b),
		"lora_alpha is 0":             mlxAdapter(t, strings.Replace(mlxText, "20.0", "0", 1), a, b),
		"lora_dropout is 1":           mlxAdapter(t, strings.Replace(mlxText, "0.25", "1", 1), a, b),
	} {
		_, err := ReadMLX(dir)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
