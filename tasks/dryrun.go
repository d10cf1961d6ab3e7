package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/train"
)

// Forecast says what a run will train and need. It marshals to the JSON that "finetune --dry-run" prints. Sizes are in
// bytes, times in seconds.
type Forecast struct {
	Task  string `json:"task"`
	Model string `json:"model"`
	Dir   string `json:"output_dir"` // that the run would write to
	Kind  string `json:"kind"`       // what trains: adapter, or model if all weights do

	Modules   []AdaptedModules `json:"modules"`         // that get low-rank pairs
	Saved     []Modules        `json:"modules_to_save"` // weights that train in full and are saved
	Rows      []TrainedRows    `json:"trainable_rows"`  // tables of which some rows train
	Biases    []Modules        `json:"biases"`          // of the base model that train
	Trainable int64            `json:"trainable_params"`
	All       int64            `json:"all_params"` // of the base model and the adapter, as PEFT counts them
	Percent   float64          `json:"trainable_percent"`

	TrainRows   int   `json:"train_rows"` // examples: rows, windows or pairs
	TrainTokens int64 `json:"train_tokens"`
	EvalRows    int   `json:"eval_rows"`
	EvalTokens  int64 `json:"eval_tokens"`
	TestRows    int   `json:"test_rows"`
	TestTokens  int64 `json:"test_tokens"`

	Steps         int   `json:"steps"` // optimiser steps of the whole run
	StepsPerEpoch int   `json:"steps_per_epoch"`
	WarmupSteps   int   `json:"warmup_steps"`
	StepsDone     int   `json:"steps_done"` // before the run was resumed; the counts below are of what is left
	Batches       int   `json:"batches"`    // forward and backward passes
	Tokens        int64 `json:"tokens"`     // of these
	LargestBatch  int   `json:"largest_batch_tokens"`
	Evaluations   int   `json:"evaluations"` // at most: early stopping may end the run sooner

	Disk   DiskForecast   `json:"disk"`
	Memory MemoryForecast `json:"memory"`
	Time   *TimeForecast  `json:"time"` // nil: not measured, since the memory would not suffice
}

// DiskForecast says how large the files of a run will be.
type DiskForecast struct {
	Save           int64 `json:"save_bytes"`       // one adapter, or one whole model
	Checkpoint     int64 `json:"checkpoint_bytes"` // one checkpoint
	Checkpoints    int   `json:"checkpoints"`      // written in the run; those by time if the time is known
	CheckpointKept int   `json:"checkpoints_kept"` // at the same time, at most
	Total          int64 `json:"total_bytes"`      // at the end, at most
}

// MemoryForecast says how much memory a run will take, in bytes.
type MemoryForecast struct {
	Weights     int64 `json:"weights"`     // of the base model, as they are stored
	Adapter     int64 `json:"adapter"`     // parameters of the adapter
	Data        int64 `json:"data"`        // tokens and labels of all splits
	Gradients   int64 `json:"gradients"`   // of the parameters
	Optimizer   int64 `json:"optimizer"`   // moments
	Best        int64 `json:"best_state"`  // values of the best state
	Activations int64 `json:"activations"` // of the largest micro-batch, with the gaps between buffers
	Kernels     int64 `json:"kernels"`     // packed operands
	Saving      int64 `json:"saving"`      // copies of the weights while a whole model is saved
	Evaluation  int64 `json:"evaluation"`  // activations of the largest batch of an evaluation in training
	Test        int64 `json:"test"`        // the same of the test rows, when those of training are gone
	Program     int64 `json:"program"`     // program, tokenizer and everything else: measured
	Preparation int64 `json:"preparation"` // peak before the first step: measured; 0: not known
	Peak        int64 `json:"peak"`        // of the whole run
	Available   int64 `json:"available"`   // that the process can still take, beyond what it has; 0: not known

	// PeakActivations is the largest size of the activations without gaps, as peak_activation_bytes of results.json.
	PeakActivations int64 `json:"peak_activation_bytes"`
	Checkpointed    int64 `json:"activations_with_gradient_checkpointing"`
	Unchecked       int64 `json:"activations_without_gradient_checkpointing"`
}

// Suffices reports whether the memory that is available suffices, or is not known.
func (m MemoryForecast) Suffices() bool { return m.Available == 0 || m.Peak <= m.Available }

// TimeForecast says how long a run will take, in seconds. Reading the data, which a dry run does itself, writing files
// and generated samples are not included.
type TimeForecast struct {
	Total           float64 `json:"total"`
	Training        float64 `json:"training"`
	Evaluation      float64 `json:"evaluation"` // all evaluations, and the test rows
	TokensPerSecond float64 `json:"tokens_per_second"`
	LongestBatch    float64 `json:"largest_batch"` // forward and backward of the micro-batch with the most tokens
	ProbeBatches    int     `json:"probe_batches"` // real micro-batches that were measured
	ProbeTokens     int64   `json:"probe_tokens"`
}

// probeTime is how long a dry run measures training, beside its largest micro-batch. It measures one more at least.
const probeTime = 3 * time.Second

// DryRun opens everything that [Finetune] does with the same configuration, computes what the run will need, and
// measures the speed of some batches, without training: it writes no file and makes no directory. It returns the errors
// that Finetune returns before its first step. If the run will take more memory than there is, DryRun logs a warning
// and measures nothing.
func DryRun(ctx context.Context, f Finetuning, kinds []Kind) (forecast *Forecast, err error) {
	_, peak := resident()
	err = begin(ctx, f, kinds, true, func(b *begun) error {
		forecast, err = b.forecast(ctx, peak)
		return err
	})
	return forecast, err
}

// forecast rehearses the run. earlier is the peak of the process's memory before the run began.
func (b *begun) forecast(ctx context.Context, earlier int64) (*Forecast, error) {
	cfg, _, params := b.loop()
	f := &Forecast{Task: b.plan.Command, Model: b.Base.Name, Dir: b.dir}
	if err := b.describe(f); err != nil {
		return nil, err
	}
	f.EvalRows, f.EvalTokens = count(b.task.Set(batch.Eval))
	f.TestRows, f.TestTokens = count(b.task.Set(batch.Test))
	weights, inHeap, err := b.weightBytes(ctx)
	if err != nil {
		return nil, err
	}
	m := &f.Memory
	now, peak := resident()
	m.Available = int64(min(data.AvailableMemory(), math.MaxInt64))
	if m.Available > 0 {
		m.Available += now
	}
	if peak > earlier {
		m.Preparation = peak
	}
	m.Weights = weights + inHeap
	if b.Set != nil {
		m.Adapter = 4 * f.Trainable
	}
	for _, s := range []batch.Split{batch.Train, batch.Eval, batch.Test} {
		if set, ok := b.task.Set(s).(interface{ Bytes() int64 }); ok {
			m.Data += set.Bytes()
		}
	}
	m.Program = max(0, now-inHeap-m.Adapter-m.Data)

	h, err := train.Rehearse(b.task, params, cfg)
	if err != nil {
		return nil, err
	}
	err = b.rehearse(ctx, f, h, cfg)
	return f, errors.Join(err, h.Close())
}

// rehearse fills in what a rehearsal tells.
func (b *begun) rehearse(ctx context.Context, f *Forecast, h *train.Rehearsal, cfg train.Config) error {
	o := h.Outlook()
	f.TrainRows, f.TrainTokens = o.Plan.Rows, o.Plan.Tokens
	f.Steps, f.StepsPerEpoch, f.WarmupSteps, f.StepsDone = o.Plan.Steps, o.Plan.StepsPerEpoch, o.Plan.WarmupSteps,
		o.Plan.Done
	f.Batches, f.Tokens, f.Evaluations = o.Batches, o.Tokens, o.Evaluations
	memory, err := h.Memory(ctx)
	if err != nil {
		return err
	}
	m := &f.Memory
	f.LargestBatch = memory.LargestBatch
	m.Gradients, m.Optimizer, m.Best = memory.Gradients, memory.Optimizer, memory.Best
	m.Activations, m.PeakActivations, m.Kernels = int64(memory.Activations), int64(memory.Peak), int64(memory.Kernels)
	m.Checkpointed, m.Unchecked = int64(memory.Checkpointed), int64(memory.Unchecked)
	if m.Evaluation, err = b.evaluationBytes(ctx, batch.Eval); err != nil {
		return err
	}
	if m.Test, err = b.evaluationBytes(ctx, batch.Test); err != nil {
		return err
	}
	scored := m.Evaluation
	if b.plan.TestsFirst {
		scored = max(scored, m.Test)
	}
	if b.Set == nil {
		m.Saving = 4 * f.All
	}
	m.Peak = max(m.Preparation, m.Weights+m.Adapter+m.Data+m.Gradients+m.Optimizer+m.Best+m.Kernels+m.Saving+m.Program+
		max(m.Activations+scored, m.Test))
	if m.Suffices() {
		speed, err := h.Probe(ctx, probeTime, f.Evaluations > 0 || f.TestRows > 0)
		if err != nil {
			return err
		}
		f.Time = f.time(speed)
	} else {
		b.Log.Warn().Msgf("the run will take %d MiB of memory, but only %d MiB are there; the speed was not measured: use "+
			"smaller batches, shorter sequences or gradient checkpointing, or a machine with more memory",
			m.Peak>>20, m.Available>>20)
	}
	return b.disk(f, cfg)
}

// time extrapolates the speed of a probe by the number of tokens.
func (f *Forecast) time(s train.Speed) *TimeForecast {
	t := &TimeForecast{
		LongestBatch: s.Longest.Seconds(), ProbeBatches: s.Batches, ProbeTokens: s.Tokens,
		Training: s.PerToken.Seconds()*float64(f.Tokens) + s.Update.Seconds()*float64(f.Steps-f.StepsDone),
		Evaluation: s.Forward.Seconds() * (float64(f.Evaluations)*float64(f.EvalTokens) +
			float64(f.TestTokens)),
	}
	t.Total = t.Training + t.Evaluation
	if t.Training > 0 {
		t.TokensPerSecond = float64(f.Tokens) / t.Training
	}
	return t
}

// disk computes the sizes of files.
func (b *begun) disk(f *Forecast, cfg train.Config) (err error) {
	d := &f.Disk
	d.Save = b.subject.SaveBytes
	if b.Set != nil {
		if d.Save, err = b.Set.FileBytes(); err != nil {
			return fmt.Errorf("tasks: %w", err)
		}
	}
	for _, text := range b.Base.OwnFiles() {
		d.Save += int64(len(text))
	}
	m := f.Memory
	d.Checkpoint = d.Save + 4*f.Trainable + m.Optimizer + m.Best
	left := f.Steps - f.StepsDone
	if cfg.SaveSteps > 0 {
		d.Checkpoints = f.Steps/cfg.SaveSteps - f.StepsDone/cfg.SaveSteps
	}
	if cfg.SaveEvery > 0 && f.Time != nil {
		d.Checkpoints = min(left, max(d.Checkpoints, int(f.Time.Total/cfg.SaveEvery.Seconds())))
	}
	d.CheckpointKept = d.Checkpoints
	saves := int64(1)
	if cfg.KeepCheckpoints > 0 {
		d.CheckpointKept = min(d.Checkpoints, cfg.KeepCheckpoints)
	}
	if f.Evaluations > 0 { // the best and the last state are saved, and the checkpoint of the best is kept
		saves = 2
		d.CheckpointKept = min(d.Checkpoints, d.CheckpointKept+1)
	}
	d.Total = saves*d.Save + int64(d.CheckpointKept)*d.Checkpoint
	return nil
}

// count returns the numbers of examples and tokens of a set, which may be nil.
func count(set batch.Set) (rows int, tokens int64) {
	if set == nil {
		return 0, 0
	}
	for i := range set.Len() {
		tokens += int64(set.Tokens(i))
	}
	return set.Len(), tokens
}
