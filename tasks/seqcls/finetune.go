package seqcls

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
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
	_, err := tasks.ParseTruncation(r.Truncation)
	return []error{r.settings().Check(), err}
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
	if r.found, err = rows.Choose(s, &p, r.settings()); err != nil {
		return err
	}
	r.parts = p
	return nil
}

// rows is what a run must know of files of texts.
var rows = classification.Kind[*text.File]{
	Name: func(f *text.File) string { return f.Name }, Guess: text.GuessProblem, Find: text.FindLabels,
	Warnings: text.Warnings,
}

// settings returns the settings that say what the classifier learns.
func (c *Finetuning) settings() classification.Settings {
	return classification.Settings{Labels: c.Labels, ProblemType: c.ProblemType,
		LabelSmoothingFactor: c.LabelSmoothingFactor, ClassWeights: c.ClassWeights}
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
	loss, err := rows.Loss(r.settings(), r.found, r.parts.Train)
	if err != nil {
		return nil, err
	}
	truncation, err := tasks.ParseTruncation(r.Truncation)
	if err != nil {
		return nil, err
	}
	task, err := NewTask(r.model, s.Base.Tokenizer, TaskConfig{
		Config:    Config{CoreConfig: s.Core(r.MaxLength), Labels: r.found, Truncation: truncation},
		Smoothing: loss.Smoothing, ClassWeights: loss.ClassWeights,
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	return task, r.parts.Consume(ctx, task.Add, func(split batch.Split, f *text.File) {
		tasks.WarnCut(s.Log, f.Name, task.Splits[split].Cut, f.Len(), task.Limit())
	})
}

func (r *run) identity(id map[string]string) {
	r.settings().Identity(r.found, id)
	id["max_length"], id["truncation"] = fmt.Sprint(tasks.Value(r.MaxLength)), tasks.TruncationName(r.Truncation)
}

func (r *run) describe(results *tasks.Results) { classification.Describe(r.found, results) }
