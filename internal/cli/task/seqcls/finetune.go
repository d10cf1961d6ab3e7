// Package seqcls is sequence classification on the command line: "finetune seq-cls" and "predict seq-cls".
package seqcls

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seqcls"
)

// Task is sequence classification.
var Task = task.Descriptor{
	Kind: seqcls.Kind, BuiltIn: cli.MiniLM(), Finetune: finetune, Predict: predict,
	Classes: func(labels []string, problemType string) (tasks.Settings, error) {
		return &seqcls.Settings{Labels: labels, ProblemType: problemType}, nil
	},
}

const finetuneExamples = `  # the embedded model and data: MiniLM on the 77 intents of banking77
  finetune seq-cls

  # your own checkpoint and data
  finetune seq-cls --model bert-base-uncased --train-file train.csv --eval-file dev.csv \
      --text-column sentence --label-column label --output-dir runs/mine

  # a tab-separated file without header, label first, quotes as plain text; a fifth for validation
  finetune seq-cls --train-file sms.tsv --no-header --no-quotes --label-column 0 --text-column 1 --validation-split 0.2

  # text pairs with a score: regression
  finetune seq-cls --train-file stsb.csv --no-header --text-column 0 --text-pair-column 1 --label-column 2 \
      --problem-type regression

  # the settings in a file, one of them overridden
  finetune seq-cls --config run.yaml --learning-rate 1e-3`

func finetune(env cli.Env) *cobra.Command {
	c := &seqcls.Finetuning{}
	f := &task.Finetune{
		Config: c, BuiltIn: cli.MiniLM(), Models: task.DirectoriesOrGGUF, Formats: "CSV, TSV or JSON Lines",
		Data:   "banking77",
		Chosen: ", class by class", Head: task.HeadTrains, Adapter: tasks.DefaultAdapter(), Training: tasks.DefaultTraining(),
		Reading:  func(fs *pflag.FlagSet) { cli.AddReading(fs, &c.Data) },
		Task:     func(fs *pflag.FlagSet) { addTask(fs, c) },
		Embedded: func() error { return banking77(c) },
		Defaults: func(model, data bool) { defaults(c, model, data) },
	}
	return f.Command(env, &cobra.Command{
		Use:   "seq-cls",
		Short: "Sequence classification or regression of texts and text pairs",
		Long: `Fine-tune a LoRA adapter for sequence classification (or regression) of texts and text pairs.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), labels.json, metrics.jsonl (a line for each step and evaluation), results.json and checkpoints.

With the embedded model the learning rate is 3e-3, a tenth of the steps warm up, and the pooler trains too; the embedded
data are read once. Flags override these settings.
` + task.ExitCodes + " with the adapter saved.",
		Example: finetuneExamples,
	})
}

func addTask(fs *pflag.FlagSet, c *seqcls.Finetuning) {
	fs.StringSliceVar(&c.Labels, "labels", nil,
		"`names` of the classes, in order; default: the adapter's, else the checkpoint's id2label, else those found, sorted")
	fs.StringVar(&c.ProblemType, "problem-type", "",
		"single_label_classification, multi_label_classification or regression; default: guessed from the labels")
	cli.AddMaxLength(fs, &c.MaxLength, "a text or pair")
	cli.AddTruncation(fs, &c.Truncation)
	fs.Float32Var(&c.LabelSmoothingFactor, "label-smoothing-factor", 0, "label smoothing")
	fs.StringSliceVar(&c.ClassWeights, "class-weights", nil, "`weight` of each class in the loss, in order, or balanced")
}

// defaults changes defaults, where no flag says otherwise, for what is embedded. docs/parity.md has the results.
func defaults(c *seqcls.Finetuning, model, data bool) {
	if !model {
		return
	}
	if c.LearningRate == nil {
		c.LearningRate = new(3e-3)
	}
	task.WarmUp(&c.Run)
	if data {
		task.Epochs(&c.Run, 1)
	}
	if c.ModulesToSave == nil && c.Adapter == "" {
		// The checkpoint was trained for sentence embeddings, which do not use its pooler: frozen, it costs nine points of
		// accuracy on banking77.
		c.ModulesToSave = []string{"pooler"}
	}
}

// banking77 puts the embedded questions into a configuration.
func banking77(c *seqcls.Finetuning) (err error) {
	train, test := embedded.Banking77()
	o := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
	if c.Test, err = text.ReadBytes(test, embedded.Banking77Name+" test", o); err != nil {
		return err
	}
	c.Train, err = text.ReadBytes(train, embedded.Banking77Name, o)
	return err
}
