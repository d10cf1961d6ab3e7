// Package seq2seq implements tasks that write a target for a source, with encoder–decoders: any such task
// ("seq2seq-lm") and translation, which differ in their names, the measure that decides and the data that commands have
// embedded. It has the training task, the predictor, the configuration of a run, and the kinds by which adapters are
// opened and merged.
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.Seq2SeqLM, [Translation] is
// spalora.Translation, and Rewrite and Translate use a [Predictor].
package seq2seq

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/generation"
)

// Type is the general task by its names in adapters and commands.
var Type = base.TaskType{
	Name: "sequence-to-sequence language modelling", Command: "seq2seq-lm", PEFT: lora.Seq2SeqLM,
	Classes: []string{"ForConditionalGeneration", "MTModel", "WithLMHeadModel"}, Twins: []string{"translation"},
}

// TranslationType is translation, which has no task type of its own in PEFT.
var TranslationType = base.TaskType{
	Name: "translation", Command: "translation", PEFT: lora.Seq2SeqLM, Twins: []string{Type.Name},
}

// Kind and TranslationKind are the task types for the code that opens, recognises and merges models.
var (
	Kind            = kind(Type)
	TranslationKind = kind(TranslationType)
)

func kind(t base.TaskType) tasks.Kind {
	return tasks.Kind{
		TaskType: t,
		Head:     arch.Seq2Seq,
		Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o, t) },
		Merge:    func(o tasks.Opening) (*tasks.Merging, error) { return merging(o, t) },
	}
}

// Settings are the settings of predictions.
type Settings struct {
	Texts
	// Generation are the settings of generated texts.
	Generation generation.Settings
}

// Options implements [tasks.Settings].
func (s *Settings) Options() []base.Option { return s.options() }

// Opened is a predictor with its base and how it generates text.
type Opened struct {
	*Predictor
	Base     *base.Base
	Decoding generate.Config // of the settings and the checkpoint's generation_config.json
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Rewrite or Translate" }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.Base, o.Decoding}
}

// Open opens an encoder–decoder for a task type: Type or TranslationType.
func Open(o tasks.Opening, t base.TaskType) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	trained, err := open(o, t)
	if err != nil {
		return nil, err
	}
	c, tok, err := s.config(trained.Net, o.Base.Tokenizer, o.Core(trained.AdapterSet(), nil, 0))
	if err != nil {
		return nil, base.Settings(err)
	}
	p, err := NewPredictor(trained.Net, tok, c)
	if err != nil {
		return nil, base.Settings(err)
	}
	decoding, err := s.Generation.Use(o.Base, p.Vocabulary(), o.Log)
	if err != nil {
		return nil, err
	}
	o.Log.Info().Msgf("model %s: %s", o.Base.Name, o.Base.Info.ModelType)
	return &Opened{p, o.Base, decoding}, nil
}

func open(o tasks.Opening, t base.TaskType) (*base.Trained[models.Seq2SeqLM], error) {
	return base.OpenTrained(o.Opening, t.Of, func(src *checkpoint.Source, _ uint64) (
		models.Seq2SeqLM, checkpoint.Report, error,
	) {
		return models.OpenSeq2SeqLM(src)
	}, nil)
}

func merging(o tasks.Opening, t base.TaskType) (*tasks.Merging, error) {
	trained, err := open(o, t)
	if err != nil {
		return nil, err
	}
	return tasks.NewMerging(trained, probe, nil), nil
}

// probe computes logits of sequences that are read by the encoder and the decoder.
func probe(m models.Seq2SeqLM, p *nn.Pass, b *batch.Batch) mat.Tensor {
	both := *b
	both.Target = &batch.Batch{IDs: b.IDs, Seqs: b.Seqs}
	return m.Logits(p, &both)
}
