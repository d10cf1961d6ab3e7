package imagecls

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
	"github.com/spalora/spalora/train"
	"github.com/spalora/spalora/vision"
)

// Finetuning is the configuration of a run that trains a classifier of images, or a regression. Fields have the names
// of the flags of "finetune image-classification"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	tasks.AllWeights
	// Train, Eval and Test are rows that were read already, in place of the files of Run.
	Train, Eval, Test *picture.File
	// Data says how the files of Run are read.
	Data picture.Options

	// Labels are the names of the classes, in order; nil: the adapter's, else the checkpoint's, else those of the
	// data, sorted.
	Labels               []string
	ProblemType          string // as in config.json; "": guessed from the labels
	SkipBadFiles         int    // number of image files that may be unreadable; they are left out
	LabelSmoothingFactor float32
	ClassWeights         []string // weight of each class in the loss, in order, or balanced
	Augment              []string // random changes of images to train on, see [vision.ParseAugmentation]
	Mixup                float64  // parameter of mixing images, see [TaskConfig]; 0: none

	// OnBefore, if set, is called before the first step with the number of rows to test on and their metrics.
	OnBefore func(rows int, m train.Metrics)
	// OnConfusion, if set, is called at the end with the confusion of the rows to test on, else of those to evaluate on,
	// if each has one class.
	OnConfusion func(Confusion)
}

// DefaultAdapter returns the default configuration of a new adapter.
func DefaultAdapter() lora.Config { return tasks.DefaultAdapter() }

// DefaultTraining returns the default settings of the training loop.
func DefaultTraining() train.Config { return tasks.DefaultTraining() }

// run is one run of a configuration.
type run struct {
	*Finetuning
	parts   tasks.Parts[*picture.File]
	found   *data.Labels
	model   models.ImageClassifier
	augment vision.Augmentation
	task    *Task
	dir     string
	// tested and logits are those of the last evaluation.
	tested classification.Targets
	logits []float32
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c}
	p := &tasks.Plan{
		Command: Type.Command, Adapter: DefaultAdapter(), Training: DefaultTraining(),
		Check: r.check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity, Describe: r.describe,
		Started: r.started, TestsFirst: c.OnBefore != nil, Finished: r.finished,
		Labels: func() *data.Labels { return r.found }, Rows: &r.parts,
	}
	c.AllWeights.Prepare(p, &c.Run)
	return p
}

func (r *run) check() []error {
	errs := append(r.AllWeights.Check(&r.Run), r.settings().Check())
	var err error
	if r.augment, err = vision.ParseAugmentation(r.Augment); err != nil {
		errs = append(errs, fmt.Errorf("`augment`: %w", err))
	}
	if r.SkipBadFiles < 0 {
		errs = append(errs, fmt.Errorf("`skip_bad_files` is %d; want 1 or more, or 0 for none", r.SkipBadFiles))
	}
	if r.AddTokens != "" || r.CustomTokenizer != nil {
		errs = append(errs, errors.New("`add_tokens` and tokenizers are for models that read texts"))
	}
	return errs
}

// rows is what a run must know of files of images.
var rows = classification.Kind[*picture.File]{
	Name:  func(f *picture.File) string { return f.Name },
	Guess: func(f *picture.File) (data.Problem, string, error) { return data.GuessProblem(f) },
	Find:  picture.FindLabels,
	// Images are compared once they are read, see readable: names in two files may be those of different images.
	Warnings: func(*data.Labels, *picture.File, *picture.File, *picture.File) []data.Warning { return nil },
}

// settings returns the settings that say what the classifier learns.
func (c *Finetuning) settings() classification.Settings {
	return classification.Settings{Labels: c.Labels, ProblemType: c.ProblemType,
		LabelSmoothingFactor: c.LabelSmoothingFactor, ClassWeights: c.ClassWeights}
}

// read reads the rows, guesses the problem type and finds the classes.
func (r *run) read(s *tasks.Session) error {
	given := tasks.Parts[*picture.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	p, err := tasks.ReadParts(&r.Run, given, r.Data, picture.Read, picture.ReadFrom)
	if err != nil {
		return err
	}
	if r.found, err = rows.Choose(s, &p, r.settings()); err != nil {
		return err
	}
	r.parts = p
	return nil
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	outputs := max(1, len(r.found.Names))
	r.model, subject, err = tasks.OpenAll(s, &r.AllWeights, Type,
		func(src *checkpoint.Source) (models.ImageClassifier, checkpoint.Report, error) {
			return models.OpenImageClassifier(src, outputs, s.Config.Seed)
		},
		func(config []byte, seed uint64) (models.ImageClassifier, error) {
			return models.NewImageClassifier(config, outputs, seed)
		})
	if err == nil {
		subject.Config = tasks.Classes(r.found, true)
	}
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	pixels, err := OpenPixels(s.Base, r.model, s.Log)
	if err != nil {
		return nil, err
	}
	s.Log.Info().Msgf("images: %v", pixels)
	if err := r.readable(ctx, s); err != nil {
		return nil, err
	}
	loss, err := rows.Loss(r.settings(), r.found, r.parts.Train)
	if err != nil {
		return nil, err
	}
	r.task, err = NewTask(r.model, TaskConfig{
		Config:    Config{CoreConfig: s.Core(nil), Pixels: pixels, Labels: r.found},
		Smoothing: loss.Smoothing, ClassWeights: loss.ClassWeights, Augment: r.augment, Mixup: r.Mixup,
		OnEvaluated: func(_ batch.Split, t classification.Targets, logits []float32) { r.tested, r.logits = t, logits },
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	return r.task, r.parts.Consume(ctx, r.task.Add, func(batch.Split, *picture.File) {})
}

// readable reads all images once, leaves out those that cannot be read, as far as the settings allow, and logs what is
// odd about the others.
func (r *run) readable(ctx context.Context, s *tasks.Session) error {
	left := r.SkipBadFiles
	err := r.parts.Edit(func(f *picture.File) (*picture.File, error) {
		kept, bad, err := f.Check(ctx, vision.Limits{}, left)
		if err != nil {
			return nil, err
		}
		for _, b := range bad {
			s.Log.Warn().Msgf("left out: %s", b)
		}
		left -= len(bad)
		return kept, nil
	})
	if err != nil {
		return err
	}
	for _, w := range picture.Warnings(r.found, r.parts.Train, r.parts.Eval, r.parts.Test) {
		s.Log.Warn().Msg(w.String())
	}
	return nil
}

func (r *run) identity(id map[string]string) {
	r.settings().Identity(r.found, id)
	id["augment"], id["mixup"] = r.augment.String(), fmt.Sprint(r.Mixup)
}

func (r *run) describe(results *tasks.Results) {
	classification.Describe(r.found, results)
	r.dir = results.Dir
}

// started scores the test rows before training.
func (r *run) started(ctx context.Context) error {
	if r.OnBefore == nil || r.parts.TestRows() == 0 {
		return nil
	}
	m, err := r.task.Evaluate(ctx, batch.Test)
	if err == nil {
		r.OnBefore(r.parts.TestRows(), m)
	}
	return err
}

// finished writes the confusion of the best state.
func (r *run) finished(ctx context.Context) error {
	if r.found.Problem != data.SingleLabel || !r.parts.Has(batch.Test) && !r.parts.Has(batch.Eval) {
		return nil
	}
	if !r.parts.Has(batch.Test) { // otherwise the test rows were scored last
		if _, err := r.task.Evaluate(ctx, batch.Eval); err != nil {
			return err
		}
	}
	c, err := NewConfusion(r.found.Names, r.tested.Labels, r.logits)
	if err != nil {
		return err
	}
	if r.OnConfusion != nil {
		r.OnConfusion(c)
	}
	return files.WriteFile(filepath.Join(r.dir, ConfusionName), c.WritePNG)
}
