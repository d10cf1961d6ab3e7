package seq2seq_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

var rows = filepath.Join(clitest.Testdata, "seq2seq_task", "rows.jsonl")

// TestFinetuneEqualsPEFT trains from PEFT's starting values with the flags that scripts rely on.
func TestFinetuneEqualsPEFT(t *testing.T) {
	var want struct {
		Losses       []float64 `json:"losses"`
		SourcePrefix string    `json:"source_prefix"`
	}
	text := clitest.Read(t, filepath.Join(clitest.Testdata, "seq2seq_task", "expected.json"))
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, finetune.Command, "seq2seq-lm", "--quiet", "--model", clitest.Bytes(t), "--train-file", rows,
		"--adapter", filepath.Join(clitest.Testdata, "seq2seq", "byt5", "adapter_init"), "--allow-other-base",
		"--source-prefix", want.SourcePrefix, "--max-source-length=1024", "--max-target-length=24", "--no-shuffle",
		"--batch-size=2", "--max-steps=10", "--learning-rate=3e-3", "--output-dir", out)
	type step struct {
		Loss float64 `json:"loss"`
	}
	steps := clitest.Lines[step](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl")))
	if len(steps) != len(want.Losses) {
		t.Fatalf("%d steps, want %d", len(steps), len(want.Losses))
	}
	for i, s := range steps {
		if math.Abs(s.Loss/want.Losses[i]-1) > 2e-5 {
			t.Errorf("step %d: loss %v, want %v", i+1, s.Loss, want.Losses[i])
		}
	}
	var config struct {
		TaskType string `json:"task_type"`
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "adapter_config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	if config.TaskType != "SEQ_2_SEQ_LM" {
		t.Errorf("task_type is %q", config.TaskType)
	}
}

// small are flags of a short run on the small model.
func small(t *testing.T, task, out string, flags ...string) []string {
	return append([]string{task, "--quiet", "--model", clitest.Bytes(t), "--output-dir", out, "--batch-size=2",
		"--max-steps=6", "--learning-rate=0.01"}, flags...)
}

// TestStoppedAndResumed stops a run after its first step and continues it, to the bytes of a run that was not stopped.
func TestStoppedAndResumed(t *testing.T) {
	model, dir := clitest.Bytes(t), t.TempDir()
	args := func(out string) []string {
		return []string{"translation", "--quiet", "--model", model, "--train-file", rows, "--eval-file", rows,
			"--eval-steps=3", "--predict-with-generate",
			"--generation-max-length=4", "--max-steps=6", "--batch-size=2", "--lora-dropout=0.1",
			"--output-dir", filepath.Join(dir, out)}
	}
	clitest.OK(t, finetune.Command, args("whole")...)
	stopped := clitest.StopAfterFirstStep(t, finetune.Command, args("parts")...)
	if stopped.Code != 4 {
		t.Fatalf("exit code %d: %s", stopped.Code, stopped.Err)
	}
	clitest.OK(t, finetune.Command, append(args("parts"), "--resume-from-checkpoint", filepath.Join(dir, "parts"))...)
	const weights = "adapter_model.safetensors"
	if clitest.Read(t, filepath.Join(dir, "parts", weights)) != clitest.Read(t, filepath.Join(dir, "whole", weights)) {
		t.Error("the adapter of a run that was continued differs from that of one run")
	}
	changed := append(args("parts"), "--resume-from-checkpoint", filepath.Join(dir, "parts"), "--source-prefix=other")
	if r := clitest.Run(t, finetune.Command, changed...); r.Code != 2 || !strings.Contains(r.Err, "source_prefix is") {
		t.Errorf("with another prefix: exit code %d, %s", r.Code, r.Err)
	}
}

// TestFullAndFromScratch trains whole models, which predict opens.
func TestFullAndFromScratch(t *testing.T) {
	model, dir := clitest.Bytes(t), t.TempDir()
	full, scratch := filepath.Join(dir, "full"), filepath.Join(dir, "scratch")
	clitest.OK(t, finetune.Command, small(t, "seq2seq-lm", full, "--train-file", rows, "--full")...)
	clitest.OK(t, finetune.Command, "seq2seq-lm", "--quiet", "--from-scratch", filepath.Join(model, "config.json"),
		"--full", "--train-file", rows, "--max-steps=2", "--save-dtype=float16", "--output-dir", scratch)
	for _, dir := range []string{full, scratch} {
		r := clitest.OK(t, predict.Command, "seq2seq-lm", "--quiet", "--model", dir, "--text=A cat.", "--max-new-tokens=3")
		if !strings.Contains(r.Out, `"tokens":[`) {
			t.Errorf("written: %s", r.Out)
		}
	}
}

// TestParallelFiles takes sources from a file and from standard input where another file has the targets.
func TestParallelFiles(t *testing.T) {
	model, dir := clitest.Bytes(t), t.TempDir()
	sources, targets := "one\ntwo\nthree\n", clitest.Write(t, filepath.Join(dir, "a.sv"), "ett\ntvå\ntre\n")
	others := clitest.Write(t, filepath.Join(dir, "a.de"), "eins\nzwei\ndrei\n")
	en := clitest.Write(t, filepath.Join(dir, "a.en"), sources)
	for name, x := range map[string]struct{ stdin, file string }{"file": {"", en}, "pipe": {sources, "-"}} {
		out := filepath.Join(dir, name)
		r := clitest.RunWith(t, t.Context(), x.stdin, finetune.Command, small(t, "translation", out, "--train-file", x.file,
			"--train-target-file", targets, "--eval-file", en, "--eval-target-file", others, "--predict-with-generate",
			"--val_max_target_length=2")...)
		if r.Code != 0 {
			t.Fatal(r.Err)
		}
	}
	const weights = "adapter_model.safetensors"
	if clitest.Read(t, filepath.Join(dir, "pipe", weights)) != clitest.Read(t, filepath.Join(dir, "file", weights)) {
		t.Error("sources from standard input train another adapter than those of a file")
	}
	r := clitest.RunWith(t, t.Context(), sources, predict.Command, "translation", "--quiet", "--model", model,
		"--target-file", targets, "--max-new-tokens=2", "--metrics-file", filepath.Join(dir, "metrics.json"))
	if r.Code != 0 || !strings.Contains(clitest.Read(t, filepath.Join(dir, "metrics.json")), "bleu") {
		t.Errorf("predict: exit code %d: %s", r.Code, r.Err)
	}
}

// TestEVA begins with the directions of the inputs. Layers of the encoder have other rows than targets have tokens.
func TestEVA(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, finetune.Command, small(t, "seq2seq-lm", out, "--train-file", rows, "--init-lora-weights=eva",
		"--lora-r=2", "--target-modules=all-linear")...)
	if c := clitest.Read(t, filepath.Join(out, "adapter_config.json")); !strings.Contains(c, `"eva"`) {
		t.Errorf("configuration %s", c)
	}
}

// TestAdaptersOfTwins opens the adapter of one task type with the command of the other, merged and not.
func TestAdaptersOfTwins(t *testing.T) {
	model, dir := clitest.Bytes(t), t.TempDir()
	out, merged := filepath.Join(dir, "out"), filepath.Join(dir, "merged")
	clitest.OK(t, finetune.Command, "translation", "--quiet", "--model", model, "--train-file", rows, "--max-steps=3",
		"--learning-rate=0.05", "--source-prefix=x: ", "--max-target-length=9", "--output-dir", out)
	write := func(task string, flags ...string) string {
		return clitest.OK(t, predict.Command, append([]string{task, "--quiet", "--text=Yes", "--text=No",
			"--max-new-tokens=6", "--no-repeat-ngram-size=1"}, flags...)...).Out
	}
	want := write("translation", "--model", model, "--adapter", out)
	if got := write("seq2seq-lm", "--model", model, "--adapter", out); got != want {
		t.Errorf("seq2seq-lm writes %s\ntranslation %s", got, want)
	}
	clitest.OK(t, adapter.Command, "merge", "--quiet", "--model", model, "--adapter", out, "--output-dir", merged)
	if got := write("translation", "--model", merged, "--source-prefix=x: "); got != want {
		t.Errorf("merged %s\nattached %s", got, want)
	}
	if got := write("translation", "--model", model, "--adapter", out, "--source-prefix="); got == want {
		t.Error("an empty prefix in place of the one that the adapter remembers makes no difference")
	}
}

// TestMistakes holds the messages about what people get wrong.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	empty, noTarget := write("empty.jsonl", ""), write("sources.jsonl", `{"source": "a"}`+"\n")
	en, sv := write("a.en", "one\ntwo\nthree\n"), write("a.sv", "ett\ntvå\n")
	model, bert := clitest.Bytes(t), clitest.Small(t).Path("base")
	for name, x := range map[string]struct {
		code  int
		args  []string
		texts []string
	}{
		"no file":          {3, []string{"--train-file", filepath.Join(dir, "none.jsonl")}, []string{"none.jsonl"}},
		"empty file":       {3, []string{"--train-file", empty}, []string{"empty.jsonl"}},
		"no target":        {3, []string{"--train-file", noTarget}, []string{"sources.jsonl", "target"}},
		"wrong column":     {3, []string{"--train-file", rows, "--target-column=svar"}, []string{"svar"}},
		"lines":            {3, []string{"--train-file", en, "--train-target-file", sv}, []string{"3", "2", "a.en", "a.sv"}},
		"smoothing":        {2, []string{"--train-file", rows, "--label-smoothing-factor=1"}, []string{"-factor is 1"}},
		"short":            {2, []string{"--train-file", rows, "--max-target-length=-3"}, []string{"-length is -3"}},
		"beams":            {2, []string{"--train-file", rows, "--generation-num-beams=2"}, []string{"with-generate"}},
		"lost targets":     {3, []string{"--train-file", en, "--train-target-file", en + "x"}, []string{"a.enx: there"}},
		"nothing to score": {2, []string{"--train-file", rows, "--predict-with-generate"}, []string{"give --eval-file"}},
		"target file":      {2, []string{"--train-file", rows, "--eval-target-file", sv}, []string{"needs --eval-file"}},
		"scratch":          {2, []string{"--train-file", rows, "--from-scratch", "config.json"}, []string{"--from-scratch"}},
		"target modules":   {2, []string{"--train-file", rows, "--target-modules=q_proj"}, []string{"q_proj"}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		args := append([]string{"seq2seq-lm", "--quiet", "--model", model, "--output-dir", out, "--max-steps=1"}, x.args...)
		t.Run(name, func(t *testing.T) { clitest.Run(t, finetune.Command, args...).Refused(t, x.code, x.texts...) })
	}
	clitest.Run(t, finetune.Command, "seq2seq-lm", "--quiet", "--model", bert, "--train-file", rows, "--output-dir",
		filepath.Join(dir, "out")).Refused(t, 3, "bert")
	if _, err := os.Stat(filepath.Join(dir, "out", "adapter_model.safetensors")); err == nil {
		t.Error("an adapter was written")
	}
}
