package spalora

import (
	"context"
	"slices"

	"github.com/spalora/spalora/tasks/tokencls"
)

// Entity is a part of a text that [Model.Tag] returns.
type Entity = tokencls.Entity

// Tag is a prediction of [Model.TagWords] for a word.
type Tag = tokencls.Tag

// Sentence is a sentence that is split into words already.
type Sentence struct {
	Words   []string
	Adapter string // as in [Text]
}

// Tag returns the entities in a text: one list, or one for each adapter that [Use] names. A text that is longer than
// the model allows is read in overlapping windows. If the model is for another task, Tag returns an error.
func (m *Model) Tag(ctx context.Context, text string, options ...CallOption) ([][]Entity, error) {
	names := each(options)
	return m.tag(ctx, slices.Repeat([]string{text}, len(names)), names)
}

// TagAll returns the entities in each text, in order, with the adapter that it names. Texts of several adapters share
// batches. See [Model.Tag].
func (m *Model) TagAll(ctx context.Context, texts []Text, options ...CallOption) ([][]Entity, error) {
	names, err := perRow(len(texts), adapterOf(texts), options)
	if err != nil {
		return nil, err
	}
	return m.tag(ctx, textsOf(texts), names)
}

func (m *Model) tag(ctx context.Context, texts, adapters []string) ([][]Entity, error) {
	return call(m, adapters, func(p []*tokencls.Opened) ([][]Entity, error) {
		return tokencls.TagEach(ctx, texts, func(i int) *tokencls.Opened { return p[i] })
	})
}

// TagWords returns the tag of each word of each sentence, with the adapter that the sentence names. See [Model.Tag].
func (m *Model) TagWords(ctx context.Context, sentences []Sentence, options ...CallOption) ([][]Tag, error) {
	names, err := perRow(len(sentences), func(i int) string { return sentences[i].Adapter }, options)
	if err != nil {
		return nil, err
	}
	words := make([][]string, len(sentences))
	for i, s := range sentences {
		words[i] = s.Words
	}
	return call(m, names, func(p []*tokencls.Opened) ([][]Tag, error) {
		return tokencls.TagWordsEach(ctx, words, func(i int) *tokencls.Predictor { return p[i].Predictor })
	})
}
