package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"math"
)

// Hash is a SHA-256 of the content of rows. Every value is written so that different sequences of values give different
// bytes. Make one with [NewHash].
type Hash struct{ h hash.Hash }

// NewHash returns the hash of nothing.
func NewHash() Hash { return Hash{sha256.New()} }

// Text adds a string, with its length before it.
func (h Hash) Text(s string) {
	h.Number(uint64(len(s)))
	io.WriteString(h.h, s)
}

// Number adds a number as 8 bytes.
func (h Hash) Number(v uint64) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], v)
	h.h.Write(n[:])
}

// Byte adds one byte.
func (h Hash) Byte(b byte) { h.h.Write([]byte{b}) }

// Label adds a label.
func (h Hash) Label(l Label) {
	h.Byte(byte(l.Kind))
	switch l.Kind {
	case NameLabel:
		h.Text(l.Name)
	case IndexLabel:
		h.Number(uint64(l.Index))
	case NumberLabel:
		h.Number(math.Float64bits(l.Number))
	case ListLabel:
		h.Number(uint64(len(l.List)))
		for _, e := range l.List {
			h.Label(e)
		}
	}
}

// Sum returns the hash in hexadecimal.
func (h Hash) Sum() string { return hex.EncodeToString(h.h.Sum(nil)) }
