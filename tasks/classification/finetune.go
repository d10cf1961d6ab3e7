package classification

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tasks"
)

// Settings are the settings of a run that say what its classifier learns.
type Settings struct {
	Labels               []string
	ProblemType          string
	LabelSmoothingFactor float32
	ClassWeights         []string
}

// Check returns the error about settings that can be found before anything is opened, or nil.
func (c Settings) Check() error {
	if c.ProblemType == "" {
		return nil
	}
	_, err := data.ParseProblem(c.ProblemType)
	return err
}

// Rows is a file of rows with labels, as runs use it.
type Rows[T any] interface {
	tasks.Rows[T]
	SplitClasses(fraction float64, seed uint64) (rest, held T, err error)
	WithTargets(p data.Problem) T
	Classes(l *data.Labels) ([]int32, error)
}

// Kind is what a run must know of the files of one kind of rows.
type Kind[T Rows[T]] struct {
	Name     func(f T) string
	Guess    func(f T) (p data.Problem, why string, err error)
	Find     func(p data.Problem, src data.LabelSource, files ...T) (*data.Labels, error)
	Warnings func(l *data.Labels, train, eval, test T) []data.Warning
}

// Choose guesses the problem type, chooses and splits the rows of p, finds the classes in all rows of the training file
// and leaves out rows without a target.
func (k Kind[T]) Choose(s *tasks.Session, p *tasks.Parts[T], c Settings) (*data.Labels, error) {
	all := p.Train
	problem, why, err := k.problem(s, c, all)
	if err != nil {
		return nil, err
	}
	if problem == data.Regression && len(c.Labels) > 0 {
		return nil, base.Settings(fmt.Errorf("`labels`: a regression (%s) has no classes", why))
	}
	split := T.SplitOff // numbers and lists are not classes, even if some of them are equal
	if problem == data.SingleLabel {
		split = T.SplitClasses
	}
	if err := p.ChooseBy(split, s.Run, s.Config.Seed); err != nil {
		return nil, err
	}
	saved, err := s.SavedLabels(false)
	if err != nil {
		return nil, err
	}
	src, err := s.LabelSource(c.Labels, saved)
	if err != nil {
		return nil, err
	}
	found, err := k.Find(problem, src, all, p.Eval, p.Test)
	if err != nil {
		return nil, err
	}
	s.WarnReplaced(found)
	if err := s.CheckHead(found, "`labels` and `problem_type`"); err != nil {
		return nil, err
	}
	if err := p.Edit(func(f T) (T, error) { return f.WithTargets(problem), nil }); err != nil {
		return nil, err
	}
	s.Log.Info().Msgf("%s; %v (%s), %d labels", p.Sizes(k.Name(p.Train), "rows"), problem, why, len(found.Names))
	for _, w := range k.Warnings(found, p.Train, p.Eval, p.Test) {
		s.Log.Warn().Msg(w.String())
	}
	return found, nil
}

// problem returns the problem type of the run and where it comes from: the setting, the adapter to start from, or the
// labels.
func (k Kind[T]) problem(s *tasks.Session, c Settings, all T) (problem data.Problem, why string, err error) {
	saved, err := s.SavedLabels(false)
	switch {
	case err != nil:
		return 0, "", err
	case c.ProblemType != "":
		problem, err = data.ParseProblem(c.ProblemType)
		return problem, "`problem_type`", err
	case saved != nil && saved.Problem != nil:
		return *saved.Problem, "the adapter's labels.json", nil
	}
	return k.Guess(all)
}

// Loss returns the loss of a run for the classes that were found, with the rows to train on.
func (k Kind[T]) Loss(c Settings, l *data.Labels, train T) (Loss, error) {
	if len(c.ClassWeights) > 0 && l.Problem != data.SingleLabel {
		return Loss{}, base.Settings(fmt.Errorf("`class_weights` needs single-label classification, not %v", l.Problem))
	}
	weights, err := tasks.ClassWeights(c.ClassWeights, len(l.Names), func() ([]int32, error) { return train.Classes(l) })
	return Loss{Problem: l.Problem, Smoothing: c.LabelSmoothingFactor, ClassWeights: weights}, err
}

// Identity adds the settings that must be equal when a run is resumed.
func (c Settings) Identity(l *data.Labels, id map[string]string) {
	id["labels"] = string(l.Encode())
	id["label_smoothing_factor"] = fmt.Sprint(c.LabelSmoothingFactor)
	id["class_weights"] = strings.Join(c.ClassWeights, ",")
}

// Describe adds the facts about the classes to the results of a run.
func Describe(l *data.Labels, r *tasks.Results) {
	r.Facts = append(r.Facts, tasks.Fact{Key: "problem_type", Value: l.Problem.String()},
		tasks.Fact{Key: "num_labels", Value: len(l.Names)})
}
