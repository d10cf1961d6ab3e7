package spalora

import (
	"context"

	"github.com/spalora/spalora/tasks/embed"
)

// Embed returns one vector for each text, in order; the cosine of two vectors measures how similar the meanings are.
// Vectors have length 1 if the checkpoint or the settings say so. Texts that are longer than the model allows are
// truncated. If the model is for another task, Embed returns an error.
func (m *Model) Embed(ctx context.Context, texts ...string) ([][]float32, error) {
	return call(m, func(p *embed.Opened) ([][]float32, error) { return p.Vectors(ctx, texts) })
}

// Similarity returns the cosine of the vectors of two texts, from -1 to 1.
func (m *Model) Similarity(ctx context.Context, a, b string) (float64, error) {
	v, err := m.Embed(ctx, a, b)
	if err != nil {
		return 0, err
	}
	return float64(embed.Cosines(append(v[0], v[1]...), len(v[0]))[0]), nil
}
