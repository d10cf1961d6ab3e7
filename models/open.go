package models

import (
	"fmt"
	"slices"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models/arch"
)

// OpenSequenceClassifier builds the model of src with a sequence-classification head for the given number of labels
// and fills it. A head that the checkpoint lacks, or has for another number of labels, is drawn from N(0,
// initializer_range²) by seed, its bias zero, and listed in the report. The weights are views of src, which must
// stay open.
func OpenSequenceClassifier(src *checkpoint.Source, labels int, seed uint64) (
	SequenceClassifier, checkpoint.Report, error,
) {
	return openClassifier[SequenceClassifier](src, arch.Sequence, labels, seed)
}

// OpenTokenClassifier builds the model of src with a token-classification head for the given number of labels and fills
// it. A head that the checkpoint lacks, or has for another number of labels, is drawn from N(0, initializer_range²) by
// seed, its bias zero, and listed in the report. The weights are views of src, which must stay open.
func OpenTokenClassifier(src *checkpoint.Source, labels int, seed uint64) (TokenClassifier, checkpoint.Report, error) {
	return openClassifier[TokenClassifier](src, arch.Token, labels, seed)
}

// OpenQuestionAnswerer builds the model of src with a head for the start and the end of an answer and fills it. A
// head that the checkpoint lacks is drawn from N(0, initializer_range²) by seed, its bias zero, and listed in the
// report. The weights are views of src, which must stay open.
func OpenQuestionAnswerer(src *checkpoint.Source, seed uint64) (QuestionAnswerer, checkpoint.Report, error) {
	return open[QuestionAnswerer](architectures, src, arch.Question, 0, seed)
}

// OpenMultipleChoice builds the model of src with a head that scores choices and fills it. A head that the checkpoint
// lacks, or has in another size, is drawn from N(0, initializer_range²) by seed, its bias zero, and listed in the
// report. The weights are views of src, which must stay open.
func OpenMultipleChoice(src *checkpoint.Source, seed uint64) (MultipleChoice, checkpoint.Report, error) {
	return open[MultipleChoice](architectures, src, arch.Choice, 0, seed)
}

// OpenEncoder builds the model of src without a head and fills it. Weights of the pooler that the checkpoint lacks are
// drawn from N(0, initializer_range²) by seed, its bias zero, and listed in the report. The weights are views of src,
// which must stay open.
func OpenEncoder(src *checkpoint.Source, seed uint64) (Encoder, checkpoint.Report, error) {
	return open[Encoder](architectures, src, arch.Features, 0, seed)
}

// OpenCausalLM builds the language model of src and fills it. The weights are views of src, which must stay open. A
// checkpoint that lacks the head although its configuration does not tie it to the word table is an error.
func OpenCausalLM(src *checkpoint.Source) (CausalLM, checkpoint.Report, error) {
	return open[CausalLM](architectures, src, arch.Causal, 0, 0)
}

// OpenSeq2SeqLM builds the encoder–decoder of src and fills it. The weights are views of src, which must stay open.
// The head shares the word table unless the checkpoint has another one for it.
func OpenSeq2SeqLM(src *checkpoint.Source) (Seq2SeqLM, checkpoint.Report, error) {
	return open[Seq2SeqLM](architectures, src, arch.Seq2Seq, 0, 0)
}

// OpenSpeechSeq2SeqLM builds the encoder–decoder for sound of src and fills it. The weights are views of src, which
// must stay open. The head shares the word table unless the checkpoint has another one for it.
func OpenSpeechSeq2SeqLM(src *checkpoint.Source) (SpeechSeq2SeqLM, checkpoint.Report, error) {
	return open[SpeechSeq2SeqLM](architectures, src, arch.Speech, 0, 0)
}

// OpenImageClassifier builds the model of src with an image-classification head for the given number of labels and
// fills it. A head that the checkpoint lacks, or has for another number of labels, is drawn from N(0,
// initializer_range²) by seed, its bias zero, and listed in the report. The weights are views of src, which must stay
// open.
func OpenImageClassifier(src *checkpoint.Source, labels int, seed uint64) (
	ImageClassifier, checkpoint.Report, error,
) {
	return openClassifier[ImageClassifier](src, arch.Image, labels, seed)
}

// OpenImagePredictor is [OpenImageClassifier] for predictions without an adapter. If config.json names a class with
// heads that do not train, DeiTForImageClassificationWithTeacher, it returns the model with these heads, and a
// checkpoint that lacks them or has another number of labels is an error.
func OpenImagePredictor(src *checkpoint.Source, labels int, seed uint64) (
	ImageClassifier, checkpoint.Report, error,
) {
	info, err := ReadInfo(src)
	if err != nil {
		return nil, checkpoint.Report{}, err
	}
	a, _ := architectures.find(info.ModelType)
	if h, ok := a.Head(arch.ImageTeacher); ok && slices.Contains(info.Classes, h.Class) {
		return openClassifier[ImageClassifier](src, arch.ImageTeacher, labels, seed)
	}
	return OpenImageClassifier(src, labels, seed)
}

// OpenImageEncoder builds the model of src without a head and fills it. Weights of the pooler that the checkpoint lacks
// are drawn from N(0, initializer_range²) by seed, its bias zero, and listed in the report. The weights are views of
// src, which must stay open.
func OpenImageEncoder(src *checkpoint.Source, seed uint64) (ImageEncoder, checkpoint.Report, error) {
	return open[ImageEncoder](architectures, src, arch.ImageFeatures, 0, seed)
}

// NewImageClassifier builds a classifier of images from the text of a config.json, with fresh weights that depend on
// the seed only.
func NewImageClassifier(config []byte, labels int, seed uint64) (ImageClassifier, error) {
	return fresh[ImageClassifier](config, arch.Image, labels, seed)
}

// NewCausalLM builds a language model from the text of a config.json, with fresh weights that depend on the seed only.
func NewCausalLM(config []byte, seed uint64) (CausalLM, error) {
	return fresh[CausalLM](config, arch.Causal, 0, seed)
}

// NewSpeechSeq2SeqLM builds an encoder–decoder for sound from the text of a config.json, with fresh weights that
// depend on the seed only.
func NewSpeechSeq2SeqLM(config []byte, seed uint64) (SpeechSeq2SeqLM, error) {
	return fresh[SpeechSeq2SeqLM](config, arch.Speech, 0, seed)
}

// NewSeq2SeqLM builds an encoder–decoder from the text of a config.json, with fresh weights that depend on the seed
// only.
func NewSeq2SeqLM(config []byte, seed uint64) (Seq2SeqLM, error) {
	return fresh[Seq2SeqLM](config, arch.Seq2Seq, 0, seed)
}

// initialised is a model that can draw its weights.
type initialised interface {
	Model
	Init(seed uint64) error
}

// fresh builds the model of a config.json with a kind of head and draws its weights.
func fresh[M initialised](config []byte, kind arch.Kind, labels int, seed uint64) (M, error) {
	var none M
	src, err := checkpoint.Empty(config)
	if err != nil {
		return none, fmt.Errorf("models: %w", err)
	}
	m, _, err := build[M](architectures, src, kind, labels)
	if err != nil {
		return none, err
	}
	return m, m.Init(seed)
}

// openClassifier is open for heads whose number of labels is given.
func openClassifier[M Model](src *checkpoint.Source, kind arch.Kind, labels int, seed uint64) (
	M, checkpoint.Report, error,
) {
	if labels < 1 {
		var none M
		return none, checkpoint.Report{}, fmt.Errorf("models: a classifier of %d labels; want 1 or more", labels)
	}
	return open[M](architectures, src, kind, labels, seed)
}

// open builds and fills the model of src with a kind of head.
func open[M Model](list catalogue, src *checkpoint.Source, kind arch.Kind, labels int, seed uint64) (
	M, checkpoint.Report, error,
) {
	var none M
	m, l, err := build[M](list, src, kind, labels)
	if err != nil {
		return none, checkpoint.Report{}, err
	}
	l.seed = seed
	report, err := load(src, m, l)
	if err != nil {
		return none, checkpoint.Report{}, err
	}
	return m, report, nil
}

// build returns the model of src with a kind of head and empty weights, and how it is filled.
func build[M Model](list catalogue, src *checkpoint.Source, kind arch.Kind, labels int) (M, loading, error) {
	var none M
	modelType, a, c, err := list.read(src)
	if err != nil {
		return none, loading{}, err
	}
	h, ok := a.Head(kind)
	switch {
	case !ok && !kind.Trained():
		return none, loading{}, fmt.Errorf("models: %s: model_type %q does not %s; want %s",
			src.Name(), modelType, kind.Does(), list.with(kind))
	case !ok:
		return none, loading{}, fmt.Errorf("models: %s: there is no %v head for model_type %q; want %s", src.Name(), kind,
			modelType, list.with(kind))
	}
	built := h.Build(c, labels)
	m, ok := built.(M)
	if !ok {
		panic(fmt.Sprintf("models: the %v head of model_type %q is built as a %T", kind, modelType, built))
	}
	return m, loadingOf(list, a, h, c.Facts()), nil
}
