package data

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// AdapterColumn is the column (JSON: key) in which a row names the adapter that serves it.
const AdapterColumn = "adapter"

// BaseName is the name by which a row may ask for the base model, without an adapter. A row without a name, or with
// an empty one or null, asks for it too.
const BaseName = "none"

// served knows which adapters the rows of a file name. Rows refer to them by number: 0 is the base model.
type served struct {
	check  func(name string) error // returns an error for an unknown name
	names  []string                // names[0] is ""
	column int                     // of CSV and TSV, -1 for none
	now    int                     // the adapter of the row that is being read
}

// newServed returns a value that accepts the names for which check returns nil.
func newServed(check func(name string) error) *served {
	return &served{check: check, names: []string{""}, column: -1}
}

// fits returns an error if the rows of a format cannot name an adapter. more are formats whose readers find the key
// themselves.
func (s *served) fits(f Format, name string, more []Format) error {
	if s == nil || f == JSONLines || f.Delimited() || slices.Contains(more, f) {
		return nil
	}
	return OptionErrorf("%s is read as %s, whose rows cannot name an adapter as `adapters` needs it: write JSON Lines "+
		"with the key %q, or use `adapter` if one serves all rows", name, string(f), AdapterColumn)
}

// resolve finds the column in a header.
func (s *served) resolve(h *Header) error {
	if s == nil {
		return nil
	}
	if h.Numbers {
		return h.Errorf("without a header no column has the name %q, which `adapters` needs: remove `no_header` and name "+
			"the columns", AdapterColumn)
	}
	s.column = h.Index(AdapterColumn)
	return h.Once(s.column)
}

// record notes the adapter that a row of CSV or TSV names.
func (s *served) record(row [][]byte) error {
	if s == nil {
		return nil
	}
	if s.now = 0; s.column < 0 || s.column >= len(row) {
		return nil
	}
	return s.set(strings.TrimSpace(string(row[s.column])))
}

// object notes the adapter that a row of JSON names.
func (s *served) object(row Object) error {
	if s == nil {
		return nil
	}
	s.now = 0
	h := KeysOf("", 0, row)
	key := h.Name(h.Index(AdapterColumn))
	if key == "" || Null(row[key]) {
		return nil
	}
	name, err := row.Text(key)
	if err != nil {
		return fmt.Errorf("%w; give the name of an adapter, or null for the base model", err)
	}
	return s.set(name)
}

// set notes the adapter of this name.
func (s *served) set(name string) error {
	if name == "" || name == BaseName {
		return nil
	}
	i := slices.Index(s.names, name)
	if i < 0 {
		if err := s.check(name); err != nil {
			return err
		}
		i = len(s.names)
		s.names = append(s.names, name)
	}
	s.now = i
	return nil
}

// Serve notes the adapter that a row names, for readers that do not read their rows with [ReadObjects]. It returns an
// error if no adapter has the name.
func (l *Lines) Serve(row Object) error { return l.served.object(row) }

// Server returns the number of the adapter that the row being read names, 0 for the base model. A reader that appends
// a row later passes it to [File.AppendFor].
func (f *File[E]) Server() int {
	if f.served == nil {
		return 0
	}
	return f.served.now
}

// AppendFor is like [File.Append] for a row that was read when [File.Server] returned server.
func (f *File[E]) AppendFor(server int, row E) {
	f.w.b = f.w.b[:0]
	if f.served != nil {
		f.w.b = binary.AppendUvarint(f.w.b, uint64(server))
	}
	row.Code(&f.w)
	f.rows.add(f.w.b)
}

// row returns the bytes of row i, and the number of its adapter.
func (f *File[E]) row(i int) (row []byte, server int) {
	row = f.rows.row(i)
	if f.served == nil {
		return row, 0
	}
	n, k := binary.Uvarint(row)
	return row[k:], int(n)
}

// AdapterOf returns the name of the adapter that row i names, "" for the base model.
func (f *File[E]) AdapterOf(i int) string {
	if f.served == nil {
		return ""
	}
	_, server := f.row(i)
	return f.served.names[server]
}

// ServedBy returns the rows of f that name an adapter, "" for the base model, with their numbers in f.
func ServedBy[E Row[E], K any, P Of[E, K]](f P, name string) (part P, numbers []int) {
	b := f.base()
	var at []uint64
	for i := range b.Len() {
		if b.AdapterOf(i) == name {
			at, numbers = append(at, b.rows.at[i]), append(numbers, i)
		}
	}
	return with[E, K](f, at), numbers
}
