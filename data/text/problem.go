package text

import (
	"math"

	"github.com/spalora/spalora/data"
)

// GuessProblem returns the problem type that fits the labels of a file, and why:
//
//   - lists: multi-label
//   - JSON numbers, at least one with a fraction or exponent: regression
//   - text in CSV or TSV that is a number in every row, and not an integer in at least one ("3.8", but not "1.0"):
//     regression
//   - otherwise, integer JSON numbers or text: single label
//
// Rows without a label do not count. Labels of kinds that do not fit together are an error.
func GuessProblem(f *File) (data.Problem, string, error) {
	var count [data.ListLabel + 1]int
	var first [data.ListLabel + 1]*Example
	numbers, fractions := 0, 0
	for e := range f.Values() {
		k := e.Label.Kind
		if count[k]++; first[k] == nil {
			first[k] = &e
		}
		if k == data.NameLabel && f.Format.Delimited() {
			if v, ok := data.ParseNumber(e.Label.Name); ok {
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
	switch labelled := f.Len() - count[data.NoLabel]; {
	case labelled == 0:
		return 0, "", data.Errorf(f.Name, 0, "no row has a label; use `problem_type` or give labels")
	case count[data.ListLabel] > 0:
		return data.MultiLabel, "the labels are lists", nil
	case count[data.NumberLabel] > 0:
		return data.Regression, "the labels are numbers with fractions", nil
	case count[data.IndexLabel] > 0:
		return data.SingleLabel, "the labels are class indices", nil
	case numbers == labelled && fractions > 0:
		return data.Regression, "the labels are numbers with fractions", nil
	}
	return data.SingleLabel, "the labels are names", nil
}

// mixed refuses labels of kinds that do not go together.
func mixed(f *File, first [data.ListLabel + 1]*Example) error {
	names := [...]string{data.NameLabel: "text", data.IndexLabel: "a number", data.NumberLabel: "a number",
		data.ListLabel: "a list"}
	var a *Example
	for _, e := range first[data.NameLabel:] {
		switch {
		case e == nil:
		case a == nil:
			a = e
		case names[a.Label.Kind] != names[e.Label.Kind]:
			if a.Line > e.Line {
				a, e = e, a
			}
			return data.Errorf(f.Name, e.Line, "the label %s is %s, but line %d has %s (%s): write all labels alike", e.Label,
				names[e.Label.Kind], a.Line, names[a.Label.Kind], a.Label)
		case e.Line < a.Line:
			a = e
		}
	}
	return nil
}
