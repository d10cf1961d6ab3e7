package seqcls

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/classes"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
	"github.com/spalora/spalora/tasks/seqcls"
)

// predicting is one run of "predict seq-cls".
type predicting struct {
	settings seqcls.Settings
	input    cli.InputFlags
	data     text.Options
	output   classes.Output
}

// part is the rows that one predictor serves.
type part = task.Part[*seqcls.Opened, *text.File]

const predictExamples = `  # two texts, with an adapter that finetune wrote on the embedded model
  predict seq-cls --adapter runs/seq-cls-20260101-120000 --text "Where is my card?" --text "I lost my PIN"

  # a file, with the probabilities of all classes; metrics too, if it has labels
  predict seq-cls --model DIR --adapter D --input test.csv --output predictions.jsonl --all-scores \
      --metrics-file metrics.json

  # rows of several adapters in one file, each with {"text": …, "adapter": "spam"} or another name
  predict seq-cls --model DIR --adapters spam=runs/spam,topics=runs/topics --input rows.jsonl

  # a checkpoint that has a trained head (adapter merge writes one), as a filter
  cat texts.txt | predict seq-cls --model DIR --quiet | jq -r .label`

func predict(env cli.Env) *cobra.Command {
	r := &predicting{}
	t := &task.Predict{
		Kind: seqcls.Kind, BuiltIn: cli.MiniLM(), Settings: &r.settings, Tokens: &r.settings.TokensPerBatch,
		Model: func(fs *pflag.FlagSet) {
			fs.StringVar(&r.settings.ProblemType, "problem-type", "", cli.ProblemTypeUsage)
			fs.StringSliceVar(&r.settings.Labels, "labels", nil, cli.LabelsUsage)
		},
		Input: r.addInput, Output: r.output.Add, Check: r.check, Run: r.run,
	}
	return t.Command(env, &cobra.Command{
		Use:   "seq-cls",
		Short: "Classes or values of texts and text pairs",
		Long: `Predict the class (or classes, or value) of texts and text pairs.

It writes one JSON object for each row, in the order of the input:
  adapter with --adapters: name of the adapter that served the row, null for the base model
  label   name of the most probable class; multi-label: list of those with a probability above 0.5; regression: null
  score   probability of the label; multi-label: list of them; regression: the predicted value
  logits  with --logits: the raw outputs, one for each class
  scores  with --all-scores: {name: probability} for all classes
If the input has labels, metrics go to standard error and, with --metrics-file, to a file.
` + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
	})
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	r.input.Add(fs)
	cli.AddReading(fs, &r.data)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read labels, even if the input has some")
	cli.AddMaxLength(fs, &r.settings.MaxLength, "a text or pair")
	cli.AddTruncation(fs, &r.settings.Truncation)
}

func (r *predicting) check(p *task.Predicting) []error {
	p.Input = &r.input.Input
	errs := []error{r.input.Check(p.Env, p.Given,
		cli.FlagNames(func(fs *pflag.FlagSet) { cli.AddReading(fs, new(text.Options)) }))}
	if r.data.NoLabels && (r.data.LabelColumn != "" || r.data.LabelSeparator != "") {
		errs = append(errs, errors.New("--no-labels excludes --label-column and --label-separator"))
	}
	if p.Scored && (r.data.NoLabels || len(r.input.Texts) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with labels"))
	}
	_, err := tasks.ParseTruncation(r.settings.Truncation)
	return append(errs, err)
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	f, err := r.read(p)
	if err != nil {
		return nil, err
	}
	parts, err := task.Parts[*seqcls.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		if err := r.prepare(p, &parts[i]); err != nil {
			return nil, err
		}
	}
	cut := 0
	logits, err := task.PredictEach(p, f.Name, f, parts,
		func(rows *text.File, of func(row int) *seqcls.Opened) ([][]float32, int, error) {
			return seqcls.PredictEach(cmd.Context(), rows, func(i int) *seqcls.Predictor { return of(i).Predictor })
		}, func(n int) { cut += n })
	if err != nil {
		return nil, err
	}
	limit, _ := task.Limits(parts)
	tasks.WarnCut(p.Console.Log, f.Name, cut, f.Len(), limit)
	predictors := task.ByRow(parts)
	out := &task.Predictions{Name: f.Name, Rows: func(w io.Writer) error {
		return task.EachRow(w, p.Models, "row", f, func(i int) any {
			return r.output.Row(predictors[i].Class(logits[i]), predictors[i].Labels())
		})
	}}
	var found []*data.Labels
	for _, s := range parts {
		found = append(found, s.Predictor.Labels())
		metrics, err := s.Predictor.Score(s.File, slices.Concat(task.Pick(logits, s.Rows)...))
		if err != nil {
			return nil, err
		}
		p.Console.Undefined(metrics)
		out.Add(s.Adapter, metrics, s.File.Labelled(), s.File.Labelled())
	}
	out.Average(classes.Means(found)...)
	return out, nil
}

// read returns the rows to predict.
func (r *predicting) read(p *task.Predicting) (*text.File, error) {
	if f := r.input.File(); f != nil {
		return f, nil
	}
	o := r.data
	o.OptionalLabels, o.Adapter = true, p.Models.Adapter()
	f, err := tasks.ReadFile(r.input.Input, p.Env.In, o, text.Read, text.ReadFrom)
	if err != nil {
		return nil, err
	}
	p.WarnRead(f.ReadWarnings())
	if f.Labelled() == 0 && (r.data.LabelColumn != "" || p.Scored) {
		return nil, base.Input(fmt.Errorf("%s: no row has a label, so there are no metrics", f.Name))
	}
	return f, nil
}

// prepare holds the labels of the rows of a part to the classes of its predictor.
func (r *predicting) prepare(p *task.Predicting, part *part) (err error) {
	c := part.Predictor
	if err := r.output.Check(c.Labels()); err != nil {
		return err
	}
	var labels *data.Labels
	m := classes.Model{Labels: c.Labels(), ProblemKnown: c.ProblemKnown, LabelsNamed: c.LabelsNamed}
	if part.File, labels, err = classes.Compare(p, part.File, m, kind); err != nil {
		return err
	}
	part.Predictor = &seqcls.Opened{Predictor: c.WithLabels(labels), ProblemKnown: c.ProblemKnown,
		LabelsNamed: c.LabelsNamed}
	return base.Settings(c.CheckRoom(part.File.HasPairs()))
}

// kind is what commands must know of files of texts.
var kind = classification.Kind[*text.File]{
	Name: func(f *text.File) string { return f.Name }, Guess: text.GuessProblem, Find: text.FindLabels,
}
