package data

import (
	"fmt"
	"math"
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
	l := &Labels{Problem: p, Names: slices.Clone(names), index: make(map[string]int32, len(names))}
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
	if len(src.Fixed) > 0 && len(src.Saved) > 0 && !slices.Equal(src.Fixed, src.Saved) {
		return nil, optionError("the labels given (%s) are not those of the adapter to start from (%s)", nameList(src.Fixed), nameList(src.Saved))
	}
	var l *Labels
	var err error
	switch {
	case p == Regression:
		l, err = NewLabels(p, nil)
	case len(src.Fixed) > 0:
		if l, err = NewLabels(p, src.Fixed); err != nil {
			err = fmt.Errorf("%w: %w", err, ErrOption)
		}
	case len(src.Saved) > 0:
		l, err = NewLabels(p, src.Saved)
	default:
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

// collect makes classes of config's names or of what the first table holds.
func collect(p Problem, config []string, tables []*Table) (*Labels, error) {
	generic := isGeneric(config)
	if len(config) > 0 && !generic {
		return NewLabels(p, config)
	}
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
		return nil, errorAt(tables[0].Name, 0, "no row has a label")
	}
	if len(names) > 0 && !subset(names, config) {
		return NewLabels(p, names)
	}
	// Only class indices, or the generic names themselves: the head decides,
	// unless the data has more classes.
	all := make([]string, max(top+1, len(config)))
	for i := range all {
		all[i] = fmt.Sprintf("LABEL_%d", i)
	}
	return NewLabels(p, all)
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

// verify checks every label of t.
func (l *Labels) verify(t *Table) error {
	var err error
	switch l.Problem {
	case Regression:
		_, err = l.Targets(t)
	case MultiLabel:
		_, err = l.Rows(t)
	default:
		_, err = l.Classes(t)
	}
	return err
}

// Classes returns the class of each row of t, [Ignore] where there is none.
// A label that is not a class is an error.
func (l *Labels) Classes(t *Table) ([]int32, error) {
	out := make([]int32, len(t.Examples))
	var bad faults
	for i := range t.Examples {
		e := &t.Examples[i]
		c, err := l.class(e.Label, t.optional)
		if err != nil {
			bad.add(e.Line, err)
		}
		out[i] = c
	}
	return out, bad.err(t.Name)
}

// class returns the class of a single label.
func (l *Labels) class(label Label, optional bool) (int32, error) {
	switch label.Kind {
	case NoLabel:
		return Ignore, nil
	case NameLabel:
		if c, ok := l.index[label.Name]; ok {
			return c, nil
		}
		return 0, l.unknown(label.Name)
	case IndexLabel:
		if label.Index >= 0 && label.Index < int64(len(l.Names)) {
			return int32(label.Index), nil
		}
		if label.Index == -1 && optional { // how test sets of the hub hide labels
			return Ignore, nil
		}
		return 0, fmt.Errorf("the class index %d is not in 0 to %d (%s)", label.Index, len(l.Names)-1, nameList(l.Names))
	case NumberLabel:
		return 0, fmt.Errorf("the label %s is no class: give a class name or an integer, or say --problem-type regression", label)
	}
	return 0, fmt.Errorf("the label %s is a list: give one class, or say --problem-type multi_label_classification", label)
}

// unknown says that a name is no class, and what may have been meant.
func (l *Labels) unknown(name string) error {
	hint := ""
	for _, n := range l.Names {
		a, okA := parseNumber(name)
		b, okB := parseNumber(n)
		if fold(n) == fold(name) || okA && okB && a == b {
			hint = fmt.Sprintf(" (did you mean %q?)", n)
			break
		}
	}
	if v, ok := parseNumber(name); hint == "" && ok && v == math.Trunc(v) {
		hint = " (text is taken as a class name; only an integer in JSON Lines is a class index; --labels gives other names)"
	}
	return fmt.Errorf("the label %q is none of the classes%s: %s", name, hint, nameList(l.Names))
}

// Rows returns 0 and 1 for each row of t and each class, B×k (multi-label). A
// row without a label is k times NaN.
func (l *Labels) Rows(t *Table) ([]float32, error) {
	k := len(l.Names)
	out := make([]float32, len(t.Examples)*k)
	form := l.rows
	if form == listsUnknown {
		form = formOfLists([]*Table{t}, k)
	}
	var bad faults
	for i := range t.Examples {
		e := &t.Examples[i]
		if err := l.row(out[i*k:(i+1)*k], e.Label, form); err != nil {
			bad.add(e.Line, err)
		}
	}
	return out, bad.err(t.Name)
}

// row writes one row of 0 and 1.
func (l *Labels) row(out []float32, label Label, form listForm) error {
	switch {
	case label.Kind == NoLabel:
		for i := range out {
			out[i] = float32(math.NaN())
		}
		return nil
	case label.Kind == NameLabel:
		return fmt.Errorf("the label %q is no list: say with --label-separator what separates the classes of a row", label.Name)
	case label.Kind != ListLabel:
		return fmt.Errorf("the label %s is no list", label)
	case form == listsOfBits || len(label.List) > 0 && label.List[0].Kind == NumberLabel:
		if len(label.List) != len(out) || !isBits(label.List) {
			return fmt.Errorf("the label %s is no row of %d times 0 or 1", label, len(out))
		}
		for i, e := range label.List {
			out[i] = float32(e.Number)
		}
		return nil
	}
	for _, e := range label.List {
		c, err := l.class(e, false)
		if err != nil {
			return err
		}
		if out[c] != 0 {
			return fmt.Errorf("the label %s has the class %s twice", label, e)
		}
		out[c] = 1
	}
	return nil
}

// Targets returns the regression target of each row of t, NaN where there is
// none. Text that is not a number is an error, and so is a number that float32
// cannot hold.
func (l *Labels) Targets(t *Table) ([]float32, error) {
	out := make([]float32, len(t.Examples))
	var bad faults
	for i := range t.Examples {
		e := &t.Examples[i]
		v, err := e.Label.number()
		if err == nil && math.Abs(v) > math.MaxFloat32 {
			err = fmt.Errorf("%s is too large a number", e.Label)
		}
		if err != nil {
			bad.add(e.Line, fmt.Errorf("the target %w", err))
		}
		out[i] = float32(v)
	}
	return out, bad.err(t.Name)
}

// WithTargets returns a table of those rows that have something to learn from:
// a label that is not NaN. Dropped counts the others.
func (t *Table) WithTargets() *Table {
	c := *t
	c.Examples = nil
	for _, e := range t.Examples {
		v, err := e.Label.number()
		if e.Label.Kind == NoLabel || err == nil && math.IsNaN(v) {
			c.Dropped++
			continue
		}
		c.Examples = append(c.Examples, e)
	}
	return &c
}

// faults collects what is wrong with the rows of a table.
type faults struct {
	n     int
	line  int
	first error
}

func (f *faults) add(line int, err error) {
	if f.n++; f.n == 1 {
		f.line, f.first = line, err
	}
}

func (f *faults) err(file string) error {
	switch f.n {
	case 0:
		return nil
	case 1:
		return errorAt(file, f.line, "%s", f.first)
	}
	return errorAt(file, f.line, "%s (and %s more like this)", f.first, plural(f.n-1, "row"))
}
