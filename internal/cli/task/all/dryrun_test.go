package all_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/tasks"
)

// TestDryRunText holds the lines on standard error and the settings of a configuration file.
func TestDryRunText(t *testing.T) {
	small := clitest.Small(t)
	dir := t.TempDir()
	config := clitest.Write(t, filepath.Join(dir, "run.yaml"),
		"dry_run: true\nsave_steps: 2\nbias: all\ntrainable_token_indices: 3,5\nexclude_modules: [value]\n")
	r := clitest.OK(t, finetune.Command, "seq-cls", "--config", config, "--model", small.Path("base"), "--train-file",
		small.Path("train.jsonl"), "--output-dir", filepath.Join(dir, "out"), "--num-train-epochs=2", "--batch-size=3")
	f := clitest.Lines[spalora.Forecast](t, r.Out)[0]
	for _, want := range []string{
		"adapted: bert.encoder.layer.{0-1}.attention.self.query: 2 layers 32→32, r 8, alpha 16\n",
		"saved in full: classifier.weight\n", "rows that train: bert.embeddings.word_embeddings: 2×32\n",
		"biases that train: bert.encoder.layer.{0-1}.attention.self.key.bias (2)\n", "trainable params: ",
		"examples: ", " to train on\n", "steps: ", "0 evaluations\n", "disk: ", "memory: ", "activations ", "time: ",
	} {
		if !strings.Contains(r.Err, want) {
			t.Errorf("the text lacks %q:\n%s", want, r.Err)
		}
	}
	if strings.Contains(r.Err, "gradient-checkpointing") {
		t.Errorf("the text names a flag that the command does not have:\n%s", r.Err)
	}
	if len(f.Modules) != 1 || len(f.Rows) != 1 || len(f.Biases) == 0 || f.Disk.Checkpoints != f.Steps/2 ||
		f.Disk.CheckpointKept != 2 || f.Disk.Total != f.Disk.Save+2*f.Disk.Checkpoint {
		t.Errorf("forecast %+v", f)
	}
	if names := clitest.Names(t, dir); !slices.Equal(names, []string{"run.yaml"}) {
		t.Errorf("a dry run wrote %v", names)
	}
}

// TestDryRunOfCheckpointing holds the memory with and without gradient checkpointing, and of a model that trains as a
// whole, to that of runs.
func TestDryRunOfCheckpointing(t *testing.T) {
	causal := clitest.ReadCausal(t, "causal/qwen2")
	for _, full := range []bool{false, true} {
		var forecasts []*spalora.Forecast
		for _, checkpointing := range []bool{false, true} {
			config := func() tasks.Finetuning {
				return &spalora.CausalLM{
					Run: spalora.Run{Model: causal.Base, TrainFile: causal.File(t), OutputDir: filepath.Join(t.TempDir(), "out"),
						MaxSteps: 2, BatchSize: 3, Threads: 3},
					AllWeights: spalora.AllWeights{Full: full}, GradientCheckpointing: checkpointing,
				}
			}
			f, err := spalora.DryRun(t.Context(), config())
			if err != nil {
				t.Fatal(err)
			}
			r, err := spalora.Finetune(t.Context(), config())
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind != r.Kind || f.Memory.PeakActivations != int64(r.Train.PeakActivations) {
				t.Errorf("full %v, checkpointing %v: forecast %+v; the run had %d bytes", full, checkpointing, f.Memory,
					r.Train.PeakActivations)
			}
			if full {
				info, err := os.Stat(filepath.Join(r.Dir, "model.safetensors"))
				if err != nil || f.Disk.Save != 4*f.Trainable || f.Disk.Save > info.Size() {
					t.Errorf("%d bytes of %d values; the file has %v, %v", f.Disk.Save, f.Trainable, info, err)
				}
			}
			forecasts = append(forecasts, f)
		}
		without, with := forecasts[0].Memory, forecasts[1].Memory
		if without.Activations != without.Unchecked || with.Activations != with.Checkpointed ||
			without.Checkpointed != with.Checkpointed || without.Unchecked != with.Unchecked ||
			!(with.PeakActivations < without.PeakActivations) {
			t.Errorf("without checkpointing %+v\nwith it %+v", without, with)
		}
	}
	r := clitest.OK(t, finetune.Command, "causal-lm", "--model", causal.Base, "--train-file", causal.File(t),
		"--dry-run", "--output-dir", filepath.Join(t.TempDir(), "out"))
	if !strings.Contains(r.Err, " without --gradient-checkpointing, ") {
		t.Errorf("the text lacks the activations with gradient checkpointing:\n%s", r.Err)
	}
}

// TestDryRunRefuses holds the errors of a dry run to those of a run.
func TestDryRunRefuses(t *testing.T) {
	small := clitest.Small(t)
	dir := t.TempDir()
	bad := clitest.Write(t, filepath.Join(dir, "bad.jsonl"), "{\"text\": \"a\", \"label\": 1}\n{\n")
	occupied := filepath.Join(dir, "occupied")
	clitest.Write(t, filepath.Join(occupied, "x"), "x")
	causal := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	for name, x := range map[string]struct {
		code int
		args []string
		want string
	}{
		"output directory": {cli.Usage, []string{"seq-cls", "--train-file", small.Path("train.jsonl"), "--output-dir",
			occupied}, "is not empty"},
		"data": {cli.BadInput, []string{"seq-cls", "--train-file", bad}, "bad.jsonl"},
		"targets": {cli.Usage, []string{"seq-cls", "--train-file", small.Path("train.jsonl"),
			"--target-modules=querry"}, "querry"},
		"resumed": {cli.BadInput, []string{"seq-cls", "--train-file", small.Path("train.jsonl"),
			"--resume-from-checkpoint", filepath.Join(dir, "none")}, "--resume-from-checkpoint"},
		"settings": {cli.Usage, []string{"seq-cls", "--train-file", small.Path("train.jsonl"), "--eval-steps=2"},
			"--eval-steps"},
		"preview": {cli.Usage, []string{"causal-lm", "--train-file", causal.File(t), "--preview=1"}, "--preview"},
	} {
		t.Run(name, func(t *testing.T) {
			model := small.Path("base")
			if x.args[0] == "causal-lm" {
				model = causal.Base
			}
			args := append(slices.Clone(x.args), "--quiet", "--model", model)
			if !slices.Contains(args, "--output-dir") {
				args = append(args, "--output-dir", filepath.Join(t.TempDir(), "out"))
			}
			dry := clitest.Run(t, finetune.Command, append(args, "--dry-run")...)
			if dry.Code != x.code || !strings.Contains(dry.Err, x.want) || dry.Out != "" {
				t.Errorf("the dry run has %+v; want exit code %d and %q", dry, x.code, x.want)
			}
			if name == "preview" { // by itself it is fine
				return
			}
			if run := clitest.Run(t, finetune.Command, args...); run != dry {
				t.Errorf("the dry run has %+v\nthe run %+v", dry, run)
			}
		})
	}
}
