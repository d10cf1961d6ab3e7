package causallm

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/generation"
)

// Type is causal language modelling by its names in adapters and commands.
var Type = base.TaskType{
	Name: "causal language modelling", Command: "causal-lm",
	PEFT: lora.CausalLM, Classes: []string{"ForCausalLM", "LMHeadModel"},
}

// Kind is causal language modelling for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Causal,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
}

// Settings are the settings of predictions.
type Settings struct {
	MaxLength int // tokens of a text whose logits or scores are computed; 0: what the checkpoint allows
	// Generation are the settings of generated text.
	Generation generation.Settings
}

// Options implements [tasks.Settings]: language models remember none.
func (s *Settings) Options() []base.Option { return nil }

// Opened is a predictor with its base and how it generates text.
type Opened struct {
	*Predictor
	Base     *base.Base
	Decoding generate.Config // of the settings and the checkpoint's generation_config.json
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Generate, Stream or Chat" }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.Base, o.Decoding}
}

// Open opens a language model.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	template, err := chatTemplate(o.Base)
	if err != nil {
		return nil, err
	}
	t, err := open(o)
	if err != nil {
		return nil, err
	}
	core := o.Core(t.AdapterSet(), &s.MaxLength, 0)
	p, err := NewPredictor(t.Net, o.Base.Tokenizer, Config{CoreConfig: core, Template: template})
	if err != nil {
		return nil, base.Settings(err)
	}
	decoding, err := s.Generation.Use(o.Base, p.Vocabulary(), o.Log)
	if err != nil {
		return nil, err
	}
	o.Log.Info().Msgf("model %s: %s, %d positions", o.Base.Name, o.Base.Info.ModelType, t.Net.MaxLength())
	return &Opened{p, o.Base, decoding}, nil
}

// Scorer returns a task on the same model that cuts texts into windows of blockSize tokens, 0 for none.
func (o *Opened) Scorer(blockSize int) (*Task, error) {
	c := o.cfg
	c.BlockSize = blockSize
	t, err := NewTask(o.Net, o.Tok, c)
	return t, base.Settings(err)
}

func open(o tasks.Opening) (*base.Trained[models.CausalLM], error) {
	return base.OpenTrained(o.Opening, Type.Of, func(src *checkpoint.Source, _ uint64) (
		models.CausalLM, checkpoint.Report, error,
	) {
		return models.OpenCausalLM(src)
	}, nil)
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	t, err := open(o)
	if err != nil {
		return nil, err
	}
	return tasks.NewMerging(t, models.CausalLM.Logits, nil), nil
}

// chatTemplate returns the chat template of a base, nil if it has none.
func chatTemplate(b *base.Base) (*chat.Template, error) {
	t, err := chat.Load(b.File)
	if errors.Is(err, chat.ErrNoTemplate) {
		return nil, nil
	}
	if err != nil {
		return nil, base.Input(fmt.Errorf("%s: %w", b.Name, err))
	}
	return t, nil
}
