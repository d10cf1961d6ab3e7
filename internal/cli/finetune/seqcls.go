package finetune

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// seqClsRun is one run of "finetune seq-cls".
type seqClsRun struct {
	job
	labels              []string
	problem, truncation string
	maxLength           int
	smoothing           float32
	classWeights        []string
	data                cli.DataFlags

	tables tables
	found  *data.Labels
	opened models.SequenceClassifier
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
	r := &seqClsRun{job: job{env: env}}
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
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.adapt(cmd, r) },
	}
	return r.addFlags(cmd, sections{
		models: directoriesOrGGUF, formats: "CSV, TSV or JSON Lines", builtIn: "banking77", chosen: ", class by class",
		reading: r.data.Add, task: r.addTask, adapter: seqClsAdapter(), head: headTrains, training: seqClsTraining(),
	})
}

func (r *seqClsRun) addTask(fs *pflag.FlagSet) {
	fs.StringSliceVar(&r.labels, "labels", nil, "`names` of the classes, in order; default: the adapter's, else the checkpoint's id2label, else those found, sorted")
	fs.StringVar(&r.problem, "problem-type", "", "single_label_classification, multi_label_classification or regression; default: guessed from the labels")
	cli.AddMaxLength(fs, &r.maxLength, "a text or pair")
	cli.AddTruncation(fs, &r.truncation)
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

func (r *seqClsRun) name() string { return "seq-cls" }

// defaults changes defaults, where no flag says otherwise, for what is compiled in. docs/parity.md has what they reach.
func (r *seqClsRun) defaults() {
	if r.model != "" {
		return
	}
	if !r.given("learning-rate") {
		r.train.cfg.LearningRate = 3e-3
	}
	r.warmUp()
	if r.files.train == "" && !r.given("num-train-epochs") {
		r.train.cfg.NumTrainEpochs = 1
	}
	if !r.given("modules-to-save") && r.lora.adapter == "" {
		// The checkpoint was trained for sentence embeddings, which do not use its pooler: frozen, it costs nine points of
		// accuracy on banking77.
		r.lora.cfg.ModulesToSave = []string{"pooler"}
	}
}

// checkFlags reports flags that contradict each other before anything is opened.
func (r *seqClsRun) checkFlags() error {
	errs := r.job.checkFlags(cli.DataFlagNames())
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

func (r *seqClsRun) openModel(base *cli.Base, seed uint64) (models.TextModel, cli.Task, checkpoint.Report, error) {
	m, report, err := base.SequenceClassifier(max(1, len(r.found.Names)), seed, r.console.Log)
	r.opened = m
	return m, cli.SequenceClassification(), report, err
}

func (r *seqClsRun) newTask(ctx context.Context, base *cli.Base, set *lora.Set, pool *op.Pool) (train.Task, error) {
	t := r.tables
	if err := cli.CheckMaxLength(base.Tokenizer, r.maxLength, t.train.Columns.Pair != ""); err != nil {
		return nil, err
	}
	truncation, _ := cli.ParseTruncation(r.truncation) // checked before
	weights, err := r.weights(r.found, t.train)
	if err != nil {
		return nil, err
	}
	task, err := tasks.NewSeqCls(r.opened, base.Tokenizer, tasks.SeqClsConfig{
		Labels: r.found, MaxLength: r.maxLength, Truncation: truncation, Smoothing: r.smoothing, ClassWeights: weights, Pool: pool, Adapter: set,
	})
	if err != nil {
		return nil, cli.UsageError(err)
	}
	return task, t.each(func(s batch.Split, table *text.File) error {
		if err := task.Add(ctx, s, table); err != nil {
			return err
		}
		if n, limit := task.Truncated(s); n > 0 {
			r.console.Log.Warn().Msgf("%s: %d of %d texts are longer than %d tokens and were cut", table.Name, n, table.Len(), limit)
		}
		return nil
	})
}

func (r *seqClsRun) classes() *data.Labels { return r.found }

func (r *seqClsRun) describe(t *training) {
	n := len(r.found.Names)
	t.results.Problem, t.results.Labels = r.found.Problem.String(), &n
	if r.tables.test != nil {
		t.testRows = r.tables.test.Len()
	}
}

func (r *seqClsRun) identity(id map[string]string) {
	r.tables.identity(id)
	id["labels"] = string(r.found.Encode())
	id["max_length"], id["truncation"] = fmt.Sprint(r.maxLength), r.truncation
	id["label_smoothing_factor"], id["class_weights"] = fmt.Sprint(r.smoothing), strings.Join(r.classWeights, ",")
}
