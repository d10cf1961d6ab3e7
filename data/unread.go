package data

import (
	"slices"
	"strconv"
	"strings"
)

// weights are columns that say how much a row counts.
var weights = []string{"weight", "loss_weight", "sample_weight"}

// Unread counts rows that have columns with content for the model, or a weight, that are not read. The zero value is
// empty.
type Unread struct {
	rows  Tally
	names []string // of the columns, sorted
}

// Add counts the row at line if it has such columns, of which names are the names.
func (u *Unread) Add(line int, names []string) {
	if len(names) > 0 {
		u.rows.Add(line)
	}
	for _, name := range names {
		if at, found := slices.BinarySearch(u.names, name); !found {
			u.names = slices.Insert(u.names, at, name)
		}
	}
}

// Warn returns a warning about the rows of a file, or none.
func (u *Unread) Warn(file string) []Warning {
	return u.rows.Warn(file, "with other columns than those that are learned from, which are not read: "+NameList(u.names))
}

// Beside says which columns of a row count for [Unread]: weights, and those with Content, unless they are Read.
type Beside struct{ Read, Content []string }

// OfObject returns the names of the keys of a row of JSON that count, in any order.
func (b Beside) OfObject(row Object) (names []string) {
	for name, value := range row {
		if b.counts(name) && hasContent(name, string(value)) {
			names = append(names, name)
		}
	}
	return names
}

// OfRecord returns the names of the columns of a row of CSV or TSV that count. columns are the names of all.
func (b Beside) OfRecord(columns []string, row [][]byte) (names []string) {
	for i, name := range columns {
		if b.counts(name) && hasContent(name, string(row[i])) {
			names = append(names, name)
		}
	}
	return names
}

// counts reports whether a column is one that counts if it is not empty.
func (b Beside) counts(name string) bool {
	fold := Fold(name)
	return !slices.Contains(b.Read, name) && (slices.Contains(weights, fold) || slices.Contains(b.Content, fold))
}

// hasContent reports whether the text or JSON of a column says something: it is not empty, nor a weight of 1.
func hasContent(name, value string) bool {
	if Blank(value) || Empty([]byte(value)) {
		return false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return !slices.Contains(weights, Fold(name)) || err == nil && n != 1
}
