package multiplechoice_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// questionFile writes n questions with two to four choices, made of the texts of a fixture, to learn by heart.
func questionFile(t *testing.T, n int) string {
	t.Helper()
	type row struct {
		Text string `json:"text"`
	}
	texts := clitest.Lines[row](t, clitest.Read(t, clitest.Small(t).Path("train.jsonl")))
	var b strings.Builder
	for i := range n {
		choices := make([]string, 2+i%3)
		for k := range choices {
			choices[k] = texts[(i+7*k+1)%len(texts)].Text
		}
		line, err := json.Marshal(map[string]any{"id": fmt.Sprint("q", i),
			"context": fmt.Sprint(i, " ", strings.Fields(texts[i].Text)[0]), "choices": choices, "label": i % len(choices)})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", line)
	}
	return clitest.Write(t, filepath.Join(t.TempDir(), "questions.jsonl"), b.String())
}

func choiceArgs(t *testing.T, args ...string) []string {
	t.Helper()
	return append([]string{"multiple-choice", "--quiet", "--model", clitest.Small(t).Path("base"), "--train-file",
		questionFile(t, 24), "--batch-size=4"}, args...)
}

// TestMultipleChoiceOutput checks the files of a run, and predicts with them.
func TestMultipleChoiceOutput(t *testing.T) {
	out, test := filepath.Join(t.TempDir(), "out"), questionFile(t, 12)
	r := clitest.OK(t, finetune.Command, choiceArgs(t, "--max-steps=4", "--validation-split=0.25", "--test-file", test,
		"--output-dir", out)...)
	if list := clitest.Names(t, out); slices.Contains(list, "labels.json") ||
		!slices.Contains(list, "adapter_model.safetensors") {
		t.Errorf("files %v", list)
	}
	var config struct {
		TaskType      *string  `json:"task_type"`
		ModulesToSave []string `json:"modules_to_save"`
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "adapter_config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	if config.TaskType != nil || !slices.Equal(config.ModulesToSave, []string{"classifier"}) {
		t.Errorf("task type %v, modules to save %v", config.TaskType, config.ModulesToSave)
	}
	var results struct {
		Task   string             `json:"task"`
		Chance float64            `json:"chance_accuracy"`
		Test   map[string]float64 `json:"test"`
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "results.json"))), &results); err != nil {
		t.Fatal(err)
	}
	chance := (1./2 + 1./3 + 1./4) / 3
	if results.Task != "multiple-choice" || math.Abs(results.Chance-chance) > 1e-12 || len(results.Test) != 2 {
		t.Errorf("%+v, want the chance %v", results, chance)
	}
	if want := fmt.Sprintf("test, 12 rows: accuracy %.4f", results.Test["accuracy"]); !strings.Contains(r.Out, want) ||
		!strings.Contains(r.Out, "by guessing: accuracy 0.3611") {
		t.Errorf("the output lacks %q or the chance:\n%s", want, r.Out)
	}
	scores := filepath.Join(t.TempDir(), "m.json")
	p := clitest.OK(t, predict.Command, "multiple-choice", "--quiet", "--model", clitest.Small(t).Path("base"),
		"--adapter", out, "--input", test, "--metrics-file", scores)
	var metrics map[string]float64
	if err := json.Unmarshal([]byte(clitest.Read(t, scores)), &metrics); err != nil {
		t.Fatal(err)
	}
	if metrics["accuracy"] != results.Test["accuracy"] || math.Abs(metrics["loss"]-results.Test["loss"]) > 1e-12 {
		t.Errorf("predict has %v, finetune had %v", metrics, results.Test)
	}
	if n := strings.Count(p.Out, "\n"); n != 12 {
		t.Errorf("%d predictions", n)
	}
}

// TestMultipleChoiceResume checks that a run that continues from any checkpoint ends with the bytes of one that was
// never stopped, with any number of threads.
func TestMultipleChoiceResume(t *testing.T) {
	args := choiceArgs(t, "--max-steps=5", "--gradient-accumulation-steps=2", "--dropout=0.1", "--lora-dropout=0.2",
		"--validation-split=0.25", "--eval-steps=2", "--save-steps=1", "--keep-checkpoints=0")
	whole := filepath.Join(t.TempDir(), "whole")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", whole)...)
	compare := func(dir string) {
		t.Helper()
		for _, name := range []string{"adapter_model.safetensors", "adapter_config.json"} {
			if clitest.Read(t, filepath.Join(dir, name)) != clitest.Read(t, filepath.Join(whole, name)) {
				t.Errorf("%s has other bytes than that of the run without a stop", name)
			}
		}
		if a, b := clitest.Metrics(t, dir), clitest.Metrics(t, whole); a != b {
			t.Errorf("metrics.jsonl is\n%s\nwant\n%s", a, b)
		}
	}
	for _, from := range []string{"checkpoint-1", "checkpoint-4"} {
		other := filepath.Join(t.TempDir(), "other")
		clitest.OK(t, finetune.Command, append(args, "--output-dir", other, "--threads=1", "--resume-from-checkpoint",
			filepath.Join(whole, from))...)
		compare(other)
	}
	dir := filepath.Join(t.TempDir(), "stopped")
	if r := clitest.StopAfterFirstStep(t, finetune.Command,
		append(args, "--output-dir", dir)...); r.Code != cli.Cancelled {
		t.Fatalf("exit code %d\n%s", r.Code, r.Err)
	}
	clitest.OK(t, finetune.Command, append(args, "--resume-from-checkpoint", dir)...)
	compare(dir)
	for change, want := range map[string]string{"--max-train-samples=11": "training data",
		"--max-length=9": "max_length", "--truncation=only_second": "truncation"} {
		if r := clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", whole,
			change)...); r.Code != cli.Usage || !strings.Contains(r.Err, want) {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s", change, r.Code, want, r.Err)
		}
	}
}

// TestMultipleChoiceEmptyChoice trains on a row with an empty choice, and says so.
func TestMultipleChoiceEmptyChoice(t *testing.T) {
	args := choiceArgs(t, "--max-steps=1", "--output-dir", filepath.Join(t.TempDir(), "out"))
	file := args[slices.Index(args, "--train-file")+1]
	clitest.Write(t, file, clitest.Read(t, file)+`{"context":"c","choices":["a",""],"label":0}`+"\n")
	if r := clitest.OK(t, finetune.Command, args...); !strings.Contains(r.Err, ":25: 1 row with an empty choice") {
		t.Errorf("no warning:\n%s", r.Err)
	}
}

// TestMultipleChoiceRefused gives wrong flags and files.
func TestMultipleChoiceRefused(t *testing.T) {
	c := clitest.Small(t)
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	row := `{"context":"good","choices":["a","b"],"label":1}` + "\n"
	seqCls := c.Path("adapter_final")
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no file", []string{"--train-file", "none.csv"}, 3, []string{"none.csv", "no such file"}},
		{"empty file", []string{"--train-file", file("e.jsonl", "")}, 3, []string{"e.jsonl", "empty"}},
		{"label outside the choices", []string{"--train-file", file("l.jsonl", row+strings.Replace(row, "1}", "2}", 1))}, 3,
			[]string{"l.jsonl:2", "the label 2 is none of the 2 choices"}},
		{"one choice", []string{"--train-file", file("o.jsonl", strings.Replace(row, `"a",`, "", 1))}, 3,
			[]string{"o.jsonl:1", "it needs at least two"}},
		{"no label", []string{"--train-file", file("n.csv", "context,ending0,ending1\na,b,c\n")}, 3,
			[]string{"n.csv:1", "--label-column"}},
		{"wrong column", []string{"--choices-column", "x,y"}, 3, []string{"--choices-column", `"x"`}},
		{"plain text", []string{"--train-file", file("t.txt", "a\n")}, 2, []string{"plain text, which has no choices"}},
		{"first index", []string{"--first-index", "2"}, 2, []string{"want 0 or 1"}},
		{"format", []string{"--format", "swag"}, 2, []string{`"swag" is none of csv, tsv, jsonl, codah`}},
		{"truncation", []string{"--truncation", "middle"}, 2, []string{`--truncation is "middle"`}},
		{"no room", []string{"--max-length", "2"}, 2, []string{"--max-length is 2", "special tokens"}},
		{"length", []string{"--max-length", "99"}, 2, []string{"--max-length is 99; want 1 to 40, the positions"}},
		{"split", []string{"--validation-split", "0.999"}, 2, []string{"--validation-split", "share no context"}},
		{"metric", []string{"--validation-split", "0.3", "--metric-for-best-model", "f1"}, 2,
			[]string{`--metric-for-best-model is "f1"; want one of accuracy, loss`}},
		{"batch", []string{"--batch-size", "0"}, 2, []string{"--batch-size is 0", "16"}},
		{"a choice that cannot be cut", []string{"--max-length=5", "--truncation=only_second"}, 3,
			[]string{"questions.jsonl:1: cannot be tokenised: only_second cannot shorten"}},
		{"an adapter with another head", []string{"--adapter", seqCls}, 3, []string{"classifier"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "a", "b")
			args := append(choiceArgs(t, "--max-steps=1", "--output-dir", out), x.args...)
			clitest.Run(t, finetune.Command, args...).Refused(t, x.code, append(x.want, "finetune multiple-choice: ")...)
			clitest.NothingIn(t, filepath.Dir(filepath.Dir(out)))
		})
	}
	clitest.Run(t, finetune.Command, "multiple-choice", "--context-column", "x").Refused(t, cli.Usage,
		"--context-column needs --train-file")
}

// TestMultipleChoiceOverfit learns questions by heart.
func TestMultipleChoiceOverfit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	args := choiceArgs(t, "--max-steps=60", "--learning-rate=0.02", "--max-train-samples=8",
		"--target-modules=all-linear", "--dropout=0", "--output-dir", out)
	clitest.OK(t, finetune.Command, args...)
	type step struct {
		Loss float64 `json:"loss"`
	}
	steps := clitest.Lines[step](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl")))
	if first, last := steps[0].Loss, steps[len(steps)-1].Loss; !(first > 0.7 && last < 0.05) {
		t.Errorf("loss %v, then %v", first, last)
	}
}
