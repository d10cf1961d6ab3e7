package finetune_test

import (
	"encoding/binary"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/files"
)

// TestOutput looks at every file that a run leaves.
func TestOutput(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new", "dir")
	r := clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", out, "--max-steps=6", "--eval-steps=2",
		"--validation-split=0.3", "--save-steps=3",
		"--batch-size=8", "--learning-rate=0.01", "--metric-for-best-model=eval_loss", "--test-file",
		clitest.Small(t).Path("train.jsonl"))...)
	want := []string{"adapter_config.json", "adapter_model.safetensors", "checkpoint-3", "checkpoint-6", "labels.json",
		"metrics.jsonl", "results.json"}
	if got := slices.DeleteFunc(clitest.Names(t, out),
		func(n string) bool { return n == "last" }); !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v and perhaps last", got, want)
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "adapter_config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"task_type": "SEQ_CLS", "r": 8.0, "lora_alpha": 16.0, "peft_type": "LORA",
		"base_model_name_or_path": clitest.Small(t).Path("base")} {
		if config[key] != want {
			t.Errorf("adapter_config.json: %s is %v, want %v", key, config[key], want)
		}
	}
	for _, key := range []string{"exclude_modules", "init_lora_weights", "eva_config", "rank_pattern"} {
		if _, ok := config[key]; ok {
			t.Errorf("adapter_config.json has %s, which is PEFT's default", key)
		}
	}
	lines := clitest.Lines[map[string]float64](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl")))
	steps, evaluations := 0, 0
	for _, l := range lines {
		keys := []string{"step", "epoch", "loss", "grad_norm", "learning_rate", "tokens_per_second"}
		if _, is := l["eval_loss"]; is {
			evaluations++
			keys = []string{"step", "epoch", "eval_accuracy", "eval_macro_f1", "eval_matthews", "eval_loss"}
		} else {
			steps++
		}
		for _, k := range keys {
			if _, ok := l[k]; !ok || len(l) != len(keys) {
				t.Errorf("line %v; want the keys %v", l, keys)
			}
		}
	}
	if steps != 6 || evaluations != 3 {
		t.Errorf("%d steps and %d evaluations, want 6 and 3", steps, evaluations)
	}
	var results struct {
		Problem string `json:"problem_type"`
		Labels  int    `json:"num_labels"`
		Train   struct {
			Steps      int
			Stopped    string
			BestMetric string `json:"best_metric"`
		}
		Test map[string]float64
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "results.json"))), &results); err != nil {
		t.Fatal(err)
	}
	if results.Train.Steps != 6 || results.Train.Stopped != "finished" || results.Train.BestMetric != "loss" ||
		results.Labels != 3 || len(results.Test) != 4 {
		t.Errorf("results.json has %+v", results)
	}
	for _, text := range []string{"trained 6 steps", "best evaluation", "test, 72 rows", "adapter: " + out} {
		if !strings.Contains(r.Out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.Out)
		}
	}
}

// TestUndefinedMetric evaluates on rows whose predictions are all equal: the correlations are no numbers, so no step
// is the best by them, and each is an evaluation without improvement.
func TestUndefinedMetric(t *testing.T) {
	dir := t.TempDir()
	out, trained := filepath.Join(dir, "out"), clitest.Write(t, filepath.Join(dir, "train.csv"),
		"text,score\na b,0.5\nc,1.5\nd e f,2.5\ng,3.5\n")
	same := clitest.Write(t, filepath.Join(dir, "eval.csv"), "text,score\na b,0.5\na b,1.5\n")
	args := []string{"seq-cls", "--model", clitest.Small(t).Path("base"), "--train-file", trained, "--eval-file", same,
		"--test-file", same, "--max-steps=6", "--eval-steps=1",
		"--batch-size=2", "--early-stopping-patience=3", "--problem-type=regression"}
	r := clitest.OK(t, finetune.Command, append(args, "--output-dir", out)...)
	if n := strings.Count(r.Err, "pearson is undefined: all predictions are equal"); n != 2 ||
		!strings.Contains(r.Err, "evaluation: pearson undefined, spearman undefined, mse ") {
		t.Errorf("the log says %d times why, want 2, for evaluation and test:\n%s", n, r.Err)
	}
	if !strings.Contains(r.Out, "trained 3 steps") || !strings.Contains(r.Out, "test, 2 rows: pearson undefined") ||
		strings.Contains(r.Out, "best evaluation") {
		t.Errorf("standard output is\n%s", r.Out)
	}
	if got := clitest.Metrics(t, out); strings.Count(got, `"eval_pearson":null,"eval_spearman":null,"eval_mse":`) != 3 {
		t.Errorf("metrics.jsonl is\n%s", got)
	}
	if text := clitest.Read(t, filepath.Join(out, "results.json")); strings.Contains(text, `"best"`) ||
		!strings.Contains(text, `"pearson": null`) {
		t.Errorf("results.json is\n%s", text)
	}
	other := filepath.Join(dir, "other")
	if r := clitest.OK(t, finetune.Command, append(args, "--output-dir", other,
		"--metric-for-best-model=mse")...); !strings.Contains(r.Out, "best evaluation") {
		t.Errorf("by mse there is no best evaluation:\n%s", r.Out)
	}
}

// TestFewRows trains on rows of one class and still knows the others.
func TestFewRows(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	file := clitest.Write(t, filepath.Join(t.TempDir(), "train.csv"), "text,label\na,x\nb,x\nc,y\n")
	clitest.OK(t, finetune.Command, "seq-cls", "--model", filepath.Join(clitest.Testdata, "bert", "save_pooler", "base"),
		"--train-file", file, "--test-file", file,
		"--max-train-samples=2", "--max-steps=1", "--output-dir", out)
	if text := clitest.Read(t, filepath.Join(out, "labels.json")); !strings.Contains(text, `"x"`) ||
		!strings.Contains(text, `"y"`) {
		t.Errorf("labels.json is %s", text)
	}
}

// TestFreshFolder runs without --output-dir.
func TestFreshFolder(t *testing.T) {
	args := smallArgs(t)
	for i, a := range args {
		if abs, err := filepath.Abs(a); err == nil && strings.Contains(a, "/") {
			args[i] = abs
		}
	}
	t.Chdir(t.TempDir())
	clitest.OK(t, finetune.Command, args...)
	clitest.OK(t, finetune.Command, args...)
	got := clitest.Names(t, "runs")
	if len(got) != 2 || !strings.HasPrefix(got[0], "seq-cls-") {
		t.Errorf("runs has %v, want two folders seq-cls-<time>", got)
	}
	clitest.Run(t, finetune.Command, append(args, "--labels=a")...).Refused(t, cli.BadInput, "none of the 1 classes")
	if n := len(clitest.Names(t, "runs")); n != 2 {
		t.Errorf("a start that failed has left a folder: %v", clitest.Names(t, "runs"))
	}
}

// TestResume continues from every checkpoint, in the same directory and in another, and compares with a run that was
// never stopped.
func TestResume(t *testing.T) {
	settings := []string{"--max-steps=6", "--batch-size=7", "--gradient-accumulation-steps=2", "--dropout=0.1",
		"--lora-dropout=0.2", "--validation-split=0.25", "--eval-steps=2", "--warmup-steps=2"}
	args := smallArgs(t, settings...)
	whole := filepath.Join(t.TempDir(), "whole")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", whole, "--save-steps=1", "--keep-checkpoints=0")...)
	compare := func(t *testing.T, dir string) {
		t.Helper()
		for _, name := range []string{"adapter_model.safetensors", "adapter_config.json", "labels.json"} {
			if clitest.Read(t, filepath.Join(dir, name)) != clitest.Read(t, filepath.Join(whole, name)) {
				t.Errorf("%s has other bytes than that of the run without a stop", name)
			}
		}
		if a, b := clitest.Metrics(t, dir), clitest.Metrics(t, whole); a != b {
			t.Errorf("metrics.jsonl is\n%s\nwant\n%s", a, b)
		}
	}
	for _, from := range []string{"checkpoint-1", "checkpoint-3", "checkpoint-4"} {
		t.Run(from, func(t *testing.T) {
			other := filepath.Join(t.TempDir(), "other")
			clitest.OK(t, finetune.Command, append(args, "--output-dir", other, "--save-steps=1", "--keep-checkpoints=0",
				"--threads=1", "--resume-from-checkpoint", filepath.Join(whole, from))...)
			compare(t, other)
		})
	}
	t.Run("stopped", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "stopped")
		r := stopAfterFirstStep(t, append(args, "--output-dir", dir, "--save-steps=1", "--keep-checkpoints=0")...)
		if r.Code != cli.Cancelled || !strings.Contains(r.Err, "--resume-from-checkpoint "+dir) {
			t.Fatalf("exit code %d, want %d\n%s", r.Code, cli.Cancelled, r.Err)
		}
		if !slices.Contains(clitest.Names(t, dir), "adapter_model.safetensors") {
			t.Errorf("no adapter among %v", clitest.Names(t, dir))
		}
		clitest.OK(t, finetune.Command, append(args, "--save-steps=1", "--keep-checkpoints=0",
			"--resume-from-checkpoint", dir)...)
		compare(t, dir)
	})
	t.Run("other settings", func(t *testing.T) {
		for _, change := range []struct{ flag, want string }{
			{"--learning-rate=0.5", "learning"}, {"--seed=3", "seed"}, {"--lora-alpha=3", "lora_alpha"},
			{"--max-length=9", "max_length"},
			{"--batch-size=5", "batch"}, {"--max-train-samples=11", "training data"}, {"--dropout=0.3", "dropout"},
			{"--label-smoothing-factor=0.1", "label_smoothing_factor"}, {"--compute-dtype=bf16", "compute_dtype"},
		} {
			before := clitest.Tree(t, whole)
			r := clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", whole, change.flag)...)
			if r.Code != cli.Usage || !strings.Contains(r.Err, change.want) {
				t.Errorf("%s: exit code %d, want 2 and %q\n%s", change.flag, r.Code, change.want, r.Err)
			}
			if clitest.Tree(t, whole) != before {
				t.Fatalf("%s: the directory has changed", change.flag)
			}
		}
	})
	t.Run("more steps", func(t *testing.T) {
		dir := clitest.CopyDir(t, whole)
		r := clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", dir, "--max-steps=8",
			"--allow-changed=steps")...)
		if n := strings.Count(clitest.Metrics(t, dir), "grad_norm"); r.Code != cli.Done || n != 8 {
			t.Errorf("exit code %d, %d steps\n%s", r.Code, n, r.Err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		dir := clitest.CopyDir(t, whole)
		state := filepath.Join(dir, "checkpoint-6", "state.json")
		clitest.Write(t, state, clitest.Read(t, state)+" ")
		clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", dir)...).Refused(t, cli.BadInput,
			"state.json", "checkpoint-5")
		if r := clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", dir,
			"--resume-fallback")...); r.Code != cli.Done {
			t.Error(r.Err)
		}
		compare(t, dir)
	})
}

// stopAfterFirstStep cancels a run as a signal does, once its first step is done.
func stopAfterFirstStep(t *testing.T, args ...string) clitest.Result {
	t.Helper()
	return clitest.StopAfterFirstStep(t, finetune.Command, args...)
}

// TestNotANumber drives training out of range.
func TestNotANumber(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := clitest.Run(t, finetune.Command, smallArgs(t, "--output-dir", out, "--max-steps=50", "--learning-rate=1e38",
		"--warmup-ratio=0", "--max-grad-norm=0")...)
	r.Refused(t, cli.Failure, "step ", "rows ", "lora_", "set --learning-rate lower")
	if text := clitest.Read(t, filepath.Join(out, "results.json")); !strings.Contains(text, `"failed"`) {
		t.Errorf("results.json does not say failed:\n%s", text)
	}
	if slices.Contains(clitest.Names(t, out), "adapter_model.safetensors") {
		clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", filepath.Join(t.TempDir(), "next"),
			"--adapter", out)...) // finite, then
	}
}

// TestLocked starts a run in a directory that another one writes to.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	lock, err := files.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	clitest.Run(t, finetune.Command, smallArgs(t, "--output-dir", dir)...).Refused(t, cli.Failure,
		dir, "in use by process")
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", dir)...)
}

// TestOtherBase starts from an adapter of another model of the same shape.
func TestOtherBase(t *testing.T) {
	first := filepath.Join(t.TempDir(), "first")
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", first)...)
	other := clitest.CopyDir(t, clitest.Small(t).Path("base"))
	weights := filepath.Join(other, "model.safetensors")
	text := []byte(clitest.Read(t, weights))
	text[8+binary.LittleEndian.Uint64(text)] ^= 1 // of the first tensor
	clitest.Write(t, weights, string(text))
	out := filepath.Join(t.TempDir(), "out")
	args := smallArgs(t, "--output-dir", out, "--adapter", first, "--model", other)
	clitest.Run(t, finetune.Command, args...).Refused(t, cli.BadInput, "another base model", "--allow-other-base")
	if r := clitest.Run(t, finetune.Command, append(args, "--allow-other-base")...); r.Code != cli.Done {
		t.Errorf("exit code %d\n%s", r.Code, r.Err)
	}
}

// TestOverfit is the smoke test: from the command line, a tiny model learns one batch by heart.
func TestOverfit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", out, "--max-steps=60", "--max-train-samples=8",
		"--batch-size=8", "--learning-rate=0.02",
		"--target-modules=all-linear", "--lora-r=16", "--lora-alpha=32")...)
	steps := clitest.Lines[clitest.Step](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl")))
	if first, last := steps[0].Loss, steps[len(steps)-1].Loss; !(last < 0.05 && first > 0.5) {
		t.Errorf("the loss goes from %v to %v", first, last)
	}
}

// TestStandardInput trains on what is piped in, and shows the modules.
func TestStandardInput(t *testing.T) {
	c := clitest.Small(t)
	out := filepath.Join(t.TempDir(), "out")
	r := clitest.RunWith(t, t.Context(), clitest.Read(t, c.Path("train.jsonl")), finetune.Command,
		"seq-cls", "--model", c.Path("base"), "--train-file=-", "--max-steps=1", "--output-dir", out,
		"--print-model", "--log-format=json")
	if r.Code != cli.Done {
		t.Fatal(r.Err)
	}
	for _, want := range []string{"BertForSequenceClassification(", "(lora_A)", "ModulesToSaveWrapper"} {
		if !strings.Contains(r.Out, want) {
			t.Errorf("the printed model lacks %q", want)
		}
	}
	for _, l := range clitest.Lines[map[string]any](t, r.Err) {
		if l["level"] == nil || l["message"] == nil {
			t.Errorf("log line %v", l)
		}
	}
}

// withNaN returns a copy of the small base model in which the last value of one weight is NaN, the one whose name
// ends so.
func withNaN(t *testing.T, weight string) string {
	t.Helper()
	base := clitest.CopyDir(t, clitest.Small(t).Path("base"))
	path := filepath.Join(base, "model.safetensors")
	tensors, _ := clitest.Tensors(t, path)
	for _, x := range tensors {
		if strings.HasSuffix(x.Name, weight) {
			copy(x.Data[len(x.Data)-4:], []byte{0, 0, 0xc0, 0x7f})
		}
	}
	if err := safetensors.WriteFile(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return base
}

// TestNonFiniteWeights gives a base model with a NaN in it: training starts only if it is asked for.
func TestNonFiniteWeights(t *testing.T) {
	base := withNaN(t, "position_embeddings.weight") // of a position that no text reaches
	out := filepath.Join(t.TempDir(), "out")
	args := smallArgs(t, "--output-dir", out, "--max-steps=1", "--model="+base)
	if r := clitest.Run(t, finetune.Command, args...); r.Code != cli.BadInput ||
		!strings.Contains(r.Err, "--allow-non-finite") {
		t.Errorf("exit code %d, want %d\n%s", r.Code, cli.BadInput, r.Err)
	}
	clitest.OK(t, finetune.Command, append(args, "--allow-non-finite")...)
}
