package data

import (
	"slices"

	"github.com/spalora/spalora/batch"
)

// LabelWarnings returns what is odd about the labels of a file, which were found to fit l: integers that are names of
// classes, a single class, classes without rows to train on, a class for every row, and constant targets. train says
// that the rows are trained on; column is the name of the column with the labels.
func (f *LabelledFile[E]) LabelWarnings(l *Labels, train bool, column string) []Warning {
	if l.Problem == Regression {
		return f.targetWarnings()
	}
	var byName Tally
	for e := range f.Values() {
		if (l.Problem == SingleLabel || l.Lists == IndexLists) && namedByIntegers(e.LabelOf(), l) {
			byName.Add(e.StartLine())
		}
	}
	out := byName.Warn(f.Name, "with an integer that is the name of a class, not its index: the classes are called "+
		NameList(l.Names))
	counts := make([]int, len(l.Names))
	if l.Problem == MultiLabel {
		rows, err := f.Indicators(l)
		if err != nil {
			return nil // FindLabels has reported it
		}
		for i, v := range rows {
			if v == 1 {
				counts[i%len(counts)]++
			}
		}
	} else {
		classes, err := f.Classes(l)
		if err != nil {
			return nil
		}
		for _, c := range classes {
			if c != batch.Ignore {
				counts[c]++
			}
		}
	}
	if f.Labelled() == 0 {
		return nil
	}
	return append(out, f.countWarnings(l, counts, train, column)...)
}

func (f *LabelledFile[E]) countWarnings(l *Labels, counts []int, train bool, column string) []Warning {
	var out []Warning
	var none []string
	only, used := "", 0
	for i, n := range counts {
		if n == 0 {
			none = append(none, l.Names[i])
		} else {
			used++
			only = l.Names[i]
		}
	}
	if l.Problem == SingleLabel && used == 1 {
		out = append(out, Warnf(f.Name, 0, f.Labelled(), "every row has the class %q", only))
	}
	if train && len(none) > 0 {
		out = append(out, Warnf(f.Name, 0, len(none),
			"%d of %d classes have no row: %s", len(none), len(counts), NameList(none)))
	}
	if train && l.Problem == SingleLabel && used == f.Len() && used > 20 {
		out = append(out, Warnf(f.Name, 0, used,
			"each of the %d rows has a class of its own: is the label column (%s) right?", used, column))
	}
	return out
}

func (f *LabelledFile[E]) targetWarnings() []Warning {
	targets, err := f.Targets()
	if err != nil {
		return nil
	}
	var missing Tally
	var first float32
	n, constant, whole, fractions := 0, true, 0, 0
	for i, v := range targets {
		e := f.At(i)
		label := e.LabelOf()
		if v != v {
			if label.Kind != NoLabel {
				missing.Add(e.StartLine())
			}
			continue
		}
		if _, ok := label.Integer(); ok {
			whole++
		}
		if label.Kind == NumberLabel {
			fractions++
		}
		if n++; n == 1 {
			first = v
		}
		constant = constant && v == first
	}
	out := missing.Warn(f.Name, "whose target is NaN")
	if constant && n > 1 {
		out = append(out, Warnf(f.Name, 0, n, "every row has the target %g", first))
	}
	if fractions > 0 && whole == n {
		out = append(out, Warnf(f.Name, 0, n, "every target is a whole number written with a fraction, as 1.0: if "+
			"these are classes, use `problem_type single_label_classification`"))
	}
	return out
}

// namedByIntegers reports whether a label is, or has, an integer that is read as the name of a class and would mean
// another one as an index.
func namedByIntegers(label Label, l *Labels) bool {
	return slices.ContainsFunc(elementsOf(label), func(e Label) bool {
		n, whole := e.Integer()
		c, ok := l.OfInteger(n)
		return whole && ok && int64(c) != n
	})
}
