package adapter_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"

	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
)

// combined returns the path of an adapter of testdata/combine.
func combined(name string) string { return filepath.Join(clitest.Testdata, "combine", name) }

// TestCombine writes what lora.Combine returns, with the files beside the adapters.
func TestCombine(t *testing.T) {
	a, b := clitest.CopyDir(t, combined("llama/a")), combined("llama/b")
	clitest.Write(t, filepath.Join(a, "vocab.txt"), "x\n")
	clitest.Write(t, filepath.Join(a, "results.json"), "{}\n")
	out := filepath.Join(t.TempDir(), "out")
	r := clitest.OK(t, adapter.Command, "combine", "--adapters", a+","+b, "--weights=0.7,0.3", "--combination-type=cat",
		"--output-dir", out)
	if want := "combined 2 adapters (cat): 5 layers, r=8\nadapter: " + out + "\n"; r.Out != want || r.Err != "" {
		t.Errorf("got %q and %q, want %q", r.Out, r.Err, want)
	}
	want := golden.Open(t, combined("expected.safetensors")) // its first case
	f, err := safetensors.Open(filepath.Join(out, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := "model.layers.1.self_attn.q_proj"
	x, _ := f.Tensor("base_model.model." + name + ".lora_A.weight")
	values, err := safetensors.AsFloat32(x)
	if err != nil || golden.MaxRel(values, want.Float32("0."+name+".A")) > 3e-7 {
		t.Errorf("A of %s is another one: %v", name, err)
	}
	if names := clitest.Names(t, out); !slices.Equal(names, []string{"adapter_config.json", "adapter_model.safetensors",
		"vocab.txt"}) {
		t.Errorf("files %v", names)
	}
	clitest.OK(t, adapter.Command, "combine", "--adapters", a+","+b, "--weights=1,0.5", "--combination-type=dare_ties_svd",
		"--density=0.5", "--majority-sign-method=frequency", "--seed=7", "--svd-rank=3", "--output-dir", out, "--overwrite")
	if c, _, err := lora.ReadConfig(out); err != nil || c.R != 3 || c.Alpha != 3 {
		t.Errorf("r is %d, lora_alpha %g: %v", c.R, c.Alpha, err)
	}
	w := clitest.OK(t, adapter.Command, "combine", "--adapters", a+","+renamed(t, b, `"base"`, `"other"`), "--weights=1,1",
		"--output-dir", out, "--overwrite")
	if !strings.Contains(w.Err, "names the base model base") || !strings.Contains(w.Err, "names other") {
		t.Errorf("other names of the base model: %q", w.Err)
	}
}

// renamed returns a copy of an adapter with another text in its configuration.
func renamed(t *testing.T, dir, old, now string) string {
	t.Helper()
	to := clitest.CopyDir(t, dir)
	path := filepath.Join(to, "adapter_config.json")
	text := clitest.Read(t, path)
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %s", path, old)
	}
	clitest.Write(t, path, strings.ReplaceAll(text, old, now))
	return to
}

// TestCombineTask: the result is for the task that an adapter names, by its class too, and has the head and the
// classes.
func TestCombineTask(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	head := clitest.CopyDir(t, c.Path("adapter_final"))
	labels := `{"problem_type": "single_label_classification", "labels": ["a", "b", "c"]}` + "\n"
	clitest.Write(t, filepath.Join(head, "labels.json"), labels)
	m, plain := filepath.Join(clitest.Testdata, "encoder", "bert_choice", "adapter_final"), t.TempDir()
	d, _, err := lora.ReadDetached(combined("bert/b"))
	if err != nil {
		t.Fatal(err)
	}
	d.Config.TargetModules = lora.Names("layer.1.attention.self.query", "layer.1.attention.self.key")
	if err := d.Write(clitest.Put(plain)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, adapter.Command, "combine", "--adapters", plain+","+head, "--weights=1,1", "--output-dir", out)
	k, _, err := lora.ReadConfig(out)
	if err != nil || k.TaskType != lora.SeqCls || clitest.Read(t, filepath.Join(out, "labels.json")) != labels {
		t.Errorf("task %q: %v", k.TaskType, err)
	}
	clitest.OK(t, adapter.Command, "merge", "--model", c.Path("base"), "--adapter", out, "--output-dir",
		filepath.Join(t.TempDir(), "m"))

	clitest.OK(t, adapter.Command, "combine", "--adapters", m, "--weights=0.5", "--output-dir", out, "--overwrite")
	if notes, err := lora.ReadNotes(out); err != nil || notes["use"] != "multiple choice" {
		t.Errorf("notes %v: %v", notes, err)
	}
}

// TestCombineRefused leaves everything as it was.
func TestCombineRefused(t *testing.T) {
	a, b, c := combined("llama/a"), combined("llama/b"), combined("llama/c")
	bert := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value")).Path("adapter_final")
	full := filepath.Dir(clitest.Write(t, filepath.Join(t.TempDir(), "results.json"), "{}"))
	missing := clitest.CopyDir(t, b)
	clitest.Write(t, filepath.Join(missing, "adapter_model.safetensors"), "")
	tokens := func(text string) string {
		d := clitest.CopyDir(t, b)
		clitest.Write(t, filepath.Join(d, "tokenizer.json"), text)
		return d
	}
	x, y := tokens("{}"), tokens("[]")
	choice := filepath.Join(clitest.Testdata, "encoder", "bert_choice", "adapter_final")
	for _, x := range []struct {
		name     string
		adapters string
		args     []string
		code     int
		want     []string
	}{
		{"nothing", "", nil, 2, []string{"--adapters is missing"}},
		{"no weights", a + "," + b, []string{"--log-format=json"}, 2, []string{"--weights is missing"}},
		{"a weight too few", a + "," + b, []string{"--weights=1"}, 2, []string{"--weights has 1 numbers for 2 adapters"}},
		{"NaN", a + "," + b, []string{"--weights=1,nan"}, 2, []string{"--weights has NaN for adapter 2"}},
		{"type", a + "," + b, []string{"--combination-type=mean"}, 2, []string{`--combination-type is "mean"`, "dare_ties"}},
		{"density", a + "," + b, []string{"--combination-type=ties"}, 2, []string{"--density is 0", "ties prunes"}},
		{"rank without svd", a + "," + b, []string{"--combination-type=cat", "--svd-rank=3"}, 2, []string{"--svd-rank"}},
		{"method", a + "," + b, []string{"--majority-sign-method=most"}, 2, []string{"total or frequency"}},
		{"seed", a + "," + b, []string{"--seed=3"}, 2, []string{"--seed acts only on types with dare"}},
		{"twice", a + "," + filepath.Join(a, "..", "a"), nil, 2, []string{"twice"}},
		{"no output", a + "," + b, []string{"--output-dir="}, 2, []string{"--output-dir is missing"}},
		{"over an input", a + "," + b, []string{"--output-dir=" + a, "--overwrite"}, 2, []string{"holds one of --adapters"}},
		{"a run", a + "," + b, []string{"--output-dir=" + full, "--overwrite"}, 2, []string{"it holds results.json"}},
		{"no adapter", a + ",none", nil, 3, []string{"none: there is no such directory"}},
		{"damaged", a + "," + missing, nil, 3, []string{"adapter_model.safetensors"}},
		{"ranks", a + "," + c, []string{"--combination-type=linear"}, 3, []string{"linear needs equal ranks", "cat, svd"}},
		{"tasks", a + "," + bert, nil, 3, []string{"causal language modelling", "sequence classification", "for one task"}},
		{"classes", choice + "," + bert, nil, 3, []string{"for one task"}},
		{"heads", bert + "," + clitest.CopyDir(t, bert), nil, 3, []string{"both have modules_to_save"}},
		{"tokenizers", x + "," + y, nil, 3, []string{"tokenizer.json differs"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			args := append([]string{"combine", "--adapters", x.adapters, "--output-dir", filepath.Join(dir, "out")}, x.args...)
			if !strings.Contains(strings.Join(x.args, " "), "--log-format") && !slices.ContainsFunc(x.args,
				func(a string) bool { return strings.HasPrefix(a, "--weights") }) {
				args = append(args, "--weights=1,1")
			}
			clitest.Run(t, adapter.Command, args...).Refused(t, x.code, append(x.want, "adapter combine: ")...)
			clitest.NothingIn(t, dir)
		})
	}
}
