// Package qa is question answering on the command line: "finetune question-answering" and "predict question-answering".
package qa

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks/qa"
)

// Task is question answering.
var Task = task.Descriptor{Kind: qa.Kind, BuiltIn: cli.MiniLM(), Finetune: finetune, Predict: predict}

const finetuneExamples = `  # the embedded model and data: MiniLM on questions about privacy policies
  finetune question-answering

  # your own checkpoint and data
  finetune question-answering --model bert-base-uncased --train-file train-v1.1.json --eval-file dev-v1.1.json \
      --learning-rate 3e-4 --output-dir runs/squad

  # rows with keys of other names; a tenth of the contexts for validation; long windows that overlap little
  finetune question-answering --train-file faq.jsonl --question-column q --context-column page --answers-column a \
      --validation-split 0.1 --max-length 512 --doc-stride 64

  # the settings in a file, one of them overridden
  finetune question-answering --config run.yaml --learning-rate 1e-3`

func finetune(env cli.Env) *cobra.Command {
	c := &qa.Finetuning{}
	f := &task.Finetune{
		Config: c, BuiltIn: cli.MiniLM(), Models: task.Directories, Formats: "SQuAD JSON or JSON Lines",
		Data: embedded.PolicyQAName, Chosen: ", context by context", Head: task.HeadTrains,
		Adapter: qa.DefaultAdapter(), Training: qa.DefaultTraining(),
		Reading: func(fs *pflag.FlagSet) { addReading(fs, &c.Data) },
		Task: func(fs *pflag.FlagSet) {
			addAnswering(fs, &c.Answering, "if the data have such questions")
		},
		Embedded: func() error { return policyQA(c) },
		Defaults: func(model, data bool) { defaults(c, model, data) },
	}
	return f.Command(env, &cobra.Command{
		Use:   "question-answering",
		Short: "Answers to questions that are parts of a given context",
		Long: `Fine-tune a LoRA adapter for extractive question answering: the answer to a question is a part of its context.

Data are SQuAD JSON (1.1 or 2.0) or JSON Lines with the keys id, question, context and answers ({"text": […],
"answer_start": […]}, in code points). A context that does not fit into one sequence is cut into windows that overlap.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), metrics.jsonl (a line for each step and evaluation), results.json and checkpoints.

With the embedded model all linear layers are adapted, batches have 8 windows and a tenth of the steps warm up; the
embedded data are read one and a half times. Flags override these settings.
` + task.ExitCodes + " with the adapter saved.",
		Example: finetuneExamples,
	})
}

// defaults changes defaults, where no flag says otherwise, for what is embedded. docs/parity.md has the results.
func defaults(c *qa.Finetuning, model, data bool) {
	if !model {
		return
	}
	if len(c.TargetModules) == 0 && c.Adapter == "" {
		// The sentence embeddings of the model say little about single tokens: with query and value alone the loss falls
		// half as fast.
		c.TargetModules = []string{lora.AllLinear}
	}
	if c.BatchSize == 0 && c.TokensPerBatch == 0 {
		c.BatchSize = 8
	}
	task.WarmUp(&c.Run)
	if data && c.NumTrainEpochs == 0 && c.MaxSteps < 1 {
		c.NumTrainEpochs = 1.5
	}
}

// policyQA puts the embedded questions into a configuration.
func policyQA(c *qa.Finetuning) (err error) {
	train, test := embedded.PolicyQA()
	o := question.Options{Format: question.SQuAD}
	if c.Test, err = question.ReadBytes(test, embedded.PolicyQAName+" test", o); err != nil {
		return err
	}
	c.Train, err = question.ReadBytes(train, embedded.PolicyQAName, o)
	return err
}
