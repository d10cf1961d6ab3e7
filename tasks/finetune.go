package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// Finetuning is the typed configuration of a task type: a struct that embeds [Run] and adds the task's own settings.
type Finetuning interface {
	// Common returns the settings that all task types share; an embedded Run implements it.
	Common() *Run
	// Plan says what the task does in a run. It checks nothing yet.
	Plan() *Plan
}

// Plan is the part of a run that belongs to its task type. The functions are called in the order of the fields, each
// at most once; those that are nil are left out.
type Plan struct {
	Command  string        // of the task; names the default output directory
	Adapter  lora.Config   // defaults of a new adapter
	Training train.Config  // defaults of the loop
	Options  []base.Option // settings that the adapter remembers

	// Check returns the errors about the task's settings that can be found before anything is opened.
	Check func() []error
	// OpenBase opens the base; nil opens Run's.
	OpenBase func() (*base.Base, error)
	// Read reads the data.
	Read func(s *Session) error
	// Open opens the model.
	Open func(s *Session) (*Subject, error)
	// NewTask tokenises the data for the model, and for the adapter in use.
	NewTask func(ctx context.Context, s *Session) (train.Task, error)
	// TokenLabels returns the label of each token of a training batch, for starting values that leave out tokens by their
	// labels; nil: the task's labels are not those of tokens.
	TokenLabels func(b *batch.Batch) []int32
	// Preview, if set, ends the run after NewTask without training.
	Preview func() error
	// Identity adds settings that must be equal when a run is resumed, beside those of the loop, the base and the adapter.
	Identity func(id map[string]string)
	// Describe adds facts about the run to its results before training.
	Describe func(r *Results)
	// Started is called before the first step of a run that is not resumed. An error is logged.
	Started func(ctx context.Context) error
	// TestsFirst says that Started scores the test rows, so that the memory for them is there during training.
	TestsFirst bool
	// Evaluated is called after each evaluation in training.
	Evaluated func(ctx context.Context, e train.Evaluation)
	// Complete adds to the results of a completed run, before they are written.
	Complete func(r *Results)
	// Finished is called after results.json is written, with the best state in place.
	Finished func(ctx context.Context) error

	Labels func() *data.Labels    // classes to save beside the adapter; nil, or a function that returns nil: none
	Beside func(dir string) error // writes further files of the adapter
	// Rows are the data, a *Parts: their hashes must be equal when a run is resumed, and those to test on, if there are
	// any, are scored at the end.
	Rows interface {
		TestRows() int
		Identity(id map[string]string)
	}
	// Inputs are directories that the run reads beside Run.Model; its output must not replace them.
	Inputs []string
}

// Session holds the files, models and settings that a run has opened so far.
type Session struct {
	Run    *Run
	Base   *base.Base
	Log    zerolog.Logger
	Pool   *op.Pool
	Config train.Config // settings of the loop
	Set    *lora.Set    // adapter that trains; nil: all weights do, or it is not made yet
	kinds  []Kind       // task types whose files a new run replaces
	added  []int32      // ids of the tokens that the run adds to the base's
}

// AdapterSet returns Set for a [nn.Pass]: a nil interface, not a nil pointer in one, if there is no adapter.
func (s *Session) AdapterSet() nn.AdapterSet {
	if s.Set == nil {
		return nil
	}
	return s.Set
}

// Core returns the settings that the predictors of all task types share. maxLength nil is 0.
func (s *Session) Core(maxLength *int) CoreConfig {
	return CoreConfig{MaxLength: Value(maxLength), Pool: s.Pool, Adapter: s.AdapterSet()}
}

// Subject is the model of a run.
type Subject struct {
	Net         models.Model
	Report      checkpoint.Report
	Type        base.TaskType
	identify    func(pool *op.Pool) string
	sample      func() string
	load        func(a base.Adapter, t base.TaskType, log zerolog.Logger, pool *op.Pool) (*lora.Set, error)
	checkFinite func() error
	release     func() (mapped map[*op.Weight]bool)
	// Adds are modules that an adapter to start from trains in full and saves even if it was made without them.
	Adds []string
	// Params, if set, are all weights, which train in place of an adapter; Save writes them into a directory.
	Params    []nn.NamedParam
	Save      func(dir string) error
	SaveBytes int64          // size of the weights that Save writes
	Config    map[string]any // keys of config.json that the task changes in a whole model; nil: none
}

// OpenSubject opens the model of a run with open; t returns its task type.
func OpenSubject[M models.Model](
	s *Session, t func(models.Model) base.TaskType, open base.Opener[M],
) (net M, subject *Subject, err error) {
	m, err := base.OpenModel(s.Base, s.Log, s.Config.Seed, open)
	if err != nil {
		return net, nil, err
	}
	return m.Net, &Subject{
		Net: m.Net, Report: m.Report, Type: t(m.Net),
		identify: m.Fingerprint, sample: m.SampledFingerprint, load: m.LoadAdapter, checkFinite: m.CheckFinite,
		release: m.Release,
	}, nil
}

// Finetune trains an adapter (or, if the task's configuration says so, all weights) and writes it to Run.OutputDir
// together with its classes, metrics.jsonl, checkpoints and results.json. It returns the content of results.json,
// also with an error that ended a run that had begun: the adapter of the last finished step is saved then. When ctx
// is done, the run stops at the next batch with an error that wraps [train.ErrStopped], and can be resumed. A new run
// removes the files that an earlier one for a task of any of kinds has left in the directory. Errors about settings
// wrap [base.ErrSettings], those about files [base.ErrInput], [data.ErrOption], or are a [*data.Error].
func Finetune(ctx context.Context, f Finetuning, kinds []Kind) (results *Results, err error) {
	err = begin(ctx, f, kinds, false, func(b *begun) error {
		results, err = b.train(ctx)
		return err
	})
	return results, err
}

// begun is a run before its first step: everything is open.
type begun struct {
	*Session
	plan    *Plan
	subject *Subject
	task    train.Task
	dir     string // output directory
}

// begin opens everything that a run needs, calls run and closes it again. If the run is dry, begin makes no directory.
// A plan with a preview ends with that.
func begin(ctx context.Context, f Finetuning, kinds []Kind, dry bool, run func(b *begun) error) (err error) {
	r, p := f.Common(), f.Plan()
	what, err := base.Recall(r.Adapter, p.Options)
	if err != nil {
		return err
	}
	if what != "" {
		r.Logger.Info().Msgf("%s was trained with %s; the same is used here", r.Adapter, what)
	}
	s := &Session{Run: r, Log: r.Logger, kinds: kinds}
	if s.Config, err = r.training(p.Training); err != nil {
		return err
	}
	config := r.adapter(p.Adapter)
	errs := r.check(config, p.OpenBase != nil)
	if p.Check != nil {
		errs = append(errs, p.Check()...)
	}
	if dry && p.Preview != nil {
		errs = append(errs, errors.New("`dry_run` and `preview` exclude each other; give one"))
	}
	if err := base.Settings(errors.Join(errs...)); err != nil {
		return err
	}
	b := &begun{Session: s, plan: p}
	switch {
	case p.Preview != nil:
	case dry:
		if b.dir, _, err = r.outputDir(p.Command); err != nil {
			return err
		}
	default:
		var out *output
		if out, err = r.prepareOutput(p.Command); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.release()) }()
		b.dir = out.dir
	}
	if s.Base, err = p.openBase(r); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Base.Close()) }()
	if err := s.takeTokenizer(); err != nil {
		return err
	}
	if err := p.Read(s); err != nil {
		return err
	}
	s.Pool = op.NewPool(r.Threads)
	s.Pool.UseBF16(r.ComputeDtype == train.BF16)
	defer s.Pool.Close()
	if b.subject, err = p.Open(s); err != nil {
		return err
	}
	if err := s.prepare(b.subject, config, p.Options); err != nil {
		return err
	}
	if b.task, err = p.NewTask(ctx, s); err != nil {
		return err
	}
	if c, ok := b.task.(io.Closer); ok { // its memory is not Go's
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	if p.Preview != nil {
		return p.Preview()
	}
	if err := s.initEVA(ctx, p, b.subject, b.task); err != nil {
		return err
	}
	return run(b)
}

func (p *Plan) openBase(r *Run) (*base.Base, error) {
	switch {
	case p.OpenBase != nil:
		return p.OpenBase()
	case r.ModelFiles != nil:
		return base.FromFiles(r.Model, r.ModelFiles, base.WithTokenizer(r.CustomTokenizer))
	}
	return base.Open(r.Model, base.WithTokenizer(r.CustomTokenizer))
}

// takeTokenizer makes the tokenizer of the adapter to start from the base's, if it has more tokens, or adds those of
// Run.AddTokens to it.
func (s *Session) takeTokenizer() error {
	if file := s.Run.AddTokens; file != "" {
		b, ids, err := s.Base.AddTokens(file, s.Log)
		if err == nil {
			s.Base, s.added = b, ids
		}
		return err
	}
	b, err := s.Base.ForAdapter(s.Run.Adapter, s.Log)
	if err == nil {
		s.Base = b
	}
	return err
}

// prepare checks the model, sets its dropout and makes or loads the adapter.
func (s *Session) prepare(m *Subject, c lora.Config, options []base.Option) error {
	r := s.Run
	if !r.AllowNonFinite {
		if err := m.checkFinite(); err != nil {
			return err
		}
	}
	if r.Dropout != nil {
		nn.SetDropout(m.Net, *r.Dropout)
	}
	if m.Params != nil {
		s.Log.Info().Msgf("all %d weights are trained", nn.Count(m.Net))
		if r.OnModel != nil {
			r.OnModel(m.Net.String(), "")
		}
		return nil
	}
	if list := freshModules(m); len(list) > 0 && r.Adapter == "" {
		s.Log.Warn().Msgf("%s: the checkpoint lacks %s; they start from random weights, are trained in full "+
			"and saved with the adapter",
			s.Base.Name, strings.Join(list, ", "))
		m.Type.Saves = append(slices.Clone(m.Type.Saves), list...)
	}
	var err error
	if s.Set, err = s.attach(m, c); err != nil {
		return err
	}
	if r.OnModel != nil {
		r.OnModel(m.Net.String(), s.Set.Tree(m.Net))
	}
	s.Log.Info().Msg(s.Set.Summary(m.Net))
	base.Remember(s.Set, options)
	s.Base.RememberTokenizer(s.Set)
	return nil
}

// freshModules lists the modules that the checkpoint lacks and that a new adapter would not save by itself. Sentence
// embeddings do not use the pooler.
func freshModules(m *Subject) []string {
	if m.Type.PEFT == lora.FeatureExtraction {
		return nil
	}
	var list []string
	for _, name := range m.Report.Fresh {
		module := name[:strings.LastIndexByte(name, '.')]
		if !slices.Contains(list, module) && !m.Type.Keeps(module) {
			list = append(list, module)
		}
	}
	return list
}

// loop returns the settings of the loop, the fingerprint of the base, and what trains.
func (b *begun) loop() (cfg train.Config, fingerprint string, params []nn.NamedParam) {
	s, p, m := b.Session, b.plan, b.subject
	cfg = s.Config
	cfg.OutputDir, cfg.Logger, cfg.Pool, cfg.Adapter = b.dir, s.Log, s.Pool, s.AdapterSet()
	cfg.Replaces = s.Run.replaced(b.dir, s.kinds, append(slices.Clone(p.Inputs), s.Run.Model)...)
	cfg.Save = func(dir string) error { return s.save(p, m, dir) }
	fingerprint = m.identify(s.Pool)
	if s.Set != nil {
		s.Set.SetFingerprint(fingerprint)
	}
	cfg.Identity = s.identity(fingerprint)
	if s.Run.ResumeFromCheckpoint != "" {
		cfg.Earlier = map[string]string{baseModel: m.sample()}
	}
	p.Rows.Identity(cfg.Identity)
	if p.Identity != nil {
		p.Identity(cfg.Identity)
	}
	params = m.Params
	if s.Set != nil {
		params = s.Set.Params()
	}
	return cfg, fingerprint, params
}

// train runs the loop, scores the test rows with the best state and writes results.json.
func (b *begun) train(ctx context.Context) (*Results, error) {
	s, p, task, dir := b.Session, b.plan, b.task, b.dir
	r := s.Run
	cfg, fingerprint, params := b.loop()
	cfg.OnStep = r.OnStep
	cfg.OnEval = func(e train.Evaluation) {
		if r.OnEval != nil {
			r.OnEval(e)
		}
		if p.Evaluated != nil {
			p.Evaluated(ctx, e)
		}
	}
	cfg.OnStart = func(plan train.Plan) {
		if p.Started != nil && plan.Done == 0 {
			if err := p.Started(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn().Msg(err.Error())
			}
		}
		if r.OnStart != nil {
			r.OnStart(plan)
		}
	}
	results := s.newResults(p.Command, fingerprint, dir)
	if p.Describe != nil {
		p.Describe(results)
	}
	report, err := train.Run(ctx, task, params, cfg)
	results.Train = report
	switch {
	case err != nil && report.Stopped == "": // nothing was begun
		return nil, err
	case errors.Is(err, train.ErrStopped):
		err = fmt.Errorf("%w; `resume_from_checkpoint %s` continues from there", err, dir)
		fallthrough
	case err != nil:
		return results, errors.Join(err, results.write())
	}
	if n := p.Rows.TestRows(); n > 0 {
		m, err := task.Evaluate(ctx, batch.Test)
		if err != nil {
			return results, errors.Join(err, results.write())
		}
		for _, v := range m.Values {
			v.LogReason(s.Log)
		}
		results.Test, results.TestRows = &m, n
	}
	if p.Complete != nil {
		p.Complete(results)
	}
	if err := results.write(); err != nil || p.Finished == nil {
		return results, err
	}
	return results, p.Finished(ctx)
}

// save writes the adapter with its classes and further files, or the whole model, into a directory.
func (s *Session) save(p *Plan, m *Subject, dir string) error {
	if m.Params != nil {
		return m.Save(dir)
	}
	if err := s.Set.Save(dir); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Base.OwnFiles())) {
		if err := files.WriteFile(filepath.Join(dir, name), files.Bytes(s.Base.OwnFiles()[name])); err != nil {
			return err
		}
	}
	if p.Labels != nil {
		if labels := p.Labels(); labels != nil {
			if err := files.WriteFile(filepath.Join(dir, base.LabelsName), files.Bytes(labels.Encode())); err != nil {
				return err
			}
		}
	}
	if p.Beside != nil {
		return p.Beside(dir)
	}
	return nil
}

// baseModel is the name in a run's identity of the base model's fingerprint.
const baseModel = "base model"

// identity returns the part of what must be equal when a run is resumed that all tasks share: the base, and what
// trains.
func (s *Session) identity(fingerprint string) map[string]string {
	id := map[string]string{baseModel: fingerprint, "config.json": s.Base.ConfigHash()}
	if len(s.added) > 0 {
		h := sha256.New()
		for _, token := range s.added {
			text, _ := s.Base.Tokenizer.Token(token)
			fmt.Fprintf(h, "%d %q\n", token, text)
		}
		id["add_tokens"] = hex.EncodeToString(h.Sum(nil))
	}
	if s.Run.Dropout != nil {
		id["dropout"] = fmt.Sprint(*s.Run.Dropout)
	}
	if custom := s.Base.CustomTokenizer(); custom != "" {
		id["tokenizer"] = custom
	}
	if s.Set == nil {
		id["full"] = "true"
		return id
	}
	c := s.Set.Config()
	id["lora_r"], id["lora_alpha"], id["lora_dropout"] = fmt.Sprint(c.R), fmt.Sprint(c.Alpha), fmt.Sprint(c.Dropout)
	id["target_modules"], id["use_rslora"] = c.TargetModules.String(), fmt.Sprint(c.UseRSLoRA)
	id["modules_to_save"] = strings.Join(s.Set.Saved(), ",")
	for name, value := range map[string]string{ // checkpoints of earlier versions do not have them
		"exclude_modules": c.ExcludeModules.String(), "layers_pattern": strings.Join(c.LayersPattern, ","),
		"rank_pattern": c.RankPattern.String(), "alpha_pattern": c.AlphaPattern.String(),
		"trainable_token_indices": c.TrainableTokenIndices.String(),
	} {
		if value != "" {
			id[name] = value
		}
	}
	if len(c.LayersToTransform) > 0 {
		id["layers_to_transform"] = fmt.Sprint(c.LayersToTransform)
	}
	if c.InitLoraWeights != lora.InitTrue {
		id["init_lora_weights"] = c.InitLoraWeights.String()
		if c.InitLoraWeights == lora.InitEVA {
			id["eva_config"] = c.EVAConfig().String()
		}
	}
	if c.UseDoRA {
		id["use_dora"] = "true"
	}
	if c.LoRABias {
		id["lora_bias"] = "true"
	}
	if c.Bias != lora.BiasNone {
		id["bias"] = string(c.Bias)
	}
	return id
}

// renamed is a file whose name messages use.
type renamed interface{ Rename(name string) }

// ReadFile reads a file with open, or standard input with stream for the name "-", whose errors and content are then
// named "standard input".
func ReadFile[T, O any](
	path string, stdin io.Reader, o O, open func(string, O) (T, error), stream func(io.Reader, string, O) (T, error),
) (T, error) {
	if path != "-" {
		t, err := open(path, o)
		switch {
		case errors.Is(err, os.ErrNotExist):
			if e, ok := errors.AsType[*fs.PathError](err); ok {
				path = e.Path // one of two parallel files
			}
			err = base.MissingFile(path)
		case errors.Is(err, os.ErrPermission):
			err = base.Input(err)
		}
		return t, err
	}
	if stdin == nil {
		var none T
		return none, base.Settings(errors.New("the file name - means standard input, but `Stdin` is nil; give a reader"))
	}
	t, err := stream(stdin, "-", o)
	if f, ok := any(t).(renamed); ok && err == nil {
		f.Rename(StdinName)
	}
	return t, NameStdin(err)
}

// NameStdin replaces the file name "-" in a [data.Error] by [StdinName].
func NameStdin(err error) error {
	if d, ok := errors.AsType[*data.Error](err); ok && d.File == "-" {
		d.File = StdinName
	}
	return err
}

// StdinName is the name of standard input in messages.
const StdinName = "standard input"
