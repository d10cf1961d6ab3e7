package speechseq2seq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
	"github.com/spalora/spalora/transcribe"
)

// Finetuning is the configuration of a run that trains a model of speech. Fields have the names of the flags of
// "finetune speech-seq2seq"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	tasks.AllWeights
	Sounds
	// Train, Eval and Test are rows that were read already, in place of the files of Run.
	Train, Eval, Test *speech.File
	// Data says how the files of Run are read.
	Data speech.Options
	// SkipBadFiles is the number of recordings of a file of rows that may be unreadable; they are listed and left out.
	SkipBadFiles int

	// TargetTraining says how transcripts are learned and scored: written ones by WER and CER.
	tasks.TargetTraining

	// OnBefore, if set, is called before the first step with the number of rows to test on and their metrics.
	OnBefore func(rows int, m train.Metrics)
	// OnSamples, if set, is called with what the model writes for the first rows to test on, or to evaluate on: before
	// the first step and at the end.
	OnSamples func(trained bool, list []Sample)
}

// Sample is a recording's name with what the model writes for it, and the row's transcript.
type Sample struct{ Audio, Text, Reference string }

// samples is the number of samples.
const samples = 3

// DefaultAdapter returns the default configuration of a new adapter.
func DefaultAdapter() lora.Config { return tasks.DefaultAdapter() }

// DefaultTraining returns the default settings of the training loop.
func DefaultTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs, c.LearningRate = 8, 3, 1e-3
	return c
}

// run is one run of a configuration.
type run struct {
	*Finetuning
	parts   tasks.Parts[*speech.File]
	model   models.SpeechSeq2SeqLM
	task    *Task
	writing Decoding
	samples *speech.File // rows of which samples are made; nil: none
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c}
	p := &tasks.Plan{
		Command: Type.Command, Adapter: DefaultAdapter(), Training: DefaultTraining(), Options: c.Sounds.options(),
		Check: r.check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity, Started: r.started,
		TestsFirst: c.OnBefore != nil, Finished: r.finished, Rows: &r.parts,
	}
	p.Training.GradientCheckpointing = c.GradientCheckpointing
	c.AllWeights.Prepare(p, &c.Run)
	return p
}

func (r *run) check() []error {
	errs := append(r.AllWeights.Check(&r.Run), r.CheckTargets()...)
	errs = append(errs, r.Sounds.check()...)
	if r.SkipBadFiles < 0 {
		errs = append(errs, fmt.Errorf("`skip_bad_files` is %d; want 0 or more", r.SkipBadFiles))
	}
	return errs
}

// read reads the rows.
func (r *run) read(s *tasks.Session) error {
	given := tasks.Parts[*speech.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	p, err := tasks.ReadParts(&r.Run, given, r.Data, speech.Read, speech.ReadFrom)
	if err != nil {
		return err
	}
	if err := p.Choose(&r.Run, s.Config.Seed); err != nil {
		return err
	}
	if r.PredictWithGenerate && p.Eval == nil && p.Test == nil {
		return base.Settings(errors.New("`predict_with_generate` needs rows to score; give `eval_file`, " +
			"`validation_split` or `test_file`"))
	}
	s.Log.Info().Msg(p.Sizes(p.Train.Name, "recordings"))
	r.parts = p
	return nil
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	r.model, subject, err = tasks.OpenAll(s, &r.AllWeights, Type, models.OpenSpeechSeq2SeqLM, models.NewSpeechSeq2SeqLM)
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	err := r.parts.Edit(func(f *speech.File) (*speech.File, error) {
		kept, bad, err := f.Check(ctx, audio.Limits{}, r.SkipBadFiles)
		WarnBad(s.Log, bad, err)
		return kept, err
	})
	if err != nil {
		return nil, err
	}
	for _, w := range speech.Warnings(r.parts.Train, r.parts.Eval, r.parts.Test) {
		s.Log.Warn().Msg(w.String())
	}
	front, err := NewFront(s.Base, s.Log.Warn().Msg)
	if err != nil {
		return nil, err
	}
	r.writing = Decoding{NumBeams: r.GenerationNumBeams, MaxNewTokens: r.GenerationMaxLength}
	t := TaskConfig{Config: Config{r.Sounds, s.Core(nil)}, LabelSmoothing: float32(r.LabelSmoothingFactor)}
	if r.PredictWithGenerate {
		t.Transcribe = &r.writing
	}
	if r.task, err = NewTask(r.model, front, t); err != nil {
		return nil, base.Settings(err)
	}
	if err := r.task.checkOptions(r.writing.options(r.task.Predictor)); err != nil {
		return nil, base.Settings(err)
	}
	r.chooseSamples()
	return r.task, r.parts.Consume(ctx, r.task.Add, func(split batch.Split, f *speech.File) { r.report(s, split, f) })
}

// WarnBad logs the rows whose recordings cannot be read and that are left out; with an error nothing is.
func WarnBad(log zerolog.Logger, bad []data.BadRow, err error) {
	if err != nil {
		return
	}
	for _, b := range bad {
		log.Warn().Msgf("%s:%d: the row is left out: %v", b.File, b.Line, b.Err)
	}
}

// chooseSamples chooses the rows of which samples are made.
func (r *run) chooseSamples() {
	if r.OnSamples == nil {
		return
	}
	switch p := r.parts; {
	case p.Test != nil:
		r.samples = p.Test.Limit(samples)
	case p.Eval != nil:
		r.samples = p.Eval.Limit(samples)
	}
}

// report logs the counts of the rows of a file.
func (r *run) report(s *tasks.Session, split batch.Split, f *speech.File) {
	c := r.task.Counts(split)
	s.Log.Info().Msgf("%v data %s: %d recordings of %.0f s, %d tokens of transcripts", split, f.Name, c.Rows, c.Seconds,
		c.TargetTokens)
	if c.CutTargets > 0 {
		s.Log.Warn().Msgf("%s: %d of %d transcripts are longer than %d tokens and were cut (`max_target_length`)", f.Name,
			c.CutTargets, c.Rows, r.task.TargetLimit())
	}
	if c.CutSounds > 0 {
		s.Log.Warn().Msgf("%s: of %d of %d recordings the model reads only the first %.4g s, but learns the whole "+
			"transcript; divide them", f.Name, c.CutSounds, c.Rows, r.task.Seconds())
	}
}

func (r *run) identity(id map[string]string) {
	id["language"], id["task"], id["audio_context"] = r.Language, r.Task, fmt.Sprint(r.AudioContext)
	id["max_target_length"] = fmt.Sprint(r.task.TargetLimit())
	id["label_smoothing_factor"] = fmt.Sprint(r.LabelSmoothingFactor)
	if r.PredictWithGenerate && r.parts.Has(batch.Eval) {
		id["generation_num_beams"] = fmt.Sprint(r.GenerationNumBeams)
		id["generation_max_length"] = fmt.Sprint(r.GenerationMaxLength)
	}
}

// started scores the test rows, and writes samples, before training.
func (r *run) started(ctx context.Context) error {
	if r.OnBefore != nil && r.parts.TestRows() > 0 {
		m, err := r.task.Evaluate(ctx, batch.Test)
		if err != nil {
			return err
		}
		r.OnBefore(r.parts.TestRows(), m)
	}
	return r.sample(ctx, false)
}

// finished writes samples after training.
func (r *run) finished(ctx context.Context) error { return r.sample(ctx, true) }

// sample passes samples to OnSamples.
func (r *run) sample(ctx context.Context, trained bool) error {
	if r.samples == nil {
		return nil
	}
	var list []Sample
	err := r.task.Write(ctx, r.samples, r.writing, func(i int, t *transcribe.Transcript) error {
		row := r.samples.At(i)
		list = append(list, Sample{row.Audio, strings.TrimSpace(t.Text), row.Text})
		return nil
	})
	if err == nil {
		r.OnSamples(trained, list)
	}
	return err
}
