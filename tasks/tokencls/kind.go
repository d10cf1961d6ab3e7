package tokencls

import (
	"context"
	"errors"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// Type is token classification by its names in adapters and commands.
var Type = base.TaskType{
	Name: "token classification", Command: "token-cls", PEFT: lora.TokenCls, Classes: []string{"ForTokenClassification"},
}

// Kind is token classification for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Token,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
	Files:    []string{base.LabelsName},
	Fits:     func(outputs int) bool { return outputs > 1 },
}

// Settings are the settings of predictions.
type Settings struct {
	Labels    []string // names of the classes, in order, for an adapter that does not name them
	MaxLength *int     // tokens of a sentence, 0: what the checkpoint allows; nil: the adapter's, else 0
	Stride    *int     // tokens that windows of a longer sentence share, -1: cut it; nil: the adapter's, else 32
	// Scheme says how tags spell entities, see [tagged.ParseScheme]; "": guessed from the names of the classes.
	Scheme string
	// SeqevalMode says which entities count in metrics: default, or strict: those spelled by the rules of the scheme.
	SeqevalMode         string
	AggregationStrategy string // what entities are made of, see [Aggregation]; "": first
	TokensPerBatch      int    // tokens that are computed at once; 0: 4096. Results do not depend on it
}

// Options implements [tasks.Settings].
func (s *Settings) Options() []base.Option {
	return options(&s.MaxLength, &s.Stride, &s.Scheme, &s.SeqevalMode)
}

// Check returns the errors about values that have no meaning.
func (s *Settings) Check() []error {
	_, err := ParseAggregation(s.AggregationStrategy)
	return append(check(s.Scheme, s.SeqevalMode, s.Stride), err)
}

// schemeNote is the note of an adapter that says how its tags spell entities.
const schemeNote = "scheme"

// options lists the settings that adapters remember.
func options(maxLength, stride **int, scheme, mode *string) []base.Option {
	return []base.Option{
		base.Optional("max-length", maxLength), base.Optional("stride", stride), base.Given(schemeNote, scheme),
		base.Given("seqeval-mode", mode),
	}
}

// DefaultStride is the default number of tokens that windows share.
const DefaultStride = 32

// The values of the setting seqeval_mode.
const (
	DefaultMode = "default"
	strict      = "strict"
)

// stride returns the value of the setting stride.
func stride(given *int) int {
	if given == nil {
		return DefaultStride
	}
	return *given
}

// check returns the errors about settings that runs and predictions share.
func check(scheme, mode string, given *int) []error {
	var errs []error
	if scheme != "" {
		_, err := tagged.ParseScheme(scheme)
		errs = append(errs, err)
	}
	if mode != "" && mode != DefaultMode && mode != strict {
		errs = append(errs, fmt.Errorf("`seqeval_mode` is %q; want default or strict", mode))
	}
	if n := stride(given); n < -1 {
		errs = append(errs, fmt.Errorf("`stride` is %d; want 0 or more, or -1 to cut long sentences", n))
	}
	return errs
}

// findScheme returns the scheme that a setting names, else the one that the tags of a file are written in.
func findScheme(setting string, f *tagged.File) (tagged.Scheme, error) {
	if setting != "" {
		return tagged.ParseScheme(setting)
	}
	return tagged.GuessScheme(f)
}

// repair returns a file whose tags follow the rules of a scheme. Of a file in which some do not, it changes these or,
// if refuse is true, returns an error.
func repair(f *tagged.File, s tagged.Scheme, refuse bool) (*tagged.File, error) {
	repaired, err := f.Repair(s)
	if err != nil || !refuse || repaired.Repaired == 0 {
		return repaired, err
	}
	for i, e := range f.All() {
		tags := repaired.At(i).Tags
		for w, tag := range e.Tags {
			if tag != tags[w] {
				return nil, data.Errorf(f.Name, e.Line, "word %d (%q) has the tag %s, which must be %s in the scheme %s; "+
					"%d tags of the file break its rules. Correct them, or leave `strict` out",
					w, e.Word(w), tag, tags[w], s, repaired.Repaired)
			}
		}
	}
	return repaired, nil
}

// Opened is a predictor with the names of its classes and its strategy for entities.
type Opened struct {
	*Predictor
	// LabelsNamed reports that the classes have names other than LABEL_0 ….
	LabelsNamed bool
	// Aggregation is the strategy by which tokens or words become entities.
	Aggregation Aggregation
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Tag or TagWords" }

// Tag returns the entities in texts.
func (o *Opened) Tag(ctx context.Context, texts []string) ([][]Entity, error) {
	return o.Predictor.Tag(ctx, texts, o.Aggregation)
}

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.LabelsNamed, o.Aggregation}
}

// CheckTags returns a file whose tags have the names of the classes and follow the rules of the scheme. It returns an
// error for a tag that is not a class. A tag that breaks the rules is an error if strict is true, and is repaired
// otherwise.
func (p *Predictor) CheckTags(f *tagged.File, strict bool) (*tagged.File, error) {
	f, err := f.WithNames(p.cfg.Labels.Names)
	if err == nil {
		f, err = repair(f, p.cfg.Scheme, strict)
	}
	if err == nil {
		_, err = f.Classes(p.cfg.Labels)
	}
	return f, err
}

// Open opens a trained classifier of tokens.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	if err := base.Settings(errors.Join(s.Check()...)); err != nil {
		return nil, err
	}
	c, err := openClassifier(o, s)
	if err != nil {
		return nil, err
	}
	if o.Adapter.Dir == "" && o.Shared != nil && o.Shared.Untrained != nil {
		s.SeqevalMode = "" // nothing is predicted without an adapter, so nothing is scored
	}
	names := tagged.New("the labels of the model")
	for _, name := range c.Labels.Names {
		names.Append(tagged.Sentence{Tags: []string{name}})
	}
	scheme, err := findScheme(s.Scheme, names)
	if err != nil {
		return nil, base.Input(err)
	}
	a, err := ParseAggregation(s.AggregationStrategy)
	if err != nil {
		return nil, base.Settings(err)
	}
	p, err := NewPredictor(c.Net, o.Base.Tokenizer, Config{
		CoreConfig: o.Core(c.AdapterSet(), s.MaxLength, s.TokensPerBatch),
		Labels:     c.Labels, Outputs: c.Outputs, Scheme: scheme, Strict: s.SeqevalMode == strict, Stride: stride(s.Stride),
	})
	if err == nil {
		err = p.checkAggregation(a)
	}
	if err != nil {
		return nil, base.Settings(err)
	}
	if p.CRF() {
		o.Log.Info().Msg("a CRF tags the words of a sentence together; scores are marginal probabilities")
	}
	return &Opened{p, c.LabelsNamed, a}, nil
}

func openClassifier(o tasks.Opening, s *Settings) (*base.Classifier[models.TokenClassifier], error) {
	options := base.ClassifierOptions{Labels: s.Labels, Tags: true}
	has, lost := adapterCRF(o.Adapter.Dir)
	if lost {
		o.Log.Warn().Msgf("%s: modules_to_save names %s, but the file has no transition scores; PEFT drops them when it "+
			"saves an adapter. Each word is tagged on its own", o.Adapter.Dir, models.CRFModule)
	}
	if o.Adapter.Dir != "" {
		k, err := base.HeadOutputs(o.Adapter.Dir)
		if err != nil {
			return nil, err
		}
		o.Shared = shareCRF(o.Shared, has, k)
	}
	return base.OpenClassifier(o.Opening, options, Type, openerOf(o, has))
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	s, err := tasks.GivenSettings[Settings](o)
	if err != nil {
		return nil, err
	}
	c, err := openClassifier(o, s)
	if err != nil {
		return nil, err
	}
	return tasks.NewMerging(&c.Trained, models.TokenClassifier.Logits, tasks.Classes(c.Labels, false)), nil
}
