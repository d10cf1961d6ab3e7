package tokenize

import "unicode/utf8"

// byteRunes maps each byte to the code point that represents it in the vocabularies of byte-level models: printable
// Latin-1 represents itself, the other bytes get the code points from U+0100 on, in order (GPT-2's encoder.py).
var byteRunes = func() (t [256]rune) {
	next := rune(0x100)
	for b := range t {
		if '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xAC || b >= 0xAE {
			t[b] = rune(b)
		} else {
			t[b] = next
			next++
		}
	}
	return t
}()

// runeBytes is the inverse of byteRunes; it is -1 for code points that represent no byte.
var runeBytes = func() (t [shortRunes]int16) {
	for r := range t {
		t[r] = -1
	}
	for b, r := range byteRunes {
		t[r] = int16(b)
	}
	return t
}()

// byteUTF8 holds byteRunes in UTF-8: one byte and a 0, or two bytes.
var byteUTF8 = func() (t [256][2]byte) {
	for b, r := range byteRunes {
		utf8.EncodeRune(t[b][:], r)
	}
	return t
}()

// spaceRune represents a blank.
const spaceRune = 'Ġ'

// byteMapper replaces each byte of a word by the code point that represents it.
type byteMapper struct{}

func (byteMapper) split(in *aligned, buf *buffers) *aligned {
	out := buf.rewritten(in)
	for i, w := range buf.words {
		from := len(out.text)
		for k, b := range in.text[w.from:w.to] {
			pos := in.pos[w.from+k]
			if c := &byteUTF8[b]; c[1] == 0 {
				out.text, out.pos = append(out.text, c[0]), append(out.pos, pos)
			} else {
				out.text, out.pos = append(out.text, c[0], c[1]), append(out.pos, pos, pos)
			}
		}
		buf.words[i] = span{from, len(out.text)}
	}
	return out
}

// prefixSpace puts a blank before words that do not begin with one.
type prefixSpace struct{}

func (prefixSpace) split(in *aligned, buf *buffers) *aligned {
	out := buf.rewritten(in)
	for i, w := range buf.words {
		from := len(out.text)
		if in.text[w.from] != ' ' {
			out.add(' ', in.pos[w.from])
		}
		out.copy(in, w)
		buf.words[i] = span{from, len(out.text)}
	}
	return out
}

// blanksAround is the number of blanks at both ends of a token.
type blanksAround struct{ lead, trail int32 }

// countBlanks counts the blanks at both ends of a token of a byte-level model.
func countBlanks[T string | []byte](token T) (n blanksAround) {
	blank := func(r rune) bool { return r == spaceRune || classOf(r)&isSpace != 0 }
	rest := token
	for {
		r, size := firstRune(rest)
		if size == 0 || !blank(r) {
			break
		}
		n.lead++
		rest = rest[size:]
	}
	for {
		r, size := lastRune(token)
		if size == 0 || !blank(r) {
			return n
		}
		n.trail++
		token = token[:len(token)-size]
	}
}
