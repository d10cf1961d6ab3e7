package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// causalRun is one run of "finetune causal-lm".
type causalRun struct {
	job
	fromScratch, tokenizer string
	full                   bool
	saveDType              string
	blockSize, maxLength   int
	tooLong                string
	trainOnPrompt          bool
	samplePrompts          []string
	sampleTokens           int
	preview                int
	data                   cli.DocumentFlags
}

const causalExamples = `  # the model and the text that are compiled in
  finetune causal-lm

  # a checkpoint of the GPT-2 or LLaMA family, or a GGUF file, goes on with a text
  finetune causal-lm --model SmolLM2-135M --train-file book.txt --validation-split 0.05 --sample-prompt "It was a dark night"

  # prompts and completions, or chats, of which only the answers are learned; look at them first
  finetune causal-lm --model SmolLM2-135M-Instruct --train-file chats.jsonl --preview 3
  finetune causal-lm --model SmolLM2-135M-Instruct --train-file chats.jsonl --output-dir runs/mine

  # all weights instead of an adapter; a model from nothing
  finetune causal-lm --model gpt2 --train-file book.txt --full --gradient-checkpointing
  finetune causal-lm --from-scratch config.json --tokenizer gpt2 --full --train-file book.txt --output-dir runs/tiny`

func causalLM(env cli.Env) *cobra.Command {
	r := &causalRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "causal-lm",
		Short: "The next token of texts, completions and chats",
		Long: `Fine-tune a LoRA adapter (or, with --full, all weights) of a causal language model: GPT-2, LLaMA, Mistral, Qwen2, Qwen3.

A file is plain text, which is learned in windows of --block-size tokens; or rows (JSON Lines, CSV, TSV) with a text, with prompt and
completion, or with messages, each a sequence of its own. Of prompts and chats only the completions and the assistant's turns are learned.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (with --full: model.safetensors, config.json and the tokenizer's
files) of the best state, without evaluation the last; metrics.jsonl (a line for each step and evaluation), results.json and checkpoints.

Samples of what the model writes are printed before and after training and at each evaluation: of texts drawn with temperature 0.8 and top_p
0.95 from the same random numbers each time, of prompts and chats the most probable tokens.
With --full the learning rate of a checkpoint is 5e-5, unless a flag says otherwise. With the embedded model and text (questions to a bank, put
together) it is 1e-2 with batches of 4, a tenth of the steps warm up, and all linear layers are adapted.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal with adapter or model saved.`,
		Example: causalExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model and data", r.addData)
	cli.Section(fs, "How data files are read", r.data.Add)
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) { r.lora.add(fs, seqClsAdapter(), "") })
	cli.Section(fs, "All weights", r.addFull)
	cli.Section(fs, "Task", r.addTask)
	r.train.add(fs, causalTraining())
	cli.Section(fs, "Samples", r.addSamples)
	cli.Section(fs, "Messages", r.addMessages)
	cli.Leaf(cmd)
	return cmd
}

func (r *causalRun) addData(fs *pflag.FlagSet) {
	fs.StringVar(&r.model, "model", "", "`directory` of a Hugging Face checkpoint, or GGUF file; default: the embedded GPT")
	r.files.add(fs, "plain text, JSON Lines, CSV or TSV", "questions of banking77", "; of one text its end")
}

func (r *causalRun) addFull(fs *pflag.FlagSet) {
	fs.BoolVar(&r.full, "full", false, "train all weights and write a whole model, not an adapter")
	fs.StringVar(&r.fromScratch, "from-scratch", "", "`file` config.json of a model to begin with random weights; needs --full")
	fs.StringVar(&r.tokenizer, "tokenizer", "", "`directory` with the tokenizer of --from-scratch; default: that of config.json")
	fs.StringVar(&r.saveDType, "save-dtype", "float32", cli.DTypes+": how the weights of --full are stored")
}

func (r *causalRun) addTask(fs *pflag.FlagSet) {
	fs.IntVar(&r.blockSize, "block-size", cli.StandardBlock, "tokens of the windows that plain text is cut into (texts in rows only if this flag is given); 0: each text is one sequence, as it is")
	fs.IntVar(&r.maxLength, "max-length", 0, "tokens of a sequence; 0: what the checkpoint allows")
	fs.StringVar(&r.tooLong, "too-long", "cut", "cut or error: what becomes of longer sequences")
	fs.BoolVar(&r.trainOnPrompt, "train-on-prompt", false, "learn prompts and the turns of others too")
	fs.Float32Var(&r.dropout, "dropout", 0, "dropout of the model; default: the checkpoint's")
	fs.BoolVar(&r.train.cfg.GradientCheckpointing, "gradient-checkpointing", false, "compute each block again in the backward: less memory, more time, the same results")
	fs.IntVar(&r.preview, "preview", 0, "print the first so many sequences, what is learned marked, and stop")
}

func (r *causalRun) addSamples(fs *pflag.FlagSet) {
	fs.StringArrayVar(&r.samplePrompts, "sample-prompt", nil, "a `text` to go on with before, during (at each evaluation) and after training; may be given several times; default: one from the data")
	fs.IntVar(&r.sampleTokens, "sample-max-new-tokens", 48, "tokens of a sample; 0: no samples")
}

// causalTraining returns the settings of the loop that a run has by default.
func causalTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs, c.LearningRate = 8, 1, 1e-3
	return c
}

// defaults changes defaults, where no flag says otherwise: for runs that train all weights of a checkpoint, and for what is compiled in, a
// small model that has read other texts: it needs more of an adapter than a large one.
func (r *causalRun) defaults() {
	if r.full && r.fromScratch == "" && !r.given("learning-rate") {
		r.train.cfg.LearningRate = 5e-5
	}
	if r.model != "" || r.files.train != "" || r.full {
		return
	}
	if !r.given("learning-rate") {
		r.train.cfg.LearningRate = 1e-2
	}
	if !r.given("batch-size") && !r.given("tokens-per-batch") {
		r.train.cfg.BatchSize = 4
	}
	r.warmUp()
	if !r.given("target-modules") && r.lora.adapter == "" {
		r.lora.targets = []string{lora.AllLinear}
	}
	if !r.given("sample-prompt") {
		r.samplePrompts = []string{"How do I", "My card"}
	}
}

func (r *causalRun) run(cmd *cobra.Command) (err error) {
	r.flags, r.given, r.typed = cmd.Flags(), cmd.Flags().Changed, cli.Typed(cmd.Flags())
	if r.console, err = cli.NewConsole(r.env, r.log); err != nil {
		return err
	}
	r.console.Perplexity = true
	r.defaults()
	cfg, err := r.train.config(r.given)
	if err != nil {
		return err
	}
	if err := r.checkFlags(); err != nil {
		return err
	}
	var out *output
	if r.preview == 0 {
		if out, err = r.train.prepareOutput("causal-lm"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.release()) }()
	}
	base, err := r.openBase()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	docs, err := r.readDocuments()
	if err != nil {
		return err
	}
	pool, err := cli.NewPool(r.train.threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	s, err := r.openSubject(base, cfg.Seed)
	if err != nil {
		return err
	}
	task, err := r.newTask(cmd.Context(), s, docs, pool)
	if err != nil {
		return err
	}
	if r.preview > 0 {
		return r.writePreview(task)
	}
	cfg.Pool, cfg.Adapter, cfg.Save, cfg.Identity = pool, s.adapter(), s.save, r.identity(s, docs)
	cfg.Replaces = r.replaced(out.dir, r.model)
	if r.fromScratch != "" {
		cfg.Replaces = r.replaced(out.dir, filepath.Dir(r.fromScratch), r.tokenizerDir())
	}
	samples, err := r.newSampler(s, docs, cfg)
	if err != nil {
		return err
	}
	return r.trainWith(cmd.Context(), s, task, docs, samples, cfg, out.dir)
}

// trainWith trains, with samples before, at evaluations and after.
func (r *causalRun) trainWith(ctx context.Context, s *subject, task *tasks.CausalLM, docs documents, samples *sampler, cfg train.Config, dir string) error {
	cfg.OnEval = func(e train.Evaluation) {
		r.console.Evaluation(e)
		r.logSamples(ctx, samples, fmt.Sprintf("step %d", e.Step))
	}
	t := training{dir: dir, kind: s.kind(), task: task, params: s.params, results: newResults("causal-lm", s.base, s.fingerprint, s.set)}
	t.started = func() {
		if err := r.writeSamples(ctx, samples, "before training"); err != nil && ctx.Err() == nil {
			r.console.Log.Warn().Msg(cli.OptionsAsFlags(r.flags, cli.OneLine(err)))
		}
	}
	t.finished = func(report train.Report) error {
		fmt.Fprintf(r.env.Out, "mean perplexity of training %.2f\n", math.Exp(report.TrainLoss))
		return r.writeSamples(ctx, samples, "after training")
	}
	if docs.test != nil {
		t.testRows = docs.test.Len()
	}
	return r.execute(ctx, t, cfg)
}

// checkFlags reports flags that contradict each other before anything is opened.
func (r *causalRun) checkFlags() error {
	errs := r.job.checkFlags(cli.DocumentFlagNames())
	if _, err := parseTooLong(r.tooLong); err != nil {
		errs = append(errs, err)
	}
	if _, err := cli.ParseDType("save-dtype", r.saveDType); err != nil {
		errs = append(errs, err)
	}
	if r.fromScratch != "" && r.model != "" {
		errs = append(errs, errors.New("--from-scratch and --model exclude each other"))
	}
	if r.fromScratch != "" && !r.full {
		errs = append(errs, errors.New("--from-scratch needs --full: an adapter of random weights is of no use"))
	}
	if r.tokenizer != "" && r.fromScratch == "" {
		errs = append(errs, errors.New("--tokenizer needs --from-scratch; a checkpoint has its own"))
	}
	for _, flag := range loraFlagNames() {
		if r.full && r.given(flag) {
			errs = append(errs, fmt.Errorf("--%s is for adapters, not for --full", flag))
		}
	}
	if r.given("save-dtype") && !r.full {
		errs = append(errs, errors.New("--save-dtype needs --full; adapters are stored in float32"))
	}
	if r.full && r.ownBase() {
		errs = append(errs, fmt.Errorf("--output-dir %s is --model, whose weights would be replaced; give another", r.train.outputDir))
	}
	if r.blockSize < 0 {
		errs = append(errs, fmt.Errorf("--block-size is %d; want 2 or more, or 0 for texts as they are", r.blockSize))
	}
	if r.sampleTokens < 0 {
		errs = append(errs, fmt.Errorf("--sample-max-new-tokens is %d; want 1 or more, or 0 for no samples", r.sampleTokens))
	}
	if r.given("preview") && r.preview < 1 {
		errs = append(errs, fmt.Errorf("--preview is %d; want 1 or more", r.preview))
	}
	return cli.UsageError(errors.Join(errs...))
}

// ownBase reports whether the output directory is that of the base.
func (r *causalRun) ownBase() bool { return files.Same(r.model, r.train.outputDir) }

func parseTooLong(s string) (tasks.TooLong, error) {
	switch s {
	case "cut":
		return tasks.CutTooLong, nil
	case "error":
		return tasks.RefuseTooLong, nil
	}
	return 0, fmt.Errorf("--too-long is %q; want cut or error", s)
}

// loraFlagNames lists the flags of adapters.
func loraFlagNames() []string {
	return cli.FlagNames(func(fs *pflag.FlagSet) { new(loraFlags).add(fs, lora.DefaultConfig(), "") })
}
