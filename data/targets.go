package data

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/batch"
)

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

// Classes returns the class of each row of t, [batch.Ignore] where there is none.
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
		return batch.Ignore, nil
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
			return batch.Ignore, nil
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
		hint = " (text is the name of a class; only an integer in JSON Lines is its index)"
	}
	return fmt.Errorf("the label %q is none of the %d classes %s%s: %s; --labels gives others", name, len(l.Names), l.from, hint, nameList(l.Names))
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
// a label, and for regression one that is not NaN. Dropped counts the others.
func (t *Table) WithTargets(p Problem) *Table {
	c := *t
	c.Examples = nil
	for _, e := range t.Examples {
		v, err := e.Label.number()
		if e.Label.Kind == NoLabel || p == Regression && err == nil && math.IsNaN(v) {
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
