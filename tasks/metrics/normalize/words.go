package normalize

import (
	"strings"
	"unicode/utf8"
)

// boundary reports whether \b of Python's regular expressions matches at a place of a text. That of Go's knows ASCII
// only.
func boundary(text string, at int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at:])
	return isWord(before) != isWord(after)
}

// wordMatches returns the matches of find, from left to right without overlaps, that end where a word starts or ends,
// and with starts also begin there: the places of each match and of its groups. find returns those of its first match,
// nil if there is none.
func wordMatches(text string, find func(string) []int, starts bool) (list [][]int) {
	for from := 0; ; {
		at := find(text[from:])
		if at == nil {
			return list
		}
		for i := range at {
			at[i] += from
		}
		if boundary(text, at[1]) && (!starts || boundary(text, at[0])) {
			list, from = append(list, at), at[1]
		} else {
			_, size := utf8.DecodeRuneInString(text[at[0]:])
			from = at[0] + size
		}
	}
}

// replaceWords writes what to makes of each of the wordMatches and its groups in its place.
func replaceWords(text string, find func(string) []int, starts bool, to func(groups []string) string) string {
	var b strings.Builder
	done := 0
	for _, at := range wordMatches(text, find, starts) {
		groups := make([]string, len(at)/2)
		for i := range groups {
			groups[i] = text[at[2*i]:at[2*i+1]]
		}
		b.WriteString(text[done:at[0]])
		b.WriteString(to(groups))
		done = at[1]
	}
	b.WriteString(text[done:])
	return b.String()
}
