package qa

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// Finetuning is the configuration of a run that trains a question answerer. Fields have the names of the flags of
// "finetune question-answering"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	// Train, Eval and Test are questions that were read already, in place of the files of Run.
	Train, Eval, Test *question.File
	// Data says how the files of Run are read.
	Data question.Options

	Answering
}

// DefaultAdapter returns the default configuration of a new adapter.
func DefaultAdapter() lora.Config {
	c := lora.DefaultConfig()
	c.R, c.Alpha = 16, 32
	return c
}

// DefaultTraining returns the default settings of the training loop.
func DefaultTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs = 16, 3
	c.LearningRate, c.Schedule = 1e-3, train.Linear
	return c
}

// run is one run of a configuration.
type run struct {
	*Finetuning
	parts  tasks.Parts[*question.File]
	config Config
	model  models.QuestionAnswerer
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c}
	return &tasks.Plan{
		Command: Type.Command, Adapter: DefaultAdapter(), Training: DefaultTraining(), Options: c.Options(),
		Check: c.Check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity,
		Rows: &r.parts,
	}
}

// read reads the questions. Those of which no answer can be learned are left out of the ones to train on.
func (r *run) read(s *tasks.Session) error {
	given := tasks.Parts[*question.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	p, err := tasks.ReadParts(&r.Run, given, r.Data, question.Read, question.ReadFrom)
	if err != nil {
		return err
	}
	if err := p.Choose(&r.Run, s.Config.Seed); err != nil {
		return err
	}
	all := p.Train.Len()
	if p.Train = p.Train.WithPlaces(); p.Train.Len() == 0 {
		return &data.Error{
			File: p.Train.Name,
			Msg:  fmt.Sprintf("none of %d questions has an answer that its context has, so there is nothing to learn", all),
		}
	}
	if r.config, err = r.Answering.config(p.Train, p.Eval, p.Test); err != nil {
		return err
	}
	text := p.Sizes(p.Train.Name, "questions")
	if r.config.NullAnswers {
		text += "; some may have no answer"
	}
	s.Log.Info().Msg(text)
	for _, w := range question.Warnings(p.Train, p.Eval, p.Test) {
		s.Log.Warn().Msg(w.String())
	}
	r.parts = p
	return nil
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	r.model, subject, err = tasks.OpenSubject(s, TypeFor, models.OpenQuestionAnswerer)
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	c := r.config
	if c.NullAnswers { // found in the data, maybe, which those to predict need not show
		s.Set.SetNote(nullNote, "true")
	}
	c.CoreConfig, c.ZeroTypes = s.Core(r.MaxLength), zeroTypes(r.model, s.Set, s.Log)
	task, err := NewTask(r.model, s.Base.Tokenizer, c)
	if err != nil {
		return nil, base.Settings(err)
	}
	return task, r.parts.Consume(ctx, task.Add, func(split batch.Split, f *question.File) {
		task.Counts(split).Log(s.Log, f.Name, split, task.Limit())
	})
}

func (r *run) identity(id map[string]string) {
	c := r.config
	stride := 0 // the default
	if c.DocStride != nil {
		stride = cmp.Or(*c.DocStride, -1)
	}
	id["max_length"], id["doc_stride"] = fmt.Sprint(tasks.Value(r.MaxLength)), fmt.Sprint(stride)
	id["max_query_length"] = fmt.Sprint(c.MaxQueryLength)
	if !r.parts.Has(batch.Eval) {
		return
	}
	id["n_best_size"] = fmt.Sprint(cmp.Or(c.NBest, StandardNBest))
	id["max_answer_length"] = fmt.Sprint(cmp.Or(c.MaxAnswer, StandardAnswer))
	id["version_2_with_negative"] = fmt.Sprint(c.NullAnswers)
	id["null_score_diff_threshold"] = fmt.Sprint(c.NullThreshold)
}
