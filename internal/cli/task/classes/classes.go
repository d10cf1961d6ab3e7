// Package classes is what the predict commands of classifiers share: flags and rows of their output, and how the labels
// of an input are compared with the classes of a model.
package classes

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks/classification"
)

// Means returns the metrics that are means over rows, for parts of a file with classes of these: the loss is only if it
// measures the same for all.
func Means(parts []*data.Labels) []string {
	means := []string{"accuracy", "top_5_accuracy", "subset_accuracy", "mse"}
	if !slices.ContainsFunc(parts, func(l *data.Labels) bool { return l.Problem != parts[0].Problem }) {
		means = append(means, "loss")
	}
	return means
}

// Output are the flags of what is written for a row.
type Output struct{ Logits, AllScores bool }

// Add defines the flags.
func (o *Output) Add(fs *pflag.FlagSet) {
	fs.BoolVar(&o.Logits, "logits", false, "write the logits too")
	fs.BoolVar(&o.AllScores, "all-scores", false, "write the probabilities of all classes too")
}

// Check returns an error if a flag has no meaning for the classes.
func (o *Output) Check(l *data.Labels) error {
	if o.AllScores && l.Problem == data.Regression {
		return base.Settings(errors.New("`all_scores`: a regression has no classes"))
	}
	return nil
}

// Row is what is written for a row.
type Row struct {
	Label  any          `json:"label"` // a name; a list of names (multi-label); null (regression)
	Score  any          `json:"score"` // the probability of the label; a list of them; the value
	Logits []float32    `json:"logits,omitempty"`
	Scores *task.Scores `json:"scores,omitempty"`
}

// Row returns what is written for the class of a row.
func (o *Output) Row(c classification.Class, l *data.Labels) Row {
	out := Row{Score: c.Score}
	switch l.Problem {
	case data.SingleLabel:
		out.Label = c.Label
	case data.MultiLabel:
		values := []float32{}
		for _, name := range c.Labels {
			i, _ := l.Index(name)
			values = append(values, c.Scores[i])
		}
		out.Label, out.Score = c.Labels, values
	}
	if o.Logits {
		out.Logits = c.Logits
	}
	if o.AllScores {
		out.Scores = &task.Scores{Names: l.Names, Values: c.Scores}
	}
	return out
}

// Model is what is known of the classes of a model.
type Model struct {
	Labels *data.Labels
	// ProblemKnown reports that the problem type was found, not assumed; LabelsNamed that the classes have names other
	// than LABEL_0 ….
	ProblemKnown, LabelsNamed bool
}

// File is a file of rows with labels.
type File[F any] interface {
	Labelled() int
	WithoutLabels() F
}

// Compare compares the labels of f with the classes of a model, and returns the rows to score and the classes. If the
// adapter does not say whether a row may have several, the labels decide. Other names are accepted if the adapter has
// none for its classes: there are no metrics then. kind has the functions for files of this kind.
func Compare[F interface {
	classification.Rows[F]
	File[F]
}](p *task.Predicting, f F, m Model, kind classification.Kind[F]) (F, *data.Labels, error) {
	if f.Labelled() == 0 {
		return f, m.Labels, nil
	}
	problem := m.Labels.Problem
	guess, _, err := kind.Guess(f)
	if !m.ProblemKnown && err == nil && guess == data.MultiLabel && problem == data.SingleLabel {
		problem = guess
	}
	labels, err := kind.Find(problem, data.LabelSource{Saved: m.Labels.Names}, f)
	switch {
	case err == nil:
		return f, labels, nil
	case m.LabelsNamed || p.Scored:
		var none F
		return none, nil, base.Input(fmt.Errorf("%w (`no_labels` predicts without reading labels)", err))
	}
	p.Console.Log.Warn().Msgf("%s: labels are not compared, since the adapter does not name its classes (`labels` does)",
		kind.Name(f))
	return f.WithoutLabels(), m.Labels, nil
}
