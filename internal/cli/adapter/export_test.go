package adapter_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
)

const exported = "../../../testdata/llamacpp/"

// TestExport exports a chat model with a Modelfile and predicts with the file.
func TestExport(t *testing.T) {
	dir := t.TempDir()
	file, model := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "Modelfile")
	args := []string{"export", "--quiet", "--model", exported + "qwen2", "--output", file, "--type", "f32", "--modelfile",
		model}
	r := clitest.OK(t, adapter.Command, args...)
	for _, want := range []string{"exported 26 tensors (f32)", "differ by at most", file, model} {
		if !strings.Contains(r.Out, want) {
			t.Errorf("standard output has %q, want %q in it", r.Out, want)
		}
	}
	const want = `FROM ./m.gguf
TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop "<|im_start|>"
PARAMETER stop "<|im_end|>"
PARAMETER stop "<|endoftext|>"
`
	if got := clitest.Read(t, model); got != want {
		t.Errorf("the Modelfile is\n%s\nwant\n%s", got, want)
	}
	generate := func(model string) string {
		return clitest.OK(t, predict.Command, "causal-lm", "--quiet", "--model", model, "--chat", "--prompt", "The fox",
			"--max-new-tokens", "12").Out
	}
	if got, want := generate(file), generate(exported+"qwen2"); got != want || got == "" {
		t.Errorf("the file answers %q, the model %q", got, want)
	}
	clitest.Run(t, adapter.Command, args...).Refused(t, cli.Usage, "the file exists; give another, or --overwrite")
	clitest.OK(t, adapter.Command, append(args, "--overwrite")...)
}

func TestExportFlags(t *testing.T) {
	dir := t.TempDir()
	file := clitest.Write(t, filepath.Join(dir, "m.gguf"), "x")
	for want, args := range map[string][]string{
		"--model is missing":  {"--output", filepath.Join(dir, "x")},
		"--output is missing": {"--model", dir},
		`--type is "q5"; want one of bf16, f16, f32, q4_1, q4_k_m, q8_0`: {"--model", dir, "--output", "x", "--type", "q5"},
		"there is no directory":     {"--model", dir, "--output", filepath.Join(dir, "none", "x")},
		"this is the model itself":  {"--model", file, "--output", file, "--overwrite"},
		"not a regular file":        {"--model", dir, "--output", dir},
		"are the same file":         {"--model", dir, "--output", filepath.Join(dir, "a"), "--modelfile", dir + "/./a"},
		"--threads is -1":           {"--model", dir, "--output", filepath.Join(dir, "x"), "--threads", "-1"},
		"does not predict the next": {"--model", "../../../testdata/sentence/model", "--output", filepath.Join(dir, "y")},
	} {
		r := clitest.Run(t, adapter.Command, append([]string{"export", "--quiet"}, args...)...)
		if r.Code == cli.Done || !strings.Contains(r.Err, want) {
			t.Errorf("%v: got %d and %q, want %q", args, r.Code, r.Err, want)
		}
	}
	if got, _ := os.ReadFile(file); string(got) != "x" {
		t.Error("the file is replaced")
	}
}
