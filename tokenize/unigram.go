package tokenize

// unigram splits a word into the pieces of its vocabulary whose scores have the greatest sum (Kudo 2018,
// https://arxiv.org/abs/1804.10959). Sums are computed and compared in the reference's order, so that ties are resolved
// equally.
type unigram struct {
	trie     *trie       // vocabulary
	scores   []float64   // logarithms of probabilities, by id
	unk      int32       // token of neighbouring characters that no piece covers
	unkScore float64     // score of such a character
	bytes    *[256]int32 // tokens of bytes for characters that no piece covers, or nil
	single   bool        // sums are rounded to float32, as those of SentencePiece itself
}

// unkPenalty is the difference between the score of the least likely piece and that of a character that no piece covers
// (SentencePiece's kUnkPenalty).
const unkPenalty = 10

// pathEnd is the best way to split a word up to one of its bytes.
type pathEnd struct {
	score float64
	link  int32 // byte where the last piece begins; -1: not reached yet. After turn: byte where the next piece ends
	id    int32 // of the last piece
}

// unigramScratch is the scratch memory for encoding a word.
type unigramScratch struct {
	ends  []pathEnd
	cache wordCache
}

func (m *unigram) encode(dst []piece, word []byte, buf *buffers) []piece {
	s := &buf.unigram
	if known, ok := s.cache.get(word); ok {
		return append(dst, known...)
	}
	mark := len(dst)
	m.search(word, s)
	turn(s.ends)
	dst = m.collect(dst, word, s.ends)
	s.cache.put(word, dst[mark:])
	return dst
}

// search fills s.ends: for each byte of word at which a character ends, the best path to it (Viterbi). Among equal
// paths it keeps the one whose last piece is the longest.
func (m *unigram) search(word []byte, s *unigramScratch) {
	s.ends = grow(s.ends, len(word)+1)
	for i := range s.ends {
		s.ends[i].link = -1
	}
	s.ends[0].score = 0
	for at := 0; at < len(word); {
		so := s.ends[at].score
		offer := func(to int, id int32, score float64) {
			sum := score + so
			if m.single {
				sum = float64(float32(sum))
			}
			if e := &s.ends[to]; e.link < 0 || sum > e.score {
				*e = pathEnd{sum, int32(at), id}
			}
		}
		_, size := runeAt(word, at)
		covered := false // whether the character itself is a piece
		n := m.trie.root[word[at]]
		for to := at + 1; n != 0; to++ {
			if id := m.trie.value[n]; id >= 0 {
				offer(to, id, m.scores[id])
				covered = covered || to == at+size
			}
			if to == len(word) {
				break
			}
			n = m.trie.child(n, word[to])
		}
		if !covered {
			offer(at+size, m.unk, m.unkScore)
		}
		at += size
	}
}

// turn reverses the links of the best path, so that they lead from its beginning to its end.
func turn(ends []pathEnd) {
	next := int32(-1)
	for at := int32(len(ends) - 1); at >= 0; {
		e := &ends[at]
		at, e.link, next = e.link, next, at
	}
}

// collect appends the pieces of the best path to dst.
func (m *unigram) collect(dst []piece, word []byte, ends []pathEnd) []piece {
	for at := 0; at < len(word); {
		to := int(ends[at].link)
		id := ends[to].id
		if id != m.unk {
			dst = append(dst, piece{id, at, to})
			at = to
			continue
		}
		for to < len(word) && ends[ends[to].link].id == m.unk {
			to = int(ends[to].link)
		}
		dst = m.unknown(dst, word, at, to)
		at = to
	}
	return dst
}

// unknown appends the tokens of a part of word that no piece covers. The part may still be a piece: the token for
// unknown text, spelled out, or a piece whose score is below that of unknown characters.
func (m *unigram) unknown(dst []piece, word []byte, from, to int) []piece {
	part := word[from:to]
	if n, id := longest(m.trie, part); n == len(part) {
		return append(dst, piece{id, from, to})
	}
	if !hasBytes(m.bytes, part) {
		return append(dst, piece{m.unk, from, to})
	}
	for _, b := range part {
		dst = append(dst, piece{m.bytes[b], from, to})
	}
	return dst
}

// hasBytes reports whether all bytes of text have a token in table, which may be
// nil.
func hasBytes(table *[256]int32, text []byte) bool {
	if table == nil {
		return false
	}
	for _, b := range text {
		if table[b] < 0 {
			return false
		}
	}
	return true
}

// grow returns a slice of n elements with unspecified contents; it reuses s if s is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
