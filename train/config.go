package train

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Config says how to train. Start from [Defaults]: the zero value is refused. Names and meaning follow TrainingArguments of
// transformers.
type Config struct {
	// BatchSize is the number of examples of a micro-batch. The last one of an epoch may have fewer: no row is dropped.
	BatchSize int
	// TokensPerBatch, instead of BatchSize, fills micro-batches up to this many tokens. A longer example is one by itself.
	TokensPerBatch int
	// GradientAccumulationSteps is the number of micro-batches of an optimiser step. The last step of an epoch may have fewer.
	GradientAccumulationSteps int

	// MaxSteps is the number of optimiser steps; if it is 0, NumTrainEpochs counts.
	MaxSteps int
	// NumTrainEpochs is how often the data are gone through; parts of an epoch are rounded up to a step.
	NumTrainEpochs float64

	LearningRate float64 // peak of the schedule
	WeightDecay  float64 // decoupled, on every parameter
	Beta1, Beta2 float64 // of AdamW
	Eps          float64 // of AdamW
	// NoDecayNormBias leaves biases and norms (nn.NamedParam.NoDecay) out of weight decay.
	NoDecayNormBias bool
	MaxGradNorm     float64 // global norm that gradients are clipped to; 0: no clipping

	Schedule    Schedule
	WarmupSteps int     // steps of warm-up
	WarmupRatio float64 // instead: share of all steps, rounded up to a step

	// Seed decides the order of rows and dropout.
	Seed uint64
	// NoShuffle takes the rows in order.
	NoShuffle bool
	// GroupByLength puts examples of similar length together: within 50 batches' worth of shuffled rows they are sorted by
	// length, longest first, and the longest of all is in the first batch. Batches are never padded here, so this evens out
	// memory and time of the steps but saves neither.
	GroupByLength bool

	// GradientCheckpointing keeps only the input of each block of the model for the backward, and computes the rest again there: less
	// memory, more time, the same bits.
	GradientCheckpointing bool

	// EvalSteps is the number of steps between evaluations; 0 means at the end of every epoch. The last step is always evaluated.
	EvalSteps int
	// EarlyStoppingPatience stops after this many evaluations in a row without improvement; 0 never does.
	EarlyStoppingPatience int
	// EarlyStoppingThreshold is what a metric must improve by, and more, to count as improvement for early stopping.
	EarlyStoppingThreshold float64
	// MetricForBestModel names the metric that decides; "eval_" before it does not matter. Empty: the task's main metric.
	MetricForBestModel string

	// OutputDir takes everything that is written; empty: nothing is. Locking it is the caller's part.
	OutputDir string
	// Overwrite allows a new run to replace metrics, checkpoints and adapters of an earlier one in OutputDir.
	Overwrite bool
	// Replaces names files in OutputDir that belong to an earlier run as its metrics and checkpoints do: those that Save writes, and what
	// the caller writes beside them. A new run removes them when it begins, so that they never stand beside what it writes.
	Replaces []string
	// Save writes the adapter, as the parameters are, into an existing directory, and replaces an older one there. Each file
	// must be written whole or not at all and forced to disk. It must be set if OutputDir is.
	Save func(dir string) error
	// SaveSteps is the number of steps between checkpoints, SaveEvery the time; 0 is never. Both may be set.
	SaveSteps int
	SaveEvery time.Duration
	// KeepCheckpoints is how many checkpoints are kept, the newest ones and beside them that of the best step; 0 keeps all.
	KeepCheckpoints int

	// ResumeFrom is a checkpoint, or an output directory whose newest complete checkpoint is meant. Empty: a new run.
	ResumeFrom string
	// ResumeFallback takes the checkpoint before, and warns, where one is damaged.
	ResumeFallback bool
	// AllowChanged lists the settings, by the names in the error message, that may differ from those of the checkpoint.
	AllowChanged []string
	// Identity is what else must be equal when a run is resumed: the hash of the data, the base model, the adapter's
	// settings … by name.
	Identity map[string]string

	Pool    *op.Pool      // workers; nil: the caller's goroutine alone
	Adapter nn.AdapterSet // handed to the task in each pass; nil: none

	// Logger gets warnings and what is worth knowing about the course of the run. The zero value is silent.
	Logger zerolog.Logger
	// OnStart, OnStep and OnEval, if set, are called on Run's goroutine before the first step, after each step and after
	// each evaluation.
	OnStart func(Plan)
	OnStep  func(StepInfo)
	OnEval  func(Evaluation)

	disk files.FS // nil: the system's; tests inject faults
}

// Defaults returns the settings of Hugging Face's Trainer, with a checkpoint every ten minutes of which two are kept.
func Defaults() Config {
	return Config{
		BatchSize:                 8,
		GradientAccumulationSteps: 1,
		NumTrainEpochs:            3,
		LearningRate:              5e-5,
		Beta1:                     0.9,
		Beta2:                     0.999,
		Eps:                       1e-8,
		MaxGradNorm:               1,
		Schedule:                  Linear,
		Seed:                      42,
		SaveEvery:                 10 * time.Minute,
		KeepCheckpoints:           2,
	}
}

// ErrConfig is what every error about settings wraps: of Validate, and of Run if the settings do not fit task, parameters or
// checkpoint.
var ErrConfig = errors.New("the settings do not fit")

// Validate errs if a setting is out of its range or contradicts another, and names all that are. What depends on the task is
// checked by Run, also before the first step.
func (c Config) Validate() error {
	var p problems
	c.checkBatches(&p)
	c.checkOptimizer(&p)
	c.checkFiles(&p)
	return p.err()
}

func (c Config) checkBatches(p *problems) {
	switch {
	case c.BatchSize != 0 && c.TokensPerBatch != 0:
		p.add("batch size %d and %d tokens per batch exclude each other; give one", c.BatchSize, c.TokensPerBatch)
	case c.TokensPerBatch != 0:
		p.check(c.TokensPerBatch > 0, "tokens per batch is %d, want at least 1", c.TokensPerBatch)
	default:
		p.check(c.BatchSize > 0, "batch size is %d, want at least 1", c.BatchSize)
	}
	p.check(c.GradientAccumulationSteps > 0, "gradient accumulation steps is %d, want at least 1", c.GradientAccumulationSteps)
	p.check(c.MaxSteps >= 0, "max steps is %d, want at least 1, or 0 to count epochs", c.MaxSteps)
	if c.MaxSteps == 0 {
		p.check(c.NumTrainEpochs > 0 && finite(c.NumTrainEpochs), "number of epochs is %v, want more than 0 (or max steps)", c.NumTrainEpochs)
	}
	p.check(!(c.NoShuffle && c.GroupByLength), "rows cannot be both in order (no shuffle) and grouped by length")
	p.check(c.EvalSteps >= 0, "eval steps is %d, want at least 1, or 0 for every epoch", c.EvalSteps)
	p.check(c.EarlyStoppingPatience >= 0, "early stopping patience is %d, want at least 1, or 0 for none", c.EarlyStoppingPatience)
	p.check(c.EarlyStoppingThreshold >= 0 && finite(c.EarlyStoppingThreshold), "early stopping threshold is %v, want 0 or more", c.EarlyStoppingThreshold)
}

func (c Config) checkOptimizer(p *problems) {
	p.check(c.LearningRate >= 0 && finite(c.LearningRate), "learning rate is %v, want 0 or more", c.LearningRate)
	p.check(c.WeightDecay >= 0 && finite(c.WeightDecay), "weight decay is %v, want 0 or more", c.WeightDecay)
	p.check(c.Beta1 >= 0 && c.Beta1 < 1, "beta1 is %v, want 0 ≤ beta1 < 1", c.Beta1)
	p.check(c.Beta2 >= 0 && c.Beta2 < 1, "beta2 is %v, want 0 ≤ beta2 < 1", c.Beta2)
	p.check(c.Eps > 0 && finite(c.Eps), "eps is %v, want more than 0", c.Eps)
	p.check(c.MaxGradNorm >= 0 && !math.IsNaN(c.MaxGradNorm), "max grad norm is %v, want more than 0, or 0 for no clipping", c.MaxGradNorm)
	p.check(c.Schedule.Valid(), "schedule is %q, want %s, %s or %s", c.Schedule, Linear, Cosine, Constant)
	p.check(c.WarmupSteps >= 0, "warm-up steps is %d, want 0 or more", c.WarmupSteps)
	p.check(c.WarmupRatio >= 0 && c.WarmupRatio <= 1, "warm-up ratio is %v, want 0 to 1", c.WarmupRatio)
	p.check(c.WarmupSteps == 0 || c.WarmupRatio == 0, "warm-up steps %d and warm-up ratio %v exclude each other; give one", c.WarmupSteps, c.WarmupRatio)
}

func (c Config) checkFiles(p *problems) {
	p.check(c.SaveSteps >= 0, "save steps is %d, want at least 1, or 0 for none", c.SaveSteps)
	p.check(c.SaveEvery >= 0, "save every %v, want a positive time, or 0 for none", c.SaveEvery)
	p.check(c.KeepCheckpoints >= 0, "checkpoints to keep is %d, want at least 1, or 0 for all", c.KeepCheckpoints)
	if c.OutputDir == "" {
		p.check(c.SaveSteps == 0, "save steps %d without an output directory", c.SaveSteps)
	} else {
		p.check(c.Save != nil, "an output directory without Save")
	}
	p.check(c.ResumeFrom != "" || len(c.AllowChanged) == 0, "settings may only be allowed to change (%s) when a run is resumed", strings.Join(c.AllowChanged, ", "))
}

// fs returns the file system that checkpoints go through.
func (c Config) fs() files.FS {
	if c.disk == nil {
		return files.System{}
	}
	return c.disk
}

// problems collects what is wrong, so that all of it can be told at once.
type problems []string

func (p problems) String() string { return strings.Join(p, "; ") }

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		p.add(format, args...)
	}
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("train: %w: %v", ErrConfig, p)
}
