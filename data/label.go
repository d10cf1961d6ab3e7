package data

import (
	"bytes"
	"encoding/json"
	"errors"
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

// Label is the label of a row as its file has it, before it becomes a class or a target.
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

// Integer returns the value of a label that is an integer in JSON, also one that is written 1.0, as programs write
// columns with gaps.
func (l Label) Integer() (n int64, ok bool) {
	switch l.Kind {
	case IndexLabel:
		return l.Index, true
	case NumberLabel:
		return int64(l.Number), l.Number == math.Trunc(l.Number) && math.Abs(l.Number) < 1<<53
	}
	return 0, false
}

// Float returns the label as a regression target. Text counts if it is a decimal number or nan.
func (l Label) Float() (float64, error) {
	switch l.Kind {
	case IndexLabel, NumberLabel:
		return l.Number, nil
	case NameLabel:
		if v, ok := ParseNumber(l.Name); ok {
			return v, nil
		}
	case NoLabel:
		return math.NaN(), nil
	}
	return 0, fmt.Errorf("%s is not a number", l)
}

// ParseNumber reads a decimal number as pandas would, or "nan" in any case. It takes no hexadecimal numbers,
// underscores or infinities, unlike strconv.
func ParseNumber(s string) (float64, bool) {
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

// The problem types. The first three have the names that config.json has for them; TokenTags is of another head, see
// [FindTags].
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

// ParseProblem reads a problem type: the names of config.json, or single_label, multi_label and regression. Case and -
// for _ do not matter.
func ParseProblem(s string) (Problem, error) {
	switch strings.ReplaceAll(strings.ToLower(s), "-", "_") {
	case "single_label_classification", "single_label", "single":
		return SingleLabel, nil
	case "multi_label_classification", "multi_label", "multi":
		return MultiLabel, nil
	case "regression":
		return Regression, nil
	}
	return 0, OptionErrorf("problem type %q is none of single_label_classification, multi_label_classification, "+
		"regression", s)
}

// ParseLabel reads the JSON value of a label: a string, true and false are class names, an integer is a class index, a
// number with a fraction or exponent is a target. Lists of these are read if lists is set.
func ParseLabel(v json.RawMessage, lists bool) (Label, error) {
	switch c := v[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			return Label{}, err
		}
		if strings.TrimSpace(s) == "" {
			return Label{}, errors.New("the label is empty")
		}
		return Label{Kind: NameLabel, Name: s}, nil
	case c == 't' || c == 'f':
		return Label{Kind: NameLabel, Name: string(v)}, nil
	case c == '[' && lists:
		return parseList(v)
	case c == '-' || c >= '0' && c <= '9':
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return Label{}, fmt.Errorf("the label %s is too large a number", Excerpt(string(v)))
		}
		if bytes.ContainsAny(v, ".eE") {
			return Label{Kind: NumberLabel, Number: f}, nil
		}
		i, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return Label{}, fmt.Errorf("the label %s is too large an integer", Excerpt(string(v)))
		}
		return Label{Kind: IndexLabel, Index: i, Number: f}, nil
	}
	return Label{}, fmt.Errorf("the label is %s: give a class name, a class index, a number, or a list of these",
		Excerpt(string(v)))
}

func parseList(v json.RawMessage) (Label, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(v, &raw); err != nil {
		return Label{}, err
	}
	l := Label{Kind: ListLabel}
	for i, r := range raw {
		e, err := ParseLabel(r, false)
		if err != nil {
			return Label{}, fmt.Errorf("element %d: %w", i+1, err)
		}
		if i > 0 && (e.Kind == NameLabel) != (l.List[0].Kind == NameLabel) {
			return Label{}, fmt.Errorf("the list mixes names and numbers: %s", Excerpt(string(v)))
		}
		l.List = append(l.List, e)
	}
	return l, nil
}
