package finetune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// seqClsRun is one run of "finetune seq-cls".
type seqClsRun struct {
	model, trainFile, evalFile, testFile string
	validationSplit                      float64
	maxTrainSamples                      int
	labels                               []string
	problem, truncation                  string
	maxLength                            int
	smoothing                            float32
	classWeights                         []string
	dropout                              float32
	allowNonFinite                       bool
	printModel                           bool
	data                                 cli.DataFlags
	train                                trainFlags
	lora                                 loraFlags
	log                                  cli.LogFlags

	env     cli.Env
	given   func(flag string) bool
	console *cli.Console
}

const seqClsExamples = `  # the model and the data that are compiled in: MiniLM on the 77 intents of banking77
  finetune seq-cls

  # your own checkpoint and data
  finetune seq-cls --model bert-base-uncased --train-file train.csv --eval-file dev.csv \
      --text-column sentence --label-column label --output-dir runs/mine

  # a tab-separated file without header, label first, quotes as plain text; a fifth for validation
  finetune seq-cls --train-file sms.tsv --no-header --no-quotes --label-column 0 --text-column 1 --validation-split 0.2

  # text pairs with a score: regression
  finetune seq-cls --train-file stsb.csv --no-header --text-column 0 --text-pair-column 1 --label-column 2 --problem-type regression

  # the settings in a file, one of them overridden
  finetune seq-cls --config run.yaml --learning-rate 1e-3`

func seqCls(env cli.Env) *cobra.Command {
	r := &seqClsRun{env: env}
	cmd := &cobra.Command{
		Use:   "seq-cls",
		Short: "Sequence classification or regression of texts and text pairs",
		Long: `Fine-tune a LoRA adapter for sequence classification (or regression) of texts and text pairs.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), labels.json, metrics.jsonl (a line for each step and evaluation), results.json and checkpoints.

With the embedded model the learning rate is 3e-3, a tenth of the steps warm up, the pooler trains too, and its embedded data are gone through once,
unless flags say otherwise.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal with the adapter saved.`,
		Example: seqClsExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model and data", r.addData)
	cli.Section(fs, "How data files are read", r.data.Add)
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) { r.lora.add(fs, seqClsAdapter()) })
	cli.Section(fs, "Task", r.addTask)
	r.train.add(fs, seqClsTraining())
	cli.Section(fs, "Messages", func(fs *pflag.FlagSet) {
		r.log.Add(fs)
		fs.BoolVar(&r.allowNonFinite, "allow-non-finite", false, "train although weights of the checkpoint are NaN or infinite")
		fs.BoolVar(&r.printModel, "print-model", false, "print the modules before and after attaching")
	})
	cli.Leaf(cmd)
	return cmd
}

func (r *seqClsRun) addData(fs *pflag.FlagSet) {
	fs.StringVar(&r.model, "model", "", "`directory` of a Hugging Face checkpoint; default: the embedded MiniLM")
	fs.StringVar(&r.trainFile, "train-file", "", "`file` to train on: CSV, TSV or JSON Lines; default: the embedded banking77")
	fs.StringVar(&r.evalFile, "eval-file", "", "`file` that decides which adapter is best")
	fs.StringVar(&r.testFile, "test-file", "", "`file` to score once at the end")
	fs.Float64Var(&r.validationSplit, "validation-split", 0, "share of the training rows to hold out as --eval-file, class by class")
	fs.IntVar(&r.maxTrainSamples, "max-train-samples", 0, "train on the first so many rows only; 0: on all")
}

func (r *seqClsRun) addTask(fs *pflag.FlagSet) {
	fs.StringSliceVar(&r.labels, "labels", nil, "`names` of the classes, in order; default: the adapter's, else the checkpoint's id2label, else those found, sorted")
	fs.StringVar(&r.problem, "problem-type", "", "single_label_classification, multi_label_classification or regression; default: guessed from the labels")
	fs.IntVar(&r.maxLength, "max-length", 0, "tokens of a text or pair; 0: what the checkpoint allows")
	fs.StringVar(&r.truncation, "truncation", "longest_first", "what to cut of longer ones: "+cli.Truncations)
	fs.Float32Var(&r.dropout, "dropout", 0, "dropout of the model; default: the checkpoint's")
	fs.Float32Var(&r.smoothing, "label-smoothing-factor", 0, "label smoothing")
	fs.StringSliceVar(&r.classWeights, "class-weights", nil, "`weight` of each class in the loss, in order, or balanced")
}

// seqClsAdapter returns the adapter that a run has by default.
func seqClsAdapter() lora.Config {
	c := lora.DefaultConfig()
	c.R, c.Alpha = 8, 16
	return c
}

// seqClsTraining returns the settings of the loop that a run has by default.
func seqClsTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs = 32, 3
	c.LearningRate, c.Schedule = 1e-3, train.Linear
	return c
}

// demo changes defaults, where no flag says otherwise, for what is compiled in. docs/parity.md has what they reach.
func (r *seqClsRun) demo() {
	if r.model != "" {
		return
	}
	if !r.given("learning-rate") {
		r.train.cfg.LearningRate = 3e-3
	}
	if !r.given("warmup-ratio") && !r.given("warmup-steps") && r.train.schedule != string(train.Constant) {
		r.train.cfg.WarmupRatio = 0.1
	}
	if r.trainFile == "" && !r.given("num-train-epochs") {
		r.train.cfg.NumTrainEpochs = 1
	}
	if !r.given("modules-to-save") && r.lora.adapter == "" {
		// The checkpoint was trained for sentence embeddings, which do not use its pooler: frozen, it costs nine points of
		// accuracy on banking77.
		r.lora.cfg.ModulesToSave = []string{"pooler"}
	}
}

func (r *seqClsRun) run(cmd *cobra.Command) (err error) {
	r.given = func(flag string) bool { return cmd.Flags().Changed(flag) }
	if r.console, err = cli.NewConsole(r.env, r.log); err != nil {
		return err
	}
	log := r.console.Log
	r.demo()
	cfg, err := r.train.config(r.given)
	if err != nil {
		return err
	}
	if err := r.checkFlags(); err != nil {
		return err
	}
	out, err := r.train.prepareOutput("seq-cls")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.release()) }()
	dir := out.dir
	base, err := cli.OpenBase(r.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	t, labels, err := r.readData(base)
	if err != nil {
		return err
	}
	pool, err := cli.NewPool(r.train.threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	m, set, err := r.openModel(base, labels, cfg.Seed)
	if err != nil {
		return err
	}
	task, err := r.newTask(cmd.Context(), base, m, set, labels, t, pool)
	if err != nil {
		return err
	}
	cfg.Pool, cfg.Adapter, cfg.OutputDir, cfg.Logger = pool, set, dir, log
	cfg.Save = func(dir string) error { return save(dir, set, labels) }
	cfg.OnStart, cfg.OnStep, cfg.OnEval = r.console.Start, r.console.Step, r.console.Evaluation
	cfg.Identity = r.identity(base, set, labels, t)
	report, err := train.Run(cmd.Context(), task, set.Params(), cfg)
	r.console.Stop()
	switch {
	case err != nil && report.Stopped == "": // nothing was begun
		return err
	case errors.Is(err, train.ErrStopped):
		err = fmt.Errorf("%w; --resume-from-checkpoint %s goes on from there", err, dir)
		fallthrough
	case err != nil:
		return errors.Join(err, r.results(dir, base, set, labels, report, nil))
	}
	return r.finish(cmd.Context(), dir, base, set, labels, task, t, report)
}

// checkFlags reports flags that contradict each other before anything is opened.
func (r *seqClsRun) checkFlags() error {
	var errs []error
	if r.validationSplit != 0 && r.evalFile != "" {
		errs = append(errs, errors.New("--validation-split and --eval-file exclude each other"))
	}
	if !(r.validationSplit >= 0 && r.validationSplit < 1) {
		errs = append(errs, fmt.Errorf("--validation-split is %g; want at least 0 and below 1", r.validationSplit))
	}
	if r.trainFile == "" {
		for _, flag := range append([]string{"eval-file", "test-file"}, cli.DataFlagNames()...) {
			if r.given(flag) {
				errs = append(errs, fmt.Errorf("--%s needs --train-file", flag))
			}
		}
	}
	if err := r.lora.check(); err != nil {
		errs = append(errs, err)
	}
	if r.lora.otherBase && r.lora.adapter == "" {
		errs = append(errs, errors.New("--allow-other-base needs --adapter"))
	}
	if n := slices.DeleteFunc([]string{r.trainFile, r.evalFile, r.testFile}, func(f string) bool { return f != "-" }); len(n) > 1 {
		errs = append(errs, errors.New("only one of --train-file, --eval-file and --test-file can be standard input (-)"))
	}
	if r.maxTrainSamples < 0 {
		errs = append(errs, fmt.Errorf("--max-train-samples is %d; want 1 or more, or 0 for all", r.maxTrainSamples))
	}
	if r.given("dropout") && !(r.dropout >= 0 && r.dropout < 1) {
		errs = append(errs, fmt.Errorf("--dropout is %g; want at least 0 and below 1", r.dropout))
	}
	if r.problem != "" {
		if _, err := data.ParseProblem(r.problem); err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := cli.ParseTruncation(r.truncation); err != nil {
		errs = append(errs, err)
	}
	return cli.UsageError(errors.Join(errs...))
}

func (r *seqClsRun) openModel(base *cli.Base, labels *data.Labels, seed uint64) (models.SequenceClassifier, *lora.Set, error) {
	log := r.console.Log
	outputs := max(1, len(labels.Names))
	m, report, err := base.SequenceClassifier(outputs, seed, log)
	if err != nil {
		return nil, nil, err
	}
	if bad := report.NonFinite; len(bad) > 0 && !r.allowNonFinite {
		return nil, nil, cli.InputError(fmt.Errorf("%s: %d tensors hold NaN or infinite values, the first %s (%d values); the file is damaged, or give --allow-non-finite", base.Name, len(bad), bad[0].Name, bad[0].Count))
	}
	if r.given("dropout") {
		nn.SetDropout(m, r.dropout)
	}
	set, err := r.lora.attach(m, base, lora.SeqCls, seed, r.given, log)
	if err != nil {
		return nil, nil, err
	}
	if r.printModel {
		fmt.Fprintf(r.env.Out, "%s\n\n%s\n\n", m, set.Tree(m))
	}
	log.Info().Msg(set.Summary(m))
	return m, set, nil
}

func (r *seqClsRun) newTask(ctx context.Context, base *cli.Base, m models.SequenceClassifier, set *lora.Set, labels *data.Labels, t tables, pool *op.Pool) (*tasks.SeqCls, error) {
	if err := cli.CheckMaxLength(base.Tokenizer, r.maxLength, t.train.Columns.Pair != ""); err != nil {
		return nil, err
	}
	truncation, _ := cli.ParseTruncation(r.truncation) // checked before
	weights, err := r.weights(labels, t.train)
	if err != nil {
		return nil, err
	}
	task, err := tasks.NewSeqCls(m, base.Tokenizer, tasks.SeqClsConfig{
		Labels: labels, MaxLength: r.maxLength, Truncation: truncation, Smoothing: r.smoothing, ClassWeights: weights, Pool: pool, Adapter: set,
	})
	if err != nil {
		return nil, cli.UsageError(err)
	}
	for i, table := range []*data.Table{t.train, t.eval, t.test} {
		s := []data.Split{data.Train, data.Eval, data.Test}[i]
		if table == nil {
			continue
		}
		if err := task.Add(ctx, s, table); err != nil {
			return nil, err
		}
		if n, limit := task.Truncated(s); n > 0 {
			r.console.Log.Warn().Msgf("%s: %d of %d texts are longer than %d tokens and were cut", table.Name, n, len(table.Examples), limit)
		}
	}
	return task, nil
}
