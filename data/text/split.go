package text

import "github.com/spalora/spalora/data"

// SplitOff divides the rows into two files: held gets round(fraction × rows) of them, rest keeps the others, both in
// the order of f. The choice depends on seed and the order of the rows only, the same on every machine. What was
// counted when the file was read stays with rest, so that it is reported once. It returns an error if fraction is not
// between 0 and 1 or a part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	return withoutNegatives(data.SplitOff(f, fraction, seed))
}

// SplitClasses divides the rows like [File.SplitOff], but class by class, for rows whose label is one class: each class
// gives fraction of its rows, rounded so that round(fraction × rows) are held in all (largest remainders first), and
// keeps at least one. Rows without a label count as a class.
func (f *File) SplitClasses(fraction float64, seed uint64) (rest, held *File, err error) {
	return withoutNegatives(data.SplitClasses(f, fraction, seed))
}

// withoutNegatives lets only the rest of a file report a column that is not read.
func withoutNegatives(rest, held *File, err error) (*File, *File, error) {
	if err == nil {
		held.negatives = ""
	}
	return rest, held, err
}

// WithTargets returns the rows for which [data.Label.HasTarget] holds. Dropped counts the others.
func (f *File) WithTargets(p data.Problem) *File { return data.WithTargets(f, p) }

// FindLabels returns the classes of files of texts, see [data.FindLabels].
func FindLabels(p data.Problem, src data.LabelSource, files ...*File) (*data.Labels, error) {
	return data.FindLabels[Example](p, src, files...)
}

// GuessProblem returns the problem type that fits the labels of a file, and why, see [data.GuessProblem].
func GuessProblem(f *File) (data.Problem, string, error) { return data.GuessProblem(f) }
