package multiplechoice

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/multiplechoice"
)

// predicting is one run of "predict multiple-choice".
type predicting struct {
	settings          multiplechoice.Settings
	data              choice.Options
	input             string
	one               choice.Question // the question on the command line
	logits, allScores bool
}

const predictExamples = `  # one question, with an adapter that finetune wrote on the embedded model
  predict multiple-choice --adapter runs/multiple-choice-20260101-120000 --context "The dog is wet. It" \
      --choice "shakes itself." --choice "reads a book."

  # a file, with the probabilities of all choices; accuracy too, if it has labels
  predict multiple-choice --model DIR --adapter D --input test.jsonl --output predictions.jsonl --all-scores \
      --metrics-file metrics.json`

func predict(env cli.Env) *cobra.Command {
	r := &predicting{}
	t := &task.Predict{
		Kind: multiplechoice.Kind, BuiltIn: cli.MiniLM(), Settings: &r.settings, Tokens: &r.settings.TokensPerBatch,
		Input: r.addInput, Output: r.addOutput, Check: r.check, Run: r.run,
	}
	return t.Command(env, &cobra.Command{
		Use:   "multiple-choice",
		Short: "Which of several choices answers a question or ends a text",
		Long: `Pick one of the choices of questions.

It writes one JSON object for each question, in the order of the input:
  adapter with --adapters: name of the adapter that served the row, null for the base model
  id      of the question, if the input has ids
  choice  index of the most probable choice, counted from 0
  text    of that choice
  score   its probability
  logits  with --logits: the raw output for each choice
  scores  with --all-scores: the probability of each choice
If the input has labels, metrics go to standard error and, with --metrics-file, to a file.
` + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
	})
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	fs.StringVar(&r.input, "input", "",
		"`file` of questions, or - for standard input; default: standard input, if something is piped into it")
	fs.StringVar(&r.one.Context, "context", "", "the `text` that one question is about, instead of a file")
	fs.StringVar(&r.one.Question, "question", "", "the `text` of one question, or the words that every choice continues")
	fs.StringArrayVar(&r.one.Endings, "choice", nil, "a `text` to choose; given two or more times")
	addReading(fs, &r.data, &r.settings.FirstIndex)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read labels, even if the input has some")
	cli.AddMaxLength(fs, &r.settings.MaxLength, ofChoices)
	cli.AddTruncation(fs, &r.settings.Truncation)
}

func (r *predicting) addOutput(fs *pflag.FlagSet) {
	fs.BoolVar(&r.logits, "logits", false, "write the logits too")
	fs.BoolVar(&r.allScores, "all-scores", false, "write the probabilities of all choices too")
}

func (r *predicting) check(p *task.Predicting) []error {
	p.Input = &r.input
	var errs []error
	if slices.ContainsFunc([]string{"context", "question", "choice"}, p.Given) {
		errs = r.checkQuestion(p)
	} else {
		errs = append(errs, cli.DefaultInput(&r.input, p.Env, p.Given,
			"give --input FILE, or --context or --question with --choice, or pipe questions into standard input"))
	}
	if r.data.NoLabels && (r.data.LabelColumn != "" || r.settings.FirstIndex != nil) {
		errs = append(errs, errors.New("--no-labels excludes --label-column and --first-index"))
	}
	if p.Scored && (r.data.NoLabels || len(r.one.Endings) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with labels"))
	}
	_, err := tasks.ParseTruncation(r.settings.Truncation)
	return append(errs, err)
}

// checkQuestion returns the errors about a question on the command line.
func (r *predicting) checkQuestion(p *task.Predicting) []error {
	var errs []error
	if p.Given("input") {
		errs = append(errs, errors.New("--input and --choice exclude each other"))
	}
	reading := cli.FlagNames(func(fs *pflag.FlagSet) { addReading(fs, new(choice.Options), new(*int)) })
	for _, flag := range append(reading, "no-labels") {
		if p.Given(flag) {
			errs = append(errs, fmt.Errorf("--%s is for files, not for --choice", flag))
		}
	}
	if n := len(r.one.Endings); n < 2 {
		errs = append(errs, fmt.Errorf("--choice is given %d times; give it two or more times for a question", n))
	}
	if slices.ContainsFunc(r.one.Endings, data.Blank) {
		errs = append(errs, errors.New("a --choice is empty"))
	}
	if r.one.Context == "" && r.one.Question == "" {
		errs = append(errs, errors.New("--choice needs --context, --question or both"))
	}
	return errs
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	f, err := r.read(p)
	if err != nil {
		return nil, err
	}
	parts, err := task.Parts[*multiplechoice.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	for _, s := range parts {
		if err := s.Predictor.CheckRoom(true); err != nil {
			return nil, base.Settings(err)
		}
	}
	cut := 0
	list, err := task.PredictEach(p, f.Name, f, parts,
		func(rows *choice.File, of func(row int) *multiplechoice.Opened) ([]multiplechoice.Choice, int, error) {
			return multiplechoice.PredictEach(cmd.Context(), rows,
				func(i int) *multiplechoice.Predictor { return of(i).Predictor })
		}, func(n int) { cut += n })
	if err != nil {
		return nil, err
	}
	limit, _ := task.Limits(parts)
	multiplechoice.WarnCut(p.Console.Log, f.Name, cut, f.Len(), limit)
	out := &task.Predictions{Name: f.Name, Rows: func(w io.Writer) error {
		return task.EachRow(w, p.Models, "question", f, func(i int) any { return r.row(f.At(i).ID, list[i]) })
	}}
	for _, s := range parts {
		metrics, err := s.Predictor.Score(s.File, task.Pick(list, s.Rows))
		if err != nil {
			return nil, err
		}
		out.Add(s.Adapter, metrics, s.File.Labelled(), s.File.Labelled())
	}
	out.Average("accuracy", "loss")
	return out, nil
}

// read returns the questions. Labels that they have are checked.
func (r *predicting) read(p *task.Predicting) (*choice.File, error) {
	if len(r.one.Endings) > 0 {
		q := r.one
		q.Label, q.Line = -1, 1
		return choice.New("--choice", q), nil
	}
	first, err := r.firstIndex(p)
	if err != nil {
		return nil, err
	}
	o := r.data
	o.OptionalLabels, o.FirstIndex, o.Adapter = true, first, p.Models.Adapter()
	f, err := tasks.ReadFile(r.input, p.Env.In, o, choice.Read, choice.ReadFrom)
	if err != nil {
		return nil, err
	}
	if (r.data.LabelColumn != "" || p.Scored) && f.Labelled() == 0 {
		return nil, base.Input(fmt.Errorf("%s: no question has a label, so there are no metrics", f.Name))
	}
	p.WarnRead(f.ReadWarnings())
	return f, nil
}

// firstIndex returns the number that the labels of the file give to the first choice: the one that is given, or that
// all adapters remember.
func (r *predicting) firstIndex(p *task.Predicting) (int, error) {
	opened, err := task.All[*multiplechoice.Opened](p.Models)
	if err != nil {
		return 0, err
	}
	for _, c := range opened {
		if c.FirstIndex != opened[0].FirstIndex && !r.data.NoLabels {
			return 0, base.Settings(errors.New("`adapters` were trained on files that count choices from 0 and from 1; say " +
				"with `first_index` how the input does, or do not read its labels (`no_labels`)"))
		}
	}
	return opened[0].FirstIndex, nil
}

// row is the output for one question.
type row struct {
	ID     string    `json:"id,omitempty"`
	Choice int       `json:"choice"`
	Text   string    `json:"text"`
	Score  float32   `json:"score"`
	Logits []float32 `json:"logits,omitempty"`
	Scores []float32 `json:"scores,omitempty"`
}

func (r *predicting) row(id string, c multiplechoice.Choice) row {
	out := row{ID: id, Choice: c.Index, Text: c.Text, Score: c.Score}
	if r.logits {
		out.Logits = c.Logits
	}
	if r.allScores {
		out.Scores = c.Scores
	}
	return out
}
