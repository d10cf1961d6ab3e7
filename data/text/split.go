package text

import "github.com/spalora/spalora/data"

// SplitOff divides the rows into two files: held gets round(fraction × rows) of them, rest keeps the others, both in
// the order of f. The choice depends on seed and the order of the rows only, the same on every machine. What was
// counted when the file was read stays with rest, so that it is reported once. It returns an error if fraction is not
// between 0 and 1 or a part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	all := make([]int, f.Len())
	for i := range all {
		all[i] = i
	}
	return f.splitStrata([][]int{all}, "", fraction, seed)
}

// SplitClasses divides the rows like [File.SplitOff], but class by class, for rows whose label is one class: each class
// gives fraction of its rows, rounded so that round(fraction × rows) are held in all (largest remainders first), and
// keeps at least one. Rows without a label count as a class.
func (f *File) SplitClasses(fraction float64, seed uint64) (rest, held *File, err error) {
	return f.splitStrata(f.strata(), " that leave each class a row to train on", fraction, seed)
}

// splitStrata divides rows stratum by stratum. parts ends the error about what cannot be divided.
func (f *File) splitStrata(strata [][]int, parts string, fraction float64, seed uint64) (rest, held *File, err error) {
	take, err := data.SplitStrata(strata, f.Len(), fraction, seed)
	if err != nil {
		return nil, nil, err
	}
	if rest, held, err = data.Divide(f, take, fraction, data.Plural(f.Len(), "row"), parts); err == nil {
		held.Dropped, held.negatives = 0, ""
	}
	return rest, held, err
}

// strata returns the row numbers of each class, classes in the order of their first row.
func (f *File) strata() [][]int {
	var out [][]int
	index := map[string]int{}
	for i, e := range f.All() {
		key := e.Label.String()
		c, ok := index[key]
		if !ok {
			c = len(out)
			index[key] = c
			out = append(out, nil)
		}
		out[c] = append(out[c], i)
	}
	return out
}
