package tokenize

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// form is a Unicode normalization form. It knows the code points of the class table; x/text supplies their
// decompositions, combining classes and composites, which Unicode never changes once assigned. x/text's own normalizers
// are not used: they support other versions of Unicode, break up long runs of marks, and do not report the origin of a
// code point.
type form struct {
	compat  bool // compatibility decomposition
	compose bool // recompose afterwards
}

// change is a code point of a normal form. n is the number of source code points that it represents, less one: 0
// replaces one, 1 is added, -k swallows k more.
type change struct {
	r   rune
	ccc uint8
	n   int
}

func (f form) normalize(in *aligned, buf *buffers) *aligned {
	if in.isASCII() {
		return in
	}
	out := buf.other(in)
	buf.plain = f.decompose(in, buf)
	if f.compose {
		buf.plain = recompose(buf.plain)
	}
	at := 0
	for _, c := range buf.plain {
		at = out.change(in, at, c)
	}
	return out
}

// change appends the result of applying c to in at byte at, and returns the byte after it. Positions follow the
// reference: a code point that replaces another takes the position of the next one of the input, an added code point
// that of the preceding one, even if marks were reordered.
func (a *aligned) change(in *aligned, at int, c change) int {
	if c.n > 0 {
		a.add(c.r, in.pos[max(at-1, 0)])
		return at
	}
	a.add(c.r, in.pos[at])
	for k := c.n; k <= 0; k++ {
		_, size := utf8.DecodeRune(in.text[at:])
		at += size
	}
	return at
}

// decompose returns the decomposition of in, in canonical order.
func (f form) decompose(in *aligned, buf *buffers) []change {
	out := buf.plain[:0]
	need, decomposes := hasNFD, norm.NFD
	if f.compat {
		need, decomposes = hasNFD|hasNFKD, norm.NFKD
	}
	start := 0 // beginning of the run of marks at the end of out
	push := func(r rune, n int) {
		c := change{r: r, n: n}
		if r >= utf8.RuneSelf && classOf(r)&isNonStarter != 0 {
			c.ccc = combiningClass(r)
		}
		if c.ccc == 0 {
			order(out[start:])
			start = len(out) + 1
		}
		out = append(out, c)
	}
	for i, r := range in.runes() {
		if r < utf8.RuneSelf || classOf(r)&need == 0 {
			push(r, 0)
			continue
		}
		parts := decomposes.Properties(in.text[i:]).Decomposition()
		if isHangul(r) {
			parts = decomposeHangul(parts, r)
		}
		for n := 0; len(parts) > 0; n = 1 {
			d, size := utf8.DecodeRune(parts)
			push(d, n)
			parts = parts[size:]
		}
	}
	order(out[min(start, len(out)):])
	return out
}

// order sorts marks by combining class and keeps the order of equal ones.
func order(marks []change) {
	if len(marks) > 1 {
		slices.SortStableFunc(marks, func(a, b change) int { return int(a.ccc) - int(b.ccc) })
	}
}

// combiningClass returns the canonical combining class of r.
func combiningClass(r rune) uint8 {
	var b [utf8.UTFMax]byte
	return norm.NFD.Properties(b[:utf8.EncodeRune(b[:], r)]).CCC()
}

// recompose joins code points in place by canonical composition.
func recompose(in []change) []change {
	out := in[:0]
	last := -1        // index in out of the starter that may still be composed
	var between uint8 // highest combining class after it
	blocked := false  // whether any code point follows it in out
	for _, c := range in {
		if last >= 0 && (!blocked || between < c.ccc) {
			if r, ok := compose(out[last].r, c.r); ok {
				out[last].r = r
				out[last].n += c.n - 1
				continue
			}
		}
		out = append(out, c)
		if c.ccc == 0 {
			last, between, blocked = len(out)-1, 0, false
		} else {
			between, blocked = c.ccc, true
		}
	}
	return out
}

// compose returns the primary composite of a and b, if the reference knows one.
func compose(a, b rune) (rune, bool) {
	if b < utf8.RuneSelf || classOf(b)&isSecond == 0 {
		return 0, false
	}
	var buf [2 * utf8.UTFMax]byte
	pair := utf8.AppendRune(utf8.AppendRune(buf[:0], a), b)
	joined := norm.NFC.Bytes(pair)
	r, size := utf8.DecodeRune(joined)
	if size != len(joined) || classOf(r)&hasNFD == 0 {
		return 0, false
	}
	if isHangul(r) {
		return r, true
	}
	// NFC may have reordered code points: b must be the last half, not one in the middle.
	whole := norm.NFD.Properties(joined).Decomposition()
	return r, bytes.HasSuffix(whole, pair[utf8.RuneLen(a):])
}

// Composed Hangul syllables, Unicode Standard, section 3.12.
const (
	hangulFirst, hangulLast = 0xAC00, 0xD7A3
	jamoL, jamoV, jamoT     = 0x1100, 0x1161, 0x11A7
	hangulPerV, hangulPerL  = 28, 21 * 28
)

// isHangul reports whether r is a composed Hangul syllable.
func isHangul(r rune) bool { return hangulFirst <= r && r <= hangulLast }

// decomposeHangul appends the two or three jamo of syllable r to b.
func decomposeHangul(b []byte, r rune) []byte {
	r -= hangulFirst
	b = utf8.AppendRune(b, jamoL+r/hangulPerL)
	b = utf8.AppendRune(b, jamoV+r%hangulPerL/hangulPerV)
	if t := r % hangulPerV; t != 0 {
		b = utf8.AppendRune(b, jamoT+t)
	}
	return b
}
