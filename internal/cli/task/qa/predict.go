package qa

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/qa"
)

// predicting is one run of "predict question-answering".
type predicting struct {
	settings qa.Settings
	data     question.Options

	input               string
	questions, contexts []string // on the command line
	format              string   // of the output
	allAnswers          bool
}

// The formats of answers.
const (
	rowsFormat  = "jsonl"
	squadFormat = "squad"
)

const predictExamples = `  # two questions about one text, with an adapter that finetune wrote on the embedded model
  predict question-answering --adapter runs/question-answering-20260101-120000 \
      --context "We share your email address with our partners." --question "What is shared?" --question "With whom?"

  # a file, with the ten best answers to each question; exact match and F1 too, if it has answers
  predict question-answering --model DIR --adapter D --input dev-v2.0.json --version-2-with-negative \
      --all-answers --n-best-size 10 --output answers.jsonl --metrics-file metrics.json

  # what the official script of SQuAD reads
  predict question-answering --model DIR --adapter D --input dev-v1.1.json --output-format squad \
      --output predictions.json`

func predict(env cli.Env) *cobra.Command {
	r := &predicting{}
	t := &task.Predict{
		Kind: qa.Kind, BuiltIn: cli.MiniLM(), Settings: &r.settings, Tokens: &r.settings.TokensPerBatch,
		Input: r.addInput, Output: r.addOutput, Check: r.check, Run: r.run,
		Sections: func(fs *pflag.FlagSet) {
			cli.Section(fs, "Answers", func(fs *pflag.FlagSet) {
				addAnswering(fs, &r.settings.Answering, "if the input has questions without answers")
			})
		},
	}
	return t.Command(env, &cobra.Command{
		Use:   "question-answering",
		Short: "Answers to questions that are parts of a given context",
		Long: `Find the answers to questions in their contexts.

It writes one JSON object for each question, in the order of the input:
  adapter          with --adapters: name of the adapter that served the row, null for the base model
  id               of the question; its number where the input has none
  answer           a part of the context, or "" for no answer
  start, end       code points [start, end) of the context that are the answer; null for no answer
  score            probability of the answer among the --n-best-size best
  null_score_diff  by how much the score of no answer exceeds that of the best answer, if questions may have none
  answers          with --all-answers: the best answers, each with answer, start, end, score, start_logit and end_logit
With --output-format squad it writes one object {id: answer}. If the input has answers, metrics go to standard error
and, with --metrics-file, to a file.
` + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
	})
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	fs.StringVar(&r.input, "input", "",
		"`file` of questions, or - for standard input; default: standard input, if something is piped into it")
	fs.StringArrayVar(&r.questions, "question", nil, "a `text` to answer, instead of a file; may be given several times")
	fs.StringArrayVar(&r.contexts, "context", nil,
		"the `text` that has the answer: one for all questions, or one for each")
	addReading(fs, &r.data)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read answers, even if the input has some")
}

func (r *predicting) addOutput(fs *pflag.FlagSet) {
	fs.StringVar(&r.format, "output-format", rowsFormat,
		"jsonl, or squad: {id: answer}, as the official script of SQuAD reads it")
	fs.BoolVar(&r.allAnswers, "all-answers", false, "write the --n-best-size best answers too")
}

func (r *predicting) check(p *task.Predicting) []error {
	p.Input = &r.input
	errs := r.settings.Check()
	if p.Given("question") || p.Given("context") {
		errs = append(errs, r.checkQuestions(p.Given)...)
	} else {
		errs = append(errs, cli.DefaultInput(&r.input, p.Env, p.Given,
			"give --input FILE, or --question TEXT --context TEXT, or pipe questions into standard input"))
	}
	if r.data.NoLabels && (r.data.AnswersColumn != "" || r.data.Strict) {
		errs = append(errs, errors.New("--no-labels excludes --answers-column and --strict"))
	}
	if p.Scored && (r.data.NoLabels || len(r.questions) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with answers"))
	}
	if r.format != rowsFormat && r.format != squadFormat {
		errs = append(errs, fmt.Errorf("--output-format is %q; want %s or %s", r.format, rowsFormat, squadFormat))
	}
	if r.allAnswers && r.format == squadFormat {
		errs = append(errs, fmt.Errorf("--output-format %s has one answer to a question: it excludes --all-answers",
			squadFormat))
	}
	return errs
}

// checkQuestions returns the errors about questions on the command line.
func (r *predicting) checkQuestions(given func(flag string) bool) []error {
	var errs []error
	if given("input") {
		errs = append(errs, errors.New("--input and --question exclude each other"))
	}
	reading := cli.FlagNames(func(fs *pflag.FlagSet) { addReading(fs, new(question.Options)) })
	for _, flag := range append(reading, "no-labels") {
		if given(flag) {
			errs = append(errs, fmt.Errorf("--%s is for files, not for --question", flag))
		}
	}
	switch n := len(r.questions); {
	case n == 0 || len(r.contexts) == 0:
		errs = append(errs, errors.New("--question and --context need each other"))
	case len(r.contexts) > 1 && len(r.contexts) != n:
		errs = append(errs, fmt.Errorf("%d times --context for %d times --question; give one, or one for each",
			len(r.contexts), n))
	}
	blank := func(s string) bool { return strings.TrimSpace(s) == "" }
	if slices.ContainsFunc(slices.Concat(r.questions, r.contexts), blank) {
		errs = append(errs, errors.New("a --question or --context is empty"))
	}
	return errs
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	f, err := r.read(p)
	if err != nil {
		return nil, err
	}
	opened, err := task.Parts[*qa.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	parts := make([]task.Part[*qa.Predictor, *question.File], len(opened))
	for i, s := range opened {
		c, err := s.Predictor.For(s.File)
		if err != nil {
			return nil, err
		}
		parts[i] = task.Part[*qa.Predictor, *question.File]{Adapter: s.Adapter, Predictor: c, File: s.File, Rows: s.Rows}
	}
	var counts qa.Counts
	answers, err := task.PredictEach(p, f.Name, f, parts,
		func(rows *question.File, of func(row int) *qa.Predictor) ([]qa.Answer, qa.Counts, error) {
			return qa.PredictEach(cmd.Context(), rows, of)
		}, counts.Add)
	if err != nil {
		return nil, err
	}
	_, limit := task.Limits(parts)
	counts.Log(p.Console.Log, f.Name, batch.Test, limit)
	out := &task.Predictions{Name: f.Name}
	for _, s := range parts {
		metrics, err := s.Predictor.Score(s.File, task.Pick(answers, s.Rows))
		if err != nil {
			return nil, err
		}
		out.Add(s.Adapter, metrics, s.File.Labelled(), s.File.Labelled())
	}
	out.Average("f1", "exact_match")
	predictors := task.ByRow(parts)
	out.Rows = func(w io.Writer) error {
		return task.EachRow(w, p.Models, "question", f, func(i int) any {
			return r.row(f.At(i).ID, &answers[i], predictors[i].NullAnswers())
		})
	}
	if r.format == squadFormat {
		out.Rows = func(w io.Writer) error { return writeSQuAD(w, f, answers) }
	}
	return out, nil
}

// read returns the questions, with the answers that the input has.
func (r *predicting) read(p *task.Predicting) (*question.File, error) {
	if len(r.questions) > 0 {
		f := question.New("--question")
		for i, text := range r.questions {
			f.Append(question.Question{
				ID: strconv.Itoa(i + 1), Question: text, Context: r.contexts[i%len(r.contexts)], Line: i + 1,
			})
		}
		return f, nil
	}
	o := r.data
	o.OptionalLabels, o.Adapter = true, p.Models.Adapter()
	f, err := tasks.ReadFile(r.input, p.Env.In, o, question.Read, question.ReadFrom)
	if err != nil {
		return nil, err
	}
	if (r.data.AnswersColumn != "" || p.Scored) && f.Labelled() == 0 {
		return nil, base.Input(fmt.Errorf("%s: no question has answers, so there are no metrics", f.Name))
	}
	p.WarnRead(f.ReadWarnings())
	return f, nil
}
