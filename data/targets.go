package data

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/batch"
)

// Classes returns the class of each row, [batch.Ignore] where there is none. A label that is not a class is an error.
func (f *LabelledFile[E]) Classes(l *Labels) ([]int32, error) {
	out := make([]int32, f.Len())
	var bad Faults
	for i, e := range f.All() {
		c, err := classOf(e.LabelOf(), l, f.Optional)
		if err != nil {
			bad.Add(e.StartLine(), err)
		}
		out[i] = c
	}
	return out, bad.Err(f.Name)
}

// classOf returns the class of a single label.
func classOf(label Label, l *Labels, optional bool) (int32, error) {
	switch label.Kind {
	case NoLabel:
		return batch.Ignore, nil
	case NameLabel:
		if c, ok := l.Index(label.Name); ok {
			return c, nil
		}
		return 0, l.Unknown(label.Name)
	case IndexLabel, NumberLabel:
		n, whole := label.Integer()
		c, ok := l.OfInteger(n)
		switch {
		case !whole:
			return 0, fmt.Errorf("the label %s is not a class: give a class name or an integer, or use "+
				"`problem_type regression`", label)
		case ok:
			return c, nil
		case n == -1 && optional: // how test sets of the hub hide labels
			return batch.Ignore, nil
		}
		return 0, l.NotInteger(n, "class index "+label.String())
	}
	return 0, fmt.Errorf("the label %s is a list: give one class, or use `problem_type multi_label_classification`", label)
}

// Indicators returns 0 or 1 for each row and each of k classes, B×k (multi-label). A row without a label is k times
// NaN.
func (f *LabelledFile[E]) Indicators(l *Labels) ([]float32, error) {
	k := len(l.Names)
	out := make([]float32, f.Len()*k)
	form := l.Lists
	if form == UnknownLists {
		form = formOfLists([]*LabelledFile[E]{f}, k)
	}
	var bad Faults
	for i, e := range f.All() {
		if err := indicate(out[i*k:(i+1)*k], e.LabelOf(), l, form); err != nil {
			bad.Add(e.StartLine(), err)
		}
	}
	return out, bad.Err(f.Name)
}

// indicate writes one row of 0 and 1.
func indicate(out []float32, label Label, l *Labels, form ListForm) error {
	switch {
	case label.Kind == NoLabel:
		for i := range out {
			out[i] = float32(math.NaN())
		}
		return nil
	case label.Kind == NameLabel:
		return fmt.Errorf("the label %q is not a list: give with `label_separator` what separates the classes of a row",
			label.Name)
	case label.Kind != ListLabel:
		return fmt.Errorf("the label %s is not a list", label)
	case form == BitLists || len(label.List) > 0 && label.List[0].Kind == NumberLabel:
		if len(label.List) != len(out) || !isBits(label.List) {
			return fmt.Errorf("the label %s is not a row of %d times 0 or 1", label, len(out))
		}
		for i, e := range label.List {
			out[i] = float32(e.Number)
		}
		return nil
	}
	for _, e := range label.List {
		c, err := classOf(e, l, false)
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

// Targets returns the regression target of each row, NaN where there is none. Text that is not a number is an error,
// and so is a number that float32 cannot hold.
func (f *LabelledFile[E]) Targets() ([]float32, error) {
	out := make([]float32, f.Len())
	var bad Faults
	for i, e := range f.All() {
		label := e.LabelOf()
		v, err := label.Float()
		if err == nil && math.Abs(v) > math.MaxFloat32 {
			err = fmt.Errorf("%s is too large a number", label)
		}
		if err != nil {
			bad.Add(e.StartLine(), fmt.Errorf("the target %w", err))
		}
		out[i] = float32(v)
	}
	return out, bad.Err(f.Name)
}

// HasTarget reports whether a model can learn from a row with the label: there is one, and for regression one that is
// not NaN.
func (l Label) HasTarget(p Problem) bool {
	v, err := l.Float()
	return l.Kind != NoLabel && (p != Regression || err != nil || !math.IsNaN(v))
}

// WithTargets returns the rows of f for whose labels [Label.HasTarget] holds. Dropped counts the others.
func WithTargets[E LabelledRow[E], K any, P LabelledOf[E, K]](f P, p Problem) P {
	kept := Filter(f, func(e E) bool { return e.LabelOf().HasTarget(p) })
	kept.labelled().Dropped += f.Len() - kept.Len()
	return kept
}
