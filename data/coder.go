package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"math"
	"unsafe"
)

// Coder goes through the fields of a row for one of three purposes: it writes them as bytes, reads them from bytes, or
// adds them to a hash, so that different rows give different hashes. Each method takes a pointer to a field, which only
// a Coder that reads changes. Strings that it reads are parts of the stored bytes, which never change: they need no
// memory of their own.
type Coder struct {
	b     []byte    // what was written, or is left to read
	reads bool      // fields are read from b
	hash  hash.Hash // if not nil, fields are added to it
}

// newHasher returns a Coder that adds fields to a SHA-256.
func newHasher() *Coder { return &Coder{hash: sha256.New()} }

// sum returns the hash in hexadecimal.
func (c *Coder) sum() string { return hex.EncodeToString(c.hash.Sum(nil)) }

// Hashes reports whether fields are added to a hash: those that a model does not learn from are left out then.
func (c *Coder) Hashes() bool { return c.hash != nil }

// Text passes a string.
func (c *Coder) Text(s *string) {
	switch {
	case c.hash != nil:
		n := uint64(len(*s))
		c.bits(&n)
		io.WriteString(c.hash, *s)
	case c.reads:
		n, k := binary.Uvarint(c.b)
		text := c.b[k : k+int(n)]
		c.b = c.b[k+int(n):]
		*s = unsafe.String(unsafe.SliceData(text), len(text))
	default:
		c.b = binary.AppendUvarint(c.b, uint64(len(*s)))
		c.b = append(c.b, *s...)
	}
}

// Int passes an integer.
func (c *Coder) Int(n *int) {
	v := int64(*n)
	if c.int64(&v); c.reads {
		*n = int(v)
	}
}

func (c *Coder) int64(n *int64) {
	switch {
	case c.hash != nil:
		v := uint64(*n)
		c.bits(&v)
	case c.reads:
		v, k := binary.Varint(c.b)
		c.b, *n = c.b[k:], v
	default:
		c.b = binary.AppendVarint(c.b, *n)
	}
}

// bits passes 8 bytes.
func (c *Coder) bits(v *uint64) {
	var b [8]byte
	switch {
	case c.hash != nil:
		binary.LittleEndian.PutUint64(b[:], *v)
		c.hash.Write(b[:])
	case c.reads:
		*v = binary.LittleEndian.Uint64(c.b)
		c.b = c.b[8:]
	default:
		c.b = binary.LittleEndian.AppendUint64(c.b, *v)
	}
}

func (c *Coder) byte(v *byte) {
	switch {
	case c.hash != nil:
		c.hash.Write([]byte{*v})
	case c.reads:
		*v = c.b[0]
		c.b = c.b[1:]
	default:
		c.b = append(c.b, *v)
	}
}

// Bool passes a truth value.
func (c *Coder) Bool(v *bool) {
	n := byte(0)
	if *v {
		n = 1
	}
	if c.byte(&n); c.reads {
		*v = n != 0
	}
}

// Label passes a label.
func (c *Coder) Label(l *Label) {
	c.byte((*byte)(&l.Kind))
	switch l.Kind {
	case NameLabel:
		c.Text(&l.Name)
	case IndexLabel:
		c.int64(&l.Index)
		if !c.Hashes() {
			c.float(&l.Number)
		}
	case NumberLabel:
		c.float(&l.Number)
	case ListLabel:
		CodeList(c, &l.List, c.Label)
	}
}

func (c *Coder) float(v *float64) {
	n := math.Float64bits(*v)
	if c.bits(&n); c.reads {
		*v = math.Float64frombits(n)
	}
}

// CodeList passes the length of a list and, with each, its elements. An empty list is read as nil.
func CodeList[T any](c *Coder, list *[]T, each func(*T)) {
	n := len(*list)
	c.Int(&n)
	if c.reads && n > 0 {
		*list = make([]T, n)
	}
	for i := range *list {
		each(&(*list)[i])
	}
}
