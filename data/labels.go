package data

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// MaxClasses bounds the classes that class indices may ask for.
const MaxClasses = 1 << 20

// Labels are the classes of a problem: the name at index i is class i. For regression there are none. The functions
// that return Labels make them; they are not changed afterwards and are safe for concurrent use.
type Labels struct {
	Problem Problem
	Names   []string
	From    string   // where the names come from, for messages: "given", "of the adapter" …
	Lists   ListForm // how lists of integers in the data are read
	// Replaced are the names in id2label of config.json that the labels of the data replace, see [LabelSource].
	Replaced []string

	index map[string]int32
}

// ListForm says what a list of integers means in multi-label data.
type ListForm uint8

// The forms of lists.
const (
	UnknownLists ListForm = iota // the data decides
	IndexLists                   // the indices of the classes
	BitLists                     // a 0 or 1 for each class
)

// NewLabels returns the classes of these names, in this order. It returns an error if a name is empty or given twice,
// or if there are no names (for regression: if there are any).
func NewLabels(p Problem, names []string) (*Labels, error) {
	l := &Labels{Problem: p, Names: slices.Clone(names), index: make(map[string]int32, len(names)), From: "given"}
	if p == Regression {
		if len(names) > 0 {
			return nil, fmt.Errorf("data: regression has no classes, but %d labels are given (%s)", len(names), NameList(names))
		}
		return l, nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("data: %s needs labels, but none are given", p)
	}
	for i, n := range names {
		if strings.TrimSpace(n) == "" {
			return nil, fmt.Errorf("data: label %d of %d is empty", i, len(names))
		}
		if j, twice := l.index[n]; twice {
			return nil, fmt.Errorf("data: label %q is given twice, as class %d and %d", n, j, i)
		}
		l.index[n] = int32(i)
	}
	return l, nil
}

// Index returns the class of a name.
func (l *Labels) Index(name string) (class int32, ok bool) {
	class, ok = l.index[name]
	return class, ok
}

// Unknown is the error about a name that is not one of the classes. It says what may have been meant.
func (l *Labels) Unknown(name string) error {
	hint := ""
	for _, n := range l.Names {
		a, okA := ParseNumber(name)
		b, okB := ParseNumber(n)
		if Fold(n) == Fold(name) || okA && okB && a == b {
			hint = fmt.Sprintf(" (did you mean %q?)", n)
			break
		}
	}
	if v, ok := ParseNumber(name); hint == "" && ok && v == math.Trunc(v) {
		hint = " (text is the name of a class; only an integer in JSON Lines is its index)"
	}
	return fmt.Errorf("the label %q is none of the %d classes %s%s: %s; `labels` gives others",
		name, len(l.Names), l.From, hint, NameList(l.Names))
}

// LabelSource says where the classes of a run may come from. The first of the three that is set decides; without any
// the names found in the data are sorted by code point.
type LabelSource struct {
	// Fixed are names given by the user.
	Fixed []string
	// Saved are the names of the adapter that training starts from. Fixed names must be the same, because the head of the
	// adapter knows classes by number only.
	Saved []string
	// Config are the names in id2label of config.json, by class. Generic ones (LABEL_0, LABEL_1 …) only say how many
	// classes the head has, and nothing if the data has other names.
	Config []string
	// Yields says that the names of Config give way where a label to train on is none of them.
	Yields bool

	replaced []string // names of Config that gave way
}

// Yield returns the source without the names of its configuration, if they give way; ok is false if they do not, or are
// not what decides.
func (src LabelSource) Yield() (rest LabelSource, ok bool) {
	if !src.Yields || len(src.Fixed)+len(src.Saved) > 0 || len(src.Config) == 0 || Generic(src.Config) {
		return src, false
	}
	return LabelSource{replaced: src.Config}, true
}

// Replaced returns the names of the configuration that gave way.
func (src LabelSource) Replaced() []string { return src.replaced }

// Given returns the classes that the source names, nil if the data decides.
func (src LabelSource) Given(p Problem) (l *Labels, err error) {
	if len(src.Fixed) > 0 && len(src.Saved) > 0 && !slices.Equal(src.Fixed, src.Saved) {
		return nil, OptionErrorf("the labels given (%s) are not those of the adapter to start from (%s)",
			NameList(src.Fixed), NameList(src.Saved))
	}
	switch {
	case p == Regression:
		return NewLabels(p, nil)
	case len(src.Fixed) > 0:
		if l, err = NewLabels(p, src.Fixed); err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrOption)
		}
	case len(src.Saved) > 0:
		if l, err = NewLabels(p, src.Saved); err != nil {
			return nil, err
		}
		l.From = "of the adapter"
	case len(src.Config) > 0 && !Generic(src.Config):
		if l, err = NewLabels(p, src.Config); err != nil {
			return nil, fmt.Errorf("%w (id2label of config.json)", err)
		}
		l.From = "of config.json"
	}
	return l, nil
}

// Generic reports whether names are LABEL_0, LABEL_1 … in order, which transformers makes up for classes without
// names.
func Generic(names []string) bool {
	for i, n := range names {
		if n != fmt.Sprintf("LABEL_%d", i) {
			return false
		}
	}
	return len(names) > 0
}

// Covers reports whether all names are among those of the configuration.
func (src LabelSource) Covers(names []string) bool {
	for _, n := range names {
		if !slices.Contains(src.Config, n) {
			return false
		}
	}
	return true
}
