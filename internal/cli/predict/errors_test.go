package predict_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
)

// nothingIn fails if a command that was refused has left anything behind.
func nothingIn(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestSeqClsRefused(t *testing.T) {
	c := fixture(t, "query_value")
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	in := file("in.jsonl", "{\"text\": \"good\"}\n")
	copyWith := func(name, text string) string {
		d := clitest.CopyDir(t, c.Path("adapter_final"))
		clitest.Write(t, filepath.Join(d, name), text)
		return d
	}
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no input file", []string{"--input", "none.csv"}, 3, []string{": none.csv: there is no such file\n"}},
		{"directory", []string{"--input", dir}, 3, []string{dir, "directory"}},
		{"empty file", []string{"--input", file("empty.csv", "")}, 3, []string{"empty.csv", "empty"}},
		{"wrong column", []string{"--input", file("a.csv", "x,y\na,b\n")}, 3, []string{"a.csv", "--text-column"}},
		{"wrong label", []string{"--input", file("b.csv", "text,label\na,good\n")}, 3,
			[]string{"b.csv:2", `"good"`, "--no-labels"}},
		{"two labels", []string{"--input", file("two.csv", "text,category,class\na,x,y\n")}, 3,
			[]string{"two.csv:1", `the label may be "category" or "class"`, "--label-column (or --no-labels)"}},
		{"no labels for metrics", []string{"--input", in, "--metrics-file", filepath.Join(dir, "m.json")}, 3,
			[]string{"in.jsonl", "no row has a label"}},
		{"two inputs", []string{"--input", in, "--text", "a"}, 2, []string{"--input and --text"}},
		{"pairs", []string{"--text", "a", "--text-pair", "b", "--text-pair", "c"}, 2,
			[]string{"--text-pair is given 2 times for 1 times --text"}},
		{"columns of texts", []string{"--text", "a", "--text-column", "b"}, 2, []string{"--text-column is for files"}},
		{"metrics of texts", []string{"--text", "a", "--metrics-file", "m"}, 2, []string{"--metrics-file"}},
		{"labels and none", []string{"--input", in, "--no-labels", "--label-column", "x"}, 2, []string{"--no-labels"}},
		{"length", []string{"--input", in, "--max-length", "50"}, 2, []string{"--max-length is 50", "1 to 40"}},
		{"no room", []string{"--input", in, "--max-length", "1"}, 2, []string{"--max-length is 1", "special tokens"}},
		{"tokens", []string{"--input", in, "--tokens-per-batch", "0"}, 2, []string{"--tokens-per-batch is 0"}},
		{"threads", []string{"--input", in, "--threads", "-2"}, 2, []string{"--threads is -2"}},
		{"truncation", []string{"--input", in, "--truncation", "x"}, 2, []string{"--truncation"}},
		{"unknown flag", []string{"--inptu", in}, 2, []string{"unknown flag: --inptu", "input"}},
		{"output is the input", []string{"--input", in, "--output", in, "--overwrite"}, 2, []string{"this is the input"}},
		{"output exists", []string{"--input", in, "--output", file("there.jsonl", "x")}, 2,
			[]string{"there.jsonl", "exists", "--overwrite"}},
		{"output is a directory", []string{"--input", in, "--output", dir}, 2, []string{"directory"}},
		{"no directory for the output", []string{"--input", in, "--output", filepath.Join(dir, "no", "out")}, 2,
			[]string{"no directory", filepath.Join(dir, "no")}},
		{"metrics exist", []string{"--input", c.Path("train.jsonl"), "--metrics-file", file("m2.json", "x")}, 2,
			[]string{"m2.json", "exists"}},
		{"no adapter", []string{"--input", in, "--adapter", "none"}, 3, []string{"--adapter none", "no such directory"}},
		{"model as adapter", []string{"--input", in, "--adapter", c.Path("base")}, 3, []string{"adapter_config.json"}},
		{"adapter as model", []string{"--input", in, "--model", c.Path("adapter_final")}, 3, []string{"this is an adapter"}},
		{"no model", []string{"--input", in, "--model", "none"}, 3, []string{"--model none", "no such directory"}},
		{"problem type", []string{"--input", in, "--problem-type", "x"}, 2, []string{`"x"`}},
		{"regression of three", []string{"--input", in, "--problem-type", "regression"}, 3,
			[]string{"regression has one output", "3"}},
		{"labels of another size", []string{"--input", in, "--adapter", copyWith("labels.json", `["a", "b"]`)}, 3,
			[]string{"labels.json names 2 classes", "3 outputs"}},
		{"damaged labels", []string{"--input", in, "--adapter", copyWith("labels.json", `{"x": 1}`)}, 3,
			[]string{"labels.json"}},
		{"damaged adapter", []string{"--input", in, "--adapter", copyWith("adapter_model.safetensors", "x")}, 3,
			[]string{"adapter_model.safetensors"}},
		{"other task", []string{"--input", in, "--adapter", copyWith("adapter_config.json",
			strings.Replace(clitest.Read(t, c.Path("adapter_final/adapter_config.json")), "SEQ_CLS", "TOKEN_CLS", 1))}, 3,
			[]string{"TOKEN_CLS"}},
		{"problem type of the labels", []string{"--input", in,
			"--adapter", copyWith("labels.json", `{"problem_type": "single_label_classification", "labels": ["a", "b", "c"]}`),
			"--problem-type", "multi_label"}, 2, []string{"labels.json says single_label"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := clitest.Tree(t, dir)
			args := append([]string{"seq-cls", "--quiet", "--model", c.Path("base"),
				"--adapter", c.Path("adapter_final")}, x.args...)
			clitest.Run(t, predict.Command, args...).Refused(t, x.code, append(x.want, "predict seq-cls: ")...)
			if after := clitest.Tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	env := cli.Env{Out: new(clitest.Buffer), Err: new(clitest.Buffer), InTerminal: true}
	if code := cli.Run(t.Context(), env, predict.Command,
		[]string{"seq-cls", "--model", c.Path("base")}); code != cli.Usage {
		t.Errorf("nothing to read: exit code %d, want 2", code)
	}
}

// TestStopped writes nothing after a signal.
func TestStopped(t *testing.T) {
	c := fixture(t, "query_value")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "out.jsonl")
	for _, args := range [][]string{seqCls(c, "--input", c.Path("train.jsonl"), "--output", out),
		{"tokenize", "--input", c.Path("train.jsonl"), "--output", out}} {
		clitest.RunWith(t, ctx, "", predict.Command, args...).Refused(t, cli.Cancelled,
			": stopped by a signal before the end\n")
		nothingIn(t, filepath.Dir(out))
	}
}
