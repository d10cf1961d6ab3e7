package finetune

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// choiceRun is one run of "finetune multiple-choice".
type choiceRun struct {
	job
	truncation string
	maxLength  int
	data       cli.ChoiceFlags

	choices parts[*choice.File]
	opened  models.MultipleChoice
}

const choiceExamples = `  # the model and the data that are compiled in: MiniLM on CODAH, which of four endings is sensible
  finetune multiple-choice

  # your own checkpoint; SWAG's files, the names of whose columns are known
  finetune multiple-choice --model bert-base-uncased --train-file train.csv --eval-file val.csv --max-length 80 --output-dir runs/swag

  # QASC with a fact as context; RACE
  finetune multiple-choice --train-file train.jsonl --context-column fact1 --validation-split 0.1
  finetune multiple-choice --model bert-base-uncased --train-file race.jsonl --max-length 512 --batch-size 4 --gradient-accumulation-steps 4

  # other names; labels that count from 1
  finetune multiple-choice --train-file siqa.csv --choices-column answerA,answerB,answerC --label-column label --first-index 1`

func multipleChoice(env cli.Env) *cobra.Command {
	r := &choiceRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "multiple-choice",
		Short: "Which of several choices answers a question or ends a text",
		Long: `Fine-tune a LoRA adapter that picks one of the choices of a question.

Each choice is read as a pair of texts: the context, and the question with the choice after a space; without a context the question and the
choice. Rows may have different numbers of choices. A batch of --batch-size questions holds all their choices.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the last), metrics.jsonl (a
line for each step and evaluation), results.json and checkpoints. PEFT has no task type for it: task_type is null and the head is in
modules_to_save.

With the embedded model --lora-r is 16, --lora-alpha 32, and the pooler trains too; its embedded data are gone through twice, unless flags say
otherwise.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal with the adapter saved.`,
		Example: choiceExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.adapt(cmd, r) },
	}
	return r.addFlags(cmd, sections{
		models: directories, formats: "CSV, TSV or JSON Lines", builtIn: "CODAH", chosen: "; questions about one context stay together",
		reading: r.data.Add, task: r.addTask, adapter: seqClsAdapter(), head: headTrains, training: choiceTraining(),
	})
}

func (r *choiceRun) addTask(fs *pflag.FlagSet) {
	cli.AddMaxLength(fs, &r.maxLength, "a choice with what stands before it")
	cli.AddTruncation(fs, &r.truncation)
}

// choiceTraining returns the settings of the loop that a run has by default.
func choiceTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs, c.LearningRate = 16, 3, 1e-3
	return c
}

func (r *choiceRun) name() string { return "multiple-choice" }

// defaults changes defaults, where no flag says otherwise, for what is compiled in.
func (r *choiceRun) defaults() {
	if r.model != "" {
		return
	}
	if r.files.train == "" && !r.given("num-train-epochs") {
		r.train.cfg.NumTrainEpochs = 2
	}
	if r.lora.adapter != "" {
		return
	}
	if !r.given("lora-r") && !r.given("lora-alpha") {
		r.lora.cfg.R, r.lora.cfg.Alpha = 16, 32
	}
	if !r.given("modules-to-save") { // the checkpoint was trained for sentence embeddings, which do not use its pooler
		r.lora.cfg.ModulesToSave = []string{"pooler"}
	}
}

// checkFlags reports flags that contradict each other before anything is opened.
func (r *choiceRun) checkFlags() error {
	errs := r.job.checkFlags(cli.ChoiceFlagNames())
	if _, err := cli.ParseTruncation(r.truncation); err != nil {
		errs = append(errs, err)
	}
	return cli.UsageError(errors.Join(errs...))
}

// readData reads the questions and logs what is odd about them.
func (r *choiceRun) readData(*cli.Base) error {
	if err := r.readChoices(); err != nil {
		return err
	}
	if err := r.choices.choose(r.files, r.train.cfg.Seed); err != nil {
		return err
	}
	rows := r.choices.sizes(r.choices.train.Name, "questions", func(c *choice.File) int { return c.Len() })
	r.console.Log.Info().Msgf("%s; guessing is right in %.1f %% of the first", rows, 100*r.choices.train.Chance())
	r.warn(choice.Warnings(r.choices.train, r.choices.eval, r.choices.test))
	return nil
}

func (r *choiceRun) readChoices() (err error) {
	if r.files.train == "" {
		train, test := embedded.Codah()
		o := choice.Options{Format: choice.Codah}
		if r.choices.train, err = choice.ReadBytes(train, embedded.CodahName, o); err != nil {
			return err
		}
		r.choices.test, err = choice.ReadBytes(test, embedded.CodahName+" test", o)
		return err
	}
	o, err := r.data.Options()
	if err != nil {
		return err
	}
	r.choices, err = readParts(r.files, func(path string) (*choice.File, error) { return cli.ReadChoices(path, r.env.In, o) })
	return err
}

func (r *choiceRun) openModel(base *cli.Base, seed uint64) (models.TextModel, cli.Task, checkpoint.Report, error) {
	m, report, err := base.MultipleChoice(seed, r.console.Log)
	r.opened = m
	return m, cli.MultipleChoice(base.Info.ModelType), report, err
}

func (r *choiceRun) newTask(ctx context.Context, base *cli.Base, set *lora.Set, pool *op.Pool) (train.Task, error) {
	if err := cli.CheckMaxLength(base.Tokenizer, r.maxLength, true); err != nil {
		return nil, err
	}
	truncation, _ := cli.ParseTruncation(r.truncation) // checked before
	task, err := tasks.NewMultipleChoice(r.opened, base.Tokenizer, tasks.MultipleChoiceConfig{MaxLength: r.maxLength, Truncation: truncation, Pool: pool, Adapter: set})
	if err != nil {
		return nil, cli.UsageError(err)
	}
	return task, r.choices.each(func(s batch.Split, c *choice.File) error {
		if err := task.Add(ctx, s, c); err != nil {
			return err
		}
		if n, limit := task.Truncated(s); n > 0 {
			r.console.Log.Warn().Msgf("%s: %d of %d questions have choices that are longer than %d tokens with what stands before them and were cut", c.Name, n, c.Len(), limit)
		}
		return nil
	})
}

func (r *choiceRun) classes() *data.Labels { return nil }

func (r *choiceRun) describe(t *training) {
	if r.choices.test == nil {
		return
	}
	t.testRows = r.choices.test.Len()
	chance := r.choices.test.Chance()
	t.results.Chance = &chance
	t.finished = func(train.Report) error {
		_, err := fmt.Fprintf(r.env.Out, "test, by guessing: accuracy %.4f\n", chance)
		return err
	}
}

func (r *choiceRun) identity(id map[string]string) {
	r.choices.identity(id)
	id["max_length"], id["truncation"] = fmt.Sprint(r.maxLength), r.truncation
}
