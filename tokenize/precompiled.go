package tokenize

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// charsMap is the normalizer of SentencePiece models: a table of strings and their replacements. The table is a
// double-array trie in the layout of github.com/s-yata/darts-clone: a unit holds the label of its node (bits 0–7 and
// 31), whether a key ends there (bit 8) and the distance to its children (bits 9–31); the unit of a key's end holds
// the key's value (bits 0–30).
type charsMap struct {
	units   []uint32
	strings string // the replacements of keys, each ending in a NUL; values are offsets in it
}

// maxReplacement is the maximum length in bytes of a key's replacement; Unicode's longest has 33.
const maxReplacement = 1 << 10

// parseCharsMap reads the precompiled_charsmap of a tokenizer.json: base64 of the trie's size in bytes (u32,
// little-endian), the trie, and the strings.
func parseCharsMap(text string) (*charsMap, error) {
	if strings.ContainsAny(text, "\r\n") { // the decoder would skip them
		return nil, errors.New("line break in base64")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, err
	}
	return newCharsMap(raw)
}

// newCharsMap reads a precompiled_charsmap as a SentencePiece model has it.
func newCharsMap(raw []byte) (*charsMap, error) {
	if len(raw) < 4 {
		return nil, fmt.Errorf("%d bytes are shorter than the 4-byte header", len(raw))
	}
	size := uint64(binary.LittleEndian.Uint32(raw))
	raw = raw[4:]
	switch {
	case size == 0 || size%4 != 0:
		return nil, fmt.Errorf("a trie of %d bytes: want a multiple of 4 above 0", size)
	case size > uint64(len(raw)):
		return nil, fmt.Errorf("a trie of %d bytes, but only %d follow", size, len(raw))
	}
	m := &charsMap{units: make([]uint32, size/4), strings: string(raw[size:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	if !utf8.ValidString(m.strings) {
		return nil, errors.New("the replacements are not UTF-8")
	}
	return m, m.check()
}

func unitLabel(u uint32) uint32  { return u & (1<<31 | 0xFF) }
func unitValue(u uint32) uint32  { return u & (1<<31 - 1) }
func unitEnds(u uint32) bool     { return u>>8&1 == 1 }
func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

// check visits the whole trie, so that find can never leave it or the strings.
func (m *charsMap) check() error {
	seen := make([]bool, len(m.units))
	queue := []uint32{0}
	for len(queue) > 0 {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		u := m.units[at]
		children := at ^ unitOffset(u)
		if int64(children|0xFF) >= int64(len(m.units)) {
			return fmt.Errorf("node %d of the trie has children at %d, but there are only %d nodes", at, children, len(m.units))
		}
		if at != 0 && unitEnds(u) {
			if err := m.checkValue(unitValue(m.units[children])); err != nil {
				return fmt.Errorf("node %d of the trie: %w", at, err)
			}
		}
		for label := uint32(1); label <= 0xFF; label++ {
			child := children ^ label
			if unitLabel(m.units[child]) == label && !seen[child] {
				seen[child] = true
				queue = append(queue, child)
			}
		}
	}
	return nil
}

// checkValue checks the value of a key.
func (m *charsMap) checkValue(v uint32) error {
	if int64(v) >= int64(len(m.strings)) {
		return fmt.Errorf("replacement at %d, but there are only %d bytes", v, len(m.strings))
	}
	rest := m.strings[v:]
	switch n := strings.IndexByte(rest[:min(len(rest), maxReplacement+1)], 0); {
	case !utf8.RuneStart(rest[0]):
		return fmt.Errorf("replacement at %d begins inside a character", v)
	case n < 0:
		return fmt.Errorf("replacement at %d of more than %d bytes or without an end", v, maxReplacement)
	}
	return nil
}

// find returns the replacement of the shortest key that text begins with. As in the reference, it replaces all of text.
func (m *charsMap) find(text []byte) (string, bool) {
	at := unitOffset(m.units[0])
	for _, b := range text {
		if b == 0 {
			break
		}
		at ^= uint32(b)
		u := m.units[at]
		if unitLabel(u) != uint32(b) {
			break
		}
		at ^= unitOffset(u)
		if unitEnds(u) {
			rest := m.strings[unitValue(m.units[at]):]
			return rest[:strings.IndexByte(rest, 0)], true
		}
	}
	return "", false
}

// longest returns the replacement of the longest key that text begins with and the length of that key, or 0.
func (m *charsMap) longest(text []byte) (to string, size int) {
	at := unitOffset(m.units[0])
	value := uint32(0)
	for i, b := range text {
		if b == 0 {
			break
		}
		at ^= uint32(b)
		u := m.units[at]
		if unitLabel(u) != uint32(b) {
			break
		}
		at ^= unitOffset(u)
		if unitEnds(u) {
			size, value = i+1, unitValue(m.units[at])
		}
	}
	if size == 0 {
		return "", 0
	}
	rest := m.strings[value:]
	return rest[:strings.IndexByte(rest, 0)], size
}

// maxCluster is the length in bytes below which a grapheme cluster is looked up as a whole before its code points are.
const maxCluster = 6

func (m *charsMap) normalize(in *aligned, buf *buffers) *aligned {
	w := exchanger{in: in, out: buf.other(in)}
	for at := 0; at < len(in.text); {
		cluster := in.text[at : at+clusterLen(in.text[at:])]
		at += len(cluster)
		r, n := runeAt(cluster, 0)
		if n < len(cluster) && len(cluster) < maxCluster {
			if to, ok := m.find(cluster); ok {
				w.exchange(utf8.RuneCount(cluster), to)
				continue
			}
		}
		for {
			if to, ok := m.find(cluster[:n]); ok {
				w.exchange(1, to)
			} else {
				w.push(change{r: r})
			}
			if cluster = cluster[n:]; len(cluster) == 0 {
				break
			}
			r, n = runeAt(cluster, 0)
		}
	}
	w.flush()
	return w.out
}

// clusterLen returns the length in bytes of the grapheme cluster that text begins with.
func clusterLen(text []byte) int {
	if text[0] < utf8.RuneSelf && text[0] != '\r' && (len(text) == 1 || text[1] < utf8.RuneSelf) {
		return 1
	}
	n, _, _ := graphemes.SplitFunc(text, true) // never fails, because text is complete
	return n
}

// exchanger writes a text in which some code points are replaced by others.
type exchanger struct {
	in, out *aligned
	at      int    // number of processed bytes of in
	last    change // not written yet, because it may have to swallow the following ones
	some    bool   // whether last is set
}

func (w *exchanger) flush() {
	if w.some {
		w.at = w.out.change(w.in, w.at, w.last)
	}
}

func (w *exchanger) push(c change) {
	w.flush()
	w.last, w.some = c, true
}

// exchange writes the replacement of n code points of the input. At the beginning of a text, the reference loses count
// of code points that are removed without a replacement, and so does exchange.
func (w *exchanger) exchange(n int, to string) {
	written := 0
	for _, r := range to {
		c := change{r: r}
		if written >= n {
			c.n = 1
		}
		w.push(c)
		written++
	}
	if written < n && w.some {
		w.last.n += written - n
	}
}

// nmt cleans text by SentencePiece's rules for machine translation: it removes control characters and replaces other
// white space and invisible characters by blanks.
type nmt struct{}

func (nmt) normalize(in *aligned, buf *buffers) *aligned {
	out := buf.other(in)
	for i, r := range in.runes() {
		switch {
		case 0x01 <= r && r <= 0x08, r == 0x0B, 0x0E <= r && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			continue
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200B <= r && r <= 0x200F,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == 0xFFFD:
			r = ' '
		}
		out.add(r, in.pos[i])
	}
	return out
}
