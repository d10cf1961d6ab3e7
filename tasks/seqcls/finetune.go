package seqcls

import (
	"context"
	"fmt"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// Finetuning is the configuration of a run that trains a classifier, or a regression. Fields have the names of the
// flags of "finetune seq-cls"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	// Train, Eval and Test are rows that were read already, in place of the files of Run.
	Train, Eval, Test *text.File
	// Data says how the files of Run are read.
	Data text.Options

	// Labels are the names of the classes, in order; nil: the adapter's, else the checkpoint's, else those of the
	// data, sorted.
	Labels               []string
	ProblemType          string // as in config.json; "": guessed from the labels
	MaxLength            *int   // tokens of a text or pair, 0: what the checkpoint allows; nil: the adapter's, else 0
	Truncation           string // what to cut of longer ones: longest_first (the default), only_first or only_second
	LabelSmoothingFactor float32
	ClassWeights         []string // weight of each class in the loss, in order, or balanced
}

// run is one run of a configuration.
type run struct {
	*Finetuning
	parts tasks.Parts[*text.File]
	found *data.Labels
	model models.SequenceClassifier
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c}
	return &tasks.Plan{
		Command: Type.Command, Adapter: tasks.DefaultAdapter(), Training: tasks.DefaultTraining(),
		Options: options(&c.MaxLength, &c.Truncation),
		Check:   r.check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity, Describe: r.describe,
		Labels: func() *data.Labels { return r.found }, Rows: &r.parts,
	}
}

func (r *run) check() []error {
	var errs []error
	if r.ProblemType != "" {
		_, err := data.ParseProblem(r.ProblemType)
		errs = append(errs, err)
	}
	_, err := tasks.ParseTruncation(r.Truncation)
	return append(errs, err)
}

// read reads the rows, guesses the problem type and finds the classes.
func (r *run) read(s *tasks.Session) error {
	given := tasks.Parts[*text.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	p, err := tasks.ReadParts(&r.Run, given, r.Data, text.Read, text.ReadFrom)
	if err == nil {
		err = text.CheckPairs(p.Train, p.Eval, p.Test)
	}
	if err != nil {
		return err
	}
	all := p.Train // the classes are found in all rows of the training file
	problem, why, err := r.problem(s, all)
	if err != nil {
		return err
	}
	if problem == data.Regression && len(r.Labels) > 0 {
		return base.Settings(fmt.Errorf("`labels`: a regression (%s) has no classes", why))
	}
	split := (*text.File).SplitOff // numbers and lists are not classes, even if some of them are equal
	if problem == data.SingleLabel {
		split = (*text.File).SplitClasses
	}
	if err := p.ChooseBy(split, &r.Run, s.Config.Seed); err != nil {
		return err
	}
	saved, err := s.SavedLabels(false)
	if err != nil {
		return err
	}
	src, err := s.LabelSource(r.Labels, saved)
	if err != nil {
		return err
	}
	if r.found, err = text.FindLabels(problem, src, all, p.Eval, p.Test); err != nil {
		return err
	}
	s.WarnReplaced(r.found)
	if err := s.CheckHead(r.found, "`labels` and `problem_type`"); err != nil {
		return err
	}
	if err := p.Edit(func(f *text.File) (*text.File, error) { return f.WithTargets(problem), nil }); err != nil {
		return err
	}
	s.Log.Info().Msgf("%s; %v (%s), %d labels", p.Sizes(p.Train.Name, "rows"), problem, why, len(r.found.Names))
	for _, w := range text.Warnings(r.found, p.Train, p.Eval, p.Test) {
		s.Log.Warn().Msg(w.String())
	}
	r.parts = p
	return nil
}

// problem returns the problem type of the run and where it comes from: the setting, the adapter to start from, or the
// labels.
func (r *run) problem(s *tasks.Session, all *text.File) (problem data.Problem, why string, err error) {
	saved, err := s.SavedLabels(false)
	switch {
	case err != nil:
		return 0, "", err
	case r.ProblemType != "":
		problem, err = data.ParseProblem(r.ProblemType)
		return problem, "`problem_type`", err
	case saved != nil && saved.Problem != nil:
		return *saved.Problem, "the adapter's labels.json", nil
	}
	return text.GuessProblem(all)
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	open := base.Outputs(models.OpenSequenceClassifier, max(1, len(r.found.Names)))
	r.model, subject, err = tasks.OpenSubject(s, Type.Of, open)
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	if err := tasks.CheckRoom(s.Base.Tokenizer, tasks.Value(r.MaxLength), r.parts.Train.Columns.Pair != ""); err != nil {
		return nil, base.Settings(err)
	}
	weights, err := r.weights()
	if err != nil {
		return nil, err
	}
	truncation, err := tasks.ParseTruncation(r.Truncation)
	if err != nil {
		return nil, err
	}
	task, err := NewTask(r.model, s.Base.Tokenizer, TaskConfig{
		Config:    Config{CoreConfig: s.Core(r.MaxLength), Labels: r.found, Truncation: truncation},
		Smoothing: r.LabelSmoothingFactor, ClassWeights: weights,
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	return task, r.parts.Consume(ctx, task.Add, func(split batch.Split, f *text.File) {
		tasks.WarnCut(s.Log, f.Name, task.Splits[split].Cut, f.Len(), task.Limit())
	})
}

// weights returns the weights of the classes in the loss, or nil.
func (r *run) weights() ([]float32, error) {
	if len(r.ClassWeights) > 0 && r.found.Problem != data.SingleLabel {
		return nil, base.Settings(fmt.Errorf("`class_weights` needs single-label classification, not %v", r.found.Problem))
	}
	return tasks.ClassWeights(r.ClassWeights, len(r.found.Names),
		func() ([]int32, error) { return r.parts.Train.Classes(r.found) })
}

func (r *run) identity(id map[string]string) {
	id["labels"] = string(r.found.Encode())
	id["max_length"], id["truncation"] = fmt.Sprint(tasks.Value(r.MaxLength)), tasks.TruncationName(r.Truncation)
	id["label_smoothing_factor"] = fmt.Sprint(r.LabelSmoothingFactor)
	id["class_weights"] = strings.Join(r.ClassWeights, ",")
}

func (r *run) describe(results *tasks.Results) {
	results.Facts = append(results.Facts, tasks.Fact{Key: "problem_type", Value: r.found.Problem.String()},
		tasks.Fact{Key: "num_labels", Value: len(r.found.Names)})
}
