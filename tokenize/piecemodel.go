package tokenize

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// pieceModel splits a normalized text as SentencePiece itself does, which is not quite how the tokenizers library does
// it: sums of scores are float32, pieces of equal score merge in the order of the text, and user-defined symbols are
// never split.
type pieceModel struct {
	inner     model
	unk       int32
	known     int32       // ids from here on are those of characters that are parts of pieces, but no pieces
	user      *trie       // user-defined symbols of a BPE model, or nil
	fallback  bool        // unknown characters become bytes
	byteNames [256][]byte // tokens of bytes
}

// newPieceModel returns the model of a SentencePiece file.
func newPieceModel(m *sentencePiece) (*pieceModel, error) {
	p := &pieceModel{unk: -1, fallback: m.fallback, known: int32(len(m.pieces))}
	for b := range p.byteNames {
		p.byteNames[b] = fmt.Appendf(nil, "<0x%02X>", b)
	}
	seen := make(map[string]bool, len(m.pieces))
	found := 0 // byte tokens
	for i, piece := range m.pieces {
		if seen[piece.text] {
			return nil, fmt.Errorf("piece %d: %q is listed more than once", i, piece.text)
		}
		seen[piece.text] = true
		switch piece.kind {
		case unknownPiece:
			if p.unk >= 0 {
				return nil, fmt.Errorf("pieces %d and %d are both for unknown text", p.unk, i)
			}
			p.unk = int32(i)
		case bytePiece:
			if b, ok := byteOf(piece.text); !ok || string(p.byteNames[b]) != piece.text {
				return nil, fmt.Errorf("piece %d: %q is not a byte, such as <0x0A>", i, piece.text)
			}
			found++
		case unusedPiece:
			if m.bpe {
				return nil, fmt.Errorf("piece %d: %q is unused, which is not supported in a BPE model", i, piece.text)
			}
		}
	}
	switch {
	case p.unk < 0:
		return nil, errors.New("no piece is for unknown text")
	case m.fallback && found != 256:
		return nil, fmt.Errorf("%d tokens of bytes, want 256 for byte_fallback", found)
	case m.denormalizes:
		return nil, errors.New("the model rewrites decoded text (denormalizer_spec), which is not supported")
	}
	if m.bpe {
		p.inner = p.bpe(m)
	} else {
		p.inner = p.unigram(m)
	}
	return p, nil
}

// unigram returns a Unigram model. A user-defined symbol scores about as much as the most likely piece for each of its
// bytes, which is more than what else its text could be split into.
func (p *pieceModel) unigram(m *sentencePiece) model {
	var keys []string
	var ids []int32
	low, high := float32(math.MaxFloat32), float32(-math.MaxFloat32)
	for i, piece := range m.pieces {
		if piece.kind == normalPiece {
			low, high = min(low, float32(piece.score)), max(high, float32(piece.score))
		}
		if piece.kind == normalPiece || piece.kind == userDefinedPiece {
			keys, ids = append(keys, piece.text), append(ids, int32(i))
		}
	}
	u := &unigram{
		trie: newTrie(keys, ids), unk: p.unk, unkScore: float64(low - unkPenalty), single: true,
		scores: make([]float64, len(m.pieces)),
	}
	for i, piece := range m.pieces {
		if u.scores[i] = piece.score; piece.kind == userDefinedPiece {
			u.scores[i] = float64(float32(len(piece.text))*high - 0.1)
		}
	}
	return u
}

// bpe returns a BPE model in which pieces are merged by their scores.
func (p *pieceModel) bpe(m *sentencePiece) model {
	b := &bpe{ids: map[string]int32{}, merges: map[pair]merge{}, unk: p.unk, fuse: true}
	var symbols []string
	var values, order []int32
	for i, piece := range m.pieces {
		switch piece.kind {
		case normalPiece:
			b.ids[piece.text] = int32(i)
			order = append(order, int32(i))
		case userDefinedPiece:
			symbols, values = append(symbols, piece.text), append(values, int32(i))
		}
	}
	if len(symbols) > 0 {
		p.user = newTrie(symbols, values)
	}
	next := p.known
	for _, i := range order {
		for _, r := range m.pieces[i].text {
			if _, ok := b.ids[string(r)]; !ok {
				b.ids[string(r)] = next
				next++
			}
		}
	}
	b.setShort()
	slices.SortStableFunc(order, func(i, j int32) int { return cmp.Compare(m.pieces[j].score, m.pieces[i].score) })
	keys, ids := make([]string, 0, len(b.ids)), make([]int32, 0, len(b.ids))
	for text, id := range b.ids {
		keys, ids = append(keys, text), append(ids, id)
	}
	t := newTrie(keys, ids)
	rank := int32(0)
	for n, i := range order {
		if n > 0 && m.pieces[i].score < m.pieces[order[n-1]].score {
			rank++
		}
		text := m.pieces[i].text
		for at, node := 1, t.root[text[0]]; node != 0 && at < len(text); at++ {
			if left := t.value[node]; left >= 0 {
				if right, ok := b.ids[text[at:]]; ok {
					b.merges[pair{left, right}] = merge{rank, i}
				}
			}
			node = t.child(node, text[at])
		}
	}
	return b
}

// encode appends the pieces of a text. The id of a byte is the byte, that of other pieces -1: what they are, their text
// says. Neighbouring unknown characters are one piece.
func (p *pieceModel) encode(dst []piece, word []byte, buf *buffers) []piece {
	known := true // whether the preceding piece is known
	for at := 0; at < len(word); {
		to, symbol := len(word), 0
		if p.user != nil {
			to, symbol = p.next(word, at)
		}
		mark := len(dst)
		if at < to {
			dst = p.inner.encode(dst, word[at:to], buf)
		}
		found := slices.Clone(dst[mark:])
		dst = dst[:mark]
		for _, f := range found {
			f.from, f.to = f.from+at, f.to+at
			isKnown := f.id != p.unk && f.id < p.known
			switch {
			case !isKnown && p.fallback:
				dst = appendBytes(dst, word, f)
			case !isKnown && !known:
				dst[len(dst)-1].to = f.to
			default:
				dst = append(dst, piece{-1, f.from, f.to})
			}
			known = isKnown
		}
		if at = to + symbol; symbol > 0 {
			dst, known = append(dst, piece{-1, to, at}), true
		}
	}
	return dst
}

// next returns where the first user-defined symbol at or after byte at of word begins, and its length.
func (p *pieceModel) next(word []byte, at int) (from, size int) {
	for from = at; from < len(word); {
		if n, _ := longest(p.user, word[from:]); n > 0 {
			return from, n
		}
		_, n := runeAt(word, from)
		from += n
	}
	return from, 0
}

// appendBytes appends the bytes of a part of word; each has the range of its character.
func appendBytes(dst []piece, word []byte, part piece) []piece {
	for at := part.from; at < part.to; {
		_, n := runeAt(word, at)
		for _, b := range word[at : at+n] {
			dst = append(dst, piece{int32(b), at, at + n})
		}
		at += n
	}
	return dst
}

// pieceNormalizer rewrites texts as SentencePiece itself does: by the longest key of its table, with blanks as marks.
type pieceNormalizer struct {
	*sentencePiece
	user  *trie // user-defined symbols, which are not rewritten, or nil
	blank string
}

func newPieceNormalizer(m *sentencePiece) pieceNormalizer {
	n := pieceNormalizer{sentencePiece: m, blank: " "}
	if m.escapeBlanks {
		n.blank = string(sentencePieceMark)
	}
	var symbols []string
	for _, p := range m.pieces {
		if p.kind == userDefinedPiece && !slices.Contains(symbols, p.text) {
			symbols = append(symbols, p.text)
		}
	}
	if len(symbols) > 0 {
		n.user = newTrie(symbols, make([]int32, len(symbols)))
	}
	return n
}

// prefix returns what the beginning of text becomes, and its number of bytes.
func (n pieceNormalizer) prefix(text []byte) (to string, size int) {
	if n.user != nil {
		if size, _ := longest(n.user, text); size > 0 {
			return string(text[:size]), size
		}
	}
	if n.rules != nil {
		if to, size := n.rules.longest(text); size > 0 {
			return to, size
		}
	}
	_, size = runeAt(text, 0)
	return string(text[:size]), size
}

func (n pieceNormalizer) normalize(in *aligned, buf *buffers) *aligned {
	out := buf.other(in)
	at := codeLen(in.text)
	if at > 0 { // a language stays as it is
		out.text, out.pos = append(out.text, codeMark), append(out.pos, in.pos[0])
		out.copy(in, span{0, at})
	}
	start := len(out.text)
	for n.removeBlanks && at < len(in.text) {
		to, size := n.prefix(in.text[at:])
		if to != " " {
			break
		}
		at += size
	}
	if at == len(in.text) {
		return out
	}
	write := func(text string, pos int32) {
		out.text = append(out.text, text...)
		for range len(text) {
			out.pos = append(out.pos, pos)
		}
	}
	if n.dummyPrefix && !n.suffix {
		write(n.blank, in.pos[at])
	}
	afterBlank := n.removeBlanks
	for at < len(in.text) {
		to, size := n.prefix(in.text[at:])
		if afterBlank {
			to = strings.TrimLeft(to, " ")
		}
		if to != "" {
			write(strings.ReplaceAll(to, " ", n.blank), in.pos[at])
			afterBlank = n.removeBlanks && strings.HasSuffix(to, " ")
		}
		at += size
	}
	for n.removeBlanks && strings.HasSuffix(string(out.text[max(start, len(out.text)-len(n.blank)):]), n.blank) {
		end := len(out.text) - len(n.blank)
		out.text, out.pos = out.text[:end], out.pos[:end]
	}
	if n.dummyPrefix && n.suffix {
		write(n.blank, in.pos[len(in.pos)-1])
	}
	return out
}

// pieceDecoder returns the stage that joins pieces as SentencePiece itself does, in runs between special tokens, each
// of which is followed by a blank, as Marian's class in transformers has it. White space at both ends of the text is
// removed.
func pieceDecoder(m *sentencePiece, special map[string]bool) stage {
	kinds := make(map[string]pieceType, len(m.pieces))
	for _, p := range m.pieces {
		kinds[p.text] = p.kind
	}
	strips := m.dummyPrefix || m.removeBlanks
	return func(to joiner) joiner {
		out := &trimmer{to: to}
		var bytes []byte           // of a run of byte tokens
		begin, some := true, false // whether a blank may be the added one; whether the run has text
		write := func(text string) {
			some = some || text != ""
			out.write(strings.ReplaceAll(text, string(sentencePieceMark), " "))
		}
		flush := func() {
			for len(bytes) > 0 {
				r, n := utf8.DecodeRune(bytes)
				write(string(r)) // U+FFFD for each byte that is not UTF-8
				bytes = bytes[n:]
			}
		}
		seen := false // whether the preceding piece began with the added blank
		each := func(_ int, token string) {
			kind, known := kinds[token]
			if special[token] {
				flush()
				write(token + " ")
				begin, some, seen = true, false, false
				return
			}
			if kind == bytePiece {
				b, _ := byteOf(token)
				bytes = append(bytes, b)
				return
			}
			flush()
			if seen || some {
				begin = false
			}
			seen = false
			switch {
			case kind == controlPiece:
			case kind == unknownPiece:
				write(m.unkOut)
			case known:
				if rest, ok := strings.CutPrefix(token, string(sentencePieceMark)); ok && begin && strips {
					token, seen = rest, !m.removeBlanks
				}
				write(token)
			default:
				write(token)
			}
		}
		return &wholeTokens{to: out, each: each, last: flush}
	}
}

// trimmer removes white space, as Python defines it, at both ends of a text.
type trimmer struct {
	to   joiner
	some bool   // whether anything has been passed on
	held []byte // white space that is passed on if more text follows
}

func (t *trimmer) write(text string) {
	if !t.some {
		text = strings.TrimLeftFunc(text, pythonSpace)
	}
	body := strings.TrimRightFunc(text, pythonSpace)
	if body == "" {
		t.held = append(t.held, text...)
		return
	}
	t.to.part(string(t.held) + body)
	t.some, t.held = true, append(t.held[:0], text[len(body):]...)
}

func (t *trimmer) part(text string) { t.write(text) }
func (t *trimmer) next()            {}

func (t *trimmer) end() {
	t.to.next()
	t.to.end()
}

// pythonSpace reports whether r is white space for Python's str.strip, which counts some control characters, too.
func pythonSpace(r rune) bool { return classOf(r)&isSpace != 0 || 0x1C <= r && r <= 0x1F }
