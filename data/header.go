package data

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Header is the first line of a file or the keys of its first row.
type Header struct {
	File    string
	Line    int
	Names   []string
	Numbers bool     // there is no header line: columns go by number
	Row     []string // then the first row, for messages
	What    string   // "column" or "key"
}

// KeysOf returns the keys of a row of JSON, sorted, as a header.
func KeysOf(file string, line int, row Object) *Header {
	return &Header{File: file, Line: line, Names: slices.Sorted(maps.Keys(row)), What: "key"}
}

// Errorf returns an error about the line of the header.
func (h *Header) Errorf(format string, args ...any) *Error {
	return Errorf(h.File, h.Line, format, args...)
}

// Once returns an error if one of the columns has the name of another one. Negative columns are skipped.
func (h *Header) Once(columns ...int) error {
	for _, i := range columns {
		for j := i + 1; i >= 0 && j < len(h.Names); j++ {
			if h.Names[j] == h.Names[i] {
				return h.Errorf("the %s %q is there twice (%d and %d, counted from 0): rename one", h.What, h.Names[i], i, j)
			}
		}
	}
	return nil
}

// Given returns the index of the column that an option names, -1 if the option is not set.
func (h *Header) Given(name, option string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if h.Numbers {
		n, err := strconv.Atoi(name)
		if err == nil && n >= 0 && n < len(h.Names) {
			return n, nil
		}
		return -1, h.Errorf("`%s %s`: without a header the columns go by number, 0 to %d: %s",
			option, name, len(h.Names)-1, h.List())
	}
	if i := slices.Index(h.Names, name); i >= 0 {
		return i, nil
	}
	hint := ""
	if i := h.Index(name); i >= 0 {
		hint = fmt.Sprintf(" (did you mean %q?)", h.Names[i])
	} else if _, err := strconv.Atoi(name); err == nil && h.What == "column" {
		hint = " (columns go by number only with `no_header`)"
	}
	return -1, h.Errorf("`%s`: there is no %s %q%s; there is %s%s", option, h.What, name, hint, h.List(), h.Hint())
}

// Index returns the column of this name, or the first one that differs in case and outer spaces only, -1 if there is
// none.
func (h *Header) Index(name string) int {
	if i := slices.Index(h.Names, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(h.Names, func(n string) bool { return Fold(n) == Fold(name) })
}

// All returns the columns that have one of the names, in the order of names, without those in not.
func (h *Header) All(names []string, not ...int) []int {
	var found []int
	for _, name := range names {
		if i := h.Index(name); i >= 0 && !slices.Contains(not, i) {
			found = append(found, i)
		}
	}
	return found
}

// UnclearLabel is the error about several columns that may be the label. With optional labels it names the option that
// reads none.
func (h *Header) UnclearLabel(found []int, optional bool) error {
	var names []string
	for _, i := range found {
		names = append(names, strconv.Quote(h.Names[i]))
	}
	hint := ""
	if optional {
		hint = " (or `no_labels`)"
	}
	return h.Errorf("the label may be %s; say which with `label_column`%s", strings.Join(names, " or "), hint)
}

// List shows the columns in a message, at most 12 of them.
func (h *Header) List() string {
	const limit = 12
	var b strings.Builder
	for i, n := range h.Names {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == limit {
			fmt.Fprintf(&b, "… (%d in all)", len(h.Names))
			break
		}
		if h.Numbers {
			fmt.Fprintf(&b, "%d = %s", i, Excerpt(h.Row[i]))
		} else {
			b.WriteString(Excerpt(n))
		}
	}
	return b.String()
}

// Hint says what else may be wrong with a header in which a column is missing.
func (h *Header) Hint() string {
	if h.What != "column" {
		return ""
	}
	if len(h.Names) == 1 {
		for _, d := range []struct{ in, option string }{
			{"\t", "`delimiter '\\t'` or `format tsv`"}, {";", "`delimiter ';'`"}, {",", "`delimiter ','`"},
			{"|", "`delimiter '|'`"},
		} {
			if strings.Contains(h.Names[0], d.in) {
				return " (another delimiter? try " + d.option + ")"
			}
		}
	}
	return " (if the first line is a row, use `no_header`)"
}
