package gotokenizers

import (
	"fmt"
	"unicode/utf8"

	"github.com/nlpodyssey/gotokenizers/normalizedstring"

	"github.com/spalora/spalora/tokenize"
)

// size returns the number of bytes of the first character of a text.
func size(text string) int {
	_, n := utf8.DecodeRuneInString(text)
	return n
}

// aligned returns the normal form in ns with its origins in text, which is a part of ns's original text from byte
// before on.
func aligned(ns *normalizedstring.NormalizedString, text string, before int) (tokenize.AlignedText, error) {
	out := tokenize.AlignedText{Text: ns.Get(), Origin: make([]int, ns.Len())}
	shift := ns.OriginalOffsets().Start - before
	last := 0 // where the last character of the text begins
	for i := len(text) - 1; i >= 0; i-- {
		if utf8.RuneStart(text[i]) {
			last = i
			break
		}
	}
	for i := range out.Origin {
		r, _ := ns.CoerceRangeToOriginal(normalizedstring.NewNormalizedRange(i, i+1))
		from, n := r.Start()+shift, r.Len()
		if n == 0 { // something was inserted: it belongs to the character that follows, or to the last one
			from = min(from, last)
		}
		if from < 0 || from >= len(text) || n > size(text[from:]) {
			return out, fmt.Errorf("byte %d of %q is aligned with the bytes [%d %d) of the text; want one character",
				i, out.Text, from, from+n)
		}
		out.Origin[i] = from
	}
	return out, nil
}

// rewrite changes the normal form of ns, which is text, to one that was made of it. NormalizedString cannot put several
// characters in the place of one and remove the next at the same time, so it removes first.
func rewrite(ns *normalizedstring.NormalizedString, text string, to tokenize.AlignedText) {
	if text == "" || to.Text == text && inPlace(to) {
		return
	}
	kept := originsOf(to)
	if len(kept) == 0 {
		ns.Transform(nil, len(text))
		return
	}
	if len(kept) < utf8.RuneCountInString(text) {
		ns.Transform(removals(text, kept), kept[0])
	}
	changes := make([]normalizedstring.RuneChange, 0, len(to.Text))
	for i, r := range to.Text {
		change := 0
		if i > 0 && to.Origin[i] == to.Origin[i-1] {
			change = 1 // one more character of the same origin
		}
		changes = append(changes, normalizedstring.RuneChange{Rune: r, Change: change})
	}
	ns.Transform(changes, 0)
}

// inPlace reports whether a text with the text of its origin is unchanged.
func inPlace(a tokenize.AlignedText) bool {
	for i := range a.Text {
		if a.Origin[i] != i {
			return false
		}
	}
	return true
}

// originsOf returns the different origins of a text.
func originsOf(a tokenize.AlignedText) (list []int) {
	for i, o := range a.Origin {
		if i == 0 || o != a.Origin[i-1] {
			list = append(list, o)
		}
	}
	return list
}

// removals returns the changes that leave of a text only the characters that begin at the given bytes. What precedes
// the first one is for the offset of Transform, which counts bytes.
func removals(text string, kept []int) []normalizedstring.RuneChange {
	changes := make([]normalizedstring.RuneChange, len(kept))
	for k, from := range kept {
		r, n := utf8.DecodeRuneInString(text[from:])
		to := len(text)
		if k+1 < len(kept) {
			to = kept[k+1]
		}
		changes[k] = normalizedstring.RuneChange{Rune: r, Change: -utf8.RuneCountInString(text[from+n : to])}
	}
	return changes
}
