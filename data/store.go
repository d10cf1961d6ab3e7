package data

import "math"

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
