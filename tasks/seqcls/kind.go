package seqcls

import (
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// Type is sequence classification by its names in adapters and commands.
var Type = base.TaskType{
	Name: "sequence classification", Command: "seq-cls", PEFT: lora.SeqCls, Classes: []string{"ForSequenceClassification"},
}

// Kind is sequence classification for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Sequence,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
	Fallback: true,
	Files:    []string{base.LabelsName},
}

// Settings are the settings of predictions.
type Settings struct {
	// ProblemType is a problem_type of config.json. "" takes that of labels.json of the adapter, else of config.json,
	// else the one that the number of outputs suggests.
	ProblemType    string
	Labels         []string // names of the classes, in order, for an adapter that does not name them
	MaxLength      *int     // tokens of a text or pair, 0: what the checkpoint allows; nil: the adapter's, else 0
	Truncation     string   // what to cut of longer ones
	TokensPerBatch int      // tokens that are computed at once; 0: 4096. Results do not depend on it
}

// Options implements [tasks.Settings].
func (s *Settings) Options() []base.Option { return options(&s.MaxLength, &s.Truncation) }

// options lists the settings that adapters remember.
func options(maxLength **int, truncation *string) []base.Option {
	return []base.Option{base.Optional("max-length", maxLength), base.Given("truncation", truncation)}
}

// Opened is a predictor with the origin of its classes.
type Opened struct {
	*Predictor
	// ProblemKnown reports that the problem type was found, not assumed; LabelsNamed that the classes have names other
	// than LABEL_0 ….
	ProblemKnown, LabelsNamed bool
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Classify or ClassifyPairs" }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.ProblemKnown, o.LabelsNamed}
}

// Open opens a trained classifier.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	truncation, err := tasks.ParseTruncation(s.Truncation)
	if err != nil {
		return nil, base.Settings(err)
	}
	c, err := openClassifier(o, s)
	if err != nil {
		return nil, err
	}
	core := o.Core(c.AdapterSet(), s.MaxLength, s.TokensPerBatch)
	p, err := NewPredictor(c.Net, o.Base.Tokenizer, Config{
		CoreConfig: core, Labels: c.Labels, Outputs: c.Outputs, Truncation: truncation,
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	return &Opened{p, c.ProblemKnown, c.LabelsNamed}, nil
}

func openClassifier(o tasks.Opening, s *Settings) (*base.Classifier[models.SequenceClassifier], error) {
	return base.OpenClassifier(o.Opening, base.ClassifierOptions{ProblemType: s.ProblemType, Labels: s.Labels}, Type,
		models.OpenSequenceClassifier)
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
	if s.ProblemType == "" && !c.ProblemKnown && c.Net.Labels() == 1 {
		o.Log.Warn().Msgf("%s: the head has one output and is taken for a regression; if it is for multiple choice, "+
			"give `task multiple-choice`",
			o.Adapter.Dir)
	}
	return tasks.NewMerging(&c.Trained, models.SequenceClassifier.Logits, tasks.Classes(c.Labels, c.ProblemKnown)), nil
}
