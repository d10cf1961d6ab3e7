package document

import (
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// SplitOff divides the documents into two files: held gets about fraction of them, rest keeps the others, both in the
// order of f. The choice depends on seed and the number of documents only, the same on every machine. What was counted
// when the file was read stays with rest, so that it is reported once.
//
// A single text is cut in two instead: held is its end, from the start of the line (or else word, or else character)
// nearest before the point that leaves fraction of its bytes. It returns an error if fraction is not between 0 and 1 or
// a part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	take, err := data.SplitRows(f.Len(), fraction, seed)
	if err != nil {
		return nil, nil, err
	}
	if f.Len() == 1 && f.Kind == Text {
		first, last, ok := f.cut(fraction)
		if ok {
			both := data.Filter(f, func(Document) bool { return false })
			both.Append(first, last)
			f, take = both, []bool{false, true}
		}
	}
	if rest, held, err = data.Divide(f, take, fraction, data.Plural(f.Len(), "document"), ""); err == nil {
		held.Unread, held.otherRoles, held.beside = 0, data.Tally{}, data.Unread{}
	}
	return rest, held, err
}

// cut returns the two parts of a single text.
func (f *File) cut(fraction float64) (first, last Document, ok bool) {
	whole := f.At(0)
	at := cutBefore(whole.Text, int(float64((1-fraction)*float64(len(whole.Text)))))
	first, last = whole, whole
	first.Text, last.Text = whole.Text[:at], whole.Text[at:]
	if f.Format == data.PlainText {
		last.Line += strings.Count(first.Text, "\n")
	}
	return first, last, at > 0
}

// cutBefore returns where to cut a text: at most n bytes before, at the start of a line, else behind a space, else
// between characters; 0 if there is no such place.
func cutBefore(s string, n int) int {
	for _, sep := range []string{"\n", " "} {
		if i := strings.LastIndex(s[:n], sep); i >= 0 && i+1 < len(s) {
			return i + 1
		}
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
