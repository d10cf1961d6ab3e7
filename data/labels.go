package data

import (
	"fmt"
	"slices"
	"strings"
)

// maxClasses bounds the classes that class indices may ask for.
const maxClasses = 1 << 20

// Labels are the classes of a problem: the name at index i is class i. For
// regression there are none. A Labels value is not changed after it was made
// and is safe for concurrent use.
type Labels struct {
	Problem Problem
	Names   []string
	index   map[string]int32
	from    string   // where the names come from, for messages
	rows    listForm // how lists of integers in the data are read
}

// listForm says what a list of integers means in multi-label data.
type listForm uint8

const (
	listsUnknown listForm = iota
	listsOfIndices
	listsOfBits // a 0 or 1 for each class
)

// NewLabels returns the classes of these names, in this order. It is an error
// if a name is empty or there twice, or if there is none (for regression: any).
func NewLabels(p Problem, names []string) (*Labels, error) {
	l := &Labels{Problem: p, Names: slices.Clone(names), index: make(map[string]int32, len(names)), from: "given"}
	if p == Regression {
		if len(names) > 0 {
			return nil, fmt.Errorf("data: regression has no classes, but %d labels are given (%s)", len(names), nameList(names))
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

// LabelSource says where the classes of a run may come from. The first of the
// three that is set decides; without any the names found in the data are
// sorted by code point.
type LabelSource struct {
	// Fixed are names given by the user.
	Fixed []string
	// Saved are the names of the adapter that training starts from. Fixed names
	// must be the same, for the adapter's head knows classes by number only.
	Saved []string
	// Config are the names in id2label of config.json, by class. Generic ones
	// (LABEL_0, LABEL_1 …) only say how many classes the head has, and nothing
	// if the data has names of its own.
	Config []string
}

// FindLabels returns the classes for a problem, and checks that every label of
// every table is one of them. The first table is the one to train on: a name
// that only others have is an error unless the source gives it. nil tables are
// skipped. All rows at fault are counted, the first is named.
func FindLabels(p Problem, src LabelSource, tables ...*Table) (*Labels, error) {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t *Table) bool { return t == nil })
	l, err := src.given(p)
	if l == nil && err == nil {
		l, err = collect(p, src.Config, tables)
	}
	if err != nil {
		return nil, err
	}
	l.rows = formOfLists(tables, len(l.Names))
	for _, t := range tables {
		if err := l.verify(t); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// given returns the classes that the source names, nil if it leaves that to the data.
func (src LabelSource) given(p Problem) (l *Labels, err error) {
	if len(src.Fixed) > 0 && len(src.Saved) > 0 && !slices.Equal(src.Fixed, src.Saved) {
		return nil, optionError("the labels given (%s) are not those of the adapter to start from (%s)", nameList(src.Fixed), nameList(src.Saved))
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
		l.from = "of the adapter"
	case len(src.Config) > 0 && !isGeneric(src.Config):
		if l, err = NewLabels(p, src.Config); err != nil {
			return nil, fmt.Errorf("%w (id2label of config.json)", err)
		}
		l.from = "of config.json"
	}
	return l, nil
}

// collect makes classes of what the first table holds, with config's made-up names.
func collect(p Problem, config []string, tables []*Table) (*Labels, error) {
	if len(tables) == 0 {
		return nil, optionError("there are neither labels nor data to find them in")
	}
	names, top, err := found(tables[0])
	if err != nil {
		return nil, err
	}
	if k := bits(tables); p == MultiLabel && k > 0 {
		top = k - 1
	}
	if len(names) == 0 && top < 0 {
		return nil, noClass(tables[0])
	}
	if len(names) == 0 || subset(names, config) {
		// Only class indices, or the generic names themselves: the head decides,
		// unless the data has more classes.
		names = make([]string, max(top+1, len(config)))
		for i := range names {
			names[i] = fmt.Sprintf("LABEL_%d", i)
		}
	}
	l, err := NewLabels(p, names)
	if err == nil {
		l.from = "found in " + tables[0].Name
	}
	return l, err
}

// noClass says why a table speaks of no class.
func noClass(t *Table) error {
	for i := range t.Examples {
		if e := &t.Examples[i]; e.Label.Kind != NoLabel && e.Label.Kind != ListLabel || len(e.Label.List) > 0 {
			return errorAt(t.Name, e.Line, "the label %s is neither the name nor the index of a class", e.Label)
		}
	}
	return errorAt(t.Name, 0, "no row has a label")
}

// found returns the class names of a table sorted by code point (bytes of
// UTF-8 sort alike) and its largest class index, -1 for none.
func found(t *Table) (names []string, top int, err error) {
	top = -1
	seen := map[string]bool{}
	loose := map[string]string{}
	for i := range t.Examples {
		e := &t.Examples[i]
		for _, l := range e.Label.elements() {
			if l.Kind == IndexLabel {
				if l.Index >= maxClasses {
					return nil, 0, errorAt(t.Name, e.Line, "the class index %d is too large (the limit is %d)", l.Index, maxClasses-1)
				}
				top = max(top, int(l.Index))
			}
			if l.Kind != NameLabel || seen[l.Name] {
				continue
			}
			if other, ok := loose[fold(l.Name)]; ok {
				return nil, 0, errorAt(t.Name, e.Line, "the labels %q and %q differ in spaces or case only: write them alike, or give all classes with --labels", other, l.Name)
			}
			seen[l.Name] = true
			loose[fold(l.Name)] = l.Name
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	return names, top, nil
}

// elements returns the single labels of a label.
func (l *Label) elements() []Label {
	if l.Kind == ListLabel {
		return l.List
	}
	return []Label{*l}
}

// bits returns the number of classes if all lists in all tables are rows of 0
// and 1 of one length, at least 2; else 0.
func bits(tables []*Table) int {
	k := 0
	for _, t := range tables {
		for i := range t.Examples {
			l := &t.Examples[i].Label
			if l.Kind != ListLabel {
				continue
			}
			if k == 0 {
				k = len(l.List)
			}
			if len(l.List) != k || k < 2 || !isBits(l.List) {
				return 0
			}
		}
	}
	return k
}

func isBits(list []Label) bool {
	for _, e := range list {
		if e.Kind != IndexLabel && e.Kind != NumberLabel || e.Number != 0 && e.Number != 1 {
			return false
		}
	}
	return true
}

func formOfLists(tables []*Table, k int) listForm {
	if n := bits(tables); n > 0 && n == k {
		return listsOfBits
	}
	return listsOfIndices
}

// isGeneric reports whether names are LABEL_0, LABEL_1 … in order, as
// transformers makes them up.
func isGeneric(names []string) bool {
	for i, n := range names {
		if n != fmt.Sprintf("LABEL_%d", i) {
			return false
		}
	}
	return len(names) > 0
}

func subset(names, of []string) bool {
	for _, n := range names {
		if !slices.Contains(of, n) {
			return false
		}
	}
	return true
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// nameList shows names in a message.
func nameList(names []string) string {
	const limit = 20
	quoted := make([]string, 0, limit+1)
	for i, n := range names {
		if i == limit {
			quoted = append(quoted, fmt.Sprintf("… (%d in all)", len(names)))
			break
		}
		quoted = append(quoted, excerpt(n))
	}
	return strings.Join(quoted, ", ")
}
