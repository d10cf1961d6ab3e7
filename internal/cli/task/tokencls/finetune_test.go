package tokencls_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// tokenBase is a small checkpoint without a head.
var tokenBase = filepath.Join(clitest.Testdata, "bert", "save_pooler", "base")

// sentences are tagged words that the small checkpoint knows.
const sentences = "we\tO\nfound\tO\nold\tB-MISC\nbank\tI-MISC\n\nnew\tB-ORG\nbook\tO\n\nthe\tO\nfilm\tB-MISC\n" +
	"was\tO\ngreat\tO\n\nit\tO\nwas\tO\nnot\tO\nvery\tO\ngood\tO\n\nthey\tO\nsend\tO\nmoney\tB-ORG\nto\tI-ORG\n" +
	"bank\tI-ORG\n\npay\tO\nlate\tO\n\nyou\tO\nlost\tO\ncard\tB-MISC\n\n"

// tokenArgs returns the flags of a short run on a small checkpoint, with a file of sentences.
func tokenArgs(t *testing.T, more ...string) []string {
	t.Helper()
	file := clitest.Write(t, filepath.Join(t.TempDir(), "train.conll"), sentences)
	return append([]string{"token-cls", "--model", tokenBase, "--train-file", file, "--batch-size=2", "--max-steps=3"},
		more...)
}

// TestOutput looks at every file that a run leaves.
func TestOutput(t *testing.T) {
	out, test := filepath.Join(t.TempDir(), "out"), clitest.Write(t, filepath.Join(t.TempDir(), "test.conll"), sentences)
	r := clitest.OK(t, finetune.Command, tokenArgs(t, "--output-dir", out, "--max-steps=60", "--eval-steps=30",
		"--eval-file", test, "--test-file", test, "--learning-rate=0.02",
		"--target-modules=all-linear")...)
	want := []string{"adapter_config.json", "adapter_model.safetensors", "labels.json", "metrics.jsonl", "results.json"}
	got := slices.DeleteFunc(clitest.Names(t, out),
		func(n string) bool { return n == "last" || strings.HasPrefix(n, "checkpoint-") })
	if !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v", got, want)
	}
	if text := clitest.Read(t, filepath.Join(out, "labels.json")); !strings.Contains(text, `"token_classification"`) ||
		!strings.Contains(strings.Join(strings.Fields(text), ""), `["B-MISC","B-ORG","I-MISC","I-ORG","O"]`) {
		t.Errorf("labels.json is %s", text)
	}
	if text := clitest.Read(t, filepath.Join(out, "adapter_config.json")); !strings.Contains(text, `"TOKEN_CLS"`) {
		t.Errorf("adapter_config.json is %s", text)
	}
	var results struct {
		Problem   string `json:"problem_type"`
		Test      map[string]float64
		TestTypes []struct {
			Type    string
			F1      float64
			Targets int
		} `json:"test_types"`
		EvalTypes []any `json:"eval_types"`
		Train     struct {
			BestMetric string `json:"best_metric"`
		}
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "results.json"))), &results); err != nil {
		t.Fatal(err)
	}
	if results.Problem != "token_classification" || results.Train.BestMetric != "f1" || len(results.Test) != 5 ||
		len(results.TestTypes) != 2 || len(results.EvalTypes) != 2 {
		t.Fatalf("results.json has %+v", results)
	}
	if x := results.TestTypes[0]; x.Type != "MISC" || x.Targets != 3 {
		t.Errorf("types %+v", results.TestTypes)
	}
	if results.Test["f1"] < 0.9 {
		t.Errorf("f1 on the training sentences %v", results.Test["f1"])
	}
	for _, text := range []string{"trained 60 steps", "best evaluation", "test, 7 rows: f1 ", "adapter: " + out} {
		if !strings.Contains(r.Out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.Out)
		}
	}
	for _, text := range []string{"tags of the scheme IOB2 (guessed from the tags), 5 labels", "test, MISC: precision "} {
		if !strings.Contains(r.Err, text) {
			t.Errorf("standard error lacks %q:\n%s", text, r.Err)
		}
	}
	numbers := clitest.Write(t, filepath.Join(t.TempDir(), "numbers.jsonl"),
		`{"tokens": ["we", "lost"], "ner_tags": [0, 2]}`+"\n")
	if r := clitest.OK(t, finetune.Command, "token-cls", "--model", clitest.Small(t).Path("base"), "--labels=0,1,2",
		"--train-file", numbers, "--max-steps=1", "--output-dir", filepath.Join(t.TempDir(), "n")); !strings.Contains(r.Err,
		"the tags are numbers, so they spell no entities; --labels gives their names") {
		t.Errorf("standard error of numbers:\n%s", r.Err)
	}
	// The labels come from the adapter, which knows tags that the new sentences have not.
	next := filepath.Join(t.TempDir(), "next")
	few := clitest.Write(t, filepath.Join(t.TempDir(), "few.conll"), "we\tO\nlost\tB-ORG\n")
	clitest.OK(t, finetune.Command, "token-cls", "--model", tokenBase, "--train-file", few, "--adapter", out,
		"--max-steps=1", "--output-dir", next)
	if a, b := clitest.Read(t, filepath.Join(next, "labels.json")),
		clitest.Read(t, filepath.Join(out, "labels.json")); a != b {
		t.Errorf("labels.json is %s, that of the adapter %s", a, b)
	}
}

// TestParity trains through the command as PEFT did and compares every step and the adapter that comes out.
func TestParity(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "minilm_tokens"))
	args := c.LoopArgs("token-cls")
	c.Train(t, finetune.Command, append(args, "--train-file", c.Path("train.jsonl"), "--adapter",
		c.Path("adapter_init"))...)
}

// TestResume stops a run, goes on, and compares with a run that was never stopped.
func TestResume(t *testing.T) {
	args := tokenArgs(t, "--max-steps=5", "--gradient-accumulation-steps=2", "--dropout=0.1", "--lora-dropout=0.2",
		"--validation-split=0.3", "--eval-steps=2", "--label-all-tokens",
		"--max-length=5", "--stride=1", "--class-weights=balanced", "--label-smoothing-factor=0.1", "--save-steps=1",
		"--keep-checkpoints=0")
	whole, stopped := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "stopped")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", whole)...)
	r := clitest.StopAfterFirstStep(t, finetune.Command, append(args, "--output-dir", stopped)...)
	if r.Code != cli.Cancelled || !strings.Contains(r.Err, "--resume-from-checkpoint "+stopped) {
		t.Fatalf("exit code %d, want %d\n%s", r.Code, cli.Cancelled, r.Err)
	}
	if !slices.Contains(clitest.Names(t, stopped), "adapter_model.safetensors") {
		t.Errorf("no adapter among %v", clitest.Names(t, stopped))
	}
	clitest.OK(t, finetune.Command, append(args, "--threads=1", "--resume-from-checkpoint", stopped)...)
	for _, name := range []string{"adapter_model.safetensors", "adapter_config.json", "labels.json"} {
		if clitest.Read(t, filepath.Join(stopped, name)) != clitest.Read(t, filepath.Join(whole, name)) {
			t.Errorf("%s has other bytes than that of the run without a stop", name)
		}
	}
	if a, b := clitest.Metrics(t, stopped), clitest.Metrics(t, whole); a != b {
		t.Errorf("metrics.jsonl is\n%s\nwant\n%s", a, b)
	}
	for _, change := range []struct{ flag, want string }{
		{"--max-length=9", "max_length"}, {"--stride=0", "stride"}, {"--label-all-tokens=false", "label_all_tokens"},
		{"--seqeval-mode=strict", "seqeval_mode"},
		{"--max-train-samples=5", "training data"}, {"--label-smoothing-factor=0.2", "label_smoothing_factor"},
		{"--scheme=IOB1", "labels"},
	} {
		r := clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", whole, change.flag)...)
		if r.Code != cli.Usage || !strings.Contains(r.Err, change.want) {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s", change.flag, r.Code, change.want, r.Err)
		}
	}
}

// TestRemarks checks the warnings of a run about results and data.
func TestRemarks(t *testing.T) {
	write := func(name, text string) string { return clitest.Write(t, filepath.Join(t.TempDir(), name), text) }
	outside := write("o.conll", "we\tO\npay\tO\n")
	for _, x := range []struct {
		name string
		args []string
		want []string
	}{
		{"nothing predicted", []string{"--eval-file", write("eval.conll", sentences), "--eval-steps=30", "--max-steps=30",
			"--learning-rate=0.1", "--class-weights=0,0,0,0,1"},
			[]string{"eval: not one entity is predicted for 25 words, which have 5", "Likely causes", "learning rate"}},
		{"no entities", []string{"--test-file", outside, "--learning-rate=0"},
			[]string{"test: none of the 2 words is in an entity"}},
		{"repaired", []string{"--train-file", write("r.conll", "we\tO\nbank\tI-ORG\nbook\tO\nnew\tB-ORG\n")},
			[]string{"1 tag that did not fit", "repaired", "IOB2"}},
		{"cut", []string{"--max-length=4", "--stride=-1"}, []string{"longer than 4 tokens and were cut", "words are lost"}},
		{"windows", []string{"--max-length=5"}, []string{"longer than 5 tokens and are read in windows"}},
		{"tokenless", []string{"--train-file", write("t.conll", "we\tO\n\u200b\tB-ORG\nbank\tO\n")},
			[]string{"1 words have no token of their own, 1 of them tagged"}},
		{"parts of speech", []string{"--train-file",
			write("p.conllu", "1\twe\twe\tPRON\t_\t_\t0\troot\t_\t_\n2\tpay\tpay\tVERB\t_\t_\t0\troot\t_\t_\n\n"),
			"--test-file",
			write("p.conllu", "1\twe\twe\tPRON\t_\t_\t0\troot\t_\t_\n2\tpay\tpay\tVERB\t_\t_\t0\troot\t_\t_\n\n")},
			[]string{"tags that spell no entities", "2 labels"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := clitest.OK(t, finetune.Command, tokenArgs(t,
				append(x.args, "--output-dir", filepath.Join(t.TempDir(), "out"))...)...)
			for _, want := range x.want {
				if !strings.Contains(r.Err, want) {
					t.Errorf("standard error lacks %q:\n%s", want, r.Err)
				}
			}
			if x.name == "parts of speech" && !strings.Contains(r.Out, "test, 1 rows: accuracy ") {
				t.Errorf("standard output: %s", r.Out)
			}
		})
	}
}

var warning = regexp.MustCompile(`(?m)^WARN: .*\n`)

// TestRefused gives flags that have no meaning, and files, columns, tags and labels that are wrong.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	good := file("good.conll", sentences)
	seqCls := filepath.Join(clitest.Testdata, "bert", "save_pooler", "adapter_init")
	other := clitest.CopyDir(t, seqCls)
	clitest.Write(t, filepath.Join(other, "labels.json"),
		`{"problem_type": "single_label_classification", "labels": ["a", "b", "c", "d"]}`)
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"scheme", []string{"--scheme", "BEO"}, 2, []string{`"BEO"`, "IOB2"}},
		{"mode", []string{"--seqeval-mode", "loose"}, 2, []string{`--seqeval-mode is "loose"`}},
		{"strict plain", []string{"--seqeval-mode", "strict", "--scheme", "none"}, 2, []string{"strict"}},
		{"stride", []string{"--stride", "-2"}, 2, []string{"--stride is -2"}},
		{"length", []string{"--max-length", "99"}, 2, []string{"--max-length is 99"}},
		{"no room", []string{"--max-length", "2"}, 3, []string{"good.conll", "room"}},
		{"weights", []string{"--class-weights", "1,2"}, 2, []string{"--class-weights has 2 weights for 5 classes"}},
		{"metric", []string{"--validation-split", "0.3", "--metric-for-best-model", "macro_f1"}, 2,
			[]string{`--metric-for-best-model is "macro_f1"`, "f1"}},
		{"both columns", []string{"--tokens-column", "a", "--text-column", "b"}, 2,
			[]string{"--tokens-column", "--text-column"}},
		{"no train file", []string{"--train-file", "none.conll"}, 3, []string{"none.conll", "no such file"}},
		{"directory", []string{"--train-file", dir}, 3, []string{dir, "directory"}},
		{"empty", []string{"--train-file", file("empty.conll", "")}, 3, []string{"empty.conll", "empty"}},
		{"unknown ending", []string{"--train-file", file("data.xyz", sentences)}, 2, []string{"data.xyz", "--format"}},
		{"no tags", []string{"--train-file", file("bare.jsonl", `{"tokens": ["a"]}`+"\n")}, 3,
			[]string{"bare.jsonl", "--tags-column"}},
		{"wrong column", []string{"--train-file", file("cols.jsonl", `{"tokens": ["a"], "tags": ["O"]}`+"\n"),
			"--tags-column", "ner"}, 3, []string{"cols.jsonl", `"ner"`, "tags"}},
		{"number of tags", []string{"--train-file", file("len.jsonl", `{"tokens": ["a", "b"], "tags": ["O"]}`+"\n")}, 3,
			[]string{"len.jsonl:1", "2", "1"}},
		{"mixed tags", []string{"--train-file", file("mixed.conll", "a\tB-X\nb\tPER\n")}, 3,
			[]string{"mixed.conll:1", `"PER"`, "--scheme none"}},
		{"strict tags", []string{"--train-file", file("odd.conll", "a\tO\nb\tI-X\n\nc\tB-X\nd\tI-X\n"), "--strict"}, 3,
			[]string{"odd.conll:1", "word 1", "I-X", "B-X", "--strict"}},
		{"tag of the evaluation", []string{"--eval-file", file("eval.conll", "a\tO\n\nb\tB-LOC\n")}, 3,
			[]string{"eval.conll:3", `"B-LOC"`, "B-MISC"}},
		{"labels", []string{"--labels", "O,B-ORG"}, 3, []string{"good.conll:1", `"B-MISC"`}},
		{"classifier of sequences", []string{"--adapter", other}, 3, []string{"another task", "single_label_classification"}},
		{"adapter of sequences", []string{"--adapter", seqCls, "--labels", "O,B-MISC,I-MISC,B-ORG,I-ORG"}, 3,
			[]string{"head of the adapter has 4 outputs", "--labels"}},
		{"nothing left", []string{"--train-file", file("none.conll", "\u200b\tO\n")}, 3,
			[]string{"none.conll", "a tag and a token"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := append([]string{"token-cls", "--quiet", "--model", tokenBase, "--train-file", good, "--max-steps=1",
				"--output-dir", out}, x.args...)
			r := clitest.Run(t, finetune.Command, args...)
			r.Err = warning.ReplaceAllString(r.Err, "") // that the data are odd is said before
			r.Refused(t, x.code, append(x.want, "finetune token-cls: ")...)
			clitest.NothingIn(t, filepath.Dir(out))
		})
	}
	clitest.Run(t, finetune.Command, "token-cls", "--tags-column", "x").Refused(t, cli.Usage,
		"--tags-column needs --train-file")
}
