package picture

import (
	"strconv"

	"github.com/spalora/spalora/data"
)

// FindLabels returns the classes of a run, see [data.FindLabels]. Where nothing names them, those of IDX are called by
// their numbers, as "0" to "9" for MNIST.
func FindLabels(p data.Problem, src data.LabelSource, files ...*File) (*data.Labels, error) {
	l, err := data.FindLabels(p, src, files...)
	if err != nil || !data.Generic(l.Names) || len(files) == 0 || files[0] == nil || files[0].Format != IDX {
		return l, err
	}
	given, err := src.Given(p)
	if err != nil || given != nil {
		return l, err
	}
	names := make([]string, len(l.Names))
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	numbered, err := data.NewLabels(p, names)
	if err == nil {
		numbered.From, numbered.Lists = l.From, l.Lists
	}
	return numbered, err
}

// Warnings returns what is odd about the files of a run, of which each may be nil: replaced bytes, files that are not
// images, dropped rows, rows without a label, repeated images, a single class, classes without rows to train on, and
// images to train on that are also evaluated or tested on. l may be nil if the classes are not known.
func Warnings(l *data.Labels, train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "images that are", func(f *File) []data.Warning {
		out := f.rowWarnings()
		if l != nil {
			out = append(out, f.LabelWarnings(l, f == train, f.Columns.Label)...)
		}
		return out
	})
}

// rowWarnings looks at single rows and at repeated ones.
func (f *File) rowWarnings() []data.Warning {
	out := f.Others.WarnOf(f.Name, "file", "that are not images, which were left out")
	out = append(out, data.Tally{N: f.Dropped}.Warn(f.Name, "without a target, which were left out")...)
	var unlabelled data.Tally
	for e := range f.Values() {
		if e.Label.Kind == data.NoLabel && f.Columns.Label != "" {
			unlabelled.Add(e.Line)
		}
	}
	out = append(out, unlabelled.Warn(f.Name, "without a label")...)
	repeated, contrary := f.Repeated(func(a, b Example) bool { return a.Label.String() == b.Label.String() })
	out = append(out, repeated.Warn(f.Name, "with the image and label of a row before")...)
	return append(out, contrary.Warn(f.Name, "with the image of a row before but another label")...)
}
