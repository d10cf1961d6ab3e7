package spalora

import (
	"context"
	"slices"

	"github.com/spalora/spalora/tasks/embed"
)

// Embed returns the vector of a text: one, or one for each adapter that [Use] names. The cosine of two vectors measures
// how similar the meanings are. Vectors have length 1 if the checkpoint or the settings say so. Prompts and lower case
// are those of the checkpoint's files of sentence-transformers, and of the settings. A text that is longer than the
// model allows is truncated. If the model is for another task, Embed returns an error.
func (m *Model) Embed(ctx context.Context, text string, options ...CallOption) ([][]float32, error) {
	names := each(options)
	return m.embed(ctx, slices.Repeat([]string{text}, len(names)), names)
}

// EmbedAll returns one vector for each text, in order, with the adapter that it names. Texts of several adapters share
// batches. See [Model.Embed].
func (m *Model) EmbedAll(ctx context.Context, texts []Text, options ...CallOption) ([][]float32, error) {
	names, err := perRow(len(texts), adapterOf(texts), options)
	if err != nil {
		return nil, err
	}
	return m.embed(ctx, textsOf(texts), names)
}

func (m *Model) embed(ctx context.Context, texts, adapters []string) ([][]float32, error) {
	return call(m, adapters, func(p []*embed.Opened) ([][]float32, error) {
		return embed.VectorsEach(ctx, texts, func(i int) *embed.Predictor { return p[i].Predictor })
	})
}

// Similarity returns the similarity of the vectors of two texts: their cosine, from -1 to 1, unless the checkpoint
// names another measure. The greater it is, the nearer are the texts. [Use] may name one adapter.
func (m *Model) Similarity(ctx context.Context, a, b string, options ...CallOption) (float64, error) {
	name, err := one(options)
	if err != nil {
		return 0, err
	}
	return call(m, []string{name}, func(p []*embed.Opened) (float64, error) {
		v, err := p[0].Vectors(ctx, []string{a, b})
		if err != nil {
			return 0, err
		}
		return float64(p[0].Similarities(slices.Concat(v...))[0]), nil
	})
}
