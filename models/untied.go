package models

import "maps"

// untied is a model whose config.json needs more keys once its tied layers have weights of their own.
type untied interface{ Untied() map[string]any }

// Untied returns the keys of config.json that differ if a tied head or word table of m has a weight of its own, with
// which transformers then reads the model as it is computed here.
func Untied(m Model) map[string]any {
	keys := map[string]any{"tie_word_embeddings": false}
	if u, ok := m.(untied); ok {
		maps.Copy(keys, u.Untied())
	}
	return keys
}
