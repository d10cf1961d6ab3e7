package embed

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/tokenize"
)

// transformerSettings are those of the Transformer module.
type transformerSettings struct {
	maxLength int      // tokens of a text, special ones included; 0: no file has it
	copied    []string // names of the files that a merged model has copies of
}

// transformerNames are names that sentence-transformers has had for the settings of its Transformer module, the usual
// one first.
var transformerNames = []string{
	settings.TransformerModule.Name, "sentence_roberta_config.json", "sentence_distilbert_config.json",
	"sentence_camembert_config.json",
	"sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json",
}

// readTransformer reads the first file of the Transformer module that has a key, if there is one.
func (m *modules) readTransformer() error {
	for _, name := range transformerNames {
		keys, err := m.read(name, settings.TransformerModule)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			continue
		}
		m.copied = append(m.copied, name)
		m.unlisted(name)
		return m.setTransformer(name, keys)
	}
	return nil
}

// setTransformer follows the keys of the file of the Transformer module.
func (m *modules) setTransformer(name string, keys map[string]json.RawMessage) error {
	var lower bool
	if err := m.decode(name, keys, "do_lower_case", &lower); err != nil {
		return err
	}
	if lower && m.base.Tokenizer.Identity() != "" {
		m.log.Warn().Msgf("%s: do_lower_case has no effect on a custom tokenizer; let its normalizer do it", m.path(name))
	} else if lower {
		var err error
		if m.tokenizer, err = tokenize.LoadLowercased(m.base.File); err != nil {
			return base.Input(fmt.Errorf("%s: %w", m.base.Name, err))
		}
	}
	if err := m.setLength(name, keys, "max_seq_length"); err != nil {
		return err
	}
	type object = map[string]json.RawMessage
	part := func(keys object, key, old string, table settings.File) (object, error) {
		if _, ok := keys[old]; ok {
			key = old
		}
		raw, ok := keys[key]
		if !ok || string(raw) == "null" {
			return nil, nil
		}
		return m.check(m.path(name)+": "+key, raw, table)
	}
	processor, err := part(keys, "processor_kwargs", "tokenizer_args", settings.ProcessorKwargs)
	if err == nil {
		err = m.setLength(name, processor, "model_max_length")
	}
	if err != nil {
		return err
	}
	if _, err := part(keys, "model_kwargs", "model_args", settings.ModelKwargs); err != nil {
		return err
	}
	calls, err := part(keys, "processing_kwargs", "", settings.ProcessingKwargs)
	if err != nil {
		return err
	}
	for _, key := range []string{"text", "common"} {
		call, err := part(calls, key, "", settings.TextKwargs)
		if err == nil {
			err = m.setLength(name, call, "max_length")
		}
		if err != nil {
			return err
		}
	}
	return m.checkConfig(name, keys)
}

// setLength takes the tokens that a text may have from a key, if there is one.
func (m *modules) setLength(name string, keys map[string]json.RawMessage, key string) error {
	var n *int
	if err := m.decode(name, keys, key, &n); err != nil || n == nil {
		return err
	}
	if m.maxLength = *n; *n < 1 {
		return base.Input(fmt.Errorf("%s: %s is %d; want 1 or more", m.path(name), key, *n))
	}
	return nil
}

// checkConfig returns an error if config_kwargs replaces values of config.json.
func (m *modules) checkConfig(name string, keys map[string]json.RawMessage) error {
	for _, key := range []string{"config_args", "config_kwargs"} {
		var config map[string]json.RawMessage
		if err := m.decode(name, keys, key, &config); err != nil {
			return err
		}
		replaced := slices.DeleteFunc(slices.Sorted(maps.Keys(config)), func(k string) bool {
			_, known := settings.ConfigKwargs.Key(k)
			return known
		})
		if len(replaced) > 0 {
			return base.Input(fmt.Errorf("%s: %s has %s, which replaces the values of config.json; write them there",
				m.path(name), key, strings.Join(replaced, ", ")))
		}
	}
	return nil
}
