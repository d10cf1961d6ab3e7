package tagged

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spalora/spalora/data"
)

// WithNames returns a file in which tags that are numbers in the file (see [File]) have the name of their class, which
// [data.Labels.OfInteger] finds. Other files, and all if names is empty or generic (LABEL_0 …), are returned
// unchanged.
func (f *File) WithNames(names []string) (*File, error) {
	if !f.Indices || len(names) == 0 || data.Generic(names) {
		return f, nil
	}
	l, err := data.NewLabels(data.TokenTags, names)
	if err != nil {
		return nil, err
	}
	var bad data.Faults
	named := data.Map(f, func(e Sentence) Sentence {
		if e.Tags == nil {
			return e
		}
		tags := make([]string, len(e.Tags))
		for i, tag := range e.Tags {
			n, _ := strconv.ParseInt(tag, 10, 64) // the reader has read an integer
			c, ok := l.OfInteger(n)
			if !ok {
				bad.Add(e.Line, l.NotInteger(n, fmt.Sprintf("tag %s of word %d", tag, i)))
				break
			}
			tags[i] = names[c]
		}
		e.Tags = tags
		return e
	})
	named.Indices = false
	return named, bad.Err(f.Name)
}

// FindLabels returns the tags of a run as classes and checks that every tag of every file is one of them: the names of
// the source, else those found in the first file, the one to train on, sorted by code point like transformers does; O
// is sorted like the others. Tags that are numbers (see [File.WithNames]) are classes 0 to the largest one, named "0",
// "1" …, and at least as many as the source has generic names. nil files are skipped.
func FindLabels(src data.LabelSource, files ...*File) (*data.Labels, error) {
	files = slices.DeleteFunc(slices.Clone(files), func(f *File) bool { return f == nil })
	l, err := labelsOf(src, files)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if _, err := f.Classes(l); err != nil {
			if rest, ok := src.Yield(); ok && i == 0 {
				return FindLabels(rest, files...)
			}
			return nil, err
		}
	}
	l.Replaced = src.Replaced()
	return l, nil
}

// labelsOf returns the classes that the source or the first file gives.
func labelsOf(src data.LabelSource, files []*File) (*data.Labels, error) {
	l, err := src.Given(data.TokenTags)
	if l != nil || err != nil {
		return l, err
	}
	if len(files) == 0 {
		return nil, data.OptionErrorf("there are neither tags nor data to find them in")
	}
	f := files[0]
	seen := map[string]bool{}
	var names []string
	top := len(src.Config) - 1
	for e := range f.Values() {
		for _, tag := range e.Tags {
			if seen[tag] {
				continue
			}
			seen[tag] = true
			names = append(names, tag)
			if n, err := strconv.Atoi(tag); f.Indices && err == nil {
				top = max(top, n)
			}
		}
	}
	if len(names) == 0 {
		return nil, data.Errorf(f.Name, 0, "no sentence has tags")
	}
	slices.Sort(names)
	if f.Indices {
		names = names[:0]
		for i := range top + 1 {
			names = append(names, strconv.Itoa(i))
		}
	} else if len(src.Config) > 0 && src.Covers(names) {
		names = src.Config
	}
	if l, err = data.NewLabels(data.TokenTags, names); err == nil {
		l.From = "found in " + f.Name
	}
	return l, err
}

// Classes returns the class of each word of each sentence, nil for a sentence without tags. A tag that is not a class
// is an error.
func (f *File) Classes(l *data.Labels) ([][]int32, error) {
	out := make([][]int32, f.Len())
	var bad data.Faults
	for i, e := range f.All() {
		if e.Tags == nil {
			continue
		}
		out[i] = make([]int32, len(e.Tags))
		for j, tag := range e.Tags {
			c, ok := l.Index(tag)
			if !ok {
				bad.Add(e.Line, fmt.Errorf("word %d (%s): %w", j, data.Excerpt(e.Word(j)), l.Unknown(tag)))
				break
			}
			out[i][j] = c
		}
	}
	return out, bad.Err(f.Name)
}
