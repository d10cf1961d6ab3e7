package data

import "iter"

// Row is one example E of a file.
type Row[E any] interface {
	// Code passes every field of the row to c, always in the same order, and returns the row with the fields that c has
	// read. A c that hashes gets only what a model learns from.
	Code(c *Coder) E
	// StartLine returns the 1-based line at which the row begins in its file.
	StartLine() int
	// Key identifies what a model sees of the row, without its label; ok is false if it sees nothing.
	Key() (key string, ok bool)
}

// File holds the examples that were read from one file, in its order. The kinds of files embed it and add what they
// know of their columns. Rows are stored compactly and made anew at each access. The zero value has no rows. Once it
// is filled, a File is safe for concurrent reading.
type File[E Row[E]] struct {
	Name     string // of the file, for messages
	Format   Format // how the file was read
	Blank    int    // blank lines that were skipped
	Replaced int    // lines in which bytes that are not UTF-8 were replaced
	Joined   Joined // rows of CSV that may be several
	Rejected Tally  // rows that an annotator did not accept, which were left out, see [Object.Rejected]

	rows    store
	w       Coder   // reused by Append
	heldOut bool    // the rows were held out of a file, which has its other rows
	served  *served // nil: rows name no adapters
}

// NewFile returns a file of these rows. Messages call it name.
func NewFile[E Row[E]](name string, f Format, rows ...E) File[E] {
	file := File[E]{Name: name, Format: f}
	file.Append(rows...)
	return file
}

// Len returns the number of rows.
func (f *File[E]) Len() int { return len(f.rows.at) }

// At returns row i. Its strings are parts of what the file holds.
func (f *File[E]) At(i int) E {
	var row E
	b, _ := f.row(i)
	return row.Code(&Coder{b: b, reads: true})
}

// All returns the rows with their numbers, from 0.
func (f *File[E]) All() iter.Seq2[int, E] {
	return func(yield func(int, E) bool) {
		for i := range f.Len() {
			if !yield(i, f.At(i)) {
				return
			}
		}
	}
}

// Values returns the rows.
func (f *File[E]) Values() iter.Seq[E] {
	return func(yield func(E) bool) {
		for _, e := range f.All() {
			if !yield(e) {
				return
			}
		}
	}
}

// Count returns the number of rows that is holds for.
func (f *File[E]) Count(is func(E) bool) int {
	n := 0
	for e := range f.Values() {
		if is(e) {
			n++
		}
	}
	return n
}

// Append adds rows at the end. It must not be called for a file that others read.
func (f *File[E]) Append(rows ...E) {
	for _, row := range rows {
		f.AppendFor(f.Server(), row)
	}
}

// Full reports whether the file has at least limit rows; limit 0 is no limit.
func (f *File[E]) Full(limit int) bool { return limit > 0 && f.Len() >= limit }

// Rename changes the name by which messages call the file.
func (f *File[E]) Rename(name string) { f.Name = name }

// Hash returns the SHA-256 of the rows in hexadecimal: what a model learns from them, in order, not the bytes of the
// file. Two files with the same hash train alike, whatever their format, line ends or other columns.
func (f *File[E]) Hash() string { return f.HashWith() }

// HashWith is like [File.Hash], with numbers before the rows.
func (f *File[E]) HashWith(numbers ...int) string {
	h := newHasher()
	for _, n := range numbers {
		h.Int(&n)
	}
	for e := range f.Values() {
		e.Code(h)
	}
	return h.sum()
}

// base returns f: a pointer to a struct that embeds a File has this method too.
func (f *File[E]) base() *File[E] { return f }

// Of is a pointer to a kind of file K, a struct that embeds a File of the rows E.
type Of[E Row[E], K any] interface {
	*K
	Len() int
	At(i int) E
	AdapterOf(i int) string
	base() *File[E]
}

// with returns a copy of f that has other rows, which are in the same chunks.
func with[E Row[E], K any, P Of[E, K]](f P, at []uint64) P {
	c := P(new(K))
	*c = *f
	b := c.base()
	b.rows, b.w = f.base().rows.with(at), Coder{}
	return c
}

// Part returns the rows lo ≤ i < hi of f. What was counted when the file was read remains that of the whole file.
func Part[E Row[E], K any, P Of[E, K]](f P, lo, hi int) P {
	return with[E, K](f, f.base().rows.at[lo:hi:hi])
}

// Limit returns the first n rows of f; n <= 0 returns all.
func Limit[E Row[E], K any, P Of[E, K]](f P, n int) P {
	if n <= 0 {
		n = f.base().Len()
	}
	return Part[E, K](f, 0, min(n, f.base().Len()))
}

// Map returns a copy of f with what change makes of each row.
func Map[E Row[E], K any, P Of[E, K]](f P, change func(E) E) P {
	c := with[E, K](f, nil)
	b := c.base()
	b.rows = store{at: make([]uint64, 0, f.base().Len())}
	for i, e := range f.base().All() {
		_, server := f.base().row(i)
		b.AppendFor(server, change(e))
	}
	return c
}

// Merge returns a copy of f in which the rows that have the same key, and are served by the same adapter, are one row,
// at the place of the first of them. join adds a later row to what the rows before became.
func Merge[E Row[E], K any, P Of[E, K]](f P, key func(E) string, join func(e *E, later E)) P {
	type group struct {
		server int
		key    string
	}
	number := map[group]int{}
	var rows []E
	var servers []int
	b := f.base()
	for i, e := range b.All() {
		_, server := b.row(i)
		g := group{server, key(e)}
		n, ok := number[g]
		if ok {
			join(&rows[n], e)
			continue
		}
		number[g] = len(rows)
		rows, servers = append(rows, e), append(servers, server)
	}
	c := with[E, K](f, nil)
	c.base().rows = store{}
	for i, e := range rows {
		c.base().AppendFor(servers[i], e)
	}
	return c
}

// Filter returns a copy of f with the rows that keep holds for.
func Filter[E Row[E], K any, P Of[E, K]](f P, keep func(E) bool) P {
	var at []uint64
	b := f.base()
	for i, e := range b.All() {
		if keep(e) {
			at = append(at, b.rows.at[i])
		}
	}
	return with[E, K](f, at)
}

// Divide returns the rows of f that are not taken and those that are, both in the order of f. take has a value for
// each row. Blank, Replaced, Joined and Rejected stay with rest, so that they are reported once. It returns an error
// if a part would be empty: what says what the file has, and why ends the message.
func Divide[E Row[E], K any, P Of[E, K]](
	f P, take []bool, fraction float64, what, why string,
) (rest, held P, err error) {
	var parts [2][]uint64
	for i, at := range f.base().rows.at {
		part := 0
		if take[i] {
			part = 1
		}
		parts[part] = append(parts[part], at)
	}
	if len(parts[0]) == 0 || len(parts[1]) == 0 {
		return nil, nil, OptionErrorf("%s of %s cannot be split into two parts with a fraction of %v%s",
			f.base().Name, what, fraction, why)
	}
	rest, held = with[E, K](f, parts[0]), with[E, K](f, parts[1])
	b := held.base()
	b.Blank, b.Replaced, b.Joined, b.Rejected, b.heldOut = 0, 0, Joined{}, Tally{}, true
	return rest, held, nil
}
