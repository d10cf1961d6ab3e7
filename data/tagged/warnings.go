package tagged

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the tagged sentences of a run, of which each may be nil: replaced bytes, spans
// that were moved or left out, repaired tags, words without a visible character, sentences without words or tags, a
// sentence as long as a file without blank lines, repeated sentences, repeated sentences with other tags, a single tag
// for all words, tags that differ in case only, tags that look like those of entities but are not, tags that no word to
// train on has, and sentences to train on that are also evaluated or tested on. l may be nil if the tags are not known.
func Warnings(l *data.Labels, train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "words that are", func(f *File) []data.Warning {
		out := append(f.readWarnings(), f.warnings()...)
		if l != nil {
			out = append(out, f.tagWarnings(l, f == train)...)
		}
		return out
	})
}

// readWarnings reports what was changed in the content of the file.
func (f *File) readWarnings() []data.Warning {
	repaired := data.Tally{N: f.Repaired, Line: f.repairedLine}
	return append(f.RowWarnings(), repaired.WarnOf(f.Name, "tag", "that did not fit the tags around, repaired")...)
}

// RowWarnings returns what was odd about spans and sentences when the file was read: spans that were converted, moved
// or left out, and sentences of CSV whose words may be apart.
func (f *File) RowWarnings() []data.Warning {
	var out []data.Warning
	for _, w := range []struct {
		data.Tally
		noun, what string
	}{
		{data.Tally{N: f.Converted, Line: f.convertedLine}, "span",
			fmt.Sprintf("with offsets that %s, converted to code points from 0, the end exclusive", f.Offsets)},
		{data.Tally{N: f.Relocated, Line: f.relocatedLine}, "span",
			"whose text does not stand where the offsets say, moved to the only place that has it"},
		{data.Tally{N: f.Moved, Line: f.movedLine}, "span",
			"that did not begin and end with a word, moved to the borders of words"},
		{data.Tally{N: f.Overlapping, Line: f.overlapLine}, "span", "that shared a word with another one, left out"},
		{f.apart, "sentence", fmt.Sprintf("with the name of an earlier one in column %s: the words of a sentence must "+
			"follow one another (sort the rows, if they were shuffled)", f.Columns.Sentence)},
	} {
		out = append(out, w.WarnOf(f.Name, w.noun, w.what)...)
	}
	return out
}

// longSentence is a number of words that only a file without blank lines has in one sentence.
const longSentence = 5000

// warnings looks at single sentences and at repeated ones.
func (f *File) warnings() []data.Warning {
	var hollow, empty, long, untagged data.Tally
	for e := range f.Values() {
		if len(e.Words) == 0 {
			empty.Add(e.Line)
			continue
		}
		if len(e.Words) > longSentence {
			long.Add(e.Line)
		}
		if e.Tags == nil && f.Columns.Tags != "" {
			untagged.Add(e.Line)
		}
		for _, w := range e.WordTexts() {
			if e.Split && len(SplitWords(w)) == 0 {
				hollow.Add(e.Line)
			}
		}
	}
	repeated, contrary := f.Repeated(func(a, b Sentence) bool { return slices.Equal(a.Tags, b.Tags) })
	out := hollow.WarnOf(f.Name, "word", "without a visible character")
	out = append(out, empty.Warn(f.Name, "without words")...)
	out = append(out, long.Warn(f.Name,
		fmt.Sprintf("of more than %d words: are blank lines missing between sentences?", longSentence))...)
	out = append(out, untagged.Warn(f.Name, "without tags")...)
	out = append(out, repeated.Warn(f.Name, "with the words and tags of a row before")...)
	return append(out, contrary.Warn(f.Name, "with the words of a row before but other tags")...)
}

// otherSpelling matches tags of entities in spellings that no scheme has: B_PER, b-per, PER-B.
var otherSpelling = regexp.MustCompile(`^(?:[BIESLU][_:|]|[bieslu][-_:|]).|.[-_:|][BIESLUbieslu]$`)

// misspelled returns a tag if all tags but O are spelled in another way than schemes spell entities.
func misspelled(names []string) (name string) {
	outside := false
	for _, n := range names {
		switch {
		case strings.EqualFold(n, "O"):
			outside = true
		case !otherSpelling.MatchString(n) || len(n) > 2 && n[1] == '-' && strings.ContainsRune("BIESLU", rune(n[0])):
			return ""
		case name == "":
			name = n
		}
	}
	if !outside {
		return ""
	}
	return name
}

// tagWarnings looks at the tags of a file.
func (f *File) tagWarnings(l *data.Labels, train bool) []data.Warning {
	classes, err := f.Classes(l)
	if err != nil {
		return nil // FindLabels has reported it
	}
	counts := make([]int, len(l.Names))
	words := 0
	for _, c := range classes {
		words += len(c)
		for _, class := range c {
			counts[class]++
		}
	}
	var out []data.Warning
	var none []string
	for i, n := range counts {
		if n == 0 {
			none = append(none, l.Names[i])
		}
		if n == words && n > 0 {
			out = append(out, data.Warnf(f.Name, 0, n, "every word has the tag %q", l.Names[i]))
		}
	}
	spelled := map[string]string{}
	for _, name := range l.Names {
		fold := data.Fold(name)
		if other, ok := spelled[fold]; ok && train {
			out = append(out, data.Warnf(f.Name, 0, 1, "the tags %q and %q differ in case only, but are two classes", other,
				name))
		}
		spelled[fold] = name
	}
	if name := misspelled(l.Names); train && name != "" {
		out = append(out, data.Warnf(f.Name, 0, 1, "tags such as %q are read as tags of words, not of entities: if they are "+
			"entities, spell them B-X, I-X and O", name))
	}
	if train && words > 0 && len(none) > 0 {
		out = append(out, data.Warnf(f.Name, 0, len(none),
			"%d of %d tags have no word: %s", len(none), len(counts), data.NameList(none)))
	}
	return out
}
