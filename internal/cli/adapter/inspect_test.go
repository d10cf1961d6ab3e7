package adapter_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/lora"
)

// contains fails unless the text has all parts.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("lacks %q:\n%s", p, text)
		}
	}
}

// TestShowLayers prints norms and, with the base model, its modules and candidates.
func TestShowLayers(t *testing.T) {
	r := clitest.OK(t, adapter.Command, "show", "--adapter", combined("llama/c"))
	d, _, err := lora.ReadDetached(combined("llama/c"))
	if err != nil {
		t.Fatal(err)
	}
	singular, err := d.Layers[0].Spectrum()
	if err != nil || len(singular) != 2 {
		t.Fatal(err, singular)
	}
	contains(t, r.Out, "rank    scale       norm effective  layer\n", fmt.Sprintf("   2    2.121 %10.4g %9.2f  %s\n",
		lora.Norm(singular), lora.EffectiveRank(singular), d.Layers[0].Path))
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	r = clitest.OK(t, adapter.Command, "show", "--adapter", c.Path("adapter_final"), "--model", c.Path("base"))
	contains(t, r.Out, "(query): lora.Linear(", "(classifier): ModulesToSaveWrapper(", "  key: 2 layers, 32→32\n",
		"  value: 2 layers, 32→32; 2 adapted\n", "word_embeddings: 1 layers, table of 96×32")
	clitest.Run(t, adapter.Command, "show", "--adapter", combined("llama/c"), "--task=causal-lm").Refused(t, 2,
		"--task acts only with --model")
}

// TestDiff compares adapters with themselves and with others.
func TestDiff(t *testing.T) {
	a, c := combined("llama/a"), combined("llama/c")
	r := clitest.OK(t, adapter.Command, "diff", "--adapter", a, "--other", a)
	contains(t, r.Out, "3 layers, change of all corrections: 0%")
	if strings.Contains(r.Out, "→") {
		t.Errorf("fields differ:\n%s", r.Out)
	}
	r = clitest.OK(t, adapter.Command, "diff", "--adapter", a, "--other", c)
	contains(t, r.Out, "r: 4 → 2\n", "use_rslora: default → true\n", "   4    0 ",
		"100%       –  model.embed_tokens\n", "5 layers, change of all corrections: ")
	clitest.Run(t, adapter.Command, "diff", "--adapter", a).Refused(t, 2, "--other is missing")
	clitest.Run(t, adapter.Command, "diff", "--adapter", a, "--other", "none").Refused(t, 3, "no such directory")
	narrow := clitest.CopyDir(t, c)
	clitest.Rewrite(t, filepath.Join(narrow, "adapter_model.safetensors"),
		func(x safetensors.Tensor) (safetensors.Tensor, bool) {
			if strings.HasSuffix(x.Name, "1.self_attn.q_proj.lora_A.weight") {
				x.Shape, x.Data = []int{2, 12}, x.Data[:2*12*4]
			}
			return x, true
		})
	clitest.Run(t, adapter.Command, "diff", "--adapter", a, "--other", narrow).Refused(t, 3,
		"model.layers.1.self_attn.q_proj is 24→24 in", "different base models")
}

// TestReduce writes an adapter of a lower rank, which merges as a whole one, with the files beside it.
func TestReduce(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	dir, out := clitest.CopyDir(t, c.Path("adapter_final")), filepath.Join(t.TempDir(), "out")
	labels := clitest.Write(t, filepath.Join(dir, "labels.json"),
		`{"problem_type": "single_label_classification", "labels": ["a", "b", "c"]}`+"\n")
	r := clitest.OK(t, adapter.Command, "reduce", "--adapter", dir, "--rank=4", "--output-dir", out)
	contains(t, r.Out, "   4→4 ", "error of all corrections: 0%\nadapter: "+out)
	want := logits(t, c, mergedOf(t, c, dir))
	if d := worst(t, logits(t, c, mergedOf(t, c, out)), want); d > 1e-5 {
		t.Errorf("the full rank changes logits by %.1e", d)
	}
	if clitest.Read(t, filepath.Join(out, "labels.json")) != clitest.Read(t, labels) {
		t.Error("other labels")
	}
	r = clitest.OK(t, adapter.Command, "reduce", "--adapter", dir, "--rank=2", "--output-dir", out, "--overwrite")
	contains(t, r.Out, "   4→2 ", "%  bert.encoder.layer.0.attention.self.query\n")
	if k, _, err := lora.ReadConfig(out); err != nil || k.R != 2 || k.Alpha != 2 {
		t.Errorf("r %d, lora_alpha %g: %v", k.R, k.Alpha, err)
	}
	mergedOf(t, c, out)
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--rank=0"}, 2, "--rank is 0"},
		{[]string{"--rank=5"}, 3, "--rank is 5; want at least 1 and at most 4"},
		{[]string{"--rank=2", "--adapter="}, 2, "--adapter is missing"},
		{[]string{"--rank=2", "--output-dir", dir, "--overwrite"}, 2, "holds --adapter"},
	} {
		args := append([]string{"reduce", "--adapter", dir, "--output-dir", filepath.Join(t.TempDir(), "x")}, x.args...)
		clitest.Run(t, adapter.Command, args...).Refused(t, x.code, x.want)
	}
}

// mergedOf merges an adapter of a fixture and returns the directory.
func mergedOf(t *testing.T, c clitest.Case, dir string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "merged")
	clitest.OK(t, adapter.Command, mergeArgs(c, out, "--adapter", dir)...)
	return out
}

// TestVerify records outputs, and finds changes of the adapter and of the base model.
func TestVerify(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	dir := clitest.CopyDir(t, c.Path("adapter_final"))
	args := func(adapterDir, model string, more ...string) []string {
		return append([]string{"verify", "--quiet", "--model", model, "--adapter", adapterDir, "--problem-type", c.Problem},
			more...)
	}
	contains(t, clitest.OK(t, adapter.Command, args(dir, c.Path("base"))...).Out, "10 tensors fit", "not in the adapter",
		"outputs: not recorded")
	contains(t, clitest.OK(t, adapter.Command, args(dir, c.Path("base"), "--record")...).Out, "recorded in verify.json")
	contains(t, clitest.OK(t, adapter.Command, args(dir, c.Path("base"))...).Out,
		"outputs: differ from those recorded by 0 ")
	change := func(name string, v float32) string {
		d := clitest.CopyDir(t, dir)
		setFirst(t, filepath.Join(d, "adapter_model.safetensors"), "base_model.model."+name, v)
		return d
	}
	base := clitest.CopyDir(t, c.Path("base"))
	setFirst(t, filepath.Join(base, "model.safetensors"), "bert.encoder.layer.0.output.dense.weight", 3)
	record := clitest.CopyDir(t, dir)
	clitest.Write(t, filepath.Join(record, "verify.json"), `{"columns": 4}`)
	query := "bert.encoder.layer.1.attention.self.query.lora_B.weight"
	for _, x := range []struct{ adapter, model, want string }{
		{change(query, 2), c.Path("base"), "the outputs differ from those in"},
		{dir, base, "the adapter or the base model has changed since"},
		{change(query, float32(math.NaN())), c.Path("base"), "1 tensors are not finite: base_model.model." + query},
		{record, c.Path("base"), "it belongs to another model"},
		{"none", c.Path("base"), "no such directory"},
		{dir, filepath.Join(clitest.Testdata, "bert", "all_embeddings", "base"), "another shape"},
	} {
		r := clitest.Run(t, adapter.Command, args(x.adapter, x.model)...)
		if r.Code != 3 || !strings.Contains(r.Err, x.want) || r.Out != "" {
			t.Errorf("exit code %d, %q, want %q", r.Code, r.Err, x.want)
		}
	}
	clitest.Run(t, adapter.Command, "verify").Refused(t, 2, "--adapter is missing")
	clitest.Run(t, adapter.Command, args(dir, c.Path("base"), "--threads=-1")...).Refused(t, 2, "--threads is -1")
}

// TestShowJSON writes what show prints as one object.
func TestShowJSON(t *testing.T) {
	dir := combined("llama/c")
	r := clitest.OK(t, adapter.Command, "show", "--adapter", dir, "--json")
	type shown struct {
		Directory string
		Config    map[string]any
		Tensors   []struct {
			Name, DType string
			Shape       []int
		}
		Values int
		Layers []struct {
			Name        string
			Rank        int
			Scale, Norm float64
			Effective   float64 `json:"effective_rank"`
		}
	}
	lines := clitest.Lines[shown](t, r.Out)
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	got := lines[0]
	d, _, err := lora.ReadDetached(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Layers) != len(d.Layers) || len(got.Tensors) != 2*len(d.Layers) || got.Directory != dir ||
		got.Config["r"] != float64(d.Config.R) {
		t.Fatalf("%+v", got)
	}
	values := 0
	for i, l := range d.Layers {
		singular, err := l.Spectrum()
		if err != nil {
			t.Fatal(err)
		}
		x := got.Layers[i]
		if x.Name != l.Path || x.Rank != l.Rank || x.Scale != l.Scale || x.Norm != lora.Norm(singular) ||
			x.Effective != lora.EffectiveRank(singular) {
			t.Errorf("layer %d is %+v", i, x)
		}
	}
	for _, x := range got.Tensors {
		values += x.Shape[0] * x.Shape[1]
		if x.DType != "F32" {
			t.Errorf("tensor %+v", x)
		}
	}
	if values != got.Values {
		t.Errorf("%d values, want %d", got.Values, values)
	}
	spam := clitest.CopyDir(t, filepath.Join(clitest.Testdata, "bert", "query_value", "adapter_final"))
	clitest.Write(t, filepath.Join(spam, "labels.json"), `["a", "b", "c"]`)
	contains(t, clitest.OK(t, adapter.Command, "show", "--adapter", spam, "--json").Out, `"labels":["a","b","c"]`)
	clitest.Run(t, adapter.Command, "show", "--adapter", dir, "--json", "--model", "x").Refused(t, 2,
		"--json has no place for the modules of --model")
}
