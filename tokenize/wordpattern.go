package tokenize

// wordPattern finds the words of the split patterns with which byte-level models were trained. Every code point belongs
// to a match. A regular expression engine would backtrack for these patterns; wordPattern visits each code point a few
// times at most.
type wordPattern struct {
	anyCase bool // whether contractions ('s, 'll …) match in upper case too
	// newlines: line breaks belong to the white space or the symbols before them, and any symbol or blank to the letters
	// after it.
	newlines bool
	digits   int // maximum number of digits of a match; 0: any number, with an optional blank before them
}

// wordPatterns maps the spellings in tokenizer.json to patterns.
var wordPatterns = map[string]wordPattern{
	// GPT-2 (encoder.py), and the spellings of tiktoken
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:      {},
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:         {},
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`: {},
	// Llama 3; GPT-4 (cl100k_base) has the same words
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ` +
		`?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: {true, true, 3},
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ` +
		`?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`: {true, true, 3},
	// Qwen 2
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ` +
		`?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: {true, true, 1},
}

func (p wordPattern) find(text []byte, at int) (from, to int, ok bool) {
	return at, p.end(text, at), at < len(text)
}

// end returns the end of the match that begins at byte at.
func (p wordPattern) end(text []byte, at int) int {
	if at == len(text) {
		return at
	}
	r, n := runeAt(text, at)
	if r == '\'' {
		if k := p.contraction(text[at+1:]); k > 0 {
			return at + 1 + k
		}
	}
	next := at + n
	switch c := classOf(r); {
	case c&isLetter != 0:
		return run(text, next, isLetter)
	case c&isNumber != 0:
		return p.number(text, next)
	case next < len(text) && (r == ' ' || p.newlines && r != '\r' && r != '\n'):
		second, k := runeAt(text, next)
		switch d := classOf(second); {
		case d&isLetter != 0:
			return run(text, next+k, isLetter)
		case r == ' ' && d&isNumber != 0 && p.digits == 0:
			return p.number(text, next+k)
		case r == ' ' && d&(isSpace|isLetter|isNumber) == 0:
			return p.symbols(text, next+k)
		}
	}
	if classOf(r)&isSpace == 0 {
		return p.symbols(text, next)
	}
	return p.space(text, at)
}

// contraction returns the length of the text after the apostrophe of 's, 't, 're, 've, 'm, 'll and 'd, or 0. If case is
// ignored, U+017F is an s.
func (p wordPattern) contraction(text []byte) int {
	letter := func(i int) byte {
		if i >= len(text) {
			return 0
		}
		if b := text[i]; p.anyCase && 'A' <= b && b <= 'Z' {
			return b + 'a' - 'A'
		}
		return text[i]
	}
	const longS = "\u017f"
	switch first, second := letter(0), letter(1); {
	case first == 's' || first == 't' || first == 'm' || first == 'd':
		return 1
	case first == 'r' && second == 'e', first == 'v' && second == 'e', first == 'l' && second == 'l':
		return 2
	case p.anyCase && first == longS[0] && second == longS[1]:
		return len(longS)
	}
	return 0
}

// run returns the end of the run of code points of class c that begins at byte at.
func run(text []byte, at int, c class) int {
	for at < len(text) {
		r, n := runeAt(text, at)
		if classOf(r)&c == 0 {
			break
		}
		at += n
	}
	return at
}

// number returns the end of a number whose first digit is before byte at.
func (p wordPattern) number(text []byte, at int) int {
	if p.digits == 0 {
		return run(text, at, isNumber)
	}
	for i := 1; i < p.digits && at < len(text); i++ {
		r, n := runeAt(text, at)
		if classOf(r)&isNumber == 0 {
			break
		}
		at += n
	}
	return at
}

// symbols returns the end of a run of symbols that began before byte at.
func (p wordPattern) symbols(text []byte, at int) int {
	for at < len(text) {
		r, n := runeAt(text, at)
		if classOf(r)&(isSpace|isLetter|isNumber) != 0 {
			break
		}
		at += n
	}
	if p.newlines {
		for at < len(text) && (text[at] == '\r' || text[at] == '\n') {
			at++
		}
	}
	return at
}

// space returns the end of the match of white space that begins at byte at: after its last line break; or at its end if
// nothing follows; or before its last code point, which belongs to the following match, unless it is the only one.
func (p wordPattern) space(text []byte, at int) int {
	lines, last, end := 0, at, at
	for end < len(text) {
		r, n := runeAt(text, end)
		if classOf(r)&isSpace == 0 {
			break
		}
		last = end
		end += n
		if r == '\r' || r == '\n' {
			lines = end
		}
	}
	switch {
	case p.newlines && lines > 0:
		return lines
	case end == len(text) || last == at:
		return end
	}
	return last
}
