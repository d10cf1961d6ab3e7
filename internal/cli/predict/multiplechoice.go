package predict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks"
)

// choiceRun is one run of "predict multiple-choice".
type choiceRun struct {
	job
	head cli.HeadFlags
	data cli.ChoiceFlags

	input             string
	context, question string   // of the one question on the command line
	choices           []string // likewise
	noLabels          bool
	logits, allScores bool
	maxLength         int
	truncation        string
}

const choiceExamples = `  # one question, with an adapter that finetune wrote on the embedded model
  predict multiple-choice --adapter runs/multiple-choice-20260101-120000 --context "The dog is wet. It" --choice "shakes itself." --choice "reads a book."

  # a file, with the probabilities of all choices; accuracy too, if it has labels
  predict multiple-choice --model DIR --adapter D --input test.jsonl --output predictions.jsonl --all-scores --metrics-file metrics.json`

func multipleChoice(env cli.Env) *cobra.Command {
	r := &choiceRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "multiple-choice",
		Short: "Which of several choices answers a question or ends a text",
		Long: `Pick one of the choices of questions.

It writes one JSON object for each question, in the order of the input:
  id      of the question, if the input has ids
  choice  index of the most probable choice, counted from 0
  text    of that choice
  score   its probability
  logits  with --logits: the raw output for each choice
  scores  with --all-scores: the probability of each choice
If the input has labels, metrics go to standard error and, with --metrics-file, to a file.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal. After an error nothing is written.`,
		Example: choiceExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", r.head.Add)
	cli.Section(fs, "Input", r.addInput)
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		r.addOutput(fs, func(fs *pflag.FlagSet) {
			fs.BoolVar(&r.logits, "logits", false, "write the logits too")
			fs.BoolVar(&r.allScores, "all-scores", false, "write the probabilities of all choices too")
		})
	})
	cli.Section(fs, "Speed", r.addSpeed)
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *choiceRun) addInput(fs *pflag.FlagSet) {
	fs.StringVar(&r.input, "input", "", "`file` of questions, or - for standard input; default: standard input, if something is piped into it")
	fs.StringVar(&r.context, "context", "", "the `text` that one question is about, instead of a file")
	fs.StringVar(&r.question, "question", "", "the `text` of one question, or the words that every choice goes on with")
	fs.StringArrayVar(&r.choices, "choice", nil, "a `text` to choose; given two or more times")
	r.data.Add(fs)
	fs.BoolVar(&r.noLabels, "no-labels", false, "do not read labels, even if the input has some")
	cli.AddMaxLength(fs, &r.maxLength, "a choice with what stands before it")
	cli.AddTruncation(fs, &r.truncation)
}

func (r *choiceRun) run(cmd *cobra.Command) (err error) {
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
	trained, err := base.OpenMultipleChoice(r.head, r.console.Log)
	if err != nil {
		return err
	}
	questions, err := r.read()
	if err != nil {
		return err
	}
	if err := cli.CheckMaxLength(base.Tokenizer, r.maxLength, true); err != nil {
		return err
	}
	pool, err := cli.NewPool(r.threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	truncation, _ := cli.ParseTruncation(r.truncation) // checked before
	task, err := tasks.NewMultipleChoice(trained.Model, base.Tokenizer, tasks.MultipleChoiceConfig{
		MaxLength: r.maxLength, Truncation: truncation, EvalTokens: r.tokensPerBatch, Pool: pool, Adapter: trained.Adapter(),
	})
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
	rows := func(w io.Writer) error { return r.writeRows(w, questions, list) }
	return r.write(result, scores, rows, questions.Name, questions.Labelled(), metrics)
}

// oneQuestion lists the flags of a question on the command line.
var oneQuestion = []string{"context", "question", "choice"}

func (r *choiceRun) checkFlags(result, scores cli.Result) error {
	errs := append(r.job.checkFlags(), r.head.Check(r.given)...)
	if slices.ContainsFunc(oneQuestion, r.given) {
		errs = append(errs, r.checkQuestion()...)
	} else if err := cli.DefaultInput(&r.input, r.env, r.given, "give --input FILE, or --context or --question with --choice, or pipe questions into standard input"); err != nil {
		return err
	}
	if r.noLabels && (r.data.Label != "" || r.given("first-index")) {
		errs = append(errs, errors.New("--no-labels excludes --label-column and --first-index"))
	}
	if r.metricsFile != "" && (r.noLabels || len(r.choices) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with labels"))
	}
	if _, err := cli.ParseTruncation(r.truncation); err != nil {
		errs = append(errs, err)
	}
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	return errors.Join(result.Check(r.input), scores.Check(r.input))
}

// checkQuestion reports what is wrong with a question on the command line.
func (r *choiceRun) checkQuestion() []error {
	var errs []error
	if r.given("input") {
		errs = append(errs, errors.New("--input and --choice exclude each other"))
	}
	for _, flag := range append(cli.ChoiceFlagNames(), "no-labels") {
		if r.typed(flag) {
			errs = append(errs, fmt.Errorf("--%s is for files, not for --choice", flag))
		}
	}
	if len(r.choices) < 2 {
		errs = append(errs, fmt.Errorf("--choice is given %d times; a question has two choices or more", len(r.choices)))
	}
	if slices.ContainsFunc(r.choices, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		errs = append(errs, errors.New("a --choice is empty"))
	}
	if r.context == "" && r.question == "" {
		errs = append(errs, errors.New("--choice needs --context, --question or both"))
	}
	return errs
}

// read returns the questions. Labels that they have are checked.
func (r *choiceRun) read() (*choice.File, error) {
	if len(r.choices) > 0 {
		return choice.New("--choice", choice.Question{Context: r.context, Question: r.question, Endings: r.choices, Label: -1, Line: 1}), nil
	}
	o, err := r.data.Options()
	if err != nil {
		return nil, err
	}
	o.NoLabels, o.OptionalLabels = r.noLabels, true
	c, err := cli.ReadChoices(r.input, r.env.In, o)
	if err != nil {
		return nil, err
	}
	if (r.data.Label != "" || r.metricsFile != "") && c.Labelled() == 0 {
		return nil, cli.InputError(fmt.Errorf("%s: no question has a label, so there are no metrics", c.Name))
	}
	r.warnReplaced(c.Name, c.Replaced)
	return c, nil
}

// predict scores all questions, some at a time.
func (r *choiceRun) predict(ctx context.Context, task *tasks.MultipleChoice, c *choice.File) ([]tasks.ChoicePrediction, error) {
	var all []tasks.ChoicePrediction
	cut := 0
	err := r.inPortions(c.Name, c.Len(), func(lo, hi int) error {
		part := c.Part(lo, hi)
		list, n, err := task.Predict(ctx, part)
		if err != nil {
			return err
		}
		cut += n
		all = append(all, list...)
		for i, p := range list {
			if err := finite(c.Name, part.At(i).Line, p.Logits); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && cut > 0 {
		r.console.Log.Warn().Msgf("%s: %d of %d questions have choices that are longer than %d tokens with what stands before them and were cut", c.Name, cut, c.Len(), task.Limit())
	}
	return all, err
}

// choiceRow is what is written for one question.
type choiceRow struct {
	ID     string    `json:"id,omitempty"`
	Choice int       `json:"choice"`
	Text   string    `json:"text"`
	Score  float32   `json:"score"`
	Logits []float32 `json:"logits,omitempty"`
	Scores []float32 `json:"scores,omitempty"`
}

func (r *choiceRun) writeRows(w io.Writer, c *choice.File, list []tasks.ChoicePrediction) error {
	return eachLine(w, "question", len(list), func(i int) any {
		e, p := c.At(i), list[i]
		row := choiceRow{ID: e.ID, Choice: p.Index, Text: e.Endings[p.Index], Score: p.Probabilities[p.Index]}
		if r.logits {
			row.Logits = p.Logits
		}
		if r.allScores {
			row.Scores = p.Probabilities
		}
		return row
	})
}
