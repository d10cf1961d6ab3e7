package data

import (
	"fmt"
	"slices"
	"strings"
)

// TokenWarnings returns what is odd about the tagged sentences of a run, of which each
// may be nil: replaced bytes, spans that were moved or left out, repaired tags, words
// without a visible character, sentences without words or tags, a sentence as long as a
// file without blank lines, repeated sentences, repeated sentences with other tags, a
// single tag for all words, tags that no word to train on has, and sentences to train on
// that are also evaluated or tested on. l may be nil if the tags are not known.
func TokenWarnings(l *Labels, train, eval, test *TokenTable) []Warning {
	var out []Warning
	for _, t := range []*TokenTable{train, eval, test} {
		if t == nil {
			continue
		}
		out = append(out, t.readWarnings()...)
		out = append(out, t.warnings()...)
		if l != nil {
			out = append(out, l.tagWarnings(t, t == train)...)
		}
	}
	if train == nil {
		return out
	}
	known := newTrained(train.Name, train.Examples, func(e *TokenExample) (string, int) { return e.key(), e.Line })
	for _, t := range []*TokenTable{eval, test} {
		if t != nil {
			worded := slices.DeleteFunc(slices.Clone(t.Examples), func(e TokenExample) bool { return len(e.Words) == 0 })
			out = append(out, known.among(t.Name, worded, "with words that are also in ")...)
		}
	}
	return out
}

// key identifies what a model sees of a sentence: its words, and where they come from.
func (e *TokenExample) key() string {
	if !e.Split {
		return "\x00" + e.Text
	}
	return strings.Join(e.WordTexts(), "\x00")
}

// readWarnings tells what was done to the content of the file.
func (t *TokenTable) readWarnings() []Warning {
	var out []Warning
	for _, w := range []struct {
		n, line    int
		noun, what string
	}{
		{t.Replaced, 0, "line", " with bytes that are not UTF-8, which were replaced"},
		{t.Moved, t.movedLine, "span", " that did not begin and end with a word, moved to the borders of words"},
		{t.Overlapping, t.overlapLine, "span", " that shared a word with another one, left out"},
		{t.Repaired, t.repairedLine, "tag", " that did not fit the tags around, repaired"},
	} {
		if w.n > 0 {
			out = append(out, Warning{t.Name, w.line, w.n, plural(w.n, w.noun) + w.what})
		}
	}
	return out
}

// longSentence is a number of words that only a file without blank lines has in one.
const longSentence = 5000

// warnings looks at single sentences and at repeated ones.
func (t *TokenTable) warnings() []Warning {
	var hollow, empty, long, untagged, repeated, contrary tally
	first := make(map[string]string, len(t.Examples))
	for i := range t.Examples {
		e := &t.Examples[i]
		if len(e.Words) == 0 {
			empty.add(e.Line)
			continue
		}
		if len(e.Words) > longSentence {
			long.add(e.Line)
		}
		if e.Tags == nil && t.Columns.Tags != "" {
			untagged.add(e.Line)
		}
		for _, w := range e.WordTexts() {
			if e.Split && len(SplitWords(w)) == 0 {
				hollow.add(e.Line)
			}
		}
		tags := strings.Join(e.Tags, " ")
		switch before, ok := first[e.key()]; {
		case !ok:
			first[e.key()] = tags
		case before == tags:
			repeated.add(e.Line)
		default:
			contrary.add(e.Line)
		}
	}
	var out []Warning
	if hollow.n > 0 {
		out = append(out, Warning{t.Name, hollow.line, hollow.n, plural(hollow.n, "word") + " without a visible character"})
	}
	out = append(out, empty.of(t.Name, "without words")...)
	out = append(out, long.of(t.Name, fmt.Sprintf("of more than %d words: are blank lines missing between sentences?", longSentence))...)
	out = append(out, untagged.of(t.Name, "without tags")...)
	out = append(out, repeated.of(t.Name, "with the words and tags of a row before")...)
	return append(out, contrary.of(t.Name, "with the words of a row before but other tags")...)
}

// tagWarnings looks at the tags of a table.
func (l *Labels) tagWarnings(t *TokenTable, train bool) []Warning {
	classes, err := l.TagClasses(t)
	if err != nil {
		return nil // the caller was told by FindTags
	}
	counts := make([]int, len(l.Names))
	words := 0
	for _, c := range classes {
		words += len(c)
		for _, class := range c {
			counts[class]++
		}
	}
	var out []Warning
	var none []string
	for i, n := range counts {
		if n == 0 {
			none = append(none, l.Names[i])
		}
		if n == words && n > 0 {
			out = append(out, Warning{t.Name, 0, n, fmt.Sprintf("every word has the tag %q", l.Names[i])})
		}
	}
	if train && words > 0 && len(none) > 0 {
		out = append(out, Warning{t.Name, 0, len(none), fmt.Sprintf("%d of %d tags have no word: %s", len(none), len(counts), nameList(none))})
	}
	return out
}
