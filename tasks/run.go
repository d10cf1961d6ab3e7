package tasks

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Run holds the settings that fine-tuning has in common for all task types. Fields have the names of the command's
// flags. The zero value of a field is the default of its flag. Where zero is a valid setting, the field is a pointer,
// and nil is the default. Model, TrainFile (or the training data of the task's own field) and OutputDir must be set.
type Run struct {
	// Model is the directory of a Hugging Face checkpoint, or a GGUF file.
	Model string
	// ModelFiles, if set, is the checkpoint in memory: the files of a Hugging Face directory by name. Model is then what
	// messages and the adapter call it.
	ModelFiles map[string][]byte
	// CustomTokenizer, if set, tokenises in place of the tokenizer in the checkpoint's files, which may be missing then.
	// The adapter remembers it and is not used with another one by mistake; a whole model is written without tokenizer
	// files.
	CustomTokenizer *tokenize.Tokenizer

	TrainFile       string  // file to train on; "-" is Stdin
	EvalFile        string  // file whose scores decide which adapter is best
	TestFile        string  // file to score once at the end
	ValidationSplit float64 // share of the training rows to hold out in place of EvalFile
	MaxTrainSamples int     // number of rows to train on, from the first; 0: all

	LoraR       int      // rank
	LoraAlpha   *float64 // numerator of the scale α/r
	LoraDropout *float32 // dropout on the adapter's input
	UseRSLoRA   bool     // scale by α/√r
	UseDoRA     bool     // train the norms of the adapted weights apart from their directions
	LoRABias    bool     // give corrections a bias
	Bias        string   // biases of the base model that train: none, all or lora_only; "": none
	// InitLoraWeights names the starting values of a new adapter ([lora.Init]): true, false, gaussian, orthogonal, pissa,
	// pissa_niter_N, olora or eva; "": true.
	InitLoraWeights string
	EVAConfig       *lora.EVAConfig // settings of InitLoraWeights eva; nil: PEFT's defaults
	// TargetModules names the layers to adapt, or holds one regular expression over whole paths, or all-linear; nil
	// is PEFT's choice for the architecture.
	TargetModules []string
	// ExcludeModules names layers that TargetModules selects and that are not adapted, or holds one regular expression.
	ExcludeModules    []string
	LayersToTransform []int                   // numbers of the blocks to adapt, with names in TargetModules; nil: all
	LayersPattern     []string                // names of the lists of blocks that LayersToTransform counts in
	RankPattern       lora.Overrides[int]     // ranks of layers that are not LoraR
	AlphaPattern      lora.Overrides[float64] // numerators of layers that are not LoraAlpha

	ModulesToSave []string // names of modules to train in full and save with the adapter, beside the task's head
	// TrainableTokenIndices lists rows of tables to train and save: of the table of words, or by table.
	TrainableTokenIndices lora.TokenRows
	// AddTokens is a file of tokens to add to the vocabulary ([base.Base.AddTokens]); their rows train.
	AddTokens         string
	EnsureWeightTying bool     // let a head that shares the table of words follow its copy in ModulesToSave
	Adapter           string   // directory of an adapter to start from, with its configuration
	AllowOtherBase    bool     // start from an Adapter of another base model, or of another tokenizer
	Dropout           *float32 // dropout of the model; nil: the checkpoint's

	BatchSize                 int      // rows of a batch
	TokensPerBatch            int      // tokens of a batch, in place of BatchSize
	GradientAccumulationSteps int      // batches of one optimiser step; 0: 1
	MaxSteps                  int      // optimiser steps, in place of NumTrainEpochs
	NumTrainEpochs            float64  // passes over the data
	Seed                      *uint64  // of fresh weights, the order of rows and dropout; nil: 42
	NoShuffle                 bool     // take the rows in the file's order
	GroupByLength             bool     // put rows of similar length together
	Threads                   int      // processors to use; 0: all. Results do not depend on it
	ComputeDtype              string   // float32, or bf16 for products with frozen weights; "": float32
	Optimizer                 string   // adamw or lora-fa; "": adamw
	LearningRate              *float64 // peak learning rate
	LoRAPlusLRRatio           float64  // LoRA+: learning rate of B relative to that of A; 0: LoRA+ is off
	LoRAPlusLREmbedding       *float64 // LoRA+: learning rate of the pairs of embeddings; nil: 1e-6
	WeightDecay               float64  // decoupled weight decay, on everything that trains
	NoDecayNormBias           bool     // leave biases and norms out of weight decay
	AdamBeta1, AdamBeta2      *float64 // nil: 0.9 and 0.999
	AdamEpsilon               float64  // 0: 1e-8, or 1e-6 with lora-fa
	LRSchedulerType           string   // linear, cosine or constant; "": linear
	WarmupSteps               *int     // steps in which the learning rate rises
	WarmupRatio               *float64 // share of all steps in which it does, in place of WarmupSteps
	MaxGradNorm               *float64 // global norm to clip gradients to, 0 for no clipping; nil: 1

	OutputDir              string   // directory for adapter, metrics and checkpoints
	Overwrite              bool     // replace the results of an earlier run in OutputDir
	ResumeFromCheckpoint   string   // checkpoint, or output directory whose newest checkpoint is meant, to continue from
	AllowChanged           []string // names of settings that may differ from those of the checkpoint
	ResumeFallback         bool     // if the newest checkpoint is damaged, continue from the one before
	EvalSteps              int      // steps between evaluations; 0: one epoch
	MetricForBestModel     string   // metric that decides which adapter is best; "": the task's first
	EarlyStoppingPatience  int      // evaluations without improvement after which to stop; 0: never stop early
	EarlyStoppingThreshold float64  // least improvement that counts
	SaveSteps              int      // steps between checkpoints; 0: SaveMinutes alone decides
	SaveMinutes            *float64 // minutes between checkpoints, 0 for none; nil: 10
	KeepCheckpoints        *int     // checkpoints to keep, 0 for all; nil: 2
	AllowNonFinite         bool     // train although weights of the checkpoint are NaN or infinite

	Stdin  io.Reader      // read for the file name "-"
	Logger zerolog.Logger // receives messages about data, model and run; the zero value discards them
	// OnModel, OnStart, OnStep and OnEval, if set, are called on Finetune's goroutine: with the printed module trees of
	// the model, without and with its adapter ("" if all weights train), before the first step, after each step and
	// after each evaluation.
	OnModel func(bare, adapted string)
	OnStart func(train.Plan)
	OnStep  func(train.StepInfo)
	OnEval  func(train.Evaluation)
}

// Common returns r: the settings that a configuration which embeds a Run shares with the others.
func (r *Run) Common() *Run { return r }

// DefaultAdapter returns the configuration of a new adapter where neither the task nor a setting says otherwise.
func DefaultAdapter() lora.Config {
	c := lora.DefaultConfig()
	c.R, c.Alpha = 8, 16
	return c
}

// DefaultTraining returns the settings of the loop where neither the task nor a setting says otherwise.
func DefaultTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs = 32, 3
	c.LearningRate, c.Schedule = 1e-3, train.Linear
	return c
}

// Value returns the setting that p points to: its zero value if p is nil.
func Value[T any](p *T) T {
	var v T
	set(&v, p)
	return v
}

// set replaces a default by a setting, if that is given.
func set[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}

// training returns the settings of the loop: those that are given, and the task's defaults for the others.
func (r *Run) training(c train.Config) (train.Config, error) {
	var errs []error
	c.BatchSize = cmp.Or(r.BatchSize, c.BatchSize)
	if c.TokensPerBatch = r.TokensPerBatch; r.TokensPerBatch != 0 && r.BatchSize == 0 {
		c.BatchSize = 0
	}
	c.GradientAccumulationSteps = cmp.Or(r.GradientAccumulationSteps, c.GradientAccumulationSteps)
	switch r.MaxSteps {
	case 0, -1: // Hugging Face's files say -1 where epochs count
		c.NumTrainEpochs = cmp.Or(r.NumTrainEpochs, c.NumTrainEpochs)
	default:
		if r.NumTrainEpochs != 0 {
			errs = append(errs, errors.New("`max_steps` and `num_train_epochs` exclude each other; give one"))
		}
		c.MaxSteps, c.NumTrainEpochs = r.MaxSteps, 0
	}
	set(&c.Seed, r.Seed)
	c.NoShuffle, c.GroupByLength = r.NoShuffle, r.GroupByLength
	if c.Optimizer = cmp.Or(train.Optimizer(r.Optimizer), c.Optimizer); c.Optimizer == train.LoRAFA {
		c.Eps = train.LoRAFAEps
	}
	set(&c.LearningRate, r.LearningRate)
	c.LoRAPlusRatio = r.LoRAPlusLRRatio
	set(&c.LoRAPlusEmbedding, r.LoRAPlusLREmbedding)
	if r.LoRAPlusLREmbedding != nil && r.LoRAPlusLRRatio == 0 {
		errs = append(errs, errors.New("`loraplus_lr_embedding` needs `loraplus_lr_ratio`"))
	}
	c.WeightDecay, c.NoDecayNormBias = r.WeightDecay, r.NoDecayNormBias
	set(&c.Beta1, r.AdamBeta1)
	set(&c.Beta2, r.AdamBeta2)
	c.Eps = cmp.Or(r.AdamEpsilon, c.Eps)
	c.Schedule = cmp.Or(train.Schedule(r.LRSchedulerType), c.Schedule)
	if r.WarmupSteps != nil && r.WarmupRatio == nil {
		c.WarmupRatio = 0
	}
	set(&c.WarmupSteps, r.WarmupSteps)
	set(&c.WarmupRatio, r.WarmupRatio)
	set(&c.MaxGradNorm, r.MaxGradNorm)
	c.ResumeFrom, c.ResumeFallback = r.ResumeFromCheckpoint, r.ResumeFallback
	c.Overwrite, c.AllowChanged = r.Overwrite, r.AllowChanged
	if r.ResumeFallback && r.ResumeFromCheckpoint == "" {
		errs = append(errs, errors.New("`resume_fallback` needs `resume_from_checkpoint`"))
	}
	c.EvalSteps, c.MetricForBestModel = r.EvalSteps, r.MetricForBestModel
	c.EarlyStoppingPatience, c.EarlyStoppingThreshold = r.EarlyStoppingPatience, r.EarlyStoppingThreshold
	c.SaveSteps = r.SaveSteps
	if r.SaveMinutes != nil {
		if c.SaveEvery = time.Duration(*r.SaveMinutes * float64(time.Minute)); *r.SaveMinutes < 0 {
			errs = append(errs, fmt.Errorf("`save_minutes` is %g; want 0 or more", *r.SaveMinutes))
			c.SaveEvery = 0
		}
	}
	set(&c.KeepCheckpoints, r.KeepCheckpoints)
	if !slices.Contains([]string{"", train.Float32, train.BF16}, r.ComputeDtype) {
		errs = append(errs, fmt.Errorf("`compute_dtype` is %q; want %s or %s", r.ComputeDtype, train.Float32, train.BF16))
	}
	if r.Threads < 0 {
		errs = append(errs, fmt.Errorf("`threads` is %d; want 1 or more, or 0 for all processors", r.Threads))
	}
	v := c
	v.OutputDir, v.Save = ".", func(string) error { return nil } // there will be one
	errs = append(errs, v.Validate())
	return c, base.Settings(errors.Join(errs...))
}

// adapter returns the configuration of a new adapter: the settings that are given, and the task's defaults for the
// others.
func (r *Run) adapter(c lora.Config) lora.Config {
	c.R = cmp.Or(r.LoraR, c.R)
	set(&c.Alpha, r.LoraAlpha)
	set(&c.Dropout, r.LoraDropout)
	c.UseRSLoRA, c.UseDoRA, c.LoRABias = r.UseRSLoRA, r.UseDoRA, r.LoRABias
	if c.Bias = lora.Bias(r.Bias); r.Bias == "none" {
		c.Bias = lora.BiasNone
	}
	if len(r.ExcludeModules) > 0 {
		c.ExcludeModules = parseTargets(r.ExcludeModules)
	}
	c.LayersToTransform, c.LayersPattern = r.LayersToTransform, trimmed(r.LayersPattern)
	c.RankPattern, c.AlphaPattern = r.RankPattern, r.AlphaPattern
	c.InitLoraWeights, _ = lora.ParseInit(r.InitLoraWeights) // an unknown name stays, and Config.Check refuses it
	c.EVA = r.EVAConfig
	c.ModulesToSave = r.ModulesToSave
	c.TrainableTokenIndices, c.EnsureWeightTying = r.TrainableTokenIndices, r.EnsureWeightTying
	return c
}

// check returns the errors about settings that can be found before anything is opened.
// ownBase says that the task opens a base of its own.
func (r *Run) check(a lora.Config, ownBase bool) []error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(r.Model == "" && !ownBase, "`model` is missing; give a checkpoint")
	add(r.ValidationSplit != 0 && r.EvalFile != "", "`validation_split` and `eval_file` exclude each other; give one")
	add(!(r.ValidationSplit >= 0 && r.ValidationSplit < 1), "`validation_split` is %g; want at least 0 and below 1",
		r.ValidationSplit)
	if a.TargetModules = parseTargets(r.TargetModules); len(r.TargetModules) == 0 {
		a.TargetModules = lora.Names("all") // in place of those of the architecture
	}
	if r.Adapter != "" {
		a.LayersPattern = nil // the adapter has the layers_to_transform that it needs
	}
	errs = append(errs, a.Check())
	add(r.EVAConfig != nil && a.InitLoraWeights != lora.InitEVA, "`eva_config` needs `init_lora_weights eva`")
	add(r.AllowOtherBase && r.Adapter == "", "`allow_other_base` needs `adapter`")
	add(r.AddTokens != "" && r.Adapter != "", "`add_tokens` is for a new adapter, but `adapter` gives one; leave one of "+
		"them out, or merge that adapter first")
	add(r.AddTokens != "" && ownBase, "`add_tokens` does not work with a model from scratch; add the tokens to its "+
		"tokenizer, and give it the `vocab_size`")
	errs = append(errs, r.removedInput())
	stdin := slices.DeleteFunc([]string{r.TrainFile, r.EvalFile, r.TestFile}, func(f string) bool { return f != "-" })
	add(len(stdin) > 1, "only one of `train_file`, `eval_file` and `test_file` can be standard input (-)")
	add(r.MaxTrainSamples < 0, "`max_train_samples` is %d; want 1 or more, or 0 for all", r.MaxTrainSamples)
	if r.Dropout != nil {
		add(!(*r.Dropout >= 0 && *r.Dropout < 1), "`dropout` is %g; want at least 0 and below 1", *r.Dropout)
	}
	return errs
}
