package embed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/spago/mat"
	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// Finetuning is the configuration of a run that trains a sentence encoder on pairs of texts. Fields have the names of
// the flags of "finetune embed"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	// Train, Eval and Test are pairs that were read already, in place of the files of Run.
	Train, Eval, Test *text.File
	// Data says how the files of Run are read. Scores are optional.
	Data text.Options

	Pooling         string  // see [Pooling]; "": the adapter's, else the checkpoint's, else mean
	Prompt          *string // text before each text, also to train on; nil: the adapter's, else as PromptName says
	PromptName      string  // name of a prompt of the checkpoint, in place of Prompt; "": the default one, not to train on
	Loss            string  // cosine or multiple_negatives; "": cosine if the pairs to train on have scores
	SimilarityScale float32 // factor of the cosines in multiple_negatives; 0: 20
	MaxScore        float64 // score of texts that mean the same: scores are divided by it; 0: the adapter's, else 1
	MaxLength       *int    // tokens of a text, 0: what the checkpoint allows; nil: the adapter's, else 0

	// OnBefore, if set, is called before the first step with the number of pairs to test on and their metrics.
	OnBefore func(rows int, m train.Metrics)
}

// DefaultTraining returns the default settings of the training loop.
func DefaultTraining() train.Config {
	c := tasks.DefaultTraining()
	c.WarmupRatio = 0.1
	return c
}

// run is one run of a configuration.
type run struct {
	*Finetuning
	scaled  bool // MaxScore is given, not remembered by the adapter
	parts   tasks.Parts[*text.File]
	loss    Loss
	modules *modules
	pooling Pooling
	prompt  string // before texts to evaluate and, if Prompt is set, to train on
	model   models.Encoder
	limit   int // tokens of a text; 0: what the checkpoint allows
	task    *Task
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c, scaled: c.MaxScore != 0}
	return &tasks.Plan{
		Command: Type.Command, Adapter: tasks.DefaultAdapter(), Training: DefaultTraining(),
		Options: options(&c.Prompt, &c.MaxLength, &c.MaxScore),
		Check:   r.check, Read: r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity, Started: r.started,
		TestsFirst: true,
		Beside:     func(dir string) error { return savePooling(dir, r.pooling) }, Rows: &r.parts,
	}
}

func (r *run) check() []error {
	var errs []error
	if r.Loss != "" {
		if _, err := ParseLoss(r.Loss); err != nil {
			errs = append(errs, fmt.Errorf("`loss`: %w", err))
		}
	}
	if !(r.SimilarityScale >= 0) {
		errs = append(errs, fmt.Errorf("`similarity_scale` is %g; want more than 0", r.SimilarityScale))
	}
	return append(errs, CheckSettings(r.Pooling, r.MaxScore)...)
}

// read reads the pairs and chooses the loss and the pooling.
func (r *run) read(s *tasks.Session) error {
	var err error
	if r.modules, err = readModules(s.Base, s.Log); err != nil {
		return err
	}
	if r.prompt, err = r.modules.promptOf(r.Prompt, r.PromptName); err != nil {
		return err
	}
	switch {
	case r.PromptName != "":
		r.Prompt = &r.prompt // which the adapter remembers
	case r.Prompt == nil && r.prompt != "":
		s.Log.Warn().Msgf("%s: its default prompt %q is put before texts to evaluate, not before those to train on, as "+
			"sentence-transformers does; `prompt` or `prompt_name` puts one before all", s.Base.Name, r.prompt)
	}
	if r.pooling, err = r.modules.poolingOf(r.Pooling, r.Adapter); err != nil {
		return err
	}
	given := tasks.Parts[*text.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	p, err := tasks.ReadParts(&r.Run, given, r.Data, open, read)
	if err == nil {
		err = text.CheckPairs(p.Train, p.Eval, p.Test)
	}
	if err != nil {
		return err
	}
	scored := p.Train.Labelled() > 0
	if err := p.Choose(&r.Run, s.Config.Seed); err != nil {
		return err
	}
	switch {
	case r.Loss != "":
		if r.loss, err = ParseLoss(r.Loss); err != nil {
			return base.Settings(err)
		}
	case !scored:
		r.loss = MultipleNegatives
	}
	r.parts = p
	if err := r.checkUsed(s); err != nil {
		return base.Settings(err)
	}
	s.Log.Info().Msgf("%s; loss %v, pooling %v", p.Sizes(p.Train.Name, "pairs"), r.loss, r.pooling)
	if scored && r.loss == MultipleNegatives {
		s.Log.Warn().Msgf("%s: the scores are not used by `loss multiple_negatives`, "+
			"which treats all pairs as texts that belong together", p.Train.Name)
	}
	for _, w := range text.Warnings(nil, p.Train, p.Eval, p.Test) {
		s.Log.Warn().Msg(w.String())
	}
	return nil
}

// checkUsed returns an error if the loss cannot learn from the batches, or if given settings have no effect with the
// loss and the data.
func (r *run) checkUsed(s *tasks.Session) error {
	if r.loss == MultipleNegatives && s.Config.BatchSize == 1 && r.TokensPerBatch == 0 {
		return errors.New("`batch_size` is 1, but the loss multiple_negatives compares the pairs of a batch " +
			"with each other; want 2 or more")
	}
	var errs []error
	if r.loss == Cosine && r.SimilarityScale != 0 {
		errs = append(errs, fmt.Errorf("`similarity_scale` is for the loss %v, not for %v", MultipleNegatives, r.loss))
	}
	scored := func(f *text.File) bool { return f != nil && f.Labelled() > 0 }
	if p := r.parts; r.scaled && !scored(p.Train) && !scored(p.Eval) && !scored(p.Test) {
		errs = append(errs, errors.New("`max_score` is for pairs with scores, but the data have none"))
	}
	return errors.Join(errs...)
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	r.model, subject, err = tasks.OpenSubject(s, Type.Of, models.OpenEncoder)
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	if err := checkPooler(s.Set); err != nil {
		return nil, base.Settings(err)
	}
	r.limit = r.modules.limit(tasks.Value(r.MaxLength), r.model.MaxLength())
	if err := tasks.CheckRoom(r.modules.tokenizer, r.limit, false); err != nil {
		return nil, base.Settings(err)
	}
	c := r.modules.config()
	c.CoreConfig, c.Pooling, c.Prompt, c.MaxScore = s.Core(&r.limit), r.pooling, r.prompt, r.MaxScore
	var err error
	r.task, err = NewTask(r.model, r.modules.tokenizer, TaskConfig{
		Config: c, Loss: r.loss, Scale: r.SimilarityScale, PromptedTrain: r.Prompt != nil,
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	return &pairTask{Task: r.task, log: s.Log}, r.parts.Consume(ctx, r.task.Add, func(split batch.Split, f *text.File) {
		tasks.WarnCut(s.Log, f.Name, r.task.Splits[split].texts.Cut, 2*f.Len(), r.task.Limit())
	})
}

// checkPooler returns an error if the adapter trains the pooler: vectors are made of the hidden states, so nothing
// reads the pooler and no gradient reaches it.
func checkPooler(set *lora.Set) error {
	for _, p := range set.Params() {
		if strings.Contains(p.Name, ".pooler.") {
			return fmt.Errorf("the adapter trains %s, but sentence embeddings are made without the pooler, "+
				"so it would learn nothing: leave it out of `target_modules` and `modules_to_save` "+
				"(output.dense and intermediate.dense are the other layers named dense)", p.Name)
		}
	}
	return nil
}

// pairTask is a task that warns once if a batch has one pair only, from which multiple_negatives learns nothing.
type pairTask struct {
	*Task
	log    zerolog.Logger
	warned bool
}

// Loss warns if b is too small and returns the loss of the task.
func (t *pairTask) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	if t.cfg.Loss == MultipleNegatives && len(b.Seqs.Index) == 2 && !t.warned {
		t.warned = true
		t.log.Warn().Msgf("a batch has one pair only, from which `loss %v` learns nothing: there is no other to compare "+
			"it with; larger batches, or another number of rows, leave no pair alone", t.cfg.Loss)
	}
	return t.Task.Loss(p, b)
}

func (r *run) identity(id map[string]string) {
	id["max_length"], id["pooling"], id["loss"] = fmt.Sprint(r.limit), r.pooling.String(), r.loss.String()
	id["similarity_scale"] = fmt.Sprint(cmp.Or(r.SimilarityScale, defaultScale))
	id["max_score"] = fmt.Sprint(cmp.Or(r.MaxScore, 1))
	if r.Prompt != nil {
		id["prompt"] = *r.Prompt
	}
}

// started scores the test rows before training: a sentence encoder makes useful vectors before it is trained.
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
