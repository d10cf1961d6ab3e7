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

	index       map[string]int32
	integers    map[int64]int32 // the classes whose names are integers; twice for two of one value
	allIntegers bool            // all names are integers
}

// twice marks an integer that is the name of two classes, such as "1" and "1.0".
const twice = -1

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
	l := &Labels{Problem: p, Names: slices.Clone(names), index: make(map[string]int32, len(names)),
		integers: map[int64]int32{}, From: "given"}
	if p == Regression {
		if len(names) > 0 {
			return nil, fmt.Errorf("data: regression has no classes, but %d labels are given (%s)", len(names), NameList(names))
		}
		return l, nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("data: %s needs labels, but none are given", p)
	}
	l.allIntegers = true
	for i, n := range names {
		if strings.TrimSpace(n) == "" {
			return nil, fmt.Errorf("data: label %d of %d is empty", i, len(names))
		}
		if j, twice := l.index[n]; twice {
			return nil, fmt.Errorf("data: label %q is given twice, as class %d and %d", n, j, i)
		}
		l.index[n] = int32(i)
		v, ok := integer(n)
		if l.allIntegers = l.allIntegers && ok; ok {
			if _, taken := l.integers[v]; taken {
				l.integers[v] = twice
			} else {
				l.integers[v] = int32(i)
			}
		}
	}
	return l, nil
}

// integer returns the value of a name that is an integer, also one like "1.0", as pandas writes columns with gaps.
func integer(name string) (int64, bool) {
	v, ok := ParseNumber(name)
	return int64(v), ok && v == math.Trunc(v) && math.Abs(v) < 1<<53
}

// OfInteger returns the class that an integer in JSON means: the one that is called so if the names of all classes are
// integers, else the one with this index. ok is false if that is none, or if the class with this index is not the one
// that is called so; [Labels.NotInteger] says why.
func (l *Labels) OfInteger(n int64) (class int32, ok bool) {
	class, named := l.integers[n]
	if l.allIntegers {
		return class, named && class != twice
	}
	return int32(n), n >= 0 && n < int64(len(l.Names)) && (!named || int64(class) == n)
}

// NotInteger is the error about an integer that is not a class. what calls it: "label 7".
func (l *Labels) NotInteger(n int64, what string) error {
	switch class, named := l.integers[n]; {
	case named && class == twice:
		return fmt.Errorf("the %s is the name of several classes: write it as text, one of %s", what, NameList(l.Names))
	case l.allIntegers:
		return fmt.Errorf("the %s is none of the %d classes %s: %s; where these are integers, an integer is the name of a "+
			"class, not its index; `labels` gives others", what, len(l.Names), l.From, NameList(l.Names))
	case named:
		return fmt.Errorf("the %s may be the class called %q or the one with this index: write the names of classes as text "+
			"(%s)", what, l.Names[class], NameList(l.Names))
	}
	return fmt.Errorf("the %s is not in 0 to %d (%s)", what, len(l.Names)-1, NameList(l.Names))
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
	if _, ok := integer(name); hint == "" && ok && !l.allIntegers {
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
