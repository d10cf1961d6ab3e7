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
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// qaRun is one run of "finetune question-answering".
type qaRun struct {
	job
	data    cli.QuestionFlags
	answers cli.AnswerFlags

	questions parts[*question.File]
	config    tasks.QuestionAnsweringConfig
	opened    models.QuestionAnswerer
}

const qaExamples = `  # the model and the data that are compiled in: MiniLM on questions about privacy policies
  finetune question-answering

  # your own checkpoint and data
  finetune question-answering --model bert-base-uncased --train-file train-v1.1.json --eval-file dev-v1.1.json \
      --learning-rate 3e-4 --output-dir runs/squad

  # rows with keys of other names; a tenth of the contexts for validation; long windows that overlap little
  finetune question-answering --train-file faq.jsonl --question-column q --context-column page --answers-column a \
      --validation-split 0.1 --max-length 512 --doc-stride 64

  # the settings in a file, one of them overridden
  finetune question-answering --config run.yaml --learning-rate 1e-3`

func questionAnswering(env cli.Env) *cobra.Command {
	r := &qaRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "question-answering",
		Short: "Answers to questions that are parts of a given context",
		Long: `Fine-tune a LoRA adapter for extractive question answering: the answer to a question is a part of its context.

Data are SQuAD JSON (1.1 or 2.0) or JSON Lines with the keys id, question, context and answers ({"text": […], "answer_start": […]},
in code points). A context that does not fit into one sequence is cut into windows that overlap.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), metrics.jsonl (a line for each step and evaluation), results.json and checkpoints.

With the embedded model all linear layers are adapted, batches have 8 windows and a tenth of the steps warm up, and its embedded data
are gone through one and a half times, unless flags say otherwise.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal with the adapter saved.`,
		Example: qaExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.adapt(cmd, r) },
	}
	return r.addFlags(cmd, sections{
		models: directories, formats: "SQuAD JSON or JSON Lines", builtIn: embedded.PolicyQAName, chosen: ", context by context",
		reading: r.data.Add, task: r.addTask, adapter: qaAdapter(), head: headTrains, training: qaTraining(),
	})
}

func (r *qaRun) addTask(fs *pflag.FlagSet) {
	r.answers.AddWindows(fs)
	r.answers.AddAnswers(fs, "if the data have such questions")
}

// qaAdapter returns the adapter that a run has by default.
func qaAdapter() lora.Config {
	c := lora.DefaultConfig()
	c.R, c.Alpha = 16, 32
	return c
}

// qaTraining returns the settings of the loop that a run has by default.
func qaTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs = 16, 3
	c.LearningRate, c.Schedule = 1e-3, train.Linear
	return c
}

func (r *qaRun) name() string { return "question-answering" }

// defaults changes defaults, where no flag says otherwise, for what is compiled in. docs/parity.md has what they reach.
func (r *qaRun) defaults() {
	if r.model != "" {
		return
	}
	t := &r.train
	if !r.given("target-modules") && r.lora.adapter == "" {
		// Its sentence embeddings say little about single tokens: with query and value alone the loss falls half as fast.
		r.lora.targets = []string{lora.AllLinear}
	}
	if !r.given("batch-size") && !r.given("tokens-per-batch") {
		t.cfg.BatchSize = 8
	}
	r.warmUp()
	if r.files.train == "" && !r.given("num-train-epochs") {
		t.cfg.NumTrainEpochs = 1.5
	}
}

// checkFlags reports flags that contradict each other before anything is opened.
func (r *qaRun) checkFlags() error {
	errs := append(r.job.checkFlags(cli.QuestionFlagNames()), r.answers.Check(r.given)...)
	return cli.UsageError(errors.Join(errs...))
}

// readData reads the questions. Those of which no answer can be learned are left out of the ones to train on.
func (r *qaRun) readData(*cli.Base) (err error) {
	q := &r.questions
	if r.files.train == "" {
		train, test := embedded.PolicyQA()
		o := question.Options{Format: question.SQuAD}
		if q.test, err = question.ReadBytes(test, embedded.PolicyQAName+" test", o); err != nil {
			return err
		}
		if q.train, err = question.ReadBytes(train, embedded.PolicyQAName, o); err != nil {
			return err
		}
	} else {
		*q, err = readParts(r.files, func(path string) (*question.File, error) { return cli.ReadQuestions(path, r.env.In, r.data.Options()) })
		if err != nil {
			return err
		}
	}
	if err = q.choose(r.files, r.train.cfg.Seed); err != nil {
		return err
	}
	all := q.train.Len()
	if q.train = q.train.WithPlaces(); q.train.Len() == 0 {
		return &data.Error{File: q.train.Name, Msg: fmt.Sprintf("none of %d questions has an answer that stands in its context, so there is nothing to learn", all)}
	}
	if r.config, err = r.answers.Config(r.given, q.train, q.eval, q.test); err != nil {
		return err
	}
	r.report()
	return nil
}

// report logs what was read and what is odd about it.
func (r *qaRun) report() {
	q := r.questions
	log := r.console.Log
	text := q.sizes(q.train.Name, "questions", func(x *question.File) int { return x.Len() })
	if r.config.NullAnswers {
		text += "; some may have no answer"
	}
	log.Info().Msg(text)
	r.warn(question.Warnings(q.train, q.eval, q.test))
}

func (r *qaRun) openModel(base *cli.Base, seed uint64) (models.TextModel, cli.Task, checkpoint.Report, error) {
	m, report, err := base.QuestionAnswerer(seed, r.console.Log)
	if err != nil {
		return nil, cli.Task{}, report, err
	}
	r.opened = m
	return m, cli.QuestionAnswering(m.TokenTypes()), report, nil
}

func (r *qaRun) newTask(ctx context.Context, base *cli.Base, set *lora.Set, pool *op.Pool) (train.Task, error) {
	c := r.config
	if c.NullAnswers { // what predict reads need not tell it
		set.SetNote(cli.NullAnswersFlag, "true")
	}
	c.ZeroTypes, c.Pool, c.Adapter = cli.ZeroTypes(r.opened, set, r.console.Log), pool, set
	task, err := tasks.NewQuestionAnswering(r.opened, base.Tokenizer, c)
	if err != nil {
		return nil, cli.UsageError(err)
	}
	return task, r.questions.each(func(s batch.Split, q *question.File) error {
		if err := task.Add(ctx, s, q); err != nil {
			return err
		}
		cli.LogQuestions(r.console.Log, q.Name, s, task.Counts(s), task.Limit())
		return nil
	})
}

func (r *qaRun) classes() *data.Labels { return nil }

func (r *qaRun) describe(t *training) {
	if r.questions.test != nil {
		t.testRows = r.questions.test.Len()
	}
}

func (r *qaRun) identity(id map[string]string) {
	c := r.config
	r.questions.identity(id)
	id["max_length"], id["doc_stride"], id["max_query_length"] = fmt.Sprint(c.MaxLength), fmt.Sprint(c.DocStride), fmt.Sprint(c.MaxQueryLength)
	if r.questions.eval == nil {
		return
	}
	id["n_best_size"], id["max_answer_length"] = fmt.Sprint(c.NBest), fmt.Sprint(c.MaxAnswer)
	id["version_2_with_negative"], id["null_score_diff_threshold"] = fmt.Sprint(c.NullAnswers), fmt.Sprint(c.NullThreshold)
}
