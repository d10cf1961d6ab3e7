package tokenize

import "unicode/utf8"

// bpe is byte-pair encoding: a word starts as its characters, and neighbours are merged pair by pair. The pair with the
// lowest rank is merged first and, among equal pairs, the leftmost (Sennrich, Haddow, Birch 2016,
// https://arxiv.org/abs/1508.07909).
type bpe struct {
	ids    map[string]int32 // vocabulary
	short  [shortRunes]int32
	merges map[pair]merge
	bytes  *[256]int32 // tokens of bytes for characters that have none, or nil

	unk            int32  // token of other characters; -1: such characters are dropped
	fuse           bool   // neighbouring unknown characters become one token
	whole          bool   // a word that is a token is not split
	prefix, suffix string // prefix of characters inside a word, suffix of its last character
}

// shortRunes is the number of code points whose ids are looked up by index. It includes those that represent bytes (see
// byteRunes).
const shortRunes = 0x180

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// merge is the result of merging a pair; the pair with the lowest rank is merged first.
type merge struct{ rank, id int32 }

// symbol is a part of a word while it is being merged.
type symbol struct {
	id         int32
	prev, next int32 // neighbours; -1 = none
	size       int32 // bytes of the word; 0 if merged into the preceding symbol
}

// candidate is a possible merge of symbol at and the one after it.
type candidate struct {
	merge
	at int32
}

// before reports whether c is merged before d.
func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.at < d.at
}

// heapWidth is the number of children of an element in the queue's heap: as many as fit in one or two cache lines of
// the processor.
const heapWidth = 4

// bpeScratch is the scratch memory for encoding a word.
type bpeScratch struct {
	symbols []symbol
	queue   []candidate // a heap
	text    []byte
	cache   wordCache
}

// setShort fills the table of short code points from the vocabulary.
func (m *bpe) setShort() {
	for r := range m.short {
		m.short[r] = -1
		if id, ok := m.ids[string(rune(r))]; ok {
			m.short[r] = id
		}
	}
}

func (m *bpe) encode(dst []piece, word []byte, buf *buffers) []piece {
	s := &buf.bpe
	if known, ok := s.cache.get(word); ok {
		return append(dst, known...)
	}
	mark := len(dst)
	dst = m.encodeNew(dst, word, s)
	s.cache.put(word, dst[mark:])
	return dst
}

// encodeNew is encode for a word that is not in the cache.
func (m *bpe) encodeNew(dst []piece, word []byte, s *bpeScratch) []piece {
	if m.whole {
		if id, ok := m.ids[string(word)]; ok {
			return append(dst, piece{id, 0, len(word)})
		}
	}
	m.characters(word, s)
	m.mergeAll(s)
	from := 0
	for i := range s.symbols {
		if n := int(s.symbols[i].size); n > 0 {
			dst = append(dst, piece{s.symbols[i].id, from, from + n})
			from += n
		}
	}
	return dst
}

// characters sets s.symbols to the tokens of the characters of word.
func (m *bpe) characters(word []byte, s *bpeScratch) {
	s.symbols = s.symbols[:0]
	unknown := int32(0) // bytes of unknown characters that are not yet among the symbols
	for at := 0; at < len(word); {
		r, n := rune(word[at]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(word[at:])
		}
		size := int32(n)
		id := int32(-1)
		char := word[at : at+n]
		if m.prefix == "" && m.suffix == "" && r < shortRunes {
			id = m.short[r]
		} else {
			char = m.affix(char, at == 0, at+n == len(word), s)
			if known, ok := m.ids[string(char)]; ok {
				id = known
			}
		}
		at += n
		switch {
		case id >= 0:
			if unknown > 0 {
				s.add(m.unk, unknown)
				unknown = 0
			}
			s.add(id, size)
		case m.addBytes(char, s):
			// As in the reference, preceding unknown characters stay pending.
		case m.unk >= 0:
			if unknown > 0 && !m.fuse {
				s.add(m.unk, unknown)
				unknown = 0
			}
			unknown += size
		}
	}
	if unknown > 0 {
		s.add(m.unk, unknown)
	}
}

// affix returns char with the prefix and suffix that belong to its position in the word.
func (m *bpe) affix(char []byte, first, last bool, s *bpeScratch) []byte {
	s.text = s.text[:0]
	if !first {
		s.text = append(s.text, m.prefix...)
	}
	s.text = append(s.text, char...)
	if last {
		s.text = append(s.text, m.suffix...)
	}
	return s.text
}

// addBytes adds the tokens of the bytes of char, if all have one.
func (m *bpe) addBytes(char []byte, s *bpeScratch) bool {
	if !hasBytes(m.bytes, char) {
		return false
	}
	for _, b := range char {
		s.add(m.bytes[b], 1)
	}
	return true
}

// add appends a symbol.
func (s *bpeScratch) add(id, size int32) {
	n := int32(len(s.symbols))
	if n > 0 {
		s.symbols[n-1].next = n
	}
	s.symbols = append(s.symbols, symbol{id: id, prev: n - 1, next: -1, size: size})
}

// mergeAll merges the symbols until no pair of neighbours has a merge. The queue holds every possible merge once for
// each time it became possible, at most three for each symbol, so the time is n log n.
func (m *bpe) mergeAll(s *bpeScratch) {
	s.queue = s.queue[:0]
	for i := 1; i < len(s.symbols); i++ {
		if g, ok := m.merges[pair{s.symbols[i-1].id, s.symbols[i].id}]; ok {
			s.queue = append(s.queue, candidate{g, int32(i - 1)})
		}
	}
	for i := len(s.queue) / heapWidth; i >= 0; i-- {
		sink(s.queue, i)
	}
	for len(s.queue) > 0 {
		top := s.queue[0]
		last := len(s.queue) - 1
		s.queue[0] = s.queue[last]
		s.queue = s.queue[:last]
		sink(s.queue, 0)

		left := &s.symbols[top.at]
		if left.size == 0 || left.next < 0 {
			continue
		}
		right := &s.symbols[left.next]
		if g, ok := m.merges[pair{left.id, right.id}]; !ok || g.id != top.id {
			continue // one of the two symbols has changed since
		}
		left.id = top.id
		left.size += right.size
		left.next = right.next
		right.size = 0
		if left.next >= 0 {
			s.symbols[left.next].prev = top.at
			m.offer(s, top.at)
		}
		if left.prev >= 0 {
			m.offer(s, left.prev)
		}
	}
}

// offer queues the merge of symbol at and its successor, if they have one.
func (m *bpe) offer(s *bpeScratch, at int32) {
	left := &s.symbols[at]
	g, ok := m.merges[pair{left.id, s.symbols[left.next].id}]
	if !ok {
		return
	}
	q := append(s.queue, candidate{g, at})
	i := len(q) - 1
	for c := q[i]; i > 0; {
		up := (i - 1) / heapWidth
		if !c.before(q[up]) {
			break
		}
		q[i], q[up] = q[up], c
		i = up
	}
	s.queue = q
}

// sink restores the order of heap q below i.
func sink(q []candidate, i int) {
	for {
		first := heapWidth*i + 1
		if first >= len(q) {
			return
		}
		least := first
		for k := first + 1; k < min(first+heapWidth, len(q)); k++ {
			if q[k].before(q[least]) {
				least = k
			}
		}
		if !q[least].before(q[i]) {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

// wordCache remembers the pieces of earlier words. It is emptied when it is full.
type wordCache struct {
	words  map[string]span // of pieces
	pieces []piece
}

const (
	maxCached     = 1 << 13 // words of a cache
	maxCachedWord = 64      // bytes of a word
)

func (c *wordCache) get(word []byte) ([]piece, bool) {
	s, ok := c.words[string(word)]
	return c.pieces[s.from:s.to], ok
}

func (c *wordCache) put(word []byte, pieces []piece) {
	if len(word) > maxCachedWord {
		return
	}
	if c.words == nil || len(c.words) >= maxCached {
		c.words, c.pieces = make(map[string]span), c.pieces[:0]
	}
	from := len(c.pieces)
	c.pieces = append(c.pieces, pieces...)
	c.words[string(word)] = span{from, len(c.pieces)}
}
