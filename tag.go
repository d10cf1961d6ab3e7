package spalora

import (
	"context"

	"github.com/spalora/spalora/tasks/tokencls"
)

// Entity is a part of a text that [Model.Tag] finds.
type Entity = tokencls.Entity

// Tag is what [Model.TagWords] predicts for a word.
type Tag = tokencls.Tag

// Tag returns the entities in each text, in order. Texts that are longer than the model allows are read in windows that
// overlap.
func (m *Model) Tag(ctx context.Context, texts ...string) ([][]Entity, error) {
	p, err := Predictor[*tokencls.Opened](m)
	if err != nil {
		return nil, err
	}
	return p.Tag(ctx, texts)
}

// TagWords returns the tag of each word of each sentence.
func (m *Model) TagWords(ctx context.Context, sentences ...[]string) ([][]Tag, error) {
	p, err := Predictor[*tokencls.Opened](m)
	if err != nil {
		return nil, err
	}
	return p.TagWords(ctx, sentences)
}
