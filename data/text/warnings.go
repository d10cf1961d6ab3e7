package text

import "github.com/spalora/spalora/data"

// Warnings returns what is odd about the files of a run, of which each may be nil: replaced bytes, dropped rows, empty
// texts, rows without a label, repeated texts, repeated texts with different labels, a single class, classes without
// rows to train on, a class for every row, constant targets, and texts to train on that are also evaluated or tested
// on. l may be nil if the classes are not known.
func Warnings(l *data.Labels, train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "texts that are", func(f *File) []data.Warning {
		out := f.rowWarnings()
		if l != nil {
			out = append(out, f.LabelWarnings(l, f == train, f.Columns.Label)...)
		}
		return out
	})
}

// rowWarnings looks at single rows and at repeated ones.
func (f *File) rowWarnings() []data.Warning {
	var empty, unlabelled data.Tally
	for e := range f.Values() {
		if data.Blank(e.Text) || e.HasPair && data.Blank(e.Pair) {
			empty.Add(e.Line)
		}
		if e.Label.Kind == data.NoLabel && f.Columns.Label != "" {
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
