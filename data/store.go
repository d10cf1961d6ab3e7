package data

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// store holds rows as bytes, one after another in large chunks, instead of strings within structs: a row costs its
// text and a few bytes. Rows can only be added; copies share what is there.
type store struct {
	chunks [][]byte
	at     []uint64 // place of each row: number of the chunk in the upper half, offset in the lower
	own    bool     // the last chunk may be written to: it is not shared
}

// chunkSize is the number of bytes of a chunk; a longer row has one of its own.
const chunkSize = 1 << 20

// add adds a row.
func (s *store) add(row []byte) {
	last := len(s.chunks) - 1
	if last < 0 || !s.own || cap(s.chunks[last])-len(s.chunks[last]) < len(row) {
		s.chunks = append(s.chunks, make([]byte, 0, max(chunkSize, len(row))))
		s.own = true
		last++
	}
	s.at = append(s.at, uint64(last)<<32|uint64(len(s.chunks[last])))
	s.chunks[last] = append(s.chunks[last], row...)
}

// row returns row i, with what follows it in its chunk.
func (s *store) row(i int) []byte { return s.chunks[s.at[i]>>32][s.at[i]&math.MaxUint32:] }

// with returns a store of other rows in the same chunks.
func (s *store) with(at []uint64) store {
	return store{chunks: s.chunks[:len(s.chunks):len(s.chunks)], at: at}
}

// RowWriter writes a row as bytes.
type RowWriter struct{ b []byte }

// Text writes a string.
func (w *RowWriter) Text(s string) {
	w.b = binary.AppendUvarint(w.b, uint64(len(s)))
	w.b = append(w.b, s...)
}

// Texts writes a list of strings; nil is not the empty list.
func (w *RowWriter) Texts(list []string) {
	if list == nil {
		w.Int(-1)
		return
	}
	w.Int(len(list))
	for _, s := range list {
		w.Text(s)
	}
}

// Int writes an integer.
func (w *RowWriter) Int(n int) { w.b = binary.AppendVarint(w.b, int64(n)) }

// Bool writes a truth value.
func (w *RowWriter) Bool(b bool) {
	n := byte(0)
	if b {
		n = 1
	}
	w.b = append(w.b, n)
}

// Label writes a label.
func (w *RowWriter) Label(l Label) {
	w.b = append(w.b, byte(l.Kind))
	switch l.Kind {
	case NameLabel:
		w.Text(l.Name)
	case IndexLabel, NumberLabel:
		w.b = binary.AppendVarint(w.b, l.Index)
		w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(l.Number))
	case ListLabel:
		w.Int(len(l.List))
		for _, e := range l.List {
			w.Label(e)
		}
	}
}

// RowReader reads what a [RowWriter] has written, in the same order. Strings that it returns are parts of the stored
// bytes, which never change: they need no memory of their own.
type RowReader struct{ b []byte }

// Text reads a string.
func (r *RowReader) Text() string {
	n, k := binary.Uvarint(r.b)
	text := r.b[k : k+int(n)]
	r.b = r.b[k+int(n):]
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// Texts reads a list of strings.
func (r *RowReader) Texts() []string {
	n := r.Int()
	if n < 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.Text()
	}
	return list
}

// Int reads an integer.
func (r *RowReader) Int() int {
	n, k := binary.Varint(r.b)
	r.b = r.b[k:]
	return int(n)
}

// Bool reads a truth value.
func (r *RowReader) Bool() bool {
	b := r.b[0] != 0
	r.b = r.b[1:]
	return b
}

// Label reads a label.
func (r *RowReader) Label() Label {
	l := Label{Kind: LabelKind(r.b[0])}
	r.b = r.b[1:]
	switch l.Kind {
	case NameLabel:
		l.Name = r.Text()
	case IndexLabel, NumberLabel:
		var k int
		l.Index, k = binary.Varint(r.b)
		l.Number = math.Float64frombits(binary.LittleEndian.Uint64(r.b[k:]))
		r.b = r.b[k+8:]
	case ListLabel:
		if n := r.Int(); n > 0 {
			l.List = make([]Label, n)
			for i := range l.List {
				l.List[i] = r.Label()
			}
		}
	}
	return l
}
