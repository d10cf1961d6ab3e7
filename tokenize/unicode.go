package tokenize

import (
	"sort"
	"unicode/utf8"
)

// class is a set of properties of a code point, as the reference library sees it.
type class uint16

// classRange gives the code points lo … hi their classes.
type classRange struct {
	lo, hi rune
	class  class
}

// lowerRange moves every step-th code point of lo … hi by delta.
type lowerRange struct {
	lo, hi      rune
	step, delta rune
}

// classOf returns the classes of r.
func classOf(r rune) class {
	i := sort.Search(len(classRanges), func(i int) bool { return classRanges[i].hi >= r })
	if i < len(classRanges) && classRanges[i].lo <= r {
		return classRanges[i].class
	}
	return 0
}

// lower returns the lower case of r. Only U+0130 has a second code point; for
// all others it is 0. Context, such as a final sigma, plays no part.
func lower(r rune) (first, second rune) {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r, 0
	}
	if r == 0x130 {
		return 'i', 0x307
	}
	i := sort.Search(len(lowerRanges), func(i int) bool { return lowerRanges[i].hi >= r })
	if i < len(lowerRanges) {
		if l := lowerRanges[i]; l.lo <= r && (r-l.lo)%l.step == 0 {
			return r + l.delta, 0
		}
	}
	return r, 0
}

// asciiClass holds the classes of the ASCII characters.
var asciiClass = func() (t [utf8.RuneSelf]class) {
	for r := range t {
		t[r] = classOf(rune(r))
	}
	return t
}()
