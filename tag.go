package spalora

import (
	"context"

	"github.com/spalora/spalora/tasks/tokencls"
)

// Entity is a part of a text that [Model.Tag] returns.
type Entity = tokencls.Entity

// Tag is a prediction of [Model.TagWords] for a word.
type Tag = tokencls.Tag

// Tag returns the entities in each text, in order. Texts that are longer than the model allows are read in overlapping
// windows. If the model is for another task, Tag returns an error.
func (m *Model) Tag(ctx context.Context, texts ...string) ([][]Entity, error) {
	return call(m, func(p *tokencls.Opened) ([][]Entity, error) { return p.Tag(ctx, texts) })
}

// TagWords returns the tag of each word of each sentence. See [Model.Tag].
func (m *Model) TagWords(ctx context.Context, sentences ...[]string) ([][]Tag, error) {
	return call(m, func(p *tokencls.Opened) ([][]Tag, error) { return p.TagWords(ctx, sentences) })
}
