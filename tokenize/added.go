package tokenize

import "unicode/utf8"

// addedToken is a token that is matched in the text before the model sees the text.
type addedToken struct {
	content    string
	id         int32
	singleWord bool // not inside a word
	lstrip     bool // takes white space before it
	rstrip     bool // takes white space after it
	normalized bool // matched in the normalized text, otherwise in the source
	special    bool // Decode can leave it out
}

// matcher finds added tokens.
type matcher struct {
	trie   *trie // contents; the value is an index in tokens
	tokens []addedToken
	splits bool // special tokens are found, but stay part of the text
}

// newMatcher returns a matcher of tokens by their patterns, which must differ and
// not be empty, or nil if there are none.
func newMatcher(tokens []addedToken, patterns []string, splits bool) *matcher {
	if len(tokens) == 0 {
		return nil
	}
	values := make([]int32, len(tokens))
	for i := range values {
		values[i] = int32(i)
	}
	return &matcher{trie: newTrie(patterns, values), tokens: tokens, splits: splits}
}

// segment is a part of a text: an added token, or the text between two of them.
type segment struct {
	span
	token *addedToken // nil between tokens
}

// split cuts text at the added tokens: the leftmost match first and, of several there, the longest. If a match is
// refused because it is part of a word, or special where special tokens are ordinary text, split does not try a shorter
// token there. It does not search white space again that a token took; the reference does, and would count it twice if
// an added token began with white space.
func split[T string | []byte](m *matcher, text T, out []segment) []segment {
	if m == nil {
		if len(text) > 0 {
			out = append(out, segment{span: span{0, len(text)}})
		}
		return out
	}
	done := 0
	for at := 0; at < len(text); {
		n, i := longest(m.trie, text[at:])
		if n == 0 {
			at++
			continue
		}
		t, from, to := &m.tokens[i], at, at+n
		at = to
		if m.splits && t.special || t.singleWord && (endsInWord(text[:from]) || startsInWord(text[to:])) {
			continue
		}
		if t.lstrip {
			from = trimSpaceRight(text, done, from)
		}
		if t.rstrip {
			to = trimSpaceLeft(text, to)
			at = to
		}
		if done < from {
			out = append(out, segment{span: span{done, from}})
		}
		out = append(out, segment{span{from, to}, t})
		done = to
	}
	if done < len(text) {
		out = append(out, segment{span: span{done, len(text)}})
	}
	return out
}

func endsInWord[T string | []byte](text T) bool {
	r, n := lastRune(text)
	return n > 0 && classOf(r)&isWord != 0
}

func startsInWord[T string | []byte](text T) bool {
	r, n := firstRune(text)
	return n > 0 && classOf(r)&isWord != 0
}

// trimSpaceRight returns the position where the white space at the end of text[from:to] begins.
func trimSpaceRight[T string | []byte](text T, from, to int) int {
	for to > from {
		r, n := lastRune(text[from:to])
		if classOf(r)&isSpace == 0 {
			break
		}
		to -= n
	}
	return to
}

// trimSpaceLeft returns the position where the white space at the start of text[from:] ends.
func trimSpaceLeft[T string | []byte](text T, from int) int {
	for from < len(text) {
		r, n := firstRune(text[from:])
		if classOf(r)&isSpace == 0 {
			break
		}
		from += n
	}
	return from
}

func firstRune[T string | []byte](text T) (rune, int) {
	return utf8.DecodeRuneInString(string(text[:min(len(text), utf8.UTFMax)]))
}

func lastRune[T string | []byte](text T) (rune, int) {
	return utf8.DecodeLastRuneInString(string(text[max(len(text)-utf8.UTFMax, 0):]))
}
