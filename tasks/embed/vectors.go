package embed

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/settings"
)

// vectorSettings are those of config_sentence_transformers.json.
type vectorSettings struct {
	prompts    map[string]string // by name
	prompt     string            // the default one; "": none
	similarity Similarity
	dimensions int                        // values of a vector that are kept; 0: all
	vectors    map[string]json.RawMessage // all keys of the file
}

// readVectors reads config_sentence_transformers.json, if there is one.
func (m *modules) readVectors() error {
	name := settings.SentenceTransformer.Name
	m.prompts = map[string]string{"query": "", "document": ""} // which sentence-transformers always knows
	keys, err := m.read(name, settings.SentenceTransformer)
	if err != nil || keys == nil {
		return err
	}
	m.vectors, m.copied = keys, append(m.copied, name)
	m.unlisted(name)
	var c struct {
		prompts           map[string]*string
		first, similarity *string
		dimensions        *int
	}
	if err := errors.Join(
		m.decode(name, keys, "prompts", &c.prompts), m.decode(name, keys, "default_prompt_name", &c.first),
		m.decode(name, keys, "similarity_fn_name", &c.similarity), m.decode(name, keys, "truncate_dim", &c.dimensions),
	); err != nil {
		return err
	}
	for key, text := range c.prompts {
		if m.prompts[key] = ""; text != nil {
			m.prompts[key] = *text
		}
	}
	if c.first != nil {
		var ok bool
		if m.prompt, ok = m.prompts[*c.first]; !ok {
			return base.Input(fmt.Errorf("%s: default_prompt_name is %q, which is none of the prompts (%s)",
				m.path(name), *c.first, m.promptNames()))
		}
	}
	if c.dimensions != nil {
		if m.dimensions = *c.dimensions; m.dimensions < 1 {
			return base.Input(fmt.Errorf("%s: truncate_dim is %d; want 1 or more", m.path(name), m.dimensions))
		}
	}
	if c.similarity != nil {
		m.similarity = Similarity(*c.similarity)
		if !slices.Contains([]Similarity{CosineOf, DotProduct, Euclidean, Manhattan}, m.similarity) {
			m.log.Warn().Msgf("%s: similarity_fn_name is %q, which does not compare two vectors; the cosine is taken, as "+
				"sentence-transformers does", m.path(name), m.similarity)
			m.similarity = CosineOf
		}
	}
	return nil
}

// promptNames lists the names of the prompts for messages.
func (m *modules) promptNames() string {
	return strings.Join(slices.Sorted(maps.Keys(m.prompts)), ", ")
}

// promptOf returns the text of a setting, of the prompt that a setting names, or of the checkpoint's default prompt.
// The name wins over the text, which an adapter may remember. nil and "" mean that a setting is not given.
func (m *modules) promptOf(text *string, name string) (string, error) {
	switch {
	case name != "":
		prompt, ok := m.prompts[name]
		if !ok {
			return "", base.Settings(fmt.Errorf("`prompt_name` is %q; want one of %s, or give the text with `prompt`",
				name, m.promptNames()))
		}
		return prompt, nil
	case text != nil:
		return *text, nil
	}
	return m.prompt, nil
}
