package tokenize

import (
	"errors"
	"fmt"
)

// parseTokenizer reads a tokenizer.json.
func (s *spec) parseTokenizer(raw []byte) error {
	doc, err := parseJSON(tokenizerFile, raw)
	if err != nil {
		return err
	}
	var errs []error
	f := field{"", doc, &errs}
	if f.object() != nil {
		f.only("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
			"post_processor", "decoder", "model")
		if v := f.get("version"); v.is() && v.text() != "1.0" {
			v.fail("want 1.0, got %q", v.text())
		}
		s.parseStored(f)
		parseModel(f.get("model"), s)
		s.added = parseAdded(f.get("added_tokens"))
		s.normalizer = parseNormalizer(f.get("normalizer"))
		s.preTokenizer = parsePreTokenizer(f.get("pre_tokenizer"))
		s.template = parseTemplate(f.get("post_processor"))
		s.decoder = parseDecoder(f.get("decoder"))
	}
	if len(errs) > 0 {
		return fmt.Errorf("tokenize: %s: %w", tokenizerFile, errors.Join(errs...))
	}
	return nil
}

// parseStored checks the padding and the truncation in the file. As in transformers, they are not applied, but give the
// defaults of the side to cut and of the padding token.
func (s *spec) parseStored(f field) {
	if t := f.get("truncation"); t.is() && t.object() != nil {
		t.only("direction", "max_length", "strategy", "stride")
		t.get("max_length").id()
		t.get("stride").id()
		t.get("strategy").oneOf("LongestFirst", "OnlyFirst", "OnlySecond")
		if d := t.get("direction"); d.is() {
			d.oneOf("Left", "Right")
		}
		s.side = map[any]Side{"Left": Left}[t.get("direction").value]
	}
	if p := f.get("padding"); p.is() && p.object() != nil {
		p.only("strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token")
		if s := p.get("strategy"); s.value != "BatchLongest" && s.object() != nil {
			s.only("Fixed")
			s.get("Fixed").id()
		}
		p.get("direction").oneOf("Left", "Right")
		if m := p.get("pad_to_multiple_of"); m.is() {
			m.id()
		}
		p.get("pad_id").id()
		p.get("pad_type_id").id()
		s.pad = p.get("pad_token").text()
	}
}

func parseAdded(f field) []addedToken {
	if !f.is() {
		return nil
	}
	var out []addedToken
	for _, a := range f.list() {
		if a.object() == nil {
			continue
		}
		a.only("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")
		out = append(out, parseAddedToken(a, a.get("id").id()))
	}
	return out
}

// parseAddedToken reads the properties of an added token.
func parseAddedToken(f field, id int32) addedToken {
	return addedToken{
		id: id, content: f.get("content").text(),
		singleWord: f.get("single_word").truth(), lstrip: f.get("lstrip").truth(), rstrip: f.get("rstrip").truth(),
		normalized: f.get("normalized").truth(), special: f.get("special").truth(),
	}
}
