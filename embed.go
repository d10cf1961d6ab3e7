package spalora

import (
	"context"

	"github.com/spalora/spalora/tasks/embed"
)

// Embed returns one vector for each text, in order; the cosine of two vectors measures how similar the meanings are.
// Vectors have length 1 if the checkpoint or the settings say so. Prompts and lower case are those of the checkpoint's
// files of sentence-transformers, and of the settings. Texts that are longer than the model allows are
// truncated. If the model is for another task, Embed returns an error.
func (m *Model) Embed(ctx context.Context, texts ...string) ([][]float32, error) {
	return call(m, func(p *embed.Opened) ([][]float32, error) { return p.Vectors(ctx, texts) })
}

// Similarity returns the similarity of the vectors of two texts: their cosine, from -1 to 1, unless the checkpoint
// names another measure. The greater it is, the nearer are the texts.
func (m *Model) Similarity(ctx context.Context, a, b string) (float64, error) {
	return call(m, func(p *embed.Opened) (float64, error) {
		v, err := p.Vectors(ctx, []string{a, b})
		if err != nil {
			return 0, err
		}
		return float64(p.Similarities(append(v[0], v[1]...))[0]), nil
	})
}
