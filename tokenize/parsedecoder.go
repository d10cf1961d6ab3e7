package tokenize

// parseDecoder reads a decoder.
func parseDecoder(f field) decoder {
	if !f.is() || f.object() == nil {
		return chain(blanks())
	}
	return chain(parseStages(f)...)
}

// parseStages reads a decoder or a Sequence of them.
func parseStages(f field) []stage {
	if f.object() == nil {
		return nil
	}
	switch t := f.get("type"); t.text() {
	case "WordPiece":
		f.only("type", "prefix", "cleanup")
		return []stage{wordPieceDecoder(f.get("prefix").text(), f.get("cleanup").truth())}
	case "ByteLevel":
		f.only("type", "add_prefix_space", "trim_offsets", "use_regex") // for the pre-tokenizer; no effect here
		return []stage{byteLevelDecoder}
	case "BPEDecoder":
		f.only("type", "suffix")
		s := f.get("suffix")
		if s.text() == "" {
			s.fail("empty")
		}
		return []stage{suffixDecoder(s.text())}
	case "Metaspace":
		mark, prepend := parseMark(f)
		return []stage{metaspaceDecoder(mark, prepend != never)}
	case "ByteFallback":
		f.only("type")
		return []stage{byteFallback}
	case "Fuse":
		f.only("type")
		return []stage{fuse}
	case "Strip":
		f.only("type", "content", "start", "stop")
		c, ok := onlyRune(f.get("content").text())
		if !ok {
			f.get("content").fail("want one character, got %q", f.get("content").value)
		}
		return []stage{stripDecoder(c, int(f.get("start").id()), int(f.get("stop").id()))}
	case "Replace":
		return []stage{replaceDecoder(parseReplace(f))}
	case "Sequence":
		f.only("type", "decoders")
		var s []stage
		for _, d := range f.get("decoders").list() {
			s = append(s, parseStages(d)...)
		}
		return s
	default:
		t.fail("decoder %q is not supported", t.value)
		return nil
	}
}
