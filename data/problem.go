package data

import "math"

// GuessProblem returns the problem type that fits the labels of a file, and why:
//
//   - lists: multi-label
//   - JSON numbers, at least one with a fraction or exponent: regression
//   - text in CSV or TSV that is a number in every row, and not an integer in at least one ("3.8", but not "1.0"):
//     regression
//   - otherwise, integer JSON numbers or text: single label
//
// Rows without a label do not count. Labels of kinds that do not fit together are an error.
func GuessProblem[E LabelledRow[E], K any, P LabelledOf[E, K]](file P) (Problem, string, error) {
	f := file.labelled()
	var count [ListLabel + 1]int
	var first [ListLabel + 1]*E
	numbers, fractions := 0, 0
	for e := range f.Values() {
		label := e.LabelOf()
		k := label.Kind
		if count[k]++; first[k] == nil {
			first[k] = &e
		}
		if k == NameLabel && f.Format.Delimited() {
			if v, ok := ParseNumber(label.Name); ok {
				numbers++
				if v != math.Trunc(v) && !math.IsNaN(v) {
					fractions++
				}
			}
		}
	}
	if err := mixed(f, first); err != nil {
		return 0, "", err
	}
	switch labelled := f.Len() - count[NoLabel]; {
	case labelled == 0:
		return 0, "", Errorf(f.Name, 0, "no row has a label; use `problem_type` or give labels")
	case count[ListLabel] > 0:
		return MultiLabel, "the labels are lists", nil
	case count[NumberLabel] > 0:
		return Regression, "the labels are numbers with fractions", nil
	case count[IndexLabel] > 0:
		return SingleLabel, "the labels are class indices", nil
	case numbers == labelled && fractions > 0:
		return Regression, "the labels are numbers with fractions", nil
	}
	return SingleLabel, "the labels are names", nil
}

// mixed refuses labels of kinds that do not go together.
func mixed[E LabelledRow[E]](f *LabelledFile[E], first [ListLabel + 1]*E) error {
	names := [...]string{NameLabel: "text", IndexLabel: "a number", NumberLabel: "a number",
		ListLabel: "a list"}
	var a Label // NoLabel: there is none yet
	line := 0
	for _, e := range first[NameLabel:] {
		if e == nil {
			continue
		}
		b, at := (*e).LabelOf(), (*e).StartLine()
		switch {
		case a.Kind == NoLabel:
			a, line = b, at
		case names[a.Kind] != names[b.Kind]:
			if line > at {
				a, line, b, at = b, at, a, line
			}
			return Errorf(f.Name, at, "the label %s is %s, but line %d has %s (%s): write all labels alike", b,
				names[b.Kind], line, names[a.Kind], a)
		case at < line:
			a, line = b, at
		}
	}
	return nil
}
