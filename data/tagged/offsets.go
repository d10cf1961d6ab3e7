package tagged

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/spalora/spalora/data"
)

// offsets is a way to count the offsets of spans. The zero value is the documented one: code points from 0, the end
// exclusive.
type offsets struct {
	counting
	fromOne bool // the first unit of a text is 1
	last    bool // the end is the last unit of the span, not the one behind it
}

// counting is what offsets count.
type counting struct {
	unit data.Unit
	ends lineEnds
}

// lineEnds says how the ends of lines are counted.
type lineEnds uint8

const (
	endsAsTheyAre lineEnds = iota
	endsAsTwo              // LF as two: the spans were made in a text with CRLF
	endsAsOne              // CRLF as one: the spans were made in a text with LF
	clusters               // grapheme clusters, characters as people see them, of which CRLF is one
)

// String says what differs from the documented offsets, for messages.
func (o offsets) String() string {
	s := "count " + o.unit.String()
	switch o.ends {
	case endsAsTwo:
		s += ", a line end as two"
	case endsAsOne:
		s += ", CRLF as one"
	case clusters:
		s = "count grapheme clusters"
	}
	if o.fromOne {
		s += " from 1"
	}
	if o.last {
		s += ", the end inclusive"
	}
	return s
}

// ways lists the ways to count, likely ones first.
var ways = func() (list []offsets) {
	for i, o := range []offsets{{}, {last: true}, {fromOne: true}, {fromOne: true, last: true}} {
		for _, o.unit = range []data.Unit{data.CodePoints, data.UTF16Units, data.UTF8Bytes} {
			list = append(list, o)
		}
		for _, ends := range []lineEnds{endsAsTwo, endsAsOne, clusters} {
			if i == 0 {
				list = append(list, offsets{counting: counting{ends: ends}})
			}
		}
	}
	return list
}()

// ruler converts offsets into one text to code points.
type ruler struct {
	text   string
	words  []Word
	length int // code points of the text
	points map[counting][]int
	bytes  []int // byte at which each code point begins, and the length; nil for a line of ASCII, where all are bytes
}

func newRuler(text string) *ruler {
	r := &ruler{text: text, words: SplitWords(text), length: len(text)}
	if isASCII(text) && !strings.ContainsAny(text, "\r\n") {
		return r
	}
	r.length = 0
	r.points = map[counting][]int{}
	for _, o := range ways {
		if o.counting != (counting{}) {
			r.points[o.counting] = nil
		}
	}
	flags := 0 // regional indicators right before
	var before rune
	for i, c := range text {
		r.bytes = append(r.bytes, i)
		continues := c == '\n' && before == '\r'
		cluster := continues || before != 0 && extends(c) || before == joiner || flags%2 == 1 && isFlag(c)
		if before = c; isFlag(c) {
			flags++
		} else {
			flags = 0
		}
		for u := range r.points {
			if u.ends == endsAsOne && continues || u.ends == clusters && cluster {
				continue // it has the offset of the character before
			}
			r.points[u] = append(r.points[u], r.length)
			size := u.unit.Size(c)
			if u.ends == endsAsTwo && c == '\n' {
				size = 2
			}
			for range size - 1 {
				r.points[u] = append(r.points[u], -1) // within a character
			}
		}
		r.length++
	}
	r.bytes = append(r.bytes, len(text))
	for u := range r.points {
		r.points[u] = append(r.points[u], r.length)
	}
	return r
}

const joiner = '\u200d' // zero width joiner: what follows belongs to the same cluster

// extends reports whether a character belongs to the cluster of the one before it: a mark, a joiner, a variation
// selector, or the colour of a skin.
func extends(c rune) bool {
	return unicode.Is(unicode.M, c) || c == joiner || c >= 0x1F3FB && c <= 0x1F3FF || c >= 0xE0020 && c <= 0xE007F
}

// isFlag reports whether a character is a regional indicator, two of which are a flag.
func isFlag(c rune) bool { return c >= 0x1F1E6 && c <= 0x1F1FF }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}

// point returns the code point at offset n, -1 if there is none.
func (r *ruler) point(u counting, n int) int {
	if u == (counting{}) || r.bytes == nil {
		return n
	}
	if list := r.points[u]; n >= 0 && n < len(list) {
		return list[n]
	}
	return -1
}

// span returns a span in code points.
func (r *ruler) span(o offsets, s span) span {
	from, to := s.from, s.to
	if o.fromOne {
		from, to = from-1, to-1
	}
	if o.last {
		to++
	}
	s.from, s.to = r.point(o.counting, from), r.point(o.counting, to)
	return s
}

// part returns the text of a span, "" if it is not a part of the text.
func (r *ruler) part(s span) string {
	switch {
	case s.from < 0 || s.to > r.length || s.from >= s.to:
		return ""
	case r.bytes == nil:
		return r.text[s.from:s.to]
	}
	return r.text[r.bytes[s.from]:r.bytes[s.to]]
}

// find returns a span moved to the only place at which the text has what the span says; ok is false if there is none.
func (r *ruler) find(s span) (moved span, ok bool) {
	at := strings.Index(r.text, s.text)
	if at < 0 || strings.LastIndex(r.text, s.text) != at {
		return s, false
	}
	s.from, s.to = at, at+len(s.text)
	if r.bytes != nil {
		s.from, _ = slices.BinarySearch(r.bytes, s.from)
		s.to, _ = slices.BinarySearch(r.bytes, s.to)
	}
	return s, true
}

// says reports whether part is what a span says that its text is, up to white space and case.
func (s span) says(part string) bool {
	fold := func(t string) string { return strings.Join(strings.Fields(t), " ") }
	return part == s.text || strings.EqualFold(fold(part), fold(s.text))
}

// held is a row with spans. It waits for the end of the file, because only all spans together show what offsets count.
type held struct {
	text  string
	spans []span // nil: the row has no tags
	line  int
	by    int // see [data.File.Server]
}

// fit counts the spans that one way to count does not fit.
type fit struct {
	outside int // not a part of the text, or without a word
	moved   int // not on the borders of words
	wrong   int // the text there is not the span's
	odd     int // the text there is not the span's, which may be another form of it
	symbols int // without a letter or digit, and without a text that they say is theirs
	right   int // the text there is the span's, and so certain that it may contradict
}

func letterOrDigit(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// add counts one span.
func (f *fit) add(r *ruler, o offsets, s span) {
	s = r.span(o, s)
	part := r.part(s)
	p, err := s.place(r)
	switch {
	case part == "" || err != nil:
		f.outside++
	case p.moved:
		f.moved++
	}
	if part != "" && s.text == "" && !strings.ContainsFunc(part, letterOrDigit) {
		f.symbols++
	}
	switch same := s.text == "" || s.says(part); {
	case s.text == "":
	case s.loose && !same:
		f.odd++
	case !s.loose && !same:
		f.wrong++
	case !s.loose:
		f.right++
	}
}

// clear reports whether nothing contradicts the way to count.
func (f fit) clear() bool { return f.outside == 0 && f.wrong == 0 }

// Numbers of spans off the borders of words that are needed to conclude from these alone what offsets count.
const (
	enoughForUnit  = 2 // another unit than code points
	enoughForShift = 3 // offsets from 1, or inclusive ends: all spans of the file must be off
)

// count returns the way to count that the spans of the file were made with: the documented one, unless the texts of
// spans, or the borders of words, contradict it and another one fits all spans.
func (r *rows) count() offsets {
	fits := make([]fit, len(ways))
	spans := 0
	for w := range ways {
		for _, h := range r.held {
			if len(h.spans) == 0 {
				continue
			}
			ruler := newRuler(h.text)
			for _, s := range h.spans {
				fits[w].add(ruler, ways[w], s)
			}
			if w == 0 {
				spans += len(h.spans)
			}
		}
		if w == 0 && fits[0] == (fit{right: fits[0].right}) {
			return ways[0]
		}
	}
	first := fits[0]
	off := first.outside + first.moved
	for w, f := range fits {
		plain := off >= enoughForUnit && !ways[w].fromOne && !ways[w].last
		switch {
		case w == 0 || !f.clear():
		case first.wrong > 0, first.odd > 0 && f.odd == 0:
			return ways[w]
		case first.odd == 0 && f.moved == 0 && f.symbols == 0 && (plain || off >= enoughForShift && off == spans):
			return ways[w]
		}
	}
	best := 0
	for w, f := range fits {
		if first.wrong > 0 && f.right > fits[best].right {
			best = w
		}
	}
	return ways[best]
}

// placeAll gives the rows that were held back their tags and appends them.
func (r *rows) placeAll() error {
	o := r.count()
	if o != (offsets{}) {
		r.f.Offsets = o.String()
	}
	for i, h := range r.held {
		if err := r.placeRow(h, o); err != nil {
			return data.InRow(r.f.Name, h.line, err)
		}
		r.held[i] = held{} // the file holds it now
	}
	r.held = nil
	return nil
}

// placeRow appends a row that was held back.
func (r *rows) placeRow(h held, o offsets) error {
	ruler := newRuler(h.text)
	e := Sentence{Text: h.text, Words: ruler.words, Line: h.line}
	if h.spans != nil {
		converted, relocated := 0, 0
		for i, s := range h.spans {
			placed, found, err := r.placeSpan(ruler, s, o)
			switch {
			case err != nil:
				return err
			case found:
				relocated++
			case placed != s:
				converted++
			}
			h.spans[i] = placed
		}
		tally(&r.f.Converted, &r.f.convertedLine, converted, h.line)
		tally(&r.f.Relocated, &r.f.relocatedLine, relocated, h.line)
		if err := r.tag(&e, h.spans, ruler); err != nil {
			return err
		}
	}
	r.f.AppendFor(h.by, e)
	return nil
}

// placeSpan returns a span in code points. found says that its text was not there and was found elsewhere.
func (r *rows) placeSpan(ruler *ruler, s span, o offsets) (placed span, found bool, err error) {
	placed = ruler.span(o, s)
	part := ruler.part(placed)
	if s.text != "" && !s.loose && !s.says(part) {
		if placed, found = ruler.find(s); !found || r.o.Strict {
			return s, false, fmt.Errorf("the span %q from %d to %d says that its text is %s, but the text has %s there, and "+
				"no way to count fits all spans of the file (code points, units of UTF-16 or bytes of UTF-8, from 0 or 1, the "+
				"end exclusive or inclusive): correct the offsets, or remove the texts of spans if they are not what the text has",
				s.label, s.from, s.to, data.Excerpt(s.text), data.Excerpt(part))
		}
		return placed, true, nil
	}
	if o == (offsets{}) {
		return s, false, nil
	}
	if part == "" {
		return s, false, fmt.Errorf("the span %q from %d to %d is not a part of the text; the offsets of the file %s",
			s.label, s.from, s.to, o)
	}
	if placed != s && r.o.Strict {
		return s, false, fmt.Errorf("the span %q has the offsets %d and %d, which %s: in code points from 0, the end "+
			"exclusive, they are %d and %d", s.label, s.from, s.to, o, placed.from, placed.to)
	}
	return placed, false, nil
}

// tally adds n at a line to a count and keeps the first line.
func tally(count, first *int, n, line int) {
	if n > 0 && *count == 0 {
		*first = line
	}
	*count += n
}
