package tokenize

import (
	"sort"
	"unicode"
	"unicode/utf8"
)

// class is a set of properties of a code point, as the reference library defines them.
type class uint16

// classRange assigns classes to the code points lo … hi.
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
	if r < utf8.RuneSelf {
		return asciiClass[r]
	}
	return searchClass(r)
}

// searchClass is classOf by search in classRanges.
func searchClass(r rune) class {
	if r > unicode.MaxRune {
		return 0
	}
	lo, hi := int(pageStart[r>>pageBits]), int(pageStart[r>>pageBits+1])
	for ; lo <= hi && lo < len(classRanges); lo++ {
		if c := &classRanges[lo]; r <= c.hi {
			if r >= c.lo {
				return c.class
			}
			break
		}
	}
	return 0
}

// pageBits is the logarithm of the number of code points of a page.
const pageBits = 6

// pageStart holds for each page the index of the first of the classRanges that reach into or beyond it.
var pageStart = func() (t [unicode.MaxRune>>pageBits + 2]uint16) {
	i := 0
	for page := range t {
		for i < len(classRanges) && classRanges[i].hi < rune(page<<pageBits) {
			i++
		}
		t[page] = uint16(i)
	}
	return t
}()

// lower returns the lower case of r. Only U+0130 has a second code point; for all others second is 0. The context is
// ignored, even for a final sigma.
func lower(r rune) (first, second rune) {
	if r < utf8.RuneSelf {
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
		t[r] = searchClass(rune(r))
	}
	return t
}()
