// Package causallm is causal language modelling on the command line: "finetune causal-lm" and "predict causal-lm".
package causallm

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks/causallm"
)

// Task is causal language modelling.
var Task = task.Descriptor{Kind: causallm.Kind, BuiltIn: cli.GPT(), Finetune: finetune, Predict: predict}

// finetuning is one run of "finetune causal-lm".
type finetuning struct {
	causallm.Finetuning
	env     cli.Env
	console *cli.Console
	after   strings.Builder // samples taken at the end
}

const finetuneExamples = `  # the embedded model and text
  finetune causal-lm

  # a checkpoint of the GPT-2 or LLaMA family, or a GGUF file, learns to continue a text
  finetune causal-lm --model SmolLM2-135M --train-file book.txt --validation-split 0.05 \
      --sample-prompt "It was a dark night"

  # prompts and completions, or chats, of which only the answers are learned; look at them first
  finetune causal-lm --model SmolLM2-135M-Instruct --train-file chats.jsonl --preview 3
  finetune causal-lm --model SmolLM2-135M-Instruct --train-file chats.jsonl --output-dir runs/mine

  # all weights instead of an adapter; a model from nothing
  finetune causal-lm --model gpt2 --train-file book.txt --full --gradient-checkpointing
  finetune causal-lm --from-scratch config.json --tokenizer gpt2 --full --train-file book.txt --output-dir runs/tiny`

func finetune(env cli.Env) *cobra.Command {
	r := &finetuning{env: env}
	c := &r.Finetuning
	c.OnSamples = r.samples
	f := &task.Finetune{
		Config: c, BuiltIn: cli.GPT(), Models: task.DirectoriesOrGGUF, Formats: "plain text, JSON Lines, CSV or TSV",
		Data: "questions of banking77", Chosen: "; of one text its end",
		Adapter: causallm.DefaultAdapter(), Training: causallm.DefaultTraining(),
		Reading: func(fs *pflag.FlagSet) { addReading(fs, &c.Data) },
		Sections: func(fs *pflag.FlagSet) {
			cli.Section(fs, "All weights", func(fs *pflag.FlagSet) { task.AddFull(fs, &c.AllWeights) })
		},
		Task: r.addTask, WithoutDropout: true,
		Last:     func(fs *pflag.FlagSet) { cli.Section(fs, "Samples", r.addSamples) },
		Embedded: func() error { return banking77(c) }, OwnBase: func() bool { return c.FromScratch != "" },
		Defaults: r.defaults, Check: r.check, Print: r.print,
		Console: func(console *cli.Console) { r.console, console.Perplexity = console, true },
	}
	return f.Command(env, &cobra.Command{
		Use:   "causal-lm",
		Short: "The next token of texts, completions and chats",
		Long: `Fine-tune a LoRA adapter (or, with --full, all weights) of a causal language model: GPT-2, LLaMA, Mistral,
Qwen2, Qwen3.

A file is plain text, which is cut into windows of --block-size tokens; or rows (JSON Lines, CSV, TSV) with a text, with
prompt and completion, or with messages, where each row is one sequence. The loss covers every token of a text; of
prompts and chats it covers only the completions and the assistant's turns.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (with --full: model.safetensors,
config.json and the tokenizer's files) of the best state, without evaluation of the last; metrics.jsonl (a line for each
step and evaluation), results.json and checkpoints.

Samples of generated text are printed before and after training and at each evaluation. After texts they are drawn with
temperature 0.8 and top_p 0.95 from the same random numbers each time; after prompts and chats the most probable tokens
are taken.

With --full the default learning rate for a checkpoint is 5e-5. With the embedded model and text (questions to a bank)
it is 1e-2 with batches of 4; a tenth of the steps warm up, and all linear layers are adapted.
` + task.ExitCodes + " with adapter or model saved.",
		Example: finetuneExamples,
	})
}

// addReading defines the flags that say how files of documents are read.
func addReading(fs *pflag.FlagSet, o *document.Options) {
	fs.StringVar(&o.TextColumn, "text-column", "",
		"`name` of the column with texts, all of which is learned"+cli.ByNumber+"; default: text, if there is one")
	fs.StringVar(&o.PromptColumn, "prompt-column", "",
		"`name` of the column with prompts, which are given; default: prompt, instruction or question")
	fs.StringVar(&o.CompletionColumn, "completion-column", "",
		"`name` of the column with completions, which are learned; default: completion, response, output or answer")
	fs.StringVar(&o.MessagesColumn, "messages-column", "",
		"`name` of the column with chats, lists of {\"role\": …, \"content\": …} "+
			"(JSON Lines); default: messages or conversations")
	cli.FormatFlags{
		Format: &o.Format, Delimiter: &o.Delimiter, NoHeader: &o.NoHeader, NoQuotes: &o.NoQuotes,
		ReplaceInvalid: &o.ReplaceInvalid,
	}.Add(fs, "csv, tsv, jsonl or txt (the whole file is one text)")
}

func (r *finetuning) addTask(fs *pflag.FlagSet) {
	cli.Optional(fs, &r.BlockSize, "block-size", causallm.StandardBlock,
		"tokens of the windows that plain text is cut into (texts in rows "+
			"only if this flag is given); 0: each text is one sequence, as it is")
	fs.IntVar(&r.MaxLength, "max-length", 0, "tokens of a sequence; 0: what the checkpoint allows")
	cli.Default(fs, &r.TooLong, "too-long", "cut", "longer sequences: cut truncates them, error refuses them")
	fs.BoolVar(&r.TrainOnPrompt, "train-on-prompt", false, "learn prompts and the turns of others too")
	task.AddDropout(fs, &r.Run)
	fs.BoolVar(&r.GradientCheckpointing, "gradient-checkpointing", false,
		"compute each block again in the backward: less memory, more time, the same results")
	fs.IntVar(&r.Preview, "preview", 0,
		"print this number of sequences, the first ones, with what is learned marked, and stop")
}

func (r *finetuning) addSamples(fs *pflag.FlagSet) {
	fs.StringArrayVar(&r.SamplePrompts, "sample-prompt", nil,
		"a `text` to continue before, during (at each evaluation) and after "+
			"training; may be given several times; default: one from the data")
	cli.Optional(fs, &r.SampleMaxNewTokens, "sample-max-new-tokens", causallm.StandardSample,
		"tokens of a sample; 0: no samples")
}

func (r *finetuning) check(given func(string) bool) []error {
	if given("preview") {
		r.OnPreview = r.preview
	}
	if r.BlockSize != nil && *r.BlockSize < 0 {
		return []error{fmt.Errorf("--block-size is %d; want 2 or more, or 0 for texts as they are", *r.BlockSize)}
	}
	return nil
}

// defaults changes defaults, where no flag says otherwise, for what is embedded: a small model that was trained on
// other texts needs a larger adapter than a large one.
func (r *finetuning) defaults(model, data bool) {
	if data && r.BlockSize == nil {
		r.BlockSize = new(causallm.StandardWindows)
	}
	if !model || !data || r.Full {
		return
	}
	if r.LearningRate == nil {
		r.LearningRate = new(1e-2)
	}
	if r.BatchSize == 0 && r.TokensPerBatch == 0 {
		r.BatchSize = 4
	}
	task.WarmUp(&r.Run)
	if len(r.TargetModules) == 0 && r.Adapter == "" {
		r.TargetModules = []string{lora.AllLinear}
	}
	if len(r.SamplePrompts) == 0 {
		r.SamplePrompts = []string{"How do I", "My card"}
	}
}

// testQuestions is how many embedded questions are scored at the end: enough for a stable figure, and soon done.
const testQuestions = 500

// banking77 puts the embedded questions into a configuration, as texts.
func banking77(c *causallm.Finetuning) (err error) {
	train, test := embedded.Banking77()
	o := document.Options{Format: data.CSV, TextColumn: "text"}
	if c.Train, err = document.ReadBytes(train, embedded.Banking77Name, o); err != nil {
		return err
	}
	o.MaxSamples = testQuestions
	c.Test, err = document.ReadBytes(test, embedded.Banking77Name+" test", o)
	return err
}

// samples prints samples: those before training at once, those at evaluations among the messages, those at the end
// with the results.
func (r *finetuning) samples(s causallm.Samples) {
	when := map[causallm.When]string{causallm.BeforeTraining: "before training",
		causallm.AfterTraining: "after training"}[s.When]
	if s.When == causallm.AtEvaluation {
		when = fmt.Sprintf("step %d", s.Step)
	}
	var b strings.Builder
	for _, x := range s.List {
		text := strings.TrimRight(x.Text, "\n")
		fmt.Fprintf(&b, "%s, after %q:\n    %s\n", when, x.Prompt, strings.ReplaceAll(text, "\n", "\n    "))
	}
	switch s.When {
	case causallm.BeforeTraining:
		fmt.Fprint(r.env.Out, b.String())
	case causallm.AtEvaluation:
		r.console.Log.Info().Msg(strings.TrimRight(b.String(), "\n"))
	default:
		r.after = b
	}
}

// print prints the perplexity of training and the samples at the end.
func (r *finetuning) print(results *spalora.Results) error {
	_, err := fmt.Fprintf(r.env.Out, "mean perplexity of training %.2f\n%s",
		math.Exp(results.Train.TrainLoss), r.after.String())
	return err
}
