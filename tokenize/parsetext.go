package tokenize

func parseNormalizer(f field) normalizer {
	if !f.is() || f.object() == nil {
		return sequence(nil)
	}
	switch t := f.get("type"); t.text() {
	case "BertNormalizer":
		f.only("type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
		n := &bertNormalizer{
			clean: f.get("clean_text").truth(), chinese: f.get("handle_chinese_chars").truth(),
			lower: f.get("lowercase").truth(),
		}
		n.strip = n.lower
		if s := f.get("strip_accents"); s.is() {
			n.strip = s.truth()
		}
		return n
	case "Sequence":
		f.only("type", "normalizers")
		var s sequence
		for _, n := range f.get("normalizers").list() {
			s = append(s, parseNormalizer(n))
		}
		return s
	case "Lowercase":
		f.only("type")
		return lowercase{}
	case "StripAccents":
		f.only("type")
		return dropClass(isMark)
	case "NFC", "NFD", "NFKC", "NFKD":
		f.only("type")
		return form{compat: t.text()[2] == 'K', compose: t.text()[len(t.text())-1] == 'C'}
	case "Nmt":
		f.only("type")
		return nmt{}
	case "Precompiled":
		f.only("type", "precompiled_charsmap")
		m, err := parseCharsMap(f.get("precompiled_charsmap").text())
		if err != nil {
			f.get("precompiled_charsmap").fail("%v", err)
			return sequence(nil)
		}
		return m
	case "Prepend":
		f.only("type", "prepend")
		p := f.get("prepend")
		if p.text() == "" {
			p.fail("nothing to prepend")
		}
		return prepend(p.text())
	case "Replace":
		return parseReplace(f)
	case "Strip":
		f.only("type", "strip_left", "strip_right")
		return strip{f.get("strip_left").truth(), f.get("strip_right").truth()}
	default:
		t.fail("normalizer %q is not supported", t.value)
		return sequence(nil)
	}
}

// bertPreTokenizer splits at white space and makes each punctuation mark a word.
var bertPreTokenizer = splitter{remove: isSpace, isolate: isPunct}

func parsePreTokenizer(f field) preTokenizer {
	if !f.is() || f.object() == nil {
		return preSequence(nil)
	}
	switch t := f.get("type"); t.text() {
	case "BertPreTokenizer":
		f.only("type")
		return bertPreTokenizer
	case "WhitespaceSplit":
		f.only("type")
		return splitter{remove: isSpace}
	case "Whitespace":
		f.only("type")
		return wordsOrSymbols{}
	case "Punctuation":
		f.only("type", "behavior")
		b := isolated
		if f.get("behavior").is() {
			b = parseBehavior(f.get("behavior"))
		}
		if b == isolated {
			return splitter{isolate: isPunct}
		}
		return splitPattern{find: inClass(isPunct), behavior: b}
	case "Digits":
		f.only("type", "individual_digits")
		if f.get("individual_digits").truth() {
			return splitter{isolate: isNumeric}
		}
		return splitPattern{find: inClass(isNumeric), behavior: contiguous}
	case "Split":
		f.only("type", "pattern", "behavior", "invert")
		return splitPattern{parsePattern(f.get("pattern")), parseBehavior(f.get("behavior")), f.get("invert").truth()}
	case "ByteLevel":
		return parseByteLevel(f)
	case "Metaspace":
		return parseMetaspace(f)
	case "Sequence":
		f.only("type", "pretokenizers")
		var s preSequence
		for _, p := range f.get("pretokenizers").list() {
			s = append(s, parsePreTokenizer(p))
		}
		return s
	default:
		t.fail("pre-tokenizer %q is not supported", t.value)
		return preSequence(nil)
	}
}

// parseReplace reads the normalizer or decoder Replace.
func parseReplace(f field) replace {
	f.only("type", "pattern", "content")
	return replace{parsePattern(f.get("pattern")), f.get("content").text()}
}

// parsePattern reads {"String": …} or {"Regex": …}.
func parsePattern(f field) finder {
	if f.object() == nil {
		return literal(" ")
	}
	f.only("String", "Regex")
	s, regex := f.get("String"), f.get("Regex")
	switch {
	case s.is() == regex.is():
		f.fail("want String or Regex")
	case regex.is():
		p, err := compileRegex(regex.text())
		if err != nil {
			regex.fail("%v", err)
			break
		}
		return p
	case s.text() == "":
		s.fail("empty")
	}
	return literal(s.optionalText())
}

func parseBehavior(f field) behavior {
	b, ok := behaviors[f.text()]
	if !ok {
		f.fail("split behavior %q is not supported", f.value)
	}
	return b
}

// parseByteLevel reads the pre-tokenizer ByteLevel. Its trim_offsets has no effect on the pre-tokenizer.
func parseByteLevel(f field) preTokenizer {
	f.only("type", "add_prefix_space", "trim_offsets", "use_regex")
	f.get("trim_offsets").truth()
	regex := f.get("use_regex")
	return byteLevel(f.get("add_prefix_space").truth(), !regex.is() || regex.truth())
}

// byteLevel is the pre-tokenizer ByteLevel.
func byteLevel(prefix, regex bool) preTokenizer {
	var s preSequence
	if prefix {
		s = append(s, prefixSpace{})
	}
	if regex {
		s = append(s, splitPattern{find: wordPattern{}})
	}
	return append(s, byteMapper{})
}

// parseMetaspace reads the pre-tokenizer Metaspace.
func parseMetaspace(f field) preTokenizer {
	mark, prepend := parseMark(f)
	cut := f.get("split")
	return metaspace{mark, prepend, !cut.is() || cut.truth()}
}

// parseMark reads the mark and scheme of a pre-tokenizer or decoder Metaspace.
func parseMark(f field) (rune, scheme) {
	f.only("type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")
	mark, ok := onlyRune(f.get("replacement").text())
	if !ok {
		f.get("replacement").fail("want one character, got %q", f.get("replacement").value)
	}
	prepend := always
	if p := f.get("prepend_scheme"); p.is() {
		p.oneOf("always", "first", "never")
		prepend = map[any]scheme{"first": first, "never": never}[p.value]
	}
	if p := f.get("add_prefix_space"); p.is() && !p.truth() && prepend != never {
		p.fail("false needs prepend_scheme never")
	}
	return mark, prepend
}
