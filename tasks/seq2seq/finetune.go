package seq2seq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Finetuning is the configuration of a run that trains an encoder–decoder. Fields have the names of the flags of
// "finetune seq2seq-lm"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	tasks.AllWeights
	Texts
	// Train, Eval and Test are rows that were read already, in place of the files of Run.
	Train, Eval, Test *pair.File
	// Data says how the files of Run are read. GroupSources is for rows to evaluate and test on.
	Data pair.Options
	// TrainTargetFile, EvalTargetFile and TestTargetFile are the files whose lines are the targets of the lines of
	// TrainFile, EvalFile and TestFile, which are plain text then.
	TrainTargetFile, EvalTargetFile, TestTargetFile string

	// TargetTraining says how targets are learned and scored: generated ones by ROUGE, BLEU, chrF and exact match.
	tasks.TargetTraining

	// OnBefore, if set, is called before the first step with the number of rows to test on and their metrics.
	OnBefore func(rows int, m train.Metrics)
	// OnSamples, if set, is called with what the model writes for the first rows to test on, or to evaluate on: before
	// the first step and at the end.
	OnSamples func(trained bool, list []Sample)
}

// Translation is the configuration of a run that trains a translator: that of any encoder–decoder, with the name of
// its own task, and BLEU as the measure that decides if evaluations generate texts.
type Translation struct{ Finetuning }

// Sample is a source with what the model writes for it, and the row's references.
type Sample struct {
	Source, Text string
	References   []string
}

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
	main    string // measure that decides
	kind    base.TaskType
	parts   tasks.Parts[*pair.File]
	model   models.Seq2SeqLM
	task    *Task
	decode  generate.Config
	samples *pair.File // rows of which samples are made; nil: none
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan { return c.plan(Type, MainRouge) }

// Plan implements [tasks.Finetuning].
func (t *Translation) Plan() *tasks.Plan { return t.plan(TranslationType, MainBLEU) }

func (c *Finetuning) plan(kind base.TaskType, main string) *tasks.Plan {
	r := &run{Finetuning: c, kind: kind, main: main}
	p := &tasks.Plan{
		Command: kind.Command, Adapter: DefaultAdapter(), Training: DefaultTraining(), Options: c.options(),
		Check: r.check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity, Started: r.started,
		TestsFirst: c.OnBefore != nil, Finished: r.finished,
		Rows: &r.parts,
	}
	p.Training.GradientCheckpointing = c.GradientCheckpointing
	c.AllWeights.Prepare(p, &c.Run)
	return p
}

func (r *run) check() []error {
	errs := append(r.AllWeights.Check(&r.Run), r.CheckTargets()...)
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(r.MaxSourceLength < 0, "`max_source_length` is %d; want 1 or more, or 0 for the default", r.MaxSourceLength)
	add(r.MaxTargetLength < 0, "`max_target_length` is %d; want 1 or more, or 0 for the default", r.MaxTargetLength)
	for _, x := range []struct{ option, file, target string }{
		{"train", r.TrainFile, r.TrainTargetFile}, {"eval", r.EvalFile, r.EvalTargetFile},
		{"test", r.TestFile, r.TestTargetFile},
	} {
		add(x.target != "" && x.file == "", "`%s_target_file` needs `%s_file`, whose lines are the sources", x.option,
			x.option)
	}
	return errs
}

// read reads the rows.
func (r *run) read(s *tasks.Session) error {
	given := tasks.Parts[*pair.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	o := r.Data
	o.SourceLang, o.TargetLang, o.GroupSources = r.SourceLang, r.TargetLang, false
	var targets []string // of the files, in the order in which they are read
	for _, x := range []struct{ file, target string }{
		{r.TrainFile, r.TrainTargetFile}, {r.EvalFile, r.EvalTargetFile}, {r.TestFile, r.TestTargetFile},
	} {
		if x.file != "" {
			targets = append(targets, x.target)
		}
	}
	next := func() (target string) {
		target, targets = targets[0], targets[1:]
		return target
	}
	open := func(path string, o pair.Options) (*pair.File, error) { return pair.ReadWith(path, next(), o) }
	stream := func(in io.Reader, name string, o pair.Options) (*pair.File, error) {
		return pair.ReadFromWith(in, name, next(), o)
	}
	p, err := tasks.ReadParts(&r.Run, given, o, open, stream)
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
	if r.Data.GroupSources {
		for _, f := range []**pair.File{&p.Eval, &p.Test} {
			if *f != nil {
				*f = (*f).GroupSources()
			}
		}
	}
	s.Log.Info().Msg(p.Sizes(p.Train.Name, "pairs"))
	for _, w := range pair.Warnings(p.Train, p.Eval, p.Test) {
		s.Log.Warn().Msg(w.String())
	}
	r.parts = p
	if r.OnSamples != nil {
		switch {
		case p.Test != nil:
			r.samples = p.Test.Limit(samples)
		case p.Eval != nil:
			r.samples = p.Eval.Limit(samples)
		}
	}
	return nil
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	r.model, subject, err = tasks.OpenAll(s, &r.AllWeights, r.kind, models.OpenSeq2SeqLM, models.NewSeq2SeqLM)
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	c, tok, err := r.config(r.model, s.Base.Tokenizer, s.Core(nil))
	if err != nil {
		return nil, base.Settings(err)
	}
	t := TaskConfig{Config: c, LabelSmoothing: float32(r.LabelSmoothingFactor), Main: r.main}
	if err := r.setDecoding(s, tok, &t); err != nil {
		return nil, err
	}
	if r.task, err = NewTask(r.model, tok, t); err != nil {
		return nil, base.Settings(err)
	}
	return r.task, r.parts.Consume(ctx, r.task.Add, func(split batch.Split, f *pair.File) { r.report(s, split, f) })
}

// setDecoding sets how evaluations and samples generate targets.
func (r *run) setDecoding(s *tasks.Session, tok *tokenize.Tokenizer, t *TaskConfig) error {
	if !r.PredictWithGenerate && r.samples == nil {
		return nil
	}
	longest := cmp.Or(r.GenerationMaxLength, length(t.MaxTargetLength, StandardTarget, r.model, tok))
	g := generation.Settings{NumBeams: r.GenerationNumBeams, MaxNewTokens: longest}
	c, err := g.Use(s.Base, nn.Vocabulary(r.model, s.AdapterSet()), s.Log)
	if err != nil {
		return err
	}
	if r.decode = c; r.PredictWithGenerate {
		t.Generate = &c
	}
	return nil
}

// report logs the counts of the rows of a file.
func (r *run) report(s *tasks.Session, split batch.Split, f *pair.File) {
	c := r.task.Counts(split)
	s.Log.Info().Msgf("%v data %s: %d pairs, %d tokens of sources and %d of targets", split, f.Name, c.Rows,
		c.SourceTokens, c.TargetTokens)
	r.task.WarnCut(s.Log, f.Name, c)
	if c.Endless > 0 && split == batch.Train {
		s.Log.Warn().Msgf("%s: the tokenizer puts no end token behind %d of %d targets, so the model will not learn where "+
			"they end; its files should name an `eos_token` and a template that adds it", f.Name, c.Endless, c.Rows)
	}
}

func (r *run) identity(id map[string]string) {
	id["max_source_length"], id["max_target_length"] = fmt.Sprint(r.task.Limit()), fmt.Sprint(r.task.TargetLimit())
	id["source_prefix"], id["source_lang"] = tasks.Value(r.SourcePrefix), r.SourceLang
	id["target_lang"], id["label_smoothing_factor"] = r.TargetLang, fmt.Sprint(r.LabelSmoothingFactor)
	if r.PredictWithGenerate && r.parts.Has(batch.Eval) {
		id["generation_num_beams"] = fmt.Sprint(r.decode.NumBeams)
		id["generation_max_length"] = fmt.Sprint(r.decode.MaxNewTokens)
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
	var sources []string
	for row := range r.samples.Values() {
		sources = append(sources, row.Source)
		list = append(list, Sample{Source: row.Source, References: row.Targets})
	}
	_, err := r.task.Generate(ctx, sources, r.decode, func(i int, s []generate.Sequence) error {
		list[i].Text = strings.TrimSpace(s[0].Text)
		return nil
	})
	if err == nil {
		r.OnSamples(trained, list)
	}
	return err
}
