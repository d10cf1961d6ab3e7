// Package tokencls is token classification on the command line: "finetune token-cls" and "predict token-cls".
package tokencls

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/tokencls"
)

// Task is token classification.
var Task = task.Descriptor{
	Kind: tokencls.Kind, BuiltIn: cli.MiniLM(), Finetune: finetune, Predict: predict,
	Classes: func(labels []string, problemType string) (tasks.Settings, error) {
		if problemType != "" {
			return nil, errors.New("--problem-type is for sequence classifiers, but the adapter is for token classification")
		}
		return &tokencls.Settings{Labels: labels}, nil
	},
}

const finetuneExamples = `  # the embedded model and data: MiniLM on the times, dates, names and numbers of restaurant8k
  finetune token-cls

  # your own checkpoint and data: a word and its tag in every line
  finetune token-cls --model bert-base-cased --train-file train.conll --eval-file dev.conll --test-file test.conll \
      --output-dir runs/ner

  # JSON Lines with lists of words and tags under names of their own
  finetune token-cls --train-file train.jsonl --tokens-column words --tags-column ner --validation-split 0.1

  # parts of speech from CoNLL-U
  finetune token-cls --train-file en_atis-ud-train.conllu --eval-file en_atis-ud-dev.conllu --tags-column UPOS

  # the settings in a file, one of them overridden
  finetune token-cls --config run.yaml --learning-rate 5e-4`

func finetune(env cli.Env) *cobra.Command {
	c := &tokencls.Finetuning{}
	f := &task.Finetune{
		Config: c, BuiltIn: cli.MiniLM(), Models: task.DirectoriesOrGGUF, Formats: "CoNLL, CoNLL-U or JSON Lines",
		Data: "restaurant8k", Head: task.HeadTrains, Adapter: tokencls.DefaultAdapter(), Training: tokencls.DefaultTraining(),
		Reading:  func(fs *pflag.FlagSet) { addReading(fs, &c.Data) },
		Task:     func(fs *pflag.FlagSet) { addTask(fs, c) },
		Embedded: func() error { return restaurant8k(c) },
	}
	return f.Command(env, &cobra.Command{
		Use:   "token-cls",
		Short: "Token classification: named entities, slots, parts of speech",
		Long: `Fine-tune a LoRA adapter that gives each word of a sentence a tag: named entities, slots, parts of speech.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), labels.json, metrics.jsonl (a line for each step and evaluation), results.json (with the scores of each type) and
checkpoints.

Entities are scored as seqeval does, over all types: f1, precision, recall; accuracy is that of the tags of words. Tags
that spell no entities are scored by accuracy and macro_f1.
` + task.ExitCodes + " with the adapter saved.",
		Example: finetuneExamples,
	})
}

func addTask(fs *pflag.FlagSet, c *tokencls.Finetuning) {
	fs.StringSliceVar(&c.Labels, "labels", nil,
		"`names` of the tags, in order; default: the adapter's, else the checkpoint's id2label, else those found, sorted")
	fs.BoolVar(&c.LabelAllTokens, "label-all-tokens", false,
		"give a label to all tokens of a word, not to the first one only")
	addScheme(fs, &c.Scheme, &c.SeqevalMode, "guessed from the tags to train on")
	addWindows(fs, &c.MaxLength, &c.Stride)
	fs.Float32Var(&c.LabelSmoothingFactor, "label-smoothing-factor", 0, "label smoothing")
	fs.StringSliceVar(&c.ClassWeights, "class-weights", nil, "`weight` of each tag in the loss, in order, or balanced")
	fs.BoolVar(&c.CRF, "crf", false,
		"train a conditional random field (CRF) over the words of a sentence: scores of a tag "+
			"after another; an adapter to start from keeps its own without this flag")
	fs.BoolVar(&c.CRFConstrain, "crf-constrain", false,
		"with a CRF, exclude tags that the rules of the scheme forbid after another, in training and predicting")
}

// restaurant8k puts the embedded sentences into a configuration.
func restaurant8k(c *tokencls.Finetuning) (err error) {
	train, test := embedded.Restaurant8k()
	o := tagged.Options{Format: data.JSONLines}
	if c.Test, err = tagged.ReadBytes(test, embedded.Restaurant8kName+" test", o); err != nil {
		return err
	}
	c.Train, err = tagged.ReadBytes(train, embedded.Restaurant8kName, o)
	return err
}
