package multiplechoice

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// Finetuning is the configuration of a run that trains a model to pick choices. Fields have the names of the flags of
// "finetune multiple-choice"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	// Train, Eval and Test are questions that were read already, in place of the files of Run.
	Train, Eval, Test *choice.File
	// Data says how the files of Run are read.
	Data choice.Options
	// FirstIndex replaces that of Data: the number that labels give to the first choice, 0 or 1; nil: the adapter's, else
	// that of Data.
	FirstIndex *int

	MaxLength  *int   // tokens of a choice with its question, 0: what the checkpoint allows; nil: the adapter's, else 0
	Truncation string // what to cut of longer ones: longest_first (the default), only_first or only_second
}

// DefaultTraining returns the default settings of the training loop.
func DefaultTraining() train.Config {
	c := tasks.DefaultTraining()
	c.BatchSize = 16
	return c
}

// ChanceKey is the key of results.json with the accuracy of guessing on the test rows.
const ChanceKey = "chance_accuracy"

// run is one run of a configuration.
type run struct {
	*Finetuning
	parts  tasks.Parts[*choice.File]
	model  models.MultipleChoice
	chance *float64 // of the questions to test on
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c}
	return &tasks.Plan{
		Command: Type.Command, Adapter: tasks.DefaultAdapter(), Training: DefaultTraining(),
		Options: options(&c.FirstIndex, &c.MaxLength, &c.Truncation),
		Check:   r.check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity, Describe: r.describe,
		Rows: &r.parts,
	}
}

func (r *run) check() []error {
	_, err := tasks.ParseTruncation(r.Truncation)
	return []error{err}
}

// read reads the questions and logs remarks about them.
func (r *run) read(s *tasks.Session) (err error) {
	o := r.Data
	if r.FirstIndex != nil {
		o.FirstIndex = *r.FirstIndex
	}
	given := tasks.Parts[*choice.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	if r.parts, err = tasks.ReadParts(&r.Run, given, o, choice.Read, choice.ReadFrom); err != nil {
		return err
	}
	if err := r.parts.Choose(&r.Run, s.Config.Seed); err != nil {
		return err
	}
	p := r.parts
	sizes := p.Sizes(p.Train.Name, "questions")
	s.Log.Info().Msgf("%s; guessing is right in %.1f %% of the first", sizes, 100*p.Train.Chance())
	if p.Test != nil {
		r.chance = new(p.Test.Chance())
	}
	for _, w := range choice.Warnings(p.Train, p.Eval, p.Test) {
		s.Log.Warn().Msg(w.String())
	}
	return nil
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	r.model, subject, err = tasks.OpenSubject(s, typeFor(s.Base), models.OpenMultipleChoice)
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	truncation, err := tasks.ParseTruncation(r.Truncation)
	if err != nil {
		return nil, err
	}
	if err := tasks.CheckRoom(s.Base.Tokenizer, tasks.Value(r.MaxLength), true); err != nil {
		return nil, base.Settings(err)
	}
	task, err := NewTask(r.model, s.Base.Tokenizer, Config{CoreConfig: s.Core(r.MaxLength), Truncation: truncation})
	if err != nil {
		return nil, base.Settings(err)
	}
	return task, r.parts.Consume(ctx, task.Add, func(split batch.Split, f *choice.File) {
		WarnCut(s.Log, f.Name, task.Splits[split].cut, f.Len(), task.Limit())
	})
}

func (r *run) identity(id map[string]string) {
	id["max_length"], id["truncation"] = fmt.Sprint(tasks.Value(r.MaxLength)), tasks.TruncationName(r.Truncation)
}

func (r *run) describe(results *tasks.Results) {
	if r.chance != nil {
		results.Facts = append(results.Facts, tasks.Fact{Key: ChanceKey, Value: *r.chance})
	}
}
