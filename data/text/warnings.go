package text

import (
	"slices"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the files of a run, of which each may be nil: replaced bytes, dropped rows, empty
// texts, rows without a label, repeated texts, repeated texts with different labels, a single class, classes without
// rows to train on, a class for every row, constant targets, and texts to train on that are also evaluated or tested
// on. l may be nil if the classes are not known.
func Warnings(l *data.Labels, train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "texts that are", func(f *File) []data.Warning {
		out := f.rowWarnings()
		if l != nil {
			out = append(out, f.labelWarnings(l, f == train)...)
		}
		return out
	})
}

// namedByIntegers reports whether a label is, or has, an integer that is read as the name of a class and would mean
// another one as an index.
func namedByIntegers(label data.Label, l *data.Labels) bool {
	return slices.ContainsFunc(elementsOf(label), func(e data.Label) bool {
		n, whole := e.Integer()
		c, ok := l.OfInteger(n)
		return whole && ok && int64(c) != n
	})
}

// rowWarnings looks at single rows and at repeated ones.
func (f *File) rowWarnings() []data.Warning {
	var empty, unlabelled data.Tally
	for e := range f.Values() {
		if data.Blank(e.Text) || e.HasPair && data.Blank(e.Pair) {
			empty.Add(e.Line)
		}
		if !e.labelled() && f.Columns.Label != "" {
			unlabelled.Add(e.Line)
		}
	}
	repeated, contrary := f.Repeated(func(a, b Example) bool { return a.Label.String() == b.Label.String() })
	out := data.Tally{N: f.Dropped}.Warn(f.Name, "without a target, which were left out")
	if f.negatives != "" {
		out = append(out, data.Warnf(f.Name, 0, f.Len(), "the column %q is not read: only %q and %q are", f.negatives,
			f.Columns.Text, f.Columns.Pair))
	}
	out = append(out, empty.Warn(f.Name, "with an empty text")...)
	out = append(out, unlabelled.Warn(f.Name, "without a label")...)
	out = append(out, repeated.Warn(f.Name, "with the texts and label of a row before")...)
	return append(out, contrary.Warn(f.Name, "with the texts of a row before but another label")...)
}

// labelWarnings looks at the labels of a file, which were found to fit l.
func (f *File) labelWarnings(l *data.Labels, train bool) []data.Warning {
	if l.Problem == data.Regression {
		return f.targetWarnings()
	}
	var byName data.Tally
	for e := range f.Values() {
		if (l.Problem == data.SingleLabel || l.Lists == data.IndexLists) && namedByIntegers(e.Label, l) {
			byName.Add(e.Line)
		}
	}
	out := byName.Warn(f.Name, "with an integer that is the name of a class, not its index: the classes are called "+
		data.NameList(l.Names))
	counts := make([]int, len(l.Names))
	if l.Problem == data.MultiLabel {
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
	return append(out, f.countWarnings(l, counts, train)...)
}

func (f *File) countWarnings(l *data.Labels, counts []int, train bool) []data.Warning {
	var out []data.Warning
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
	if l.Problem == data.SingleLabel && used == 1 {
		out = append(out, data.Warnf(f.Name, 0, f.Labelled(), "every row has the class %q", only))
	}
	if train && len(none) > 0 {
		out = append(out, data.Warnf(f.Name, 0, len(none),
			"%d of %d classes have no row: %s", len(none), len(counts), data.NameList(none)))
	}
	if train && l.Problem == data.SingleLabel && used == f.Len() && used > 20 {
		out = append(out, data.Warnf(f.Name, 0, used,
			"each of the %d rows has a class of its own: is the label column (%s) right?", used, f.Columns.Label))
	}
	return out
}

func (f *File) targetWarnings() []data.Warning {
	targets, err := f.Targets()
	if err != nil {
		return nil
	}
	var missing data.Tally
	var first float32
	n, constant, whole, fractions := 0, true, 0, 0
	for i, v := range targets {
		e := f.At(i)
		if v != v {
			if e.Label.Kind != data.NoLabel {
				missing.Add(e.Line)
			}
			continue
		}
		if _, ok := e.Label.Integer(); ok {
			whole++
		}
		if e.Label.Kind == data.NumberLabel {
			fractions++
		}
		if n++; n == 1 {
			first = v
		}
		constant = constant && v == first
	}
	out := missing.Warn(f.Name, "whose target is NaN")
	if constant && n > 1 {
		out = append(out, data.Warnf(f.Name, 0, n, "every row has the target %g", first))
	}
	if fractions > 0 && whole == n {
		out = append(out, data.Warnf(f.Name, 0, n, "every target is a whole number written with a fraction, as 1.0: if "+
			"these are classes, use `problem_type single_label_classification`"))
	}
	return out
}
