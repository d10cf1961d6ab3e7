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

// ColumnOption is an option that names a column.
type ColumnOption struct {
	to           *int
	name, option string
}

// Column returns an option with the name that it gives, "" for none; the index of the column goes to to.
func Column(to *int, name, option string) ColumnOption { return ColumnOption{to, name, option} }

// GivenAll is [Header.Given] for several options.
func (h *Header) GivenAll(options ...ColumnOption) (err error) {
	for _, o := range options {
		if *o.to, err = h.Given(o.name, o.option); err != nil {
			return err
		}
	}
	return nil
}

// Name returns the name of a column, "" of -1.
func (h *Header) Name(column int) string {
	if column < 0 {
		return ""
	}
	return h.Names[column]
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

// Only returns the column that has one of the names, in any case, and is not used, -1 if there is none. If there are
// several, it is an error that calls the column what and names the option.
func (h *Header) Only(names []string, used func(int) bool, what, option string) (int, error) {
	found := slices.DeleteFunc(h.All(names), used)
	switch len(found) {
	case 0:
		return -1, nil
	case 1:
		return found[0], nil
	}
	return -1, h.Unclear(what, option, found...)
}

// Unclear is the error about several columns that may be what a column is looked for.
func (h *Header) Unclear(what, option string, found ...int) error {
	var names []string
	for _, i := range found {
		names = append(names, strconv.Quote(h.Names[i]))
	}
	return h.Errorf("the %s may be %s; say which with %s", what, strings.Join(names, " or "), option)
}

// Unknown is the error about a header without a column that has a known name, with the options that name one.
func (h *Header) Unknown(what, known, options string) error {
	return h.Errorf("no %s has a name that is known for %s (%s); say which with %s; there is %s%s",
		h.What, what, known, options, h.List(), h.Hint())
}

// Search says which column [Header.Find] looks for.
type Search struct {
	What, Option   string         // "label" and "label_column", for messages
	Winning, Known []string       // names: the first of the winning ones counts, else the only known one
	Used           func(int) bool // columns that are something else; nil: none
	Optional       bool           // there may be no such column
	NoLabels       bool           // the option `no_labels` is a remedy
}

// Find returns the column that is looked for, -1 if there is none and it is optional.
func (h *Header) Find(s Search) (int, error) {
	if s.Used == nil {
		s.Used = func(int) bool { return false }
	}
	if h.Numbers {
		if s.Optional {
			return -1, nil
		}
		return -1, h.Errorf("without a header, say which column is the %s with `%s`, by number from 0: %s", s.What, s.Option,
			h.List())
	}
	if found := slices.DeleteFunc(h.All(s.Winning), s.Used); len(found) > 0 {
		return found[0], nil
	}
	option, hint := "`"+s.Option+"`", ""
	if s.NoLabels {
		hint = " (or `no_labels`)"
	}
	column, err := h.Only(s.Known, s.Used, s.What, option+hint)
	if err == nil && column < 0 && !s.Optional {
		err = h.Unknown(strings.TrimSuffix(s.What, "s")+"s", strings.Join(s.Known, ", "), option)
	}
	return column, err
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
