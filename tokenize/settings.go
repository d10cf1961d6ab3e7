package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
)

// settings holds the content of tokenizer_config.json and special_tokens_map.json.
type settings struct {
	config, special field
	errs            []error
	maxLength       int               // 0 means no limit
	usual           map[string]string // default tokens of roles that neither file names
}

// readSettings reads both files, either of which may be missing.
func readSettings(open func(string) ([]byte, error)) (*settings, error) {
	s := &settings{}
	for _, f := range []struct {
		name string
		to   *field
	}{{configFile, &s.config}, {specialFile, &s.special}} {
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
		f.to.object()
	}
	s.maxLength = s.readMaxLength()
	for _, r := range roleNames {
		s.role(r.key, "")
	}
	return s, s.err()
}

// err returns all errors so far as one, or nil.
func (s *settings) err() error {
	if len(s.errs) == 0 {
		return nil
	}
	return fmt.Errorf("tokenize: %w", errors.Join(s.errs...))
}

// readMaxLength returns model_max_length, or 0 for no limit, which transformers writes as 10³⁰.
func (s *settings) readMaxLength() int {
	f := s.config.get("model_max_length")
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
	for _, file := range []field{s.config, s.special} {
		f := file.get(key)
		if !f.is() {
			continue
		}
		if _, ok := f.value.(map[string]any); ok {
			f = f.get("content")
		}
		return f.text(), true
	}
	return usual, false
}

// flag returns a boolean of tokenizer_config.json, or def if it is missing.
func (s *settings) flag(key string, def bool) bool {
	f := s.config.get(key)
	if !f.is() {
		return def
	}
	return f.truth()
}

// bert returns the normalizer that tokenizer_config.json describes; missing settings are taken from def.
func (s *settings) bert(def bertNormalizer) bertNormalizer {
	n := def
	n.chinese = s.flag("tokenize_chinese_chars", def.chinese)
	n.lower = s.flag("do_lower_case", def.lower)
	if f := s.config.get("strip_accents"); f.is() {
		n.strip = f.truth()
	} else if s.config.get("do_lower_case").is() {
		n.strip = n.lower
	}
	return n
}

// contradictions lists the settings of tokenizer_config.json that describe another tokenizer than the file that was
// read.
func (s *settings) contradictions(t *spec) []string {
	have, ok := t.normalizer.(*bertNormalizer)
	if !ok {
		return nil
	}
	var out []string
	note := func(name string, want, have bool) {
		if want != have {
			out = append(out, fmt.Sprintf("%s: settings ask for %s %t, but the tokenizer was saved with %t, which is used",
				configFile, name, want, have))
		}
	}
	want := s.bert(*have)
	note("lower case", want.lower, have.lower)
	note("strip_accents", want.strip, have.strip)
	note("tokenize_chinese_chars", want.chinese, have.chinese)
	return out
}
