package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	known "github.com/spalora/spalora/internal/settings"
)

// settings holds the content of the files beside a vocabulary.
type settings struct {
	config, special, older field // tokenizer_config.json, special_tokens_map.json, added_tokens.json

	errs      []error
	warnings  []string
	named     string            // the tokenizer class that the files name, without Fast at the end
	class     string            // the class that transformers makes, "" if that is not known
	modelType string            // model_type of config.json
	maxLength int               // 0 means no limit
	usual     map[string]string // default tokens of roles that no file names
	pad       string            // default padding token of tokenizer.json, which counts as named

	fromPieces bool         // the vocabulary is that of a SentencePiece model
	classExtra []addedToken // special tokens without a role, unless the files list any
}

// readSettings reads the files, each of which may be missing.
func readSettings(open func(string) ([]byte, error)) (*settings, error) {
	s := &settings{}
	for _, f := range []struct {
		name  string
		to    *field
		table *known.File // nil: every key is read
	}{
		{configFile, &s.config, &known.TokenizerConfig},
		{specialFile, &s.special, &known.SpecialTokensMap},
		{addedFile, &s.older, nil},
	} {
		*f.to = field{f.name + ":", map[string]any{}, &s.errs}
		raw, err := open(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tokenize: %s: %w", f.name, err)
		}
		if f.to.value, err = parseJSON(f.name, raw); err != nil {
			return nil, err
		}
		if f.to.object() != nil && f.table != nil {
			warnings, err := f.table.Check(raw)
			if err != nil {
				return nil, fmt.Errorf("tokenize: %w", err)
			}
			s.warnings = append(s.warnings, warnings...)
		}
	}
	s.maxLength = s.readMaxLength()
	for _, r := range roleNames {
		s.role(r.key, "")
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	s.compareFiles()
	return s, s.readClass(open)
}

// err returns all errors so far as one, or nil.
func (s *settings) err() error {
	if len(s.errs) == 0 {
		return nil
	}
	return fmt.Errorf("tokenize: %w", errors.Join(s.errs...))
}

// warn adds a warning.
func (s *settings) warn(format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// complete reports whether tokenizer_config.json lists all added tokens, so that the older files are not read.
func (s *settings) complete() bool { return has(s.config, "added_tokens_decoder") }

// has reports whether f has a member key, which may be null.
func has(f field, key string) bool {
	m, _ := f.value.(map[string]any)
	_, ok := m[key]
	return ok
}

// get returns a setting. As in transformers, special_tokens_map.json takes precedence, if it is read at all.
func (s *settings) get(key string) field {
	if !s.complete() && has(s.special, key) {
		return s.special.get(key)
	}
	return s.config.get(key)
}

// readMaxLength returns model_max_length, or 0 for no limit, which transformers writes as 10³⁰.
func (s *settings) readMaxLength() int {
	f := s.get("model_max_length")
	if !f.is() && !has(s.config, "model_max_length") {
		f = s.get("max_len")
	}
	if !f.is() {
		return 0
	}
	n, ok := f.value.(json.Number)
	v, err := n.Float64()
	switch {
	case !ok:
		f.fail("want a number, got %s", kind(f.value))
	case err != nil || v != math.Trunc(v) || v < 1:
		f.fail("want a whole number above 0, got %s", n)
	case v <= math.MaxInt32:
		return int(v)
	}
	return 0
}

// role returns the token that the files name for a role, or usual, and whether the files name it.
func (s *settings) role(key, usual string) (token string, named bool) {
	f := s.get(key)
	if key == "pad_token" && s.pad != "" && !f.is() && !has(s.config, key) {
		return s.pad, true
	}
	if !f.is() {
		return usual, false
	}
	return contentOf(f).text(), true
}

// contentOf returns the text of a token, which is a string or an object with its properties.
func contentOf(f field) field {
	if _, ok := f.value.(map[string]any); ok {
		return f.get("content")
	}
	return f
}

// compareFiles warns of roles for which the files name different tokens.
func (s *settings) compareFiles() {
	used := specialFile
	if s.complete() {
		used = configFile
	}
	for _, r := range roleNames {
		a, b := contentOf(s.config.get(r.key)), contentOf(s.special.get(r.key))
		if a.is() && b.is() && a.value != b.value {
			s.warn("%s: %s is %q, but %s has %q; %s takes precedence, as in transformers: remove one of them",
				configFile, r.key, a.value, specialFile, b.value, used)
		}
	}
}

// flag returns a boolean setting, or def if it is missing.
func (s *settings) flag(key string, def bool) bool {
	f := s.get(key)
	if !f.is() {
		return def
	}
	return f.truth()
}

// bert returns the normalizer that the settings describe; missing settings are taken from def.
func (s *settings) bert(def bertNormalizer) bertNormalizer {
	n := def
	n.chinese = s.flag("tokenize_chinese_chars", def.chinese)
	n.lower = s.flag("do_lower_case", def.lower)
	if f := s.get("strip_accents"); f.is() {
		n.strip = f.truth()
	} else if s.get("do_lower_case").is() {
		n.strip = n.lower
	}
	return n
}

// truncationSide returns the side from which texts are cut; stored is that of tokenizer.json, or OwnSide.
func (s *settings) truncationSide(stored Side) Side {
	f := s.get("truncation_side")
	if f.is() {
		f.oneOf("right", "left")
		stored = map[any]Side{"left": Left}[f.value]
	}
	return max(stored, Right)
}

// typed reports whether encodings have the token types of the template.
func (s *settings) typed() bool {
	names := s.get("model_input_names")
	if !names.is() {
		return s.class == "" && s.modelType == "" || slices.Contains(typedClasses, s.class)
	}
	typed := false
	for _, name := range names.list() {
		typed = name.text() == "token_type_ids" || typed
	}
	return typed
}

// cleans reports whether decoded text is cleaned up.
func (s *settings) cleans(model string) bool {
	yes := s.flag("clean_up_tokenization_spaces", false)
	const forced = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"
	return yes && (model != bpeModel || s.flag(forced, false))
}
