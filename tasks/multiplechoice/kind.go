package multiplechoice

import (
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// Type is multiple choice by its names in adapters and commands. PEFT has no task type for it; those who train such a
// model with PEFT may have called it SEQ_CLS, which saves the same head.
var Type = base.TaskType{
	Name: "multiple choice", Command: "multiple-choice", PEFT: lora.NoTask, Accepts: []lora.TaskType{lora.SeqCls},
	Classes: []string{"ForMultipleChoice"},
}

// typeFor returns a function that returns the type with the head that a new adapter saves for the architecture of b.
func typeFor(b *base.Base) func(models.Model) base.TaskType {
	a, _ := models.ArchOf(b.Info.ModelType)
	head, _ := a.Head(arch.Choice)
	t := Type
	t.Saves = head.Saves()
	return t.Of
}

// Kind is multiple choice for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Choice,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
	Fits:     func(outputs int) bool { return outputs == 1 },
}

// Settings are the settings of predictions.
type Settings struct {
	// FirstIndex is the number that labels of files give to the first choice, 0 or 1; nil: the adapter's, else 0.
	FirstIndex *int
	// MaxLength is the number of tokens of a choice with its question, 0 for what the checkpoint allows; nil: the
	// adapter's, else 0.
	MaxLength      *int
	Truncation     string // what to cut of longer ones
	TokensPerBatch int    // tokens that are computed at once; 0: 4096. Results do not depend on it
}

// Options implements [tasks.Settings].
func (s *Settings) Options() []base.Option {
	return options(&s.FirstIndex, &s.MaxLength, &s.Truncation)
}

// options lists the settings that adapters remember.
func options(firstIndex, maxLength **int, truncation *string) []base.Option {
	return []base.Option{
		base.Optional("first-index", firstIndex), base.Optional("max-length", maxLength),
		base.Given("truncation", truncation),
	}
}

// Opened is a predictor with the numbering of choices in the files that it was trained on.
type Opened struct {
	*Predictor
	FirstIndex int // number that labels give to the first choice; see choice.Options
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Choose" }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.FirstIndex}
}

// Open opens a trained model.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	truncation, err := tasks.ParseTruncation(s.Truncation)
	if err != nil {
		return nil, base.Settings(err)
	}
	t, err := openTrained(o)
	if err != nil {
		return nil, err
	}
	core := o.Core(t.AdapterSet(), s.MaxLength, s.TokensPerBatch)
	p, err := NewPredictor(t.Net, o.Base.Tokenizer, Config{CoreConfig: core, Truncation: truncation})
	if err != nil {
		return nil, base.Settings(err)
	}
	return &Opened{p, tasks.Value(s.FirstIndex)}, nil
}

func openTrained(o tasks.Opening) (*base.Trained[models.MultipleChoice], error) {
	return base.OpenTrained(o.Opening, typeFor(o.Base), models.OpenMultipleChoice, nil)
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	t, err := openTrained(o)
	if err != nil {
		return nil, err
	}
	return tasks.NewMerging(t, models.MultipleChoice.Logits, nil), nil
}
