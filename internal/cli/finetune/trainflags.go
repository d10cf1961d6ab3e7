package finetune

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/train"
)

// trainFlags are the flags of the training loop, the same for every task. Names are those of Hugging Face's Trainer.
type trainFlags struct {
	cfg         train.Config
	schedule    string
	saveMinutes float64
	outputDir   string
	overwrite   bool
	resume      string
	threads     int
}

// add defines the flags. The given defaults are the task's.
func (f *trainFlags) add(fs *pflag.FlagSet, defaults train.Config) {
	f.cfg = defaults
	cli.Section(fs, "Training", f.addLoop)
	cli.Section(fs, "Optimiser", f.addOptimizer)
	cli.Section(fs, "Output, evaluation and checkpoints", f.addOutput)
}

func (f *trainFlags) addOutput(fs *pflag.FlagSet) {
	c := &f.cfg
	fs.StringVar(&f.outputDir, "output-dir", "", "`directory` for adapter, metrics and checkpoints; default: a new one, runs/<task>-<time>")
	fs.BoolVar(&f.overwrite, "overwrite", false, "replace what an earlier run left in --output-dir")
	fs.StringVar(&f.resume, "resume-from-checkpoint", "", "go on where this checkpoint, or the newest one in this output `directory`, stopped")
	fs.StringSliceVar(&c.AllowChanged, "allow-changed", nil, "`names` of settings that may differ from those of the checkpoint; the message that refuses them has the names")
	fs.BoolVar(&c.ResumeFallback, "resume-fallback", false, "where the newest checkpoint is damaged, go on from the one before")
	fs.IntVar(&c.EvalSteps, "eval-steps", 0, "steps between evaluations; 0: after each epoch")
	fs.StringVar(&c.MetricForBestModel, "metric-for-best-model", "", "`metric` that decides which adapter is best; default: the task's first")
	fs.IntVar(&c.EarlyStoppingPatience, "early-stopping-patience", 0, "stop after so many evaluations without improvement; 0: never")
	fs.Float64Var(&c.EarlyStoppingThreshold, "early-stopping-threshold", 0, "what counts as improvement")
	fs.IntVar(&c.SaveSteps, "save-steps", 0, "steps between checkpoints; 0: by time only")
	fs.Float64Var(&f.saveMinutes, "save-minutes", c.SaveEvery.Minutes(), "minutes between checkpoints; 0: by steps only")
	fs.IntVar(&c.KeepCheckpoints, "keep-checkpoints", c.KeepCheckpoints, "checkpoints to keep; 0: all")
}

func (f *trainFlags) addLoop(fs *pflag.FlagSet) {
	c := &f.cfg
	fs.IntVar(&c.BatchSize, "batch-size", c.BatchSize, "rows of a batch")
	fs.IntVar(&c.TokensPerBatch, "tokens-per-batch", 0, "instead of --batch-size: fill batches up to so many tokens")
	fs.IntVar(&c.GradientAccumulationSteps, "gradient-accumulation-steps", c.GradientAccumulationSteps, "batches of one optimiser step")
	fs.IntVar(&c.MaxSteps, "max-steps", 0, "optimiser steps; instead of --num-train-epochs")
	fs.Float64Var(&c.NumTrainEpochs, "num-train-epochs", c.NumTrainEpochs, "how often to go through the data")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "of fresh weights, the order of rows and dropout")
	fs.BoolVar(&c.NoShuffle, "no-shuffle", false, "take the rows in the file's order")
	fs.BoolVar(&c.GroupByLength, "group-by-length", false, "put rows of similar length together")
	fs.IntVar(&f.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
}

func (f *trainFlags) addOptimizer(fs *pflag.FlagSet) {
	c := &f.cfg
	fs.Float64Var(&c.LearningRate, "learning-rate", c.LearningRate, "peak learning rate of AdamW")
	fs.Float64Var(&c.WeightDecay, "weight-decay", c.WeightDecay, "decoupled weight decay, on everything that trains")
	fs.BoolVar(&c.NoDecayNormBias, "no-decay-norm-bias", false, "leave biases and norms out of weight decay")
	fs.Float64Var(&c.Beta1, "adam-beta1", c.Beta1, "AdamW's β₁")
	fs.Float64Var(&c.Beta2, "adam-beta2", c.Beta2, "AdamW's β₂")
	fs.Float64Var(&c.Eps, "adam-epsilon", c.Eps, "AdamW's ε")
	fs.StringVar(&f.schedule, "lr-scheduler-type", string(c.Schedule), "linear, cosine or constant")
	fs.IntVar(&c.WarmupSteps, "warmup-steps", 0, "steps in which the learning rate rises")
	fs.Float64Var(&c.WarmupRatio, "warmup-ratio", c.WarmupRatio, "the same as a share of all steps")
	fs.Float64Var(&c.MaxGradNorm, "max-grad-norm", c.MaxGradNorm, "clip gradients to this global norm; 0: never")
}

// config returns the settings after parsing. given says whether a flag was set by the user.
func (f *trainFlags) config(given func(string) bool) (train.Config, error) {
	c := f.cfg
	var errs []error
	c.Schedule = train.Schedule(f.schedule)
	c.SaveEvery = time.Duration(f.saveMinutes * float64(time.Minute))
	if given("tokens-per-batch") && !given("batch-size") {
		c.BatchSize = 0
	}
	if given("max-steps") && c.MaxSteps == -1 { // how Hugging Face's files say that epochs count
		c.MaxSteps = 0
	} else if given("max-steps") {
		if given("num-train-epochs") {
			errs = append(errs, errors.New("--max-steps and --num-train-epochs exclude each other"))
		}
		c.NumTrainEpochs = 0
	}
	if given("warmup-steps") && !given("warmup-ratio") {
		c.WarmupRatio = 0
	}
	if c.ResumeFallback && f.resume == "" {
		errs = append(errs, errors.New("--resume-fallback needs --resume-from-checkpoint"))
	}
	if f.saveMinutes < 0 {
		errs = append(errs, fmt.Errorf("--save-minutes is %g; want 0 or more", f.saveMinutes))
	}
	c.ResumeFrom, c.Overwrite = f.resume, f.overwrite
	if f.threads < 0 {
		errs = append(errs, cli.ThreadsError(f.threads))
	}
	v := c
	v.OutputDir, v.Save = ".", func(string) error { return nil } // there will be one
	if err := v.Validate(); err != nil {
		errs = append(errs, err)
	}
	return c, cli.UsageError(errors.Join(errs...))
}
