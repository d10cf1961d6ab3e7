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

// Config holds the settings of a run, with the names and the meaning of transformers' TrainingArguments. Start from
// [Defaults]: the zero value is not valid.
type Config struct {
	// BatchSize is the number of examples of a micro-batch. The last one of an epoch may have fewer: no row is dropped.
	BatchSize int
	// TokensPerBatch, which replaces BatchSize, is the largest number of tokens of a micro-batch. A longer example is a
	// micro-batch of its own.
	TokensPerBatch int
	// GradientAccumulationSteps is the number of micro-batches of an optimiser step. The last step of an epoch may have
	// fewer.
	GradientAccumulationSteps int

	// MaxSteps is the number of optimiser steps. If it is 0, NumTrainEpochs determines the number.
	MaxSteps int
	// NumTrainEpochs is the number of passes over the training set. A part of an epoch is rounded up to a step.
	NumTrainEpochs float64

	// Optimizer is the rule of the updates. LoRAFA needs an adapter.
	Optimizer    Optimizer
	LearningRate float64 // peak of the schedule
	WeightDecay  float64 // decoupled, for every parameter
	Beta1, Beta2 float64 // adam_beta1 and adam_beta2
	Eps          float64 // adam_epsilon
	// LoRAPlusRatio, unless 0, is the ratio of the learning rate of B to that of A (LoRA+, Hayou et al. 2024,
	// arXiv:2402.12354), with PEFT's groups: B and vectors have LearningRate times the ratio, low-rank products of
	// embeddings LoRAPlusEmbedding, and everything else LearningRate. Biases and norms never decay then. It needs an
	// adapter and AdamW.
	LoRAPlusRatio     float64
	LoRAPlusEmbedding float64 // peak learning rate of low-rank products of embeddings with LoRAPlusRatio
	// NoDecayNormBias excludes biases and norms (nn.NamedParam.NoDecay) from weight decay.
	NoDecayNormBias bool
	MaxGradNorm     float64 // clip gradients to this global norm; 0: no clipping

	Schedule    Schedule // lr_scheduler_type
	WarmupSteps int      // number of warm-up steps
	WarmupRatio float64  // share of all steps in place of WarmupSteps, rounded up to a step

	// Seed determines the order of rows and dropout.
	Seed uint64
	// NoShuffle keeps the rows in order.
	NoShuffle bool
	// GroupByLength sorts each group of 50 batches of shuffled rows by length, longest first, and puts the longest example
	// of all into the first batch. So examples of similar length are in one batch. Batches have no padding, so this
	// balances memory and time of the steps but does not reduce them.
	GroupByLength bool

	// GradientCheckpointing keeps only the input of each block of the model for the backward, which recomputes the rest:
	// less memory, more time, the same bits.
	GradientCheckpointing bool

	// EvalSteps is the number of steps between evaluations; 0: at the end of every epoch. The last step is always
	// evaluated.
	EvalSteps int
	// EarlyStoppingPatience is the number of consecutive evaluations without improvement after which the run stops; 0:
	// never.
	EarlyStoppingPatience int
	// EarlyStoppingThreshold is the difference that the metric must improve by more than, to count as an improvement for
	// early stopping.
	EarlyStoppingThreshold float64
	// MetricForBestModel is the name of the metric that determines the best state, with or without the prefix "eval_".
	// Empty: the task's main metric.
	MetricForBestModel string

	// OutputDir is the directory for all files of the run; empty: no files. The caller must lock it.
	OutputDir string
	// Overwrite allows a new run to replace metrics, checkpoints and adapters of an earlier one in OutputDir.
	Overwrite bool
	// Replaces lists the names of other files in OutputDir that belong to a run: those that Save writes, and those that
	// the caller writes. A new run treats them like metrics and checkpoints of an earlier run, and removes them when it
	// starts, so that files of two runs are never mixed.
	Replaces []string
	// Save writes the adapter with the current values of the parameters to the existing directory dir, and replaces an
	// older one there. It must write each file completely or not at all and sync it to disk. It is required if OutputDir
	// is set.
	Save func(dir string) error
	// SaveSteps is the number of steps between checkpoints, SaveEvery the time between them; 0: none. Both may be set.
	SaveSteps int
	SaveEvery time.Duration
	// KeepCheckpoints is the number of newest checkpoints to keep, besides that of the best step; 0: all.
	KeepCheckpoints int

	// ResumeFrom is a checkpoint to resume from, or an output directory, whose newest complete checkpoint it means. Empty:
	// a new run.
	ResumeFrom string
	// ResumeFallback makes the run resume from an earlier checkpoint in the output directory, with a warning, if the
	// newest is damaged.
	ResumeFallback bool
	// AllowChanged lists the settings that may differ from those of the checkpoint, by their names in the error message.
	AllowChanged []string
	// Identity holds further properties that must be equal when a run is resumed, by name: the hash of the data, the base
	// model, the settings of the adapter and so on.
	Identity map[string]string
	// Earlier holds values that the checkpoints of earlier versions may have in place of those of Identity, by name.
	Earlier map[string]string

	Pool    *op.Pool      // workers; nil: only the goroutine of the caller
	Adapter nn.AdapterSet // adapter in the passes for the task; nil: none

	// Logger gets warnings and information about the run. The zero value discards them.
	Logger zerolog.Logger
	// OnStart, OnStep and OnEval, unless nil, are called before the first step, after each step and after each evaluation,
	// on the goroutine of Run.
	OnStart func(Plan)
	OnStep  func(StepInfo)
	OnEval  func(Evaluation)

	disk files.FS // nil: the system's; tests inject faults
}

// Defaults returns the defaults of Hugging Face's Trainer, with a checkpoint every ten minutes, of which it keeps two.
func Defaults() Config {
	return Config{
		BatchSize:                 8,
		GradientAccumulationSteps: 1,
		NumTrainEpochs:            3,
		Optimizer:                 AdamW,
		LearningRate:              5e-5,
		LoRAPlusEmbedding:         1e-6,
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

// ErrConfig is wrapped by every error about settings: those of [Config.Validate], and those of [Run] if the settings do
// not fit the task, the parameters or the checkpoint.
var ErrConfig = errors.New("the settings do not fit")

// Validate returns an error that names all settings that are out of range or contradict each other, or nil if there are
// none. Run also checks the settings that depend on the task, before the first step.
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
		p.add("`batch_size` %d and `tokens_per_batch` %d exclude each other; set one", c.BatchSize, c.TokensPerBatch)
	case c.TokensPerBatch != 0:
		p.check(c.TokensPerBatch > 0, "`tokens_per_batch` is %d; want at least 1", c.TokensPerBatch)
	default:
		p.check(c.BatchSize > 0, "`batch_size` is %d; want at least 1", c.BatchSize)
	}
	p.check(c.GradientAccumulationSteps > 0,
		"`gradient_accumulation_steps` is %d; want at least 1", c.GradientAccumulationSteps)
	p.check(c.MaxSteps >= 0, "`max_steps` is %d; want at least 1, or 0 for `num_train_epochs`", c.MaxSteps)
	if c.MaxSteps == 0 {
		p.check(c.NumTrainEpochs > 0 && finite(c.NumTrainEpochs),
			"`num_train_epochs` is %v; want more than 0, or set `max_steps`", c.NumTrainEpochs)
	}
	p.check(!(c.NoShuffle && c.GroupByLength), "`no_shuffle` and `group_by_length` exclude each other; set one")
	p.check(c.EvalSteps >= 0, "`eval_steps` is %d; want at least 1, or 0 for every epoch", c.EvalSteps)
	p.check(c.EarlyStoppingPatience >= 0,
		"`early_stopping_patience` is %d; want at least 1, or 0 for none", c.EarlyStoppingPatience)
	p.check(c.EarlyStoppingThreshold >= 0 && finite(c.EarlyStoppingThreshold),
		"`early_stopping_threshold` is %v; want 0 or more", c.EarlyStoppingThreshold)
}

func (c Config) checkOptimizer(p *problems) {
	p.check(c.Optimizer.Valid(), "`optimizer` is %q; want %s or %s", c.Optimizer, AdamW, LoRAFA)
	p.check(c.LoRAPlusRatio >= 0 && finite(c.LoRAPlusRatio), "`loraplus_lr_ratio` is %v; want more than 0, or 0 for none",
		c.LoRAPlusRatio)
	p.check(c.LoRAPlusEmbedding >= 0 && finite(c.LoRAPlusEmbedding), "`loraplus_lr_embedding` is %v; want 0 or more",
		c.LoRAPlusEmbedding)
	p.check(c.LoRAPlusRatio == 0 || c.Optimizer != LoRAFA,
		"`loraplus_lr_ratio` and `optimizer` %s exclude each other, since A does not train there; give one", LoRAFA)
	p.check(c.LearningRate >= 0 && finite(c.LearningRate), "`learning_rate` is %v; want 0 or more", c.LearningRate)
	p.check(c.WeightDecay >= 0 && finite(c.WeightDecay), "`weight_decay` is %v; want 0 or more", c.WeightDecay)
	p.check(c.Beta1 >= 0 && c.Beta1 < 1, "`adam_beta1` is %v; want at least 0 and below 1", c.Beta1)
	p.check(c.Beta2 >= 0 && c.Beta2 < 1, "`adam_beta2` is %v; want at least 0 and below 1", c.Beta2)
	p.check(c.Eps > 0 && finite(c.Eps), "`adam_epsilon` is %v; want more than 0", c.Eps)
	p.check(c.MaxGradNorm >= 0 && !math.IsNaN(c.MaxGradNorm),
		"`max_grad_norm` is %v; want more than 0, or 0 for no clipping", c.MaxGradNorm)
	p.check(c.Schedule.Valid(), "`lr_scheduler_type` is %q; want %s, %s or %s", c.Schedule, Linear, Cosine, Constant)
	p.check(c.WarmupSteps >= 0, "`warmup_steps` is %d; want 0 or more", c.WarmupSteps)
	p.check(c.WarmupRatio >= 0 && c.WarmupRatio <= 1, "`warmup_ratio` is %v; want 0 to 1", c.WarmupRatio)
	p.check(c.WarmupSteps == 0 || c.WarmupRatio == 0,
		"`warmup_steps` %d and `warmup_ratio` %v exclude each other; set one", c.WarmupSteps, c.WarmupRatio)
}

func (c Config) checkFiles(p *problems) {
	p.check(c.SaveSteps >= 0, "`save_steps` is %d; want at least 1, or 0 for none", c.SaveSteps)
	p.check(c.SaveEvery >= 0, "the time between checkpoints is %v; want more than 0, or 0 for none", c.SaveEvery)
	p.check(c.KeepCheckpoints >= 0, "`keep_checkpoints` is %d; want at least 1, or 0 for all", c.KeepCheckpoints)
	if c.OutputDir == "" {
		p.check(c.SaveSteps == 0, "`save_steps` is %d, but there is no output directory; set `output_dir`", c.SaveSteps)
	} else {
		p.check(c.Save != nil, "there is an output directory, but no Save function; set Config.Save")
	}
	p.check(c.ResumeFrom != "" || len(c.AllowChanged) == 0,
		"`allow_changed` (%s) has no effect on a new run; set `resume_from_checkpoint`", strings.Join(c.AllowChanged, ", "))
}

// fs returns the file system for all files of the run.
func (c Config) fs() files.FS {
	if c.disk == nil {
		return files.System{}
	}
	return c.disk
}

// problems collects problems, so that one error reports all of them.
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
