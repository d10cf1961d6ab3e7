// Package toy_test adds a task type that no binary has to the commands, by its descriptor alone, and runs all of them:
// a new task type is a folder. task_test.go is what would be in tasks/<name>, command_test.go what would be in
// internal/cli/task/<name>.
package toy_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/all"
	"github.com/spalora/spalora/tasks"
)

// model is a small BERT, and peftAdapter one of PEFT for it that classifies sequences.
var (
	model       = filepath.Join(clitest.Testdata, "bert", "query_value", "base")
	peftAdapter = filepath.Join(clitest.Testdata, "bert", "query_value", "adapter_final")
)

// with returns a command for the task types of the binaries and the toy.
func with(command func([]task.Descriptor, cli.Env) *cobra.Command) clitest.Command {
	return func(env cli.Env) *cobra.Command { return command(append(all.Tasks(), length), env) }
}

// words returns a file with texts of 1 to 12 words.
func words(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	list := strings.Fields("card good book time film day pay late lost find")
	for i := range 48 {
		for j := range 1 + i*5%12 {
			fmt.Fprint(&b, list[(i*7+j*3)%len(list)], " ")
		}
		b.WriteByte('\n')
	}
	return clitest.Write(t, filepath.Join(t.TempDir(), "texts.txt"), b.String())
}

// trainArgs returns the flags of a run of 30 steps on a small BERT.
func trainArgs(texts, out string, more ...string) []string {
	return append([]string{"toy-length", "--model", model, "--train-file", texts, "--test-file", texts,
		"--validation-split=0.25", "--long-from=6", "--max-steps=30", "--eval-steps=10", "--batch-size=12",
		"--learning-rate=0.01", "--dropout=0.1", "--output-dir", out}, more...)
}

func TestHelp(t *testing.T) {
	for _, x := range []struct {
		command clitest.Command
		args    []string
		want    string
	}{
		{with(finetune.Of), []string{"--help"}, "\n  toy-length "},
		{with(predict.Of), []string{"--help"}, "\n  toy-length "},
		{with(finetune.Of), []string{"toy-length", "--help"}, "--long-from"},
		{with(predict.Of), []string{"toy-length", "--help"}, "--long-from"},
		{with(adapter.Of), []string{"merge", "--help"}, "toy-length"},
	} {
		if r := clitest.OK(t, x.command, x.args...); !strings.Contains(r.Out, x.want) {
			t.Errorf("%v: the help lacks %q:\n%s", x.args, x.want, r.Out)
		}
	}
	clitest.Run(t, with(finetune.Of), "toy-length", "--output-dir", t.TempDir()).
		Refused(t, cli.Usage, "--train-file is missing")
}

// TestCommands trains an adapter of the toy, stops and resumes another one, and predicts with it, attached and merged.
func TestCommands(t *testing.T) {
	texts, dir := words(t), t.TempDir()
	trained := filepath.Join(dir, "trained")
	clitest.OK(t, with(finetune.Of), trainArgs(texts, trained)...)
	steps := clitest.Lines[clitest.Step](t, clitest.Metrics(t, trained))
	steps = slices.DeleteFunc(steps, func(s clitest.Step) bool { return s.Loss == 0 }) // evaluations
	if n := len(steps); n != 30 || !(steps[n-1].Loss < 0.7*steps[0].Loss) {
		t.Errorf("%d steps, loss from %v to %v; want 30 and a fall", n, steps[0].Loss, steps[n-1].Loss)
	}
	var results struct {
		Task string
		Long int `json:"long_from"`
		Test map[string]float64
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(trained, "results.json"))), &results); err != nil {
		t.Fatal(err)
	}
	if results.Task != "toy-length" || results.Long != 6 || !(results.Test["right"] > 0.8) {
		t.Errorf("results.json has %+v", results)
	}
	shown := clitest.OK(t, with(adapter.Of), "show", "--adapter", trained).Out
	for _, want := range []string{"2 classes: short, long", "use: length detection", "long-from: 6", `"task_type": null`} {
		if !strings.Contains(shown, want) {
			t.Errorf("the adapter lacks %q:\n%s", want, shown)
		}
	}
	t.Run("resume", func(t *testing.T) { resume(t, texts, trained) })
	t.Run("predict", func(t *testing.T) { predictAndMerge(t, texts, trained, results.Test["right"]) })
	t.Run("unknown", func(t *testing.T) { unknown(t, trained) })
}

// resume stops a run and continues it: the adapter has the bits of the run that was not stopped.
func resume(t *testing.T, texts, whole string) {
	out := filepath.Join(t.TempDir(), "out")
	if r := clitest.StopAfterFirstStep(t, with(finetune.Of), trainArgs(texts, out)...); r.Code != cli.Cancelled {
		t.Fatalf("exit code %d\n%s", r.Code, r.Err)
	}
	args := trainArgs(texts, out, "--quiet", "--resume-from-checkpoint", out)
	clitest.Run(t, with(finetune.Of), append(args, "--long-from=5")...).Refused(t, cli.Usage, `long_from is "5", was "6"`)
	clitest.OK(t, with(finetune.Of), args...)
	for _, name := range []string{"adapter_model.safetensors", "adapter_config.json", "labels.json"} {
		if clitest.Read(t, filepath.Join(out, name)) != clitest.Read(t, filepath.Join(whole, name)) {
			t.Errorf("%s differs from that of the run without a stop", name)
		}
	}
	if clitest.Metrics(t, out) != clitest.Metrics(t, whole) {
		t.Error("metrics.jsonl differs from that of the run without a stop")
	}
}

// predictAndMerge predicts with base and adapter, by command and by the package spalora, and with the merged model.
func predictAndMerge(t *testing.T, texts, trained string, right float64) {
	r := clitest.OK(t, with(predict.Of), "toy-length", "--model", model, "--adapter", trained, "--input", texts)
	attached := clitest.Lines[row](t, r.Out)
	if len(attached) != 48 || !strings.Contains(r.Err, fmt.Sprintf("48 labelled rows: right %.4f", right)) {
		t.Errorf("%d rows, want 48 with the metrics of the test, %v:\n%s", len(attached), right, r.Err)
	}
	m, err := spalora.Open(trained, spalora.WithBase(model), spalora.WithKinds(append(spalora.Kinds(), lengthKind)))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if d, err := spalora.Predictor[*detector](m); err != nil || m.Task() != "toy-length" || d.LongFrom != 6 {
		t.Errorf("opened %s with %+v, %v", m.Task(), d, err)
	}
	merged := filepath.Join(t.TempDir(), "merged")
	clitest.OK(t, with(adapter.Of), "merge", "--model", model, "--adapter", trained, "--output-dir", merged)
	r = clitest.OK(t, with(predict.Of), "toy-length", "--model", merged, "--long-from=6", "--input", texts)
	for i, got := range clitest.Lines[row](t, r.Out) {
		want := attached[i]
		if got.Label != want.Label || math.Abs(float64(got.Logit-want.Logit)) > tasks.MergeBound*10 {
			t.Errorf("row %d: merged %v, attached %v", i, got, want)
		}
	}
}

// unknown gives the adapter of the toy to commands that do not have the toy, and PEFT's to those that have.
func unknown(t *testing.T, trained string) {
	out := filepath.Join(t.TempDir(), "out")
	clitest.Run(t, adapter.Command, "merge", "--model", model, "--adapter", trained, "--output-dir", out).
		Refused(t, cli.BadInput, trained, "length detection", "seq-cls")
	clitest.Run(t, predict.Command, "seq-cls", "--model", model, "--adapter", trained, "--text=a").
		Refused(t, cli.BadInput, trained, "length detection")
	_, err := spalora.Open(trained, spalora.WithBase(model))
	if err == nil || !strings.Contains(err.Error(), "length detection") {
		t.Errorf("the package spalora opens it: %v", err)
	}
	clitest.OK(t, with(adapter.Of), "merge", "--model", model, "--adapter", peftAdapter, "--output-dir", out)
	clitest.Run(t, with(predict.Of), "toy-length", "--model", model, "--adapter", peftAdapter, "--text=a").
		Refused(t, cli.BadInput, "SEQ_CLS", "length detection")
}
