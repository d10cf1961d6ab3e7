package qa

import (
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// Type is question answering as adapters name it, for a model without token types. [TypeFor] returns that of a model.
var Type = base.TaskType{
	Name: "question answering", Command: "question-answering", PEFT: lora.QuestionAns,
	Classes: []string{"ForQuestionAnswering"},
}

// TypeFor returns the task type of a model. PEFT's model for QUESTION_ANS does not pass token types on, so a new
// adapter of a model that has some is saved without a task type.
func TypeFor(m models.Model) base.TaskType {
	t := Type
	if text, ok := m.(models.TextModel); ok && text.TokenTypes() > 1 {
		t.PEFT, t.Accepts, t.Saves = lora.NoTask, []lora.TaskType{lora.QuestionAns}, lora.QuestionAns.Heads()
	}
	return t
}

// Kind is question answering for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Question,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
}

// Answering holds the settings that say how contexts are cut into windows and how answers are found in them. Names are
// those of transformers' run_qa.py. The zero value of each field is the default.
type Answering struct {
	// MaxLength is the number of tokens of a window: the question and a part of the context. 0: 384, or what the
	// checkpoint allows; nil: the adapter's, else 0.
	MaxLength *int
	// DocStride is the number of tokens that neighbouring windows of a context share; nil: 128, or half of a window's
	// part of the context if 128 is too much.
	DocStride       *int
	MaxQueryLength  *int // tokens that are kept of a question, 0: all; nil: the adapter's, else 0
	MaxAnswerLength int  // tokens of the longest answer that is predicted; 0: 30
	NBestSize       int  // best starts and ends that are paired, and answers that share the probability; 0: 20
	// Version2WithNegative says whether a question may have no answer; nil: if the data have such questions.
	Version2WithNegative *bool
	// NullScoreDiffThreshold is the difference by which the score of no answer must exceed that of the best answer for
	// no answer to be predicted; nil: 0.
	NullScoreDiffThreshold *float64
}

// nullNote is the note of an adapter that questions may have no answer.
const nullNote = "version-2-with-negative"

// Options implements [tasks.Settings].
func (a *Answering) Options() []base.Option {
	return []base.Option{
		base.Optional("max-length", &a.MaxLength), base.Optional("doc-stride", &a.DocStride),
		base.Optional("max-query-length", &a.MaxQueryLength), base.Given("max-answer-length", &a.MaxAnswerLength),
		base.Given("n-best-size", &a.NBestSize), base.Optional(nullNote, &a.Version2WithNegative),
		base.Optional("null-score-diff-threshold", &a.NullScoreDiffThreshold),
	}
}

// Check returns the errors that can be found before anything is opened.
func (a *Answering) Check() []error {
	errs := a.with(a.Version2WithNegative == nil || *a.Version2WithNegative).check()
	if n := tasks.Value(a.MaxLength); n < 0 {
		errs = append(errs, fmt.Errorf("`max_length` is %d; want 1 or more, or 0 for the default", n))
	}
	return errs
}

// with returns the configuration of a predictor that predicts no answer, or always one.
func (a *Answering) with(null bool) Config {
	return Config{
		DocStride: a.DocStride, MaxQueryLength: tasks.Value(a.MaxQueryLength), NBest: a.NBestSize,
		MaxAnswer: a.MaxAnswerLength, NullAnswers: null, NullThreshold: tasks.Value(a.NullScoreDiffThreshold),
	}
}

// config returns the configuration for the questions of some files, each of which may be nil: unless
// Version2WithNegative is set, questions may have no answer if one of these has none.
func (a *Answering) config(files ...*question.File) (Config, error) {
	null := false
	if a.Version2WithNegative != nil {
		null = *a.Version2WithNegative
	} else {
		for _, f := range files {
			null = null || f != nil && f.HasImpossible()
		}
	}
	c := a.with(null)
	if c.NullThreshold != 0 && !null {
		return c, base.Settings(errors.New("`null_score_diff_threshold`: every question has an answer; " +
			"give `version_2_with_negative` if one may have none"))
	}
	return c, nil
}

// Settings are the settings of predictions.
type Settings struct {
	Answering
	TokensPerBatch int // tokens that are computed at once; 0: 4096. Results do not depend on it
}

// Opened is a trained model for questions. Whether they may have no answer can depend on them; see [Opened.For].
type Opened struct {
	predictor *Predictor
	settings  Answering
}

// Open opens a trained question answerer.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	if err := base.Settings(errors.Join(s.Check()...)); err != nil {
		return nil, err
	}
	t, err := openTrained(o)
	if err != nil {
		return nil, err
	}
	c := s.with(true)
	c.CoreConfig = o.Core(t.AdapterSet(), s.MaxLength, s.TokensPerBatch)
	c.ZeroTypes = zeroTypes(t.Net, t.Set, o.Log)
	p, err := NewPredictor(t.Net, o.Base.Tokenizer, c)
	if err != nil {
		return nil, base.Settings(err)
	}
	return &Opened{p, s.Answering}, nil
}

// Close implements [tasks.Predictor].
func (o *Opened) Close() error { return o.predictor.Close() }

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Answer or AnswerAll" }

// AdapterSet implements [tasks.Adaptable].
func (o *Opened) AdapterSet() nn.AdapterSet { return o.predictor.Adapter }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.settings}
}

// For returns the predictor for the questions of a file, which shares the memory of o. Unless the settings or the
// adapter say whether a question may have no answer, one may if the file has such questions.
func (o *Opened) For(f *question.File) (*Predictor, error) {
	c, err := o.settings.config(f)
	if err != nil {
		return nil, err
	}
	p := *o.predictor
	p.cfg.NullAnswers, p.cfg.NullThreshold = c.NullAnswers, c.NullThreshold
	return &p, nil
}

func openTrained(o tasks.Opening) (*base.Trained[models.QuestionAnswerer], error) {
	return base.OpenTrained(o.Opening, TypeFor, models.OpenQuestionAnswerer, nil)
}

// zeroTypes reports whether an adapter was trained without the token types that a model has, and logs it. PEFT does
// that with adapters for QUESTION_ANS.
func zeroTypes(m models.QuestionAnswerer, s *lora.Set, log zerolog.Logger) bool {
	if s == nil || s.Config().TaskType != lora.QuestionAns || m.TokenTypes() < 2 {
		return false
	}
	log.Warn().Msgf("the adapter is for %s, with which PEFT gives every token the type 0; the same is done here",
		lora.QuestionAns)
	return true
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	t, err := openTrained(o)
	if err != nil {
		return nil, err
	}
	return tasks.NewMerging(t, models.QuestionAnswerer.Logits, nil), nil
}
