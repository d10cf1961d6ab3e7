package data

import (
	"iter"
	"slices"
)

// Row is one example of a file.
type Row interface {
	// AddTo adds to a hash what a model learns from the row.
	AddTo(h Hash)
}

// File holds the examples that were read from one file, in its order. The kinds of files embed it and add what they
// know of their columns. The zero value has no rows. Once it is filled, a File is safe for concurrent reading.
type File[E Row] struct {
	Name     string // of the file, for messages
	Format   Format // how the file was read
	Blank    int    // blank lines that were skipped
	Replaced int    // lines in which bytes that are not UTF-8 were replaced

	rows []E
}

// Len returns the number of rows.
func (f *File[E]) Len() int { return len(f.rows) }

// At returns row i.
func (f *File[E]) At(i int) E { return f.rows[i] }

// All returns the rows with their numbers, from 0.
func (f *File[E]) All() iter.Seq2[int, E] { return slices.All(f.rows) }

// Values returns the rows.
func (f *File[E]) Values() iter.Seq[E] { return slices.Values(f.rows) }

// Append adds rows at the end. It must not be called for a file that others read, or of which parts were taken.
func (f *File[E]) Append(rows ...E) { f.rows = append(f.rows, rows...) }

// Full reports whether the file has at least limit rows; limit 0 is no limit.
func (f *File[E]) Full(limit int) bool { return limit > 0 && len(f.rows) >= limit }

// AddTo adds all rows to a hash, in order.
func (f *File[E]) AddTo(h Hash) {
	for e := range f.Values() {
		e.AddTo(h)
	}
}

// Hash returns the SHA-256 of the rows in hexadecimal: what a model learns from them, in order, not the bytes of the
// file. Two files with the same hash train alike, whatever their format, line ends or other columns.
func (f *File[E]) Hash() string {
	h := NewHash()
	f.AddTo(h)
	return h.Sum()
}

// base returns f: a pointer to a struct that embeds a File has this method too.
func (f *File[E]) base() *File[E] { return f }

// Of is a pointer to a kind of file K, a struct that embeds a File of the rows E.
type Of[E Row, K any] interface {
	*K
	base() *File[E]
}

// with returns a copy of f that has other rows.
func with[E Row, K any, P Of[E, K]](f P, rows []E) P {
	c := P(new(K))
	*c = *f
	c.base().rows = rows
	return c
}

// Part returns the rows lo ≤ i < hi of f. What was counted when the file was read remains that of the whole file.
func Part[E Row, K any, P Of[E, K]](f P, lo, hi int) P { return with[E, K](f, f.base().rows[lo:hi:hi]) }

// Limit returns the first n rows of f; n <= 0 returns all.
func Limit[E Row, K any, P Of[E, K]](f P, n int) P {
	if n <= 0 {
		n = f.base().Len()
	}
	return Part[E, K](f, 0, min(n, f.base().Len()))
}

// Map returns a copy of f with what change makes of each row.
func Map[E Row, K any, P Of[E, K]](f P, change func(E) E) P {
	rows := make([]E, 0, f.base().Len())
	for e := range f.base().Values() {
		rows = append(rows, change(e))
	}
	return with[E, K](f, rows)
}

// Filter returns a copy of f with the rows that keep holds for.
func Filter[E Row, K any, P Of[E, K]](f P, keep func(E) bool) P {
	var rows []E
	for e := range f.base().Values() {
		if keep(e) {
			rows = append(rows, e)
		}
	}
	return with[E, K](f, rows)
}

// Divide returns the rows of f that are not taken and those that are, both in the order of f. take has a value for each
// row. Blank and Replaced stay with rest, so that they are reported once.
func Divide[E Row, K any, P Of[E, K]](f P, take []bool) (rest, held P) {
	var parts [2][]E
	for i, e := range f.base().All() {
		part := 0
		if take[i] {
			part = 1
		}
		parts[part] = append(parts[part], e)
	}
	rest, held = with[E, K](f, parts[0]), with[E, K](f, parts[1])
	b := held.base()
	b.Blank, b.Replaced = 0, 0
	return rest, held
}
