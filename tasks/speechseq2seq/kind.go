// Package speechseq2seq implements the task of writing down what is said in recordings, with Whisper: the training
// task, the predictor, the configuration of a run, and the kind by which adapters are opened and merged.
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.SpeechSeq2Seq, and Transcribe uses a
// [Predictor].
package speechseq2seq

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/transcribe"
)

// Type is the task by its names in adapters and commands. PEFT has no task type that its wrappers can serve Whisper
// with, so a new adapter has none; those that others have written are read.
var Type = base.TaskType{
	Name: "speech recognition", Command: "speech-seq2seq", PEFT: lora.NoTask,
	Accepts: []lora.TaskType{lora.Seq2SeqLM, lora.CausalLM, lora.FeatureExtraction},
	Classes: []string{"WhisperForConditionalGeneration"},
}

// Kind is the task type for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Speech,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
}

// Settings are the settings of predictions.
type Settings struct {
	Sounds
	Decoding
}

// Options implements [tasks.Settings].
func (s *Settings) Options() []base.Option { return s.Sounds.options() }

// Opened is a predictor with its base and how it writes transcripts.
type Opened struct {
	*Predictor
	Base    *base.Base
	Options transcribe.Options // of the settings and the checkpoint's files
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Transcribe" }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.Base, o.Options}
}

// Open opens a model for predictions.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	trained, err := open(o)
	if err != nil {
		return nil, err
	}
	front, err := NewFront(o.Base, o.Log.Warn().Msg)
	if err != nil {
		return nil, err
	}
	p, err := NewPredictor(trained.Net, front, Config{s.Sounds, o.Core(trained.AdapterSet(), nil, 0)})
	if err != nil {
		return nil, base.Settings(err)
	}
	options := s.Decoding.options(p)
	if err := p.checkOptions(options); err != nil {
		return nil, base.Settings(err)
	}
	o.Log.Info().Msgf("model %s: %s", o.Base.Name, o.Base.Info.ModelType)
	return &Opened{p, o.Base, options}, nil
}

func open(o tasks.Opening) (*base.Trained[models.SpeechSeq2SeqLM], error) {
	return base.OpenTrained(o.Opening, Type.Of, func(src *checkpoint.Source, _ uint64) (
		models.SpeechSeq2SeqLM, checkpoint.Report, error,
	) {
		return models.OpenSpeechSeq2SeqLM(src)
	}, nil)
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	trained, err := open(o)
	if err != nil {
		return nil, err
	}
	logits := func(m models.SpeechSeq2SeqLM, p *nn.Pass, b *batch.Batch) mat.Tensor { return m.Logits(p, b) }
	return tasks.NewMergingOf(trained, probe, logits, nil), nil
}

// probe returns the batch by which models are compared: a short window of noise, and tokens.
func probe(m models.SpeechSeq2SeqLM, set *lora.Set) *batch.Batch {
	vocabulary := m.Vocabulary()
	if set != nil {
		vocabulary = set.Vocabulary(m)
	}
	target := tasks.Probe(vocabulary, m.MaxLength())
	frames := min(64, m.Frames())
	b := &batch.Batch{Target: target, Seqs: op.Seqs{Starts: []int{0}, Index: target.Seqs.Index}}
	for range target.Seqs.Index {
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.Seqs.Starts)*frames)
	}
	state := uint32(1)
	for range b.Seqs.Rows() * m.Bins() {
		state = state*1664525 + 1013904223
		b.Features = append(b.Features, float32(state>>8)/(1<<23)-1)
	}
	return b
}

// Front is what stands before a model of speech: how sound becomes features and text becomes tokens.
type Front struct {
	Extractor *audio.Extractor
	Tokens    *transcribe.Tokens
	base      *base.Base
}

// NewFront opens the feature extractor and the special tokens of a checkpoint. It calls warn with what is odd about its
// files.
func NewFront(b *base.Base, warn func(text string)) (*Front, error) {
	if b.Tokenizer == nil {
		return nil, base.Input(fmt.Errorf("%s: there is no tokenizer; a model of speech needs one", b.Name))
	}
	content, err := b.File(audio.PreprocessorConfig)
	if err != nil {
		return nil, base.Input(fmt.Errorf("%s: %w; a model of speech needs it", b.Name, err))
	}
	extractor, warnings, err := audio.NewExtractor(content)
	if err != nil {
		return nil, base.Input(fmt.Errorf("%s: %s: %w", b.Name, audio.PreprocessorConfig, err))
	}
	for _, w := range warnings {
		warn(b.Name + ": " + w)
	}
	tokens, err := transcribe.OpenTokens(b.Source, b.Tokenizer)
	if err != nil {
		return nil, base.Input(fmt.Errorf("%s: %w", b.Name, err))
	}
	return &Front{extractor, tokens, b}, nil
}
