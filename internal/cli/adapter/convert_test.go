package adapter_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
)

// mlx writes an adapter of mlx-lm for the small qwen3 of testdata/llamacpp.
func mlx(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, "adapter_config.json"),
		`{"fine_tune_type":"lora","lora_parameters":{"rank":2,"scale":3.0,"dropout":0.0,"keys":["self_attn.q_proj"]}}`)
	var tensors []safetensors.Tensor
	add := func(name string, rows, columns int) {
		values := make([]float32, rows*columns)
		for i := range values {
			values[i] = float32(i%7) / 20
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: []int{rows, columns},
			Data: safetensors.Bytes(values)})
	}
	for _, block := range []string{"model.layers.0.", "model.layers.1."} {
		add(block+"self_attn.q_proj.lora_a", 64, 2)
		add(block+"self_attn.q_proj.lora_b", 2, 64)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "adapters.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestConvert converts an adapter of mlx-lm to PEFT, to llama.cpp, and back to PEFT: the tensors are equal.
func TestConvert(t *testing.T) {
	dir := t.TempDir()
	peft, file, back := filepath.Join(dir, "peft"), filepath.Join(dir, "x.gguf"), filepath.Join(dir, "back")
	model := exported + "qwen3"
	r := clitest.OK(t, adapter.Command, "convert", "--quiet", "--from", "mlx", "--adapter", mlx(t), "--model", model,
		"--output", peft)
	if !strings.Contains(r.Out, "converted 2 layers, r=2, lora_alpha=6") {
		t.Errorf("standard output has %q", r.Out)
	}
	if c := clitest.Read(t, filepath.Join(peft, "adapter_config.json")); !strings.Contains(c, `"q_proj"`) {
		t.Errorf("the targets are not short: %s", c)
	}
	to := []string{"convert", "--quiet", "--adapter", peft, "--model", model, "--to", "gguf", "--output", file}
	clitest.OK(t, adapter.Command, to...)
	clitest.Run(t, adapter.Command, to...).Refused(t, cli.Usage, "the file exists; give another, or --overwrite")
	clitest.OK(t, adapter.Command, "convert", "--quiet", "--from", "gguf", "--adapter", file, "--model", model, "--output",
		back)
	for _, name := range []string{"adapter_model.safetensors", "adapter_config.json"} {
		if clitest.Read(t, filepath.Join(peft, name)) != clitest.Read(t, filepath.Join(back, name)) {
			t.Errorf("%s differs", name)
		}
	}
	if err := os.Remove(filepath.Join(peft, "adapter_config.json")); err != nil {
		t.Fatal(err)
	}
	clitest.Run(t, adapter.Command, "convert", "--quiet", "--from", "mlx", "--adapter", mlx(t), "--model",
		exported+"llama", "--output", filepath.Join(dir, "other")).Refused(t, cli.BadInput, "of another shape")
}

func TestConvertFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"--adapter is missing":               {"--model", "m", "--output", "o"},
		"--model is missing":                 {"--adapter", "a", "--output", "o"},
		"--output is missing":                {"--adapter", "a", "--model", "m"},
		"is not a conversion":                {"--adapter", "a", "--model", "m", "--output", "o", "--to", "peft"},
		"takes two steps":                    {"--from", "mlx", "--to", "gguf", "--adapter", "a"},
		"--from onnx":                        {"--adapter", "a", "--model", "m", "--output", "o", "--from", "onnx"},
		`--type is "q8_0"; want f32, f16`:    {"--adapter", "a", "--model", "m", "--output", "o", "--type", "q8_0"},
		`--type is "f32 f16"; want f32, f16`: {"--adapter", "a", "--model", "m", "--output", "o", "--type", "f32 f16"},
	} {
		clitest.Run(t, adapter.Command, append([]string{"convert", "--quiet"}, args...)...).Refused(t, cli.Usage, want)
	}
}
