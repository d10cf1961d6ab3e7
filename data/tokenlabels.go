package data

import (
	"fmt"
	"slices"
	"strconv"
)

// WithNames returns a table in which tags that are numbers in the file ([TokenTable].Indices)
// have the name of their class. Other tables, and all if names is empty or
// made up (LABEL_0 …), come back as they are.
func (t *TokenTable) WithNames(names []string) (*TokenTable, error) {
	if !t.Indices || len(names) == 0 || isGeneric(names) {
		return t, nil
	}
	c := *t
	c.Indices = false
	c.Examples = slices.Clone(t.Examples)
	var bad faults
	for i := range c.Examples {
		e := &c.Examples[i]
		if e.Tags == nil {
			continue
		}
		tags := make([]string, len(e.Tags))
		for j, tag := range e.Tags {
			n, err := strconv.Atoi(tag)
			if err != nil || n >= len(names) {
				bad.add(e.Line, fmt.Errorf("the tag %s of word %d is not in 0 to %d (%s)", tag, j, len(names)-1, nameList(names)))
				break
			}
			tags[j] = names[n]
		}
		e.Tags = tags
	}
	return &c, bad.err(t.Name)
}

// FindTags returns the tags of a run as classes, and checks that every tag of every
// table is one of them. The order follows the rules of [FindLabels]: names of the source,
// else those found in the first table, the one to train on, sorted by code point, as
// transformers sorts them; O has no place of its own. Tags that are numbers
// ([TokenTable.WithNames]) are classes 0 to the largest one, named "0", "1" …, and at least
// as many as a source with made-up names has. nil tables are skipped.
func FindTags(src LabelSource, tables ...*TokenTable) (*Labels, error) {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t *TokenTable) bool { return t == nil })
	l, err := src.tags(tables)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if _, err := l.TagClasses(t); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// tags returns the classes that the source or the first table gives.
func (src LabelSource) tags(tables []*TokenTable) (*Labels, error) {
	l, err := src.given(TokenTags)
	if l != nil || err != nil {
		return l, err
	}
	if len(tables) == 0 {
		return nil, optionError("there are neither tags nor data to find them in")
	}
	t := tables[0]
	seen := map[string]bool{}
	var names []string
	top := len(src.Config) - 1
	for i := range t.Examples {
		for _, tag := range t.Examples[i].Tags {
			if seen[tag] {
				continue
			}
			seen[tag] = true
			names = append(names, tag)
			if n, err := strconv.Atoi(tag); t.Indices && err == nil {
				top = max(top, n)
			}
		}
	}
	if len(names) == 0 {
		return nil, errorAt(t.Name, 0, "no sentence has tags")
	}
	slices.Sort(names)
	if t.Indices {
		names = names[:0]
		for i := range top + 1 {
			names = append(names, strconv.Itoa(i))
		}
	} else if len(src.Config) > 0 && subset(names, src.Config) {
		names = src.Config
	}
	if l, err = NewLabels(TokenTags, names); err == nil {
		l.from = "found in " + t.Name
	}
	return l, err
}

// TagClasses returns the class of each word of each sentence; nil for a sentence
// without tags. A tag that is no class is an error.
func (l *Labels) TagClasses(t *TokenTable) ([][]int32, error) {
	out := make([][]int32, len(t.Examples))
	var bad faults
	for i := range t.Examples {
		e := &t.Examples[i]
		if e.Tags == nil {
			continue
		}
		out[i] = make([]int32, len(e.Tags))
		for j, tag := range e.Tags {
			c, ok := l.index[tag]
			if !ok {
				bad.add(e.Line, fmt.Errorf("word %d (%s): %w", j, excerpt(e.Word(j)), l.unknown(tag)))
				break
			}
			out[i][j] = c
		}
	}
	return out, bad.err(t.Name)
}
