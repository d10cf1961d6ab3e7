package data

// LabelledRow is a row with a label.
type LabelledRow[E any] interface {
	Row[E]
	// LabelOf returns the label as the file has it.
	LabelOf() Label
}

// LabelledFile holds rows with labels. The kinds of files with labels embed it, in place of [File].
type LabelledFile[E LabelledRow[E]] struct {
	File[E]
	Optional bool // rows need no label, and the class index -1 is none, as test sets of the hub hide labels
	Dropped  int  // rows left out by [WithTargets]
}

// labelled returns f: a pointer to a struct that embeds a LabelledFile has this method too.
func (f *LabelledFile[E]) labelled() *LabelledFile[E] { return f }

// LabelledOf is a pointer to a kind of file K, a struct that embeds a LabelledFile of the rows E.
type LabelledOf[E LabelledRow[E], K any] interface {
	Of[E, K]
	labelled() *LabelledFile[E]
}

// Labelled returns the number of rows that have a label.
func (f *LabelledFile[E]) Labelled() int {
	return f.Count(func(e E) bool { return e.LabelOf().Kind != NoLabel })
}

// SplitOff divides the rows of f into two files: held gets round(fraction × rows) of them, rest keeps the others, both
// in the order of f. The choice depends on seed and the order of the rows only, the same on every machine. What was
// counted when the file was read stays with rest, so that it is reported once. It returns an error if fraction is not
// between 0 and 1 or a part would be empty.
func SplitOff[E LabelledRow[E], K any, P LabelledOf[E, K]](
	f P, fraction float64, seed uint64,
) (rest, held P, err error) {
	return splitStrata(f, [][]int{numbers(f.Len())}, "", fraction, seed)
}

// SplitClasses divides the rows of f like [SplitOff], but class by class, for rows whose label is one class: each class
// gives fraction of its rows, rounded so that round(fraction × rows) are held in all (largest remainders first), and
// keeps at least one. Rows without a label count as a class.
func SplitClasses[E LabelledRow[E], K any, P LabelledOf[E, K]](
	f P, fraction float64, seed uint64,
) (rest, held P, err error) {
	return splitStrata(f, f.labelled().strata(), " that leave each class a row to train on", fraction, seed)
}

// splitStrata divides rows stratum by stratum. parts ends the error about what cannot be divided.
func splitStrata[E LabelledRow[E], K any, P LabelledOf[E, K]](
	f P, strata [][]int, parts string, fraction float64, seed uint64,
) (rest, held P, err error) {
	take, err := SplitStrata(strata, f.Len(), fraction, seed)
	if err != nil {
		return nil, nil, err
	}
	rest, held, err = Divide[E, K](f, take, fraction, Plural(f.Len(), "row"), parts)
	if err == nil {
		held.labelled().Dropped = 0
	}
	return rest, held, err
}

// strata returns the row numbers of each class, classes in the order of their first row.
func (f *LabelledFile[E]) strata() [][]int {
	var out [][]int
	index := map[string]int{}
	for i, e := range f.All() {
		key := e.LabelOf().String()
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
