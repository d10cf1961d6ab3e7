package causallm

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/train"
)

// Finetuning is the configuration of a run that trains a language model. Fields have the names of the flags of
// "finetune causal-lm"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	tasks.AllWeights
	// Train, Eval and Test are documents that were read already, in place of the files of Run.
	Train, Eval, Test *document.File
	// Data says how the files of Run are read.
	Data document.Options

	// BlockSize is the number of tokens of the windows that texts are cut into, 0 for none; nil: StandardBlock for plain
	// text, none for rows.
	BlockSize             *int
	MaxLength             int    // tokens of a sequence; 0: what the checkpoint allows
	TooLong               string // longer sequences: cut (the default) truncates them, error refuses them
	TrainOnPrompt         bool   // learn prompts and the turns of others, too
	GradientCheckpointing bool   // compute each block again in the backward: less memory, more time, the same results

	SamplePrompts      []string // texts to continue before, during and after training; nil: one from the data
	SampleMaxNewTokens *int     // tokens of a sample, 0 for none; nil: 48
	// OnSamples is called with the texts that the model generates after the prompts: before the first step, after each
	// evaluation and at the end.
	OnSamples func(Samples)
	// OnPreview, if set, is called with the first Preview sequences as they are trained on, and ends the run without
	// training.
	OnPreview func(sequences [][]PreviewToken) error
	Preview   int
}

// The defaults of settings.
const (
	StandardBlock  = 128 // tokens of the windows of plain text, if the model has as many positions
	StandardSample = 48  // tokens of a sample
	// StandardWindows as BlockSize cuts texts into windows of StandardBlock tokens, or of fewer if the model has fewer
	// positions.
	StandardWindows = -1
)

// DefaultAdapter returns the default configuration of a new adapter.
func DefaultAdapter() lora.Config {
	c := lora.DefaultConfig()
	c.R, c.Alpha = 8, 16
	return c
}

// DefaultTraining returns the default settings of the training loop.
func DefaultTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs, c.LearningRate = 8, 1, 1e-3
	return c
}

// run is one run of a configuration.
type run struct {
	*Finetuning
	parts    tasks.Parts[*document.File]
	template *chat.Template // nil: the checkpoint has none
	model    models.CausalLM
	task     *Task
	samples  *sampler
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c}
	p := &tasks.Plan{
		Command: Type.Command, Adapter: DefaultAdapter(), Training: DefaultTraining(),
		Check: r.check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity,
		Started:   func(ctx context.Context) error { return r.sample(ctx, BeforeTraining, 0) },
		Evaluated: func(ctx context.Context, e train.Evaluation) { r.logSamples(ctx, e.Step) },
		Finished:  func(ctx context.Context) error { return r.sample(ctx, AfterTraining, 0) },
		Rows:      &r.parts, TokenLabels: tasks.NextLabels,
	}
	p.Training.GradientCheckpointing = c.GradientCheckpointing
	c.AllWeights.Prepare(p, &c.Run)
	if c.OnPreview != nil {
		p.Preview = func() error { return c.OnPreview(r.task.Preview(batch.Train, c.Preview)) }
	}
	return p
}

func (r *run) check() []error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, err := ParseTooLong(r.TooLong)
	errs = append(errs, err)
	errs = append(errs, r.AllWeights.Check(&r.Run)...)
	if r.BlockSize != nil {
		add(*r.BlockSize < 0 && *r.BlockSize != StandardWindows,
			"`block_size` is %d; want 2 or more, or 0 for texts as they are", *r.BlockSize)
	}
	add(r.sampleTokens() < 0, "`sample_max_new_tokens` is %d; want 1 or more, or 0 for no samples", r.sampleTokens())
	add(r.OnPreview != nil && r.Preview < 1, "`preview` is %d; want 1 or more", r.Preview)
	return errs
}

// read reads the documents and logs remarks about them.
func (r *run) read(s *tasks.Session) error {
	given := tasks.Parts[*document.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	p, err := tasks.ReadParts(&r.Run, given, r.Data, document.Read, document.ReadFrom)
	if err != nil {
		return err
	}
	if r.template, err = chatTemplate(s.Base); err != nil {
		return err
	}
	inputs := false // a file has instructions with inputs
	err = p.Each(func(_ batch.Split, f *document.File) error {
		inputs = inputs || f.Kind == document.Instruction
		return nil
	})
	if err != nil {
		return err
	}
	err = p.Edit(func(f *document.File) (*document.File, error) {
		if inputs {
			f = f.Instructions()
		}
		if f.Kind == document.Instruction && r.template != nil {
			s.Log.Info().Msgf("%s: the %v are written as chats by the chat template", f.Name, f.Kind)
		} else if f.Kind == document.Instruction {
			s.Log.Info().Msgf("%s: the %v are written as Alpaca's prompts, since there is no chat template", f.Name, f.Kind)
		}
		return withInstructions(f, r.template), nil
	})
	if err != nil {
		return err
	}
	if err := p.Choose(&r.Run, s.Config.Seed); err != nil {
		return err
	}
	for _, w := range document.Warnings(p.Train, p.Eval, p.Test) {
		s.Log.Warn().Msg(w.String())
	}
	r.parts = p
	return nil
}

// open opens the model: the checkpoint's, or one with random weights.
func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	r.model, subject, err = tasks.OpenAll(s, &r.AllWeights, Type, models.OpenCausalLM, models.NewCausalLM)
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	block, err := r.block()
	if err != nil {
		return nil, err
	}
	tooLong, err := ParseTooLong(r.TooLong)
	if err != nil {
		return nil, base.Settings(err)
	}
	err = r.parts.Each(func(_ batch.Split, docs *document.File) error {
		if docs.Kind == document.Chat && r.template == nil {
			return base.Input(fmt.Errorf("%s: the rows are chats, but %s has no chat template; put a "+
				"chat_template.jinja beside its tokenizer.json, or give prompts with completions", docs.Name, s.Base.Name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if r.parts.Train.Kind == document.Chat {
		ends, _ := generation.EndIDs(s.Base, nn.Vocabulary(r.model, s.AdapterSet()))
		for _, w := range templateWarnings(r.template, s.Base.Tokenizer, ends) {
			s.Log.Warn().Msgf("%s: %s", s.Base.Name, w)
		}
	}
	r.task, err = NewTask(r.model, s.Base.Tokenizer, Config{
		CoreConfig: s.Core(&r.MaxLength), BlockSize: block, OnTooLong: tooLong, TrainOnPrompt: r.TrainOnPrompt,
		Template: r.template,
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	if r.OnPreview == nil { // the prompt may be one of the training data, which are gone afterwards
		if r.samples, err = r.newSampler(s); err != nil {
			return nil, err
		}
	}
	return r.task, r.parts.Consume(ctx, r.task.Add, func(split batch.Split, docs *document.File) {
		r.report(s, split, docs)
	})
}

// block returns the length of windows: that of the setting or, for plain text, the standard one; 0 for none.
func (r *run) block() (int, error) {
	given := r.BlockSize != nil
	standard := given && *r.BlockSize == StandardWindows || !given && r.parts.Train.Format == data.PlainText
	asked := given && *r.BlockSize > 0
	err := r.parts.Each(func(_ batch.Split, docs *document.File) error {
		switch {
		case asked && docs.Kind != document.Text:
			return base.Settings(fmt.Errorf("`block_size` is for texts, but the rows of %s are %v; leave it out",
				docs.Name, docs.Kind))
		case !given && !standard && docs.Format == data.PlainText:
			return base.Settings(fmt.Errorf("%s is plain text, but the training data are rows; say with "+
				"`block_size` how texts are cut",
				docs.Name))
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case asked:
		return *r.BlockSize, nil
	case !standard:
		return 0, nil
	}
	limit := r.model.MaxLength()
	if r.MaxLength > 0 {
		limit = min(limit, r.MaxLength)
	}
	return min(StandardBlock, limit), nil
}

// report logs the counts of the documents of a file.
func (r *run) report(s *tasks.Session, split batch.Split, docs *document.File) {
	c := r.task.Counts(split)
	s.Log.Info().Msgf("%v data %s: %d %v, %d sequences of %d tokens in all, %d of them learned",
		split, docs.Name, c.Documents, docs.Kind, c.Sequences, c.Tokens, c.Targets)
	if c.Cut > 0 {
		s.Log.Warn().Msgf("%s: %d of %d %v are longer than %d tokens; they were cut and %d tokens lost "+
			"(`too_long error` refuses them)",
			docs.Name, c.Cut, c.Documents, docs.Kind, r.task.Limit(), c.Lost)
	}
	if c.Unlearned > 0 {
		at := ""
		if c.UnlearnedLine > 0 {
			at = fmt.Sprintf(", the first in line %d", c.UnlearnedLine)
		}
		s.Log.Warn().Msgf("%s: nothing can be learned of %d sequences; they were left out%s", docs.Name, c.Unlearned, at)
	}
}

func (r *run) identity(id map[string]string) {
	block, tooLong := StandardBlock, r.TooLong
	if r.BlockSize != nil && *r.BlockSize != StandardWindows {
		block = *r.BlockSize
	}
	if tooLong == "" {
		tooLong = "cut"
	}
	id["block_size"], id["max_length"], id["too_long"] = fmt.Sprint(block), fmt.Sprint(r.MaxLength), tooLong
	id["train_on_prompt"] = fmt.Sprint(r.TrainOnPrompt)
}
