package adapter_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
)

func mergeArgs(c clitest.Case, out string, args ...string) []string {
	return append([]string{"merge", "--quiet", "--model", c.Path("base"), "--adapter", c.Path("adapter_final"),
		"--problem-type", c.Problem, "--output-dir", out}, args...)
}

// logits predicts the first rows of a fixture with a merged checkpoint.
func logits(t *testing.T, c clitest.Case, model string) []float32 {
	t.Helper()
	rows := strings.SplitAfter(clitest.Read(t, c.Path("train.jsonl")), "\n")
	in := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"), strings.Join(rows[:c.BatchSize], ""))
	r := clitest.OK(t, predict.Command, "seq-cls", "--quiet", "--model", model, "--input", in, "--no-labels", "--logits")
	var list []float32
	for _, p := range clitest.Lines[struct{ Logits []float32 }](t, r.Out) {
		list = append(list, p.Logits...)
	}
	return list
}

// worst returns the largest difference as a share of the largest wanted value.
func worst(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d logits, want %d", len(got), len(want))
	}
	largest, d := 0.0, 0.0
	for i, w := range want {
		largest, d = max(largest, math.Abs(float64(w))), max(d, math.Abs(float64(got[i]-w)))
	}
	return d / largest
}

// TestMerge compares merged checkpoints, opened again, with PEFT's merge_and_unload.
func TestMerge(t *testing.T) {
	for _, c := range clitest.Cases(t) {
		t.Run(filepath.Base(c.Dir), func(t *testing.T) {
			for dtype, bound := range map[string]float64{"float32": 2e-5, "float16": 5e-3, "bfloat16": 5e-2} {
				out := filepath.Join(t.TempDir(), dtype)
				r := clitest.OK(t, adapter.Command, mergeArgs(c, out, "--dtype", dtype)...)
				if !strings.Contains(r.Out, "differ by at most") || !strings.Contains(r.Out, out) {
					t.Errorf("standard output has %q", r.Out)
				}
				want := golden.Open(t, c.Path("expected.safetensors")).Float32("merged.logits")
				if d := worst(t, logits(t, c, out), want); d > bound {
					t.Errorf("%s: logits are %.1e from PEFT's", dtype, d)
				}
			}
		})
	}
}

// TestMergedFiles looks at what transformers will find.
func TestMergedFiles(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	out := filepath.Join(t.TempDir(), "merged")
	clitest.OK(t, adapter.Command, mergeArgs(c, out, "--dtype=bfloat16")...)
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"config.json", "model.safetensors", "tokenizer_config.json",
		"vocab.txt"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	var config, base map[string]any
	for path, v := range map[string]*map[string]any{filepath.Join(out, "config.json"): &config,
		c.Path("base/config.json"): &base} {
		if err := json.Unmarshal([]byte(clitest.Read(t, path)), v); err != nil {
			t.Fatal(err)
		}
	}
	base["architectures"] = []any{"BertForSequenceClassification"}
	base["id2label"] = map[string]any{"0": "negative", "1": "positive", "2": "mixed"}
	base["label2id"] = map[string]any{"negative": 0.0, "positive": 1.0, "mixed": 2.0}
	base["problem_type"], base["dtype"] = "single_label_classification", "bfloat16"
	got, _ := json.Marshal(config)
	want, _ := json.Marshal(base)
	if string(got) != string(want) {
		t.Errorf("config.json is\n%s\nwant\n%s", got, want)
	}
	f, err := safetensors.Open(filepath.Join(out, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata()["format"] != "pt" {
		t.Errorf("metadata %v", f.Metadata())
	}
	wanted, err := safetensors.Open(c.Path("base/model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer wanted.Close()
	a, b := f.Names(), wanted.Names() // the base of this fixture is a BertForSequenceClassification
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("tensors\n%v\nwant\n%v", a, b)
	}
	for _, name := range a {
		if x, _ := f.Tensor(name); x.DType != safetensors.BF16 {
			t.Errorf("%s has type %s", name, x.DType)
		}
	}
}

// TestMergeRefused leaves everything as it was.
func TestMergeRefused(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	dir := t.TempDir()
	full := filepath.Dir(clitest.Write(t, filepath.Join(dir, "full", "thesis.txt"), "x"))
	changed := func(to float32) string {
		d := clitest.CopyDir(t, c.Path("adapter_final"))
		setFirst(t, filepath.Join(d, "adapter_model.safetensors"), "base_model.model.classifier.weight", to)
		return d
	}
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no adapter", []string{"--adapter="}, 2, []string{"--adapter is missing"}},
		{"no output", []string{"--output-dir="}, 2, []string{"--output-dir is missing"}},
		{"dtype", []string{"--dtype=int8"}, 2, []string{`--dtype is "int8"`, "bfloat16"}},
		{"not empty", []string{"--output-dir", full}, 2, []string{full, "--overwrite"}},
		{"over the model", []string{"--output-dir", c.Path("base"), "--overwrite"}, 2,
			[]string{"holds --model or --adapter"}},
		{"above the model", []string{"--output-dir", c.Path("."), "--overwrite"}, 2, []string{"holds --model or --adapter"}},
		{"not a model", []string{"--output-dir", full, "--overwrite"}, 2, []string{full, "other things than a model"}},
		{"over the adapter", []string{"--output-dir", c.Path("adapter_final"), "--overwrite"}, 2,
			[]string{"holds --model or --adapter"}},
		{"no parent", []string{"--output-dir", filepath.Join(dir, "a", "b")}, 2,
			[]string{"no directory", filepath.Join(dir, "a")}},
		{"file", []string{"--output-dir", filepath.Join(full, "thesis.txt")}, 2, []string{"not a directory"}},
		{"adapter that is none", []string{"--adapter", c.Path("base")}, 3, []string{"adapter_config.json"}},
		{"no such adapter", []string{"--adapter=none"}, 3, []string{"--adapter none", "no such directory"}},
		{"no such model", []string{"--model=none"}, 3, []string{"--model none", "no such directory"}},
		{"other model", []string{"--model", filepath.Join(clitest.Testdata, "bert", "all_embeddings", "base")}, 3,
			[]string{"another shape"}},
		{"too large for float16", []string{"--adapter", changed(70000), "--dtype=float16"}, 1,
			[]string{"classifier.weight", "1 values", "F16", "--dtype float32"}},
		{"threads", []string{"--threads=-1"}, 2, []string{"--threads is -1"}},
		{"argument", []string{"x"}, 2, []string{`unexpected argument "x"`}},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := clitest.Tree(t, dir)
			args := append(mergeArgs(c, filepath.Join(dir, "out")), x.args...)
			clitest.Run(t, adapter.Command, args...).Refused(t, x.code, append(x.want, "adapter merge: ")...)
			if after := clitest.Tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	nan := clitest.Run(t, adapter.Command, append(mergeArgs(c, filepath.Join(dir, "out")),
		"--adapter", changed(float32(math.NaN())))...)
	if nan.Code != cli.Failure || !strings.Contains(nan.Err, "classifier.weight has NaN") {
		t.Errorf("NaN: exit code %d\n%s", nan.Code, nan.Err)
	}
	clitest.Write(t, filepath.Join(full, "config.json"), "{}")
	clitest.OK(t, adapter.Command, mergeArgs(c, full, "--overwrite")...)
	if _, err := os.Stat(filepath.Join(full, "thesis.txt")); err == nil {
		t.Error("--overwrite has kept an older file")
	}
}

// setFirst changes the first value of a tensor of a file.
func setFirst(t *testing.T, path, name string, v float32) {
	t.Helper()
	list, _ := clitest.Tensors(t, path)
	for _, x := range list {
		if x.Name == name {
			binary.LittleEndian.PutUint32(x.Data, math.Float32bits(v))
		}
	}
	if err := safetensors.WriteFile(path, list, nil); err != nil {
		t.Fatal(err)
	}
}

type unwritable struct{}

func (unwritable) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestShow(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "word_embeddings"))
	r := clitest.OK(t, adapter.Command, "show", "--adapter", c.Path("adapter_final"))
	for _, want := range []string{`"task_type": "SEQ_CLS"`, "lora_embedding_A", "classifier.weight", "tensors, "} {
		if !strings.Contains(r.Out, want) {
			t.Errorf("lacks %q:\n%s", want, r.Out)
		}
	}
	var log clitest.Buffer
	if code := cli.Run(t.Context(), cli.Env{Out: unwritable{}, Err: &log}, adapter.Command,
		[]string{"show", "--adapter", c.Path("adapter_final")}); code != cli.Failure {
		t.Errorf("nothing can be written: exit code %d: %s", code, log.String())
	}
	clitest.Run(t, adapter.Command, "show").Refused(t, cli.Usage, "--adapter is missing")
	clitest.Run(t, adapter.Command, "show", "--adapter", c.Path("base")).Refused(t, cli.BadInput, "adapter_config.json")
}

// TestMergeHeads merges a classifier on a causal model.
func TestMergeHeads(t *testing.T) {
	for _, name := range []string{"gpt2_seq_cls", "llama_seq_cls"} {
		c := clitest.ReadCausal(t, "causal_heads/"+name)
		out := filepath.Join(t.TempDir(), "merged")
		clitest.OK(t, adapter.Command, "merge", "--model", c.Base, "--adapter", c.Path("adapter_final"), "--output-dir", out)
		r := clitest.OK(t, predict.Command, "seq-cls", "--model", out, "--input", c.LabelledFile(t), "--logits")
		want := golden.Open(t, c.Path("expected.safetensors")).Float32("merged.logits")
		var got []float32
		for _, row := range clitest.Lines[struct{ Logits []float32 }](t, r.Out) {
			got = append(got, row.Logits...)
		}
		if d := golden.MaxRel(got[:len(want)], want); d > 2e-5 {
			t.Errorf("%s: logits differ by %.1e of the largest", name, d)
		}
	}
}
