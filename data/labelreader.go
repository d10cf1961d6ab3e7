package data

import (
	"fmt"
	"strings"
)

// LabelReader says how the labels of rows are read.
type LabelReader struct {
	// Separator makes a list of each label in CSV or TSV: with "|" the field "a|b" is two labels, and an empty field is
	// none (multi-label).
	Separator string
	Optional  bool // rows need no label
}

// Field reads the label of a row of CSV or TSV from its column.
func (r LabelReader) Field(field, column string) (l Label, err error) {
	switch {
	case r.Separator != "":
		l.Kind = ListLabel
		if Blank(field) {
			return l, nil
		}
		for part := range strings.SplitSeq(field, r.Separator) {
			if Blank(part) {
				return l, fmt.Errorf("the label %q has an empty part", field)
			}
			l.List = append(l.List, Label{Kind: NameLabel, Name: part})
		}
		return l, nil
	case !Blank(field):
		return Label{Kind: NameLabel, Name: field}, nil
	case !r.Optional:
		return l, fmt.Errorf("the label (column %q) is empty", column)
	}
	return l, nil
}

// Object reads the label of a row of JSON from its key; "" is no key.
func (r LabelReader) Object(row Object, key string) (l Label, err error) {
	v, ok := row[key]
	if key == "" || r.Optional && (!ok || string(v) == "null") {
		return l, nil
	}
	if !ok {
		return l, fmt.Errorf("the row has no %q", key)
	}
	if l, err = ParseLabel(v, true); err != nil {
		return l, fmt.Errorf("%q: %w", key, err)
	}
	return l, nil
}
