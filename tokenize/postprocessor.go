package tokenize

// parseTemplate reads a post-processor.
func parseTemplate(f field) template {
	if !f.is() || f.object() == nil {
		return plain
	}
	switch t := f.get("type"); t.text() {
	case "ByteLevel":
		f.only("type", "add_prefix_space", "trim_offsets", "use_regex") // the last is for the pre-tokenizer
		out := plain
		out.trim = parseTrim(f)
		return out
	case "RobertaProcessing":
		f.only("type", "sep", "cls", "trim_offsets", "add_prefix_space")
		out := robertaTemplate(parseOneToken(f.get("cls")), parseOneToken(f.get("sep")))
		out.trim = parseTrim(f)
		return out
	case "Sequence":
		f.only("type", "processors")
		return parseProcessors(f.get("processors"))
	case "BertProcessing":
		f.only("type", "sep", "cls")
		return bertTemplate(parseOneToken(f.get("cls")), parseOneToken(f.get("sep")))
	case "TemplateProcessing":
		f.only("type", "single", "pair", "special_tokens")
		special := map[string]part{}
		tokens := f.get("special_tokens")
		for name := range tokens.object() {
			special[name] = parseSpecial(tokens.get(name))
		}
		return template{
			single: parseParts(f.get("single"), special, 1),
			pair:   parseParts(f.get("pair"), special, 2),
		}
	default:
		t.fail("post-processor %q is not supported", t.value)
		return plain
	}
}

// parseTrim reads the setting for trimming offsets.
func parseTrim(f field) trimming {
	return trimmingOf(f.get("trim_offsets").truth(), f.get("add_prefix_space").truth())
}

// trimmingOf returns how offsets are trimmed, if at all; prefix says whether a blank is put before a text.
func trimmingOf(offsets, prefix bool) trimming {
	switch {
	case !offsets:
		return keepOffsets
	case prefix:
		return trimPrefixed
	}
	return trimOffsets
}

// parseProcessors reads a sequence of post-processors: any number that only trim offsets, then at most one with a
// template.
func parseProcessors(f field) template {
	out := plain
	done := false // whether there was a template
	for _, p := range f.list() {
		next := parseTemplate(p)
		switch {
		case done:
			p.fail("a post-processor after one with a template is not supported")
		case out.trim != keepOffsets && next.trim != keepOffsets:
			p.fail("offsets are trimmed twice, which is not supported")
		}
		trim := max(out.trim, next.trim)
		if p.get("type").value != "ByteLevel" {
			out, done = next, true
		}
		out.trim = trim
	}
	return out
}

// parseSpecial reads an entry of special_tokens.
func parseSpecial(f field) part {
	f.only("id", "ids", "tokens")
	p := part{text: -1}
	for _, id := range f.get("ids").list() {
		p.ids = append(p.ids, id.id())
	}
	for _, token := range f.get("tokens").list() {
		p.tokens = append(p.tokens, token.text())
	}
	if len(p.ids) != len(p.tokens) {
		f.fail("%d ids for %d tokens", len(p.ids), len(p.tokens))
	}
	return p
}

// parseOneToken reads ["[SEP]", 102].
func parseOneToken(f field) part {
	pair := f.list()
	if pair == nil {
		return part{text: -1}
	}
	if len(pair) != 2 {
		f.fail("want a token and its id, got %d values", len(pair))
		return part{text: -1}
	}
	return oneToken(pair[0].text(), pair[1].id())
}

// parseParts reads a template in which each of n texts must occur exactly once.
func parseParts(f field, special map[string]part, n int) []part {
	var parts []part
	var uses [2]int
	for _, p := range f.list() {
		p.only("SpecialToken", "Sequence")
		s, isText := p.get("SpecialToken"), false
		if !s.is() {
			s, isText = p.get("Sequence"), true
		}
		s.only("id", "type_id")
		name, typ := s.get("id"), s.get("type_id").id()
		if !isText {
			place, ok := special[name.text()]
			if !ok {
				name.fail("%q is not among the special_tokens", name.text())
			}
			place.typ = typ
			parts = append(parts, place)
			continue
		}
		i := 0
		if name.oneOf("A", "B"); name.value == "B" {
			i = 1
		}
		uses[i]++
		parts = append(parts, part{text: i, typ: typ})
	}
	if want := [3][2]int{1: {1, 0}, 2: {1, 1}}[n]; uses != want {
		f.fail("sequence A occurs %d times and B %d times, want %d and %d", uses[0], uses[1], want[0], want[1])
	}
	return parts
}
