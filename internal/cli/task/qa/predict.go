package predict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks"
)

// qaRun is one run of "predict question-answering".
type qaRun struct {
	job
	head    cli.HeadFlags
	data    cli.QuestionFlags
	answers cli.AnswerFlags

	input               string
	questions, contexts []string // on the command line
	noLabels            bool
	format              string // of the output
	allAnswers          bool
}

// The formats of answers.
const (
	rowsFormat  = "jsonl"
	squadFormat = "squad"
)

const qaExamples = `  # two questions about one text, with an adapter that finetune wrote on the embedded model
  predict question-answering --adapter runs/question-answering-20260101-120000 \
      --context "We share your email address with our partners." --question "What is shared?" --question "With whom?"

  # a file, with the ten best answers to each question; exact match and F1 too, if it has answers
  predict question-answering --model DIR --adapter D --input dev-v2.0.json --version-2-with-negative \
      --all-answers --n-best-size 10 --output answers.jsonl --metrics-file metrics.json

  # what the official script of SQuAD reads
  predict question-answering --model DIR --adapter D --input dev-v1.1.json --output-format squad --output predictions.json`

func questionAnswering(env cli.Env) *cobra.Command {
	r := &qaRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "question-answering",
		Short: "Answers to questions that are parts of a given context",
		Long: `Find the answers to questions in their contexts.

It writes one JSON object for each question, in the order of the input:
  id               of the question; its number where the input has none
  answer           a part of the context, or "" for no answer
  start, end       code points of the context that the answer is; null for no answer
  score            probability of the answer among the --n-best-size best
  null_score_diff  by how much the score of no answer exceeds that of the best answer, if questions may have none
  answers          with --all-answers: the best answers, each with answer, start, end, score, start_logit and end_logit
With --output-format squad it writes one object {id: answer}. If the input has answers, metrics go to standard error and, with
--metrics-file, to a file.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal. After an error nothing is written.`,
		Example: qaExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", r.head.Add)
	cli.Section(fs, "Input", r.addInput)
	cli.Section(fs, "Answers", func(fs *pflag.FlagSet) {
		r.answers.AddWindows(fs)
		r.answers.AddAnswers(fs, "if the input has questions without answers")
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		r.addOutput(fs, func(fs *pflag.FlagSet) {
			fs.StringVar(&r.format, "output-format", rowsFormat, "jsonl, or squad: {id: answer}, as the official script of SQuAD reads it")
			fs.BoolVar(&r.allAnswers, "all-answers", false, "write the --n-best-size best answers too")
		})
	})
	cli.Section(fs, "Speed", r.addSpeed)
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *qaRun) addInput(fs *pflag.FlagSet) {
	fs.StringVar(&r.input, "input", "", "`file` of questions, or - for standard input; default: standard input, if something is piped into it")
	fs.StringArrayVar(&r.questions, "question", nil, "a `text` to answer, instead of a file; may be given several times")
	fs.StringArrayVar(&r.contexts, "context", nil, "the `text` that has the answer: one for all questions, or one for each")
	r.data.Add(fs)
	fs.BoolVar(&r.noLabels, "no-labels", false, "do not read answers, even if the input has some")
}

func (r *qaRun) run(cmd *cobra.Command) (err error) {
	if err := r.start(cmd); err != nil {
		return err
	}
	result, scores := r.results()
	if err := r.checkFlags(result, scores); err != nil {
		return err
	}
	base, err := cli.OpenBase(r.head.Model, cli.MiniLM())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	trained, err := base.OpenQuestionAnswerer(r.head, r.console.Log)
	if err != nil {
		return err
	}
	questions, err := r.read()
	if err != nil {
		return err
	}
	c, err := r.answers.Config(r.given, questions)
	if err != nil {
		return err
	}
	pool, err := cli.NewPool(r.threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	c.ZeroTypes = cli.ZeroTypes(trained.Model, trained.Set, r.console.Log)
	c.EvalTokens, c.Pool, c.Adapter = r.tokensPerBatch, pool, trained.Adapter()
	task, err := tasks.NewQuestionAnswering(trained.Model, base.Tokenizer, c)
	if err != nil {
		return cli.UsageError(err)
	}
	list, err := r.predict(cmd.Context(), task, questions)
	if err != nil {
		return err
	}
	metrics, err := task.Score(questions, list)
	if err != nil {
		return err
	}
	rows := func(w io.Writer) error { return r.writeRows(w, questions, list, c.NullAnswers) }
	if r.format == squadFormat {
		rows = func(w io.Writer) error { return writeSQuAD(w, questions, list) }
	}
	return r.write(result, scores, rows, questions.Name, questions.Labelled(), metrics)
}

func (r *qaRun) checkFlags(result, scores cli.Result) error {
	errs := slices.Concat(r.job.checkFlags(), r.head.Check(r.given), r.answers.Check(r.given))
	if r.given("question") || r.given("context") {
		errs = append(errs, r.checkQuestions()...)
	} else if err := cli.DefaultInput(&r.input, r.env, r.given, "give --input FILE, or --question TEXT --context TEXT, or pipe questions into standard input"); err != nil {
		return err
	}
	if r.noLabels && (r.data.Answers != "" || r.data.Strict) {
		errs = append(errs, errors.New("--no-labels excludes --answers-column and --strict"))
	}
	if r.metricsFile != "" && (r.noLabels || len(r.questions) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with answers"))
	}
	if r.format != rowsFormat && r.format != squadFormat {
		errs = append(errs, fmt.Errorf("--output-format is %q; want %s or %s", r.format, rowsFormat, squadFormat))
	}
	if r.allAnswers && r.format == squadFormat {
		errs = append(errs, fmt.Errorf("--output-format %s has one answer to a question: it excludes --all-answers", squadFormat))
	}
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	return errors.Join(result.Check(r.input), scores.Check(r.input))
}

// checkQuestions reports what is wrong with questions on the command line.
func (r *qaRun) checkQuestions() []error {
	var errs []error
	if r.given("input") {
		errs = append(errs, errors.New("--input and --question exclude each other"))
	}
	for _, flag := range append(cli.QuestionFlagNames(), "no-labels") {
		if r.typed(flag) {
			errs = append(errs, fmt.Errorf("--%s is for files, not for --question", flag))
		}
	}
	switch n := len(r.questions); {
	case n == 0 || len(r.contexts) == 0:
		errs = append(errs, errors.New("--question and --context need each other"))
	case len(r.contexts) > 1 && len(r.contexts) != n:
		errs = append(errs, fmt.Errorf("%d times --context for %d times --question; give one, or one for each", len(r.contexts), n))
	}
	if slices.ContainsFunc(slices.Concat(r.questions, r.contexts), func(s string) bool { return strings.TrimSpace(s) == "" }) {
		errs = append(errs, errors.New("a --question or --context is empty"))
	}
	return errs
}

// read returns the questions, with the answers that the input has.
func (r *qaRun) read() (*question.File, error) {
	if len(r.questions) > 0 {
		q := question.New("--question")
		for i, text := range r.questions {
			q.Append(question.Question{ID: strconv.Itoa(i + 1), Question: text, Context: r.contexts[i%len(r.contexts)], Line: i + 1})
		}
		return q, nil
	}
	o := r.data.Options()
	o.NoLabels, o.OptionalLabels = r.noLabels, true
	q, err := cli.ReadQuestions(r.input, r.env.In, o)
	if err != nil {
		return nil, err
	}
	if (r.data.Answers != "" || r.metricsFile != "") && q.Labelled() == 0 {
		return nil, cli.InputError(fmt.Errorf("%s: no question has answers, so there are no metrics", q.Name))
	}
	r.warnReplaced(q.Name, q.Replaced)
	return q, nil
}

// predict answers all questions, some at a time.
func (r *qaRun) predict(ctx context.Context, task *tasks.QuestionAnswering, q *question.File) ([]tasks.AnswerPrediction, error) {
	var all []tasks.AnswerPrediction
	var counts tasks.QuestionCounts
	err := r.inPortions(q.Name, q.Len(), func(lo, hi int) error {
		part := q.Part(lo, hi)
		list, n, err := task.Predict(ctx, part)
		if err != nil {
			return err
		}
		counts.Add(n)
		all = append(all, list...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	cli.LogQuestions(r.console.Log, q.Name, batch.Test, counts, task.Limit())
	return all, nil
}
