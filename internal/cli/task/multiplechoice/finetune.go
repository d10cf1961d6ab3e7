// Package multiplechoice is multiple choice on the command line: "finetune multiple-choice" and "predict
// multiple-choice".
package multiplechoice

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/multiplechoice"
)

// Task is multiple choice.
var Task = task.Descriptor{Kind: multiplechoice.Kind, BuiltIn: cli.MiniLM(), Finetune: finetune, Predict: predict}

const finetuneExamples = `  # the embedded model and data: MiniLM on CODAH, which of four endings is sensible
  finetune multiple-choice

  # your own checkpoint; SWAG's files, whose column names are known
  finetune multiple-choice --model bert-base-uncased --train-file train.csv --eval-file val.csv --max-length 80 \
      --output-dir runs/swag

  # QASC with a fact as context; RACE
  finetune multiple-choice --train-file train.jsonl --context-column fact1 --validation-split 0.1
  finetune multiple-choice --model bert-base-uncased --train-file race.jsonl --max-length 512 --batch-size 4 \
      --gradient-accumulation-steps 4

  # other names; labels that count from 1
  finetune multiple-choice --train-file siqa.csv --choices-column answerA,answerB,answerC --label-column label \
      --first-index 1`

func finetune(env cli.Env) *cobra.Command {
	c := &multiplechoice.Finetuning{}
	f := &task.Finetune{
		Config: c, BuiltIn: cli.MiniLM(), Models: task.Directories, Formats: "CSV, TSV or JSON Lines", Data: "CODAH",
		Chosen: "; questions about one context stay together", Head: task.HeadTrains,
		Adapter: tasks.DefaultAdapter(), Training: multiplechoice.DefaultTraining(),
		Reading: func(fs *pflag.FlagSet) { addReading(fs, &c.Data, &c.FirstIndex) },
		Task: func(fs *pflag.FlagSet) {
			cli.AddMaxLength(fs, &c.MaxLength, ofChoices)
			cli.AddTruncation(fs, &c.Truncation)
		},
		Embedded: func() error { return codah(c) },
		Defaults: func(model, data bool) { defaults(c, model, data) },
		Print:    func(r *spalora.Results) error { return printChance(env, r) },
	}
	return f.Command(env, &cobra.Command{
		Use:   "multiple-choice",
		Short: "Which of several choices answers a question or ends a text",
		Long: `Fine-tune a LoRA adapter that picks one of the choices of a question.

Each choice is read as a pair of texts: the context, and the question with the choice after a space; without a context
the question and the choice. Rows may have different numbers of choices. A batch of --batch-size questions holds all
their choices.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), metrics.jsonl (a line for each step and evaluation), results.json and checkpoints. PEFT has no task type for it:
task_type is null and the head is in modules_to_save.

With the embedded model --lora-r is 16, --lora-alpha 32, and the pooler trains too; the embedded data are read twice.
Flags override these settings.
` + task.ExitCodes + " with the adapter saved.",
		Example: finetuneExamples,
	})
}

// defaults changes defaults, where no flag says otherwise, for what is embedded. docs/parity.md has the results.
func defaults(c *multiplechoice.Finetuning, model, data bool) {
	if !model {
		return
	}
	if data {
		task.Epochs(&c.Run, 2)
	}
	if c.Adapter != "" {
		return
	}
	if c.LoraR == 0 && c.LoraAlpha == nil {
		c.LoraR, c.LoraAlpha = 16, new(32.0)
	}
	if c.ModulesToSave == nil { // the checkpoint was trained for sentence embeddings, which do not use its pooler
		c.ModulesToSave = []string{"pooler"}
	}
}

// codah puts the embedded questions into a configuration.
func codah(c *multiplechoice.Finetuning) (err error) {
	train, test := embedded.Codah()
	o := choice.Options{Format: choice.Codah}
	if c.Test, err = choice.ReadBytes(test, embedded.CodahName+" test", o); err != nil {
		return err
	}
	c.Train, err = choice.ReadBytes(train, embedded.CodahName, o)
	return err
}

// printChance prints what guessing reaches on the test rows, if there are any.
func printChance(env cli.Env, r *spalora.Results) error {
	for _, f := range r.Facts {
		if f.Key == multiplechoice.ChanceKey {
			_, err := fmt.Fprintf(env.Out, "test, by guessing: accuracy %.4f\n", f.Value)
			return err
		}
	}
	return nil
}
