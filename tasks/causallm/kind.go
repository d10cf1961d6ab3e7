package causallm

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
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
	Generation Generation
}

// Options implements [tasks.Settings]: language models remember none.
func (s *Settings) Options() []base.Option { return nil }

// Opened is a predictor with its base and its settings of generated text.
type Opened struct {
	*Predictor
	Base       *base.Base
	Generation Generation
	adapter    nn.AdapterSet
	net        models.CausalLM
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Generate, Stream or Chat" }

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
	c := Config{MaxLength: s.MaxLength, Template: template, Pool: o.Pool, Adapter: t.AdapterSet()}
	p, err := NewPredictor(t.Net, o.Base.Tokenizer, c)
	if err != nil {
		return nil, base.Settings(err)
	}
	if _, err := s.Generation.Config(o.Base); err != nil {
		return nil, err
	}
	_, warnings, err := readGeneration(o.Base)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		o.Log.Warn().Msgf("%s: %s", o.Base.Name, w)
	}
	o.Log.Info().Msgf("model %s: %s, %d positions", o.Base.Name, o.Base.Info.ModelType, t.Net.MaxLength())
	return &Opened{Predictor: p, Base: o.Base, Generation: s.Generation, adapter: c.Adapter, net: t.Net}, nil
}

// Scorer returns a task on the same model that cuts texts into windows of blockSize tokens, 0 for none.
func (o *Opened) Scorer(blockSize int) (*Task, error) {
	c := o.cfg
	c.BlockSize = blockSize
	t, err := NewTask(o.net, o.tok, c)
	return t, base.Settings(err)
}

func open(o tasks.Opening) (*base.Trained[models.CausalLM], error) {
	return base.OpenTrained(o.Opening, func(models.CausalLM) base.TaskType { return Type }, models.OpenCausalLM, nil)
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	t, err := open(o)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if t.Set.Unties(t.Net) {
		config["tie_word_embeddings"] = false
	}
	outputs := func(m models.CausalLM) func(*nn.Pass, *batch.Batch) mat.Tensor { return m.Logits }
	again := func(src *checkpoint.Source) (models.CausalLM, checkpoint.Report, error) {
		return models.OpenCausalLM(src)
	}
	return tasks.NewMerging(t, outputs, again, config), nil
}
