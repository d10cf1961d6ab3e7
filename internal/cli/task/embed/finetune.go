// Package embed is sentence embeddings on the command line: "finetune embed" and "predict embed".
package embed

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/embed"
	"github.com/spalora/spalora/train"
)

// Task is sentence embeddings.
var Task = task.Descriptor{Kind: embed.Kind, BuiltIn: cli.MiniLM(), Finetune: finetune, Predict: predict}

// alias is PEFT's name of the task, which the subcommands have too.
const alias = "feature-extraction"

const finetuneExamples = `  # the embedded model and data: MiniLM on pairs of questions of banking77 that ask the same
  finetune embed

  # pairs with scores from 0 to 5, without a header, as in STS-B
  finetune embed --train-file train.csv --eval-file dev.csv --test-file test.csv --no-header \
      --text-column 0 --text-pair-column 1 --label-column 2 --max-score 5

  # pairs that match, such as questions with their answers: the other answers of a batch are the wrong ones
  finetune embed --train-file pairs.jsonl --text-column question --text-pair-column answer \
      --batch-size 64 --output-dir runs/search`

func finetune(env cli.Env) *cobra.Command {
	c := &embed.Finetuning{}
	c.OnBefore = func(rows int, m train.Metrics) {
		fmt.Fprintf(env.Out, "before training: test, %d rows: %s\n", rows, cli.MetricsText(m))
	}
	f := &task.Finetune{
		Config: c, BuiltIn: cli.MiniLM(), Models: task.DirectoriesOrGGUF,
		Formats: "CSV, TSV or JSON Lines with pairs of texts", Data: "pairs of banking77",
		Adapter: tasks.DefaultAdapter(), Training: embed.DefaultTraining(),
		Reading:  func(fs *pflag.FlagSet) { addReading(fs, &c.Data) },
		Task:     func(fs *pflag.FlagSet) { addTask(fs, c) },
		Embedded: func() error { return bankingPairs(c) },
		Defaults: func(_, data bool) { defaults(c, data) },
		Check: func(given func(string) bool) []error {
			if given("prompt") && given("prompt-name") {
				return []error{errors.New("--prompt and --prompt-name exclude each other")}
			}
			return nil
		},
	}
	return f.Command(env, &cobra.Command{
		Use:     "embed",
		Aliases: []string{alias},
		Short:   "Sentence embeddings from pairs of texts",
		Long: `Fine-tune a LoRA adapter of a sentence encoder on pairs of texts, so that the cosine of two vectors measures
how similar their meanings are.

Pairs with a score are learned with the loss cosine, pairs without one with multiple_negatives, for which the second
texts of the other pairs in a batch are wrong answers: a larger --batch-size makes the choice harder;
--gradient-accumulation-steps does not.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), pooling.json, metrics.jsonl (a line for each step and evaluation), results.json and checkpoints.

With the embedded data a batch has 64 pairs, and the data are read once. Flags override these settings.
` + task.ExitCodes + " with the adapter saved.",
		Example: finetuneExamples,
	})
}

// addReading defines the flags that say how files of pairs are read.
func addReading(fs *pflag.FlagSet, o *text.Options) {
	cli.AddTextReading(fs, o)
	fs.StringVar(&o.LabelColumn, "label-column", "",
		"`name` of the column with the score of a pair; default: score, label and other usual names, if there is one")
}

// addPooling defines --pooling.
func addPooling(fs *pflag.FlagSet, to *string) {
	fs.StringVar(to, "pooling", "", "how the tokens of a text become one vector: mean, cls (the first token), max, "+
		"mean_sqrt_len_tokens, weightedmean, lasttoken, or several with commas between them; default: the adapter's, else "+
		"that of 1_Pooling/config.json, else mean")
}

// addPrompt defines --prompt and --prompt-name.
func addPrompt(fs *pflag.FlagSet, text **string, name *string, of, standard string) {
	cli.Optional(fs, text, "prompt", "", "`text` to put before "+of+"; default: "+standard)
	fs.StringVar(name, "prompt-name", "", "`name` of a prompt in config_sentence_transformers.json, in place of --prompt")
}

// addMaxScore defines --max-score.
func addMaxScore(fs *pflag.FlagSet, to *float64) {
	cli.Default(fs, to, "max-score", 1, "score of texts that mean the same: scores are divided by it")
}

func addTask(fs *pflag.FlagSet, c *embed.Finetuning) {
	addPooling(fs, &c.Pooling)
	addPrompt(fs, &c.Prompt, &c.PromptName, "each text, also to train on", "the adapter's, else none before texts to "+
		"train on and the checkpoint's default one before others")
	fs.StringVar(&c.Loss, "loss", "", "cosine or multiple_negatives; default: cosine if the pairs to train on have scores")
	cli.Default(fs, &c.SimilarityScale, "similarity-scale", 20, "factor of the cosines in multiple_negatives")
	addMaxScore(fs, &c.MaxScore)
	cli.AddMaxLength(fs, &c.MaxLength, "a text")
}

// defaults changes defaults, where no flag says otherwise, for the embedded data.
func defaults(c *embed.Finetuning, data bool) {
	if !data {
		return
	}
	if c.BatchSize == 0 && c.TokensPerBatch == 0 {
		c.BatchSize = 64
	}
	task.Epochs(&c.Run, 1)
}
