package data

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// LabelKind says what was written as a label.
type LabelKind uint8

// The kinds of label. What they mean for training is decided by a [Problem].
const (
	NoLabel     LabelKind = iota // the row has none (only where labels are optional)
	NameLabel                    // text: the name of a class, or a number in a CSV file
	IndexLabel                   // an integer JSON number: a class index
	NumberLabel                  // a JSON number with a fraction or exponent: a regression target
	ListLabel                    // several labels of the other kinds: multi-label
)

// Label is what a row says before it is a class or a target.
type Label struct {
	Kind   LabelKind
	Name   string  // text of a NameLabel
	Index  int64   // value of an IndexLabel
	Number float64 // value of a NumberLabel or IndexLabel
	List   []Label // elements of a ListLabel, possibly none
}

// String returns the label as an error message shows it.
func (l Label) String() string {
	switch l.Kind {
	case NameLabel:
		return strconv.Quote(l.Name)
	case IndexLabel:
		return strconv.FormatInt(l.Index, 10)
	case NumberLabel:
		return strconv.FormatFloat(l.Number, 'g', -1, 64)
	case ListLabel:
		parts := make([]string, len(l.List))
		for i, e := range l.List {
			parts[i] = e.String()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "no label"
}

// number returns the label as a regression target. Text counts if it is a
// decimal number or nan.
func (l Label) number() (float64, error) {
	switch l.Kind {
	case IndexLabel, NumberLabel:
		return l.Number, nil
	case NameLabel:
		if v, ok := parseNumber(l.Name); ok {
			return v, nil
		}
	case NoLabel:
		return math.NaN(), nil
	}
	return 0, fmt.Errorf("%s is not a number", l)
}

// parseNumber reads a decimal number as pandas would, or "nan" in any case. It
// takes no hexadecimal numbers, underscores or infinities, unlike strconv.
func parseNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t")
	if strings.EqualFold(s, "nan") {
		return math.NaN(), true
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }) {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// Problem is what a head learns from labels.
type Problem int

// The problem types. The first three have the names that config.json has for them;
// TokenTags is of another head, see [FindTags].
const (
	SingleLabel Problem = iota // one class for each row: cross-entropy
	MultiLabel                 // any number of classes for each row: a yes or no for each
	Regression                 // a number for each row: squared error
	TokenTags                  // one class for each word (or token) of a text
)

// String returns the name that config.json (and labels.json) uses.
func (p Problem) String() string {
	switch p {
	case SingleLabel:
		return "single_label_classification"
	case MultiLabel:
		return "multi_label_classification"
	case Regression:
		return "regression"
	case TokenTags:
		return "token_classification"
	}
	return fmt.Sprintf("Problem(%d)", int(p))
}

// ParseProblem reads a problem type: the names of config.json, or single_label,
// multi_label and regression. Case and - for _ do not matter.
func ParseProblem(s string) (Problem, error) {
	switch strings.ReplaceAll(strings.ToLower(s), "-", "_") {
	case "single_label_classification", "single_label", "single":
		return SingleLabel, nil
	case "multi_label_classification", "multi_label", "multi":
		return MultiLabel, nil
	case "regression":
		return Regression, nil
	}
	return 0, optionError("problem type %q is none of single_label_classification, multi_label_classification, regression", s)
}

// GuessProblem returns the problem type that the labels of a table speak of and
// why:
//
//   - lists: multi-label
//   - JSON numbers, at least one with a fraction or exponent: regression
//   - text in CSV or TSV that is a number in every row, and no integer in at
//     least one ("3.8", but not "1.0"): regression
//   - otherwise, integer JSON numbers or text: single label
//
// Rows without a label do not count. Labels of kinds that do not go together
// are an error.
func GuessProblem(t *Table) (Problem, string, error) {
	var count [ListLabel + 1]int
	var first [ListLabel + 1]*Example
	numbers, fractions := 0, 0
	for i := range t.Examples {
		e := &t.Examples[i]
		k := e.Label.Kind
		if count[k]++; first[k] == nil {
			first[k] = e
		}
		if k == NameLabel && t.Format.delimited() {
			if v, ok := parseNumber(e.Label.Name); ok {
				numbers++
				if v != math.Trunc(v) && !math.IsNaN(v) {
					fractions++
				}
			}
		}
	}
	if err := mixed(t, count, first); err != nil {
		return 0, "", err
	}
	switch labelled := len(t.Examples) - count[NoLabel]; {
	case labelled == 0:
		return 0, "", errorAt(t.Name, 0, "no row has a label; say --problem-type or give labels")
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
func mixed(t *Table, count [ListLabel + 1]int, first [ListLabel + 1]*Example) error {
	families := [][]LabelKind{{NameLabel}, {IndexLabel, NumberLabel}, {ListLabel}}
	names := []string{"text", "a number", "a list"}
	var a *Example
	var aName string
	for f, kinds := range families {
		var e *Example
		for _, k := range kinds {
			if count[k] > 0 && (e == nil || first[k].Line < e.Line) {
				e = first[k]
			}
		}
		if e == nil {
			continue
		}
		if a != nil {
			if a.Line > e.Line {
				return errorAt(t.Name, a.Line, "the label %s is %s, but line %d has %s (%s): write all labels alike", a.Label, aName, e.Line, names[f], e.Label)
			}
			return errorAt(t.Name, e.Line, "the label %s is %s, but line %d has %s (%s): write all labels alike", e.Label, names[f], a.Line, aName, a.Label)
		}
		a, aName = e, names[f]
	}
	return nil
}
