package task

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// AddFiles defines the flags that name the data. formats says which formats are read, builtIn what is compiled in (""
// for nothing), and chosen how rows are chosen to be held out.
func AddFiles(fs *pflag.FlagSet, r *tasks.Run, formats, builtIn, chosen string) {
	if builtIn != "" {
		builtIn = "; default: the embedded " + builtIn
	}
	fs.StringVar(&r.TrainFile, "train-file", "", "`file` to train on: "+formats+builtIn)
	fs.StringVar(&r.EvalFile, "eval-file", "", "`file` that decides which adapter is best")
	fs.StringVar(&r.TestFile, "test-file", "", "`file` to score once at the end")
	fs.Float64Var(&r.ValidationSplit, "validation-split", 0,
		"share of the training rows to hold out as --eval-file"+chosen)
	fs.IntVar(&r.MaxTrainSamples, "max-train-samples", 0, "number of rows to train on, from the first; 0: all")
}

// AddAdapter defines the flags of the adapter. Names are PEFT's. head says whether the head trains.
func AddAdapter(fs *pflag.FlagSet, r *tasks.Run, c lora.Config, head string) {
	cli.Default(fs, &r.LoraR, "lora-r", c.R, "rank")
	cli.Optional(fs, &r.LoraAlpha, "lora-alpha", c.Alpha, "numerator of the scale α/r")
	cli.Optional(fs, &r.LoraDropout, "lora-dropout", c.Dropout, "dropout on the adapter's input")
	fs.BoolVar(&r.UseRSLoRA, "use-rslora", false, "scale by α/√r")
	fs.BoolVar(&r.UseDoRA, "use-dora", false, "DoRA: train the norms of adapted weights apart from their directions")
	fs.BoolVar(&r.LoRABias, "lora-bias", false, "give corrections a bias; not with --use-dora")
	cli.Default(fs, &r.Bias, "bias", "none", "`biases` of the base model that train: none, all or lora_only")
	fs.StringVar(&r.InitLoraWeights, "init-lora-weights", "",
		"`name` of the starting values: true, false, gaussian, orthogonal, pissa, pissa_niter_N, olora or eva; "+
			"default: true")
	fs.Var(evaConfig{&r.EVAConfig}, "eva-config",
		"`settings` of --init-lora-weights eva, as name=value,… with PEFT's names; default: "+
			lora.DefaultEVAConfig().String())
	fs.StringSliceVar(&r.TargetModules, "target-modules", nil,
		"`names` of the layers to adapt, or one regular expression over "+
			"whole paths, or all-linear; default: PEFT's for the architecture")
	fs.StringSliceVar(&r.ExcludeModules, "exclude-modules", nil,
		"`names` of layers to leave out of --target-modules, or one regular expression")
	fs.IntSliceVar(&r.LayersToTransform, "layers-to-transform", nil,
		"`numbers` of the blocks to adapt, from 0, where --target-modules are names; default: all")
	fs.StringSliceVar(&r.LayersPattern, "layers-pattern", nil,
		"`names` of the lists of blocks that --layers-to-transform counts in; default: the first list in a path")
	cli.Overrides(fs, &r.RankPattern, "rank-pattern",
		"ranks of some layers, as `pattern=rank,…`: regular expressions for the end of their paths")
	cli.Overrides(fs, &r.AlphaPattern, "alpha-pattern", "numerators of some layers, as `pattern=alpha,…`")
	fs.StringSliceVar(&r.ModulesToSave, "modules-to-save", nil,
		"`names` of modules to train in full and save with the adapter"+head)
	cli.TokenRows(fs, &r.TrainableTokenIndices, "trainable-token-indices",
		"`rows` of the table of words to train and save, 3,17, or of tables by name, embed_tokens=3,17;lm_head=5")
	fs.StringVar(&r.AddTokens, "add-tokens", "",
		"`file` of tokens to add to the vocabulary and to train: one a line, or a list in a .json file")
	fs.BoolVar(&r.EnsureWeightTying, "ensure-weight-tying", false,
		"with embed_tokens or lm_head in --modules-to-save: keep a tied head tied")
	fs.StringVar(&r.Adapter, "adapter", "", "start from the adapter in this `directory` and its configuration")
	fs.BoolVar(&r.AllowOtherBase, "allow-other-base", false,
		"start from an --adapter that was trained on another base model")
}

// evaConfig is the value of a flag for the settings of eva.
type evaConfig struct{ to **lora.EVAConfig }

// Set reads settings.
func (v evaConfig) Set(text string) error {
	c, err := lora.ParseEVAConfig(text)
	*v.to = &c
	return err
}

// String returns the settings, or "" if there are none.
func (v evaConfig) String() string {
	if v.to == nil || *v.to == nil {
		return ""
	}
	return (*v.to).String()
}

// Type names the value in messages.
func (evaConfig) Type() string { return "settings" }

// AddDropout defines --dropout.
func AddDropout(fs *pflag.FlagSet, r *tasks.Run) {
	cli.Optional(fs, &r.Dropout, "dropout", 0, "dropout of the model; default: the checkpoint's")
}

// AddTraining defines the flags of the training loop, in sections. Names are those of Hugging Face's Trainer.
func AddTraining(fs *pflag.FlagSet, r *tasks.Run, c train.Config) {
	cli.Section(fs, "Training", func(fs *pflag.FlagSet) { addLoop(fs, r, c) })
	cli.Section(fs, "Optimiser", func(fs *pflag.FlagSet) { addOptimizer(fs, r, c) })
	cli.Section(fs, "Output, evaluation and checkpoints", func(fs *pflag.FlagSet) { addOutput(fs, r, c) })
}

func addLoop(fs *pflag.FlagSet, r *tasks.Run, c train.Config) {
	cli.Default(fs, &r.BatchSize, "batch-size", c.BatchSize, "rows of a batch")
	fs.IntVar(&r.TokensPerBatch, "tokens-per-batch", 0,
		"fill batches up to this number of tokens, instead of --batch-size")
	cli.Default(fs, &r.GradientAccumulationSteps, "gradient-accumulation-steps", c.GradientAccumulationSteps,
		"batches of one optimiser step")
	fs.IntVar(&r.MaxSteps, "max-steps", 0, "optimiser steps, instead of --num-train-epochs")
	cli.Default(fs, &r.NumTrainEpochs, "num-train-epochs", c.NumTrainEpochs, "passes over the data")
	cli.Optional(fs, &r.Seed, "seed", c.Seed, "of fresh weights, the order of rows and dropout")
	fs.BoolVar(&r.NoShuffle, "no-shuffle", false, "take the rows in the file's order")
	fs.BoolVar(&r.GroupByLength, "group-by-length", false, "put rows of similar length together")
	fs.IntVar(&r.Threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
	cli.Default(fs, &r.ComputeDtype, "compute-dtype", train.Float32,
		"type in which frozen weights and their inputs are multiplied: float32, or bf16, which some processors do faster")
}

func addOptimizer(fs *pflag.FlagSet, r *tasks.Run, c train.Config) {
	cli.Default(fs, &r.Optimizer, "optimizer", string(c.Optimizer),
		"adamw, or lora-fa: freeze A and step B along its projected gradient")
	cli.Optional(fs, &r.LearningRate, "learning-rate", c.LearningRate, "peak learning rate")
	fs.Float64Var(&r.LoRAPlusLRRatio, "loraplus-lr-ratio", 0,
		"LoRA+: learning rate of B, biases and norms relative to --learning-rate; 0: LoRA+ is off")
	cli.Optional(fs, &r.LoRAPlusLREmbedding, "loraplus-lr-embedding", c.LoRAPlusEmbedding,
		"LoRA+: learning rate of the pairs of embeddings")
	fs.Float64Var(&r.WeightDecay, "weight-decay", c.WeightDecay, "decoupled weight decay, on everything that trains")
	fs.BoolVar(&r.NoDecayNormBias, "no-decay-norm-bias", false, "leave biases and norms out of weight decay")
	cli.Optional(fs, &r.AdamBeta1, "adam-beta1", c.Beta1, "Adam's β₁")
	cli.Optional(fs, &r.AdamBeta2, "adam-beta2", c.Beta2, "Adam's β₂")
	cli.Default(fs, &r.AdamEpsilon, "adam-epsilon", c.Eps, "Adam's ε; with lora-fa 1e-06")
	cli.Default(fs, &r.LRSchedulerType, "lr-scheduler-type", string(c.Schedule), "linear, cosine or constant")
	cli.Optional(fs, &r.WarmupSteps, "warmup-steps", 0, "steps in which the learning rate rises")
	cli.Optional(fs, &r.WarmupRatio, "warmup-ratio", c.WarmupRatio,
		"share of all steps in which it rises, instead of --warmup-steps")
	cli.Optional(fs, &r.MaxGradNorm, "max-grad-norm", c.MaxGradNorm, "clip gradients to this global norm; 0: never")
}

func addOutput(fs *pflag.FlagSet, r *tasks.Run, c train.Config) {
	fs.StringVar(&r.OutputDir, "output-dir", "",
		"`directory` for adapter, metrics and checkpoints; default: a new one, runs/<task>-<time>")
	fs.BoolVar(&r.Overwrite, "overwrite", false, "replace the results of an earlier run in --output-dir")
	fs.StringVar(&r.ResumeFromCheckpoint, "resume-from-checkpoint", "",
		"continue from this checkpoint, or from the newest one in this output `directory`")
	fs.StringSliceVar(&r.AllowChanged, "allow-changed", nil,
		"`names` of settings that may differ from those of the checkpoint; the message that refuses them lists the names")
	fs.BoolVar(&r.ResumeFallback, "resume-fallback", false,
		"if the newest checkpoint is damaged, continue from the one before")
	fs.IntVar(&r.EvalSteps, "eval-steps", 0, "steps between evaluations; 0: after each epoch")
	fs.StringVar(&r.MetricForBestModel, "metric-for-best-model", "",
		"`metric` that decides which adapter is best; default: the task's first")
	fs.IntVar(&r.EarlyStoppingPatience, "early-stopping-patience", 0,
		"stop after this number of evaluations without improvement; 0: never")
	fs.Float64Var(&r.EarlyStoppingThreshold, "early-stopping-threshold", 0,
		"least change of the metric that counts as improvement")
	fs.IntVar(&r.SaveSteps, "save-steps", 0, "steps between checkpoints; 0: by time only")
	cli.Optional(fs, &r.SaveMinutes, "save-minutes", c.SaveEvery.Minutes(),
		"minutes between checkpoints; 0: by steps only")
	cli.Optional(fs, &r.KeepCheckpoints, "keep-checkpoints", c.KeepCheckpoints, "checkpoints to keep; 0: all")
}

// WarmUp lets the learning rate rise over a tenth of the steps, where no flag says otherwise.
func WarmUp(r *tasks.Run) {
	if r.WarmupRatio == nil && r.WarmupSteps == nil && r.LRSchedulerType != string(train.Constant) {
		r.WarmupRatio = new(0.1)
	}
}

// Epochs sets the passes over the data, where no flag says otherwise.
func Epochs(r *tasks.Run, n float64) {
	if r.NumTrainEpochs == 0 && (r.MaxSteps == 0 || r.MaxSteps == -1) { // Hugging Face's files say -1 where epochs count
		r.NumTrainEpochs = n
	}
}

// AddFull defines the flags of runs that can train all weights of a model that reads texts.
func AddFull(fs *pflag.FlagSet, a *tasks.AllWeights) {
	addFromScratch(fs, a)
	fs.StringVar(&a.Tokenizer, "tokenizer", "",
		"`directory` with the tokenizer of --from-scratch; default: that of config.json")
	addSaveDType(fs, a)
}

// AddFullWithoutTokenizer is [AddFull] for models that read no texts.
func AddFullWithoutTokenizer(fs *pflag.FlagSet, a *tasks.AllWeights) {
	addFromScratch(fs, a)
	addSaveDType(fs, a)
}

func addFromScratch(fs *pflag.FlagSet, a *tasks.AllWeights) {
	fs.BoolVar(&a.Full, "full", false, "train all weights and write a whole model, not an adapter")
	fs.StringVar(&a.FromScratch, "from-scratch", "",
		"`file` config.json of a model to begin with random weights; needs --full")
}

func addSaveDType(fs *pflag.FlagSet, a *tasks.AllWeights) {
	cli.Default(fs, &a.SaveDType, "save-dtype", "float32", base.DTypes+": how the weights of --full are stored")
}
