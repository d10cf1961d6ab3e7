package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The kinds of models, as tokenizer.json names them.
const (
	wordPieceModel = "WordPiece"
	bpeModel       = "BPE"
	unigramModel   = "Unigram"
)

// parseModel reads the vocabulary and settings of a model.
func parseModel(f field, s *spec) {
	if f.object() == nil {
		return
	}
	s.kind = wordPieceModel // old files have no type
	if t := f.get("type"); t.is() {
		s.kind = t.text()
	} else if f.get("merges").is() {
		s.kind = bpeModel
	} else if f.get("unk_id").is() {
		s.kind = unigramModel
	}
	switch s.kind {
	case wordPieceModel:
		parseWordPiece(f, s)
	case bpeModel:
		parseBPE(f, s)
	case unigramModel:
		parseUnigram(f, s)
	default:
		f.get("type").fail("%q is not supported; want BPE, Unigram or WordPiece", s.kind)
	}
}

func parseWordPiece(f field, s *spec) {
	f.only("type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
	s.setWordPiece(f.get("unk_token").text(), f.get("continuing_subword_prefix").text(),
		int(f.get("max_input_chars_per_word").id()))
	s.vocab, _ = parseVocabulary(f.get("vocab"), 0)
}

// setWordPiece makes s a description of a WordPiece model.
func (s *spec) setWordPiece(unk, prefix string, maxChars int) {
	s.model = func(t *Tokenizer) (model, error) {
		id, ok := t.ids[unk]
		if !ok {
			return nil, fmt.Errorf("model: unknown token %q is not in the vocabulary", unk)
		}
		return newWordPiece(t.tokens, id, prefix, maxChars), nil
	}
}

// maxGaps is the maximum number of missing ids in a vocabulary, in addition to the number of its tokens.
const maxGaps = 1 << 16

func parseBPE(f field, s *spec) {
	f.only("type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
		"ignore_merges", "vocab", "merges")
	if d := f.get("dropout"); d.is() {
		if n, _ := d.value.(json.Number); n != "0" && n != "0.0" {
			d.fail("got %v, want null: dropout at random is not supported", d.value)
		}
	}
	b := bpeSettings{
		unk: f.get("unk_token").optionalText(), prefix: f.get("continuing_subword_prefix").optionalText(),
		suffix: f.get("end_of_word_suffix").optionalText(), fuse: f.get("fuse_unk").optionalTruth(),
		fallback: f.get("byte_fallback").optionalTruth(), whole: f.get("ignore_merges").optionalTruth(),
		hasUnk: f.get("unk_token").is(),
	}
	if b.fallback && b.prefix+b.suffix != "" {
		f.fail("byte_fallback with continuing_subword_prefix or end_of_word_suffix is not supported")
	}
	s.vocab, s.missing = parseVocabulary(f.get("vocab"), maxGaps)
	b.merges = parseMerges(f.get("merges"))
	s.setBPE(b)
}

// bpeSettings is a BPE model as a file describes it, without its vocabulary.
type bpeSettings struct {
	unk, prefix, suffix           string
	hasUnk, fuse, fallback, whole bool
	merges                        [][2]string
}

// parseMerges reads pairs of tokens, written "a b" or ["a", "b"].
func parseMerges(f field) [][2]string {
	list, ok := f.value.([]any)
	if !ok {
		f.fail("want an array, got %s", kind(f.value))
		return nil
	}
	out := make([][2]string, 0, len(list))
	bad := 0
	for i, v := range list {
		m, ok := parseMerge(v)
		if !ok {
			if bad++; bad <= maxErrors {
				f := field{f.path + "[" + strconv.Itoa(i) + "]", v, f.errs}
				f.fail("want two tokens with a blank between, or an array of two")
			}
			continue
		}
		if m != [2]string{} {
			out = append(out, m)
		}
	}
	if bad > maxErrors {
		f.fail("and %d more errors", bad-maxErrors)
	}
	return out
}

// parseMerge reads one merge; it returns an empty one for a line that only gives a version.
func parseMerge(v any) (m [2]string, ok bool) {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "#version") {
			return m, true
		}
		left, right, ok := strings.Cut(v, " ")
		return [2]string{left, right}, ok && left != "" && right != "" && !strings.Contains(right, " ")
	case []any:
		if len(v) != 2 {
			return m, false
		}
		left, ok := v[0].(string)
		right, ok2 := v[1].(string)
		return [2]string{left, right}, ok && ok2 && left != "" && right != ""
	}
	return m, false
}

// setBPE makes s a description of a BPE model.
func (s *spec) setBPE(b bpeSettings) {
	s.merges = b.merges
	s.model = func(t *Tokenizer) (model, error) {
		m := &bpe{
			ids: maps.Clone(t.ids), merges: make(map[pair]merge, len(b.merges)), unk: -1,
			fuse: b.fuse, whole: b.whole, prefix: b.prefix, suffix: b.suffix,
		}
		m.setShort()
		if b.fallback {
			m.bytes = byteTokens(m.ids)
		}
		if id, ok := m.ids[b.unk]; ok && b.hasUnk {
			m.unk = id
		} else if b.hasUnk && !m.knowsBytes(t.preTokenizer) {
			return nil, fmt.Errorf("model: unknown token %q is not in the vocabulary", b.unk)
		}
		return m, m.setMerges(b)
	}
}

// byteTokens returns the tokens of bytes, such as <0x0A>, by byte, and -1 for bytes without a token.
func byteTokens(ids map[string]int32) *[256]int32 {
	t := new([256]int32)
	for b := range t {
		t[b] = -1
		if id, ok := ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			t[b] = id
		}
	}
	return t
}

// knowsBytes reports whether no character can be unknown, because p writes bytes and every byte has a token.
func (m *bpe) knowsBytes(p preTokenizer) bool {
	list, _ := p.(preSequence)
	if p != (byteMapper{}) && (len(list) == 0 || !m.knowsBytes(list[len(list)-1])) {
		return false
	}
	for _, r := range byteRunes {
		if m.short[r] < 0 {
			return false
		}
	}
	return true
}

// setMerges fills the table of merges. If a pair is listed more than once, its last rank counts, as in the reference.
func (m *bpe) setMerges(b bpeSettings) error {
	var errs []error
	bad := 0
	for i, g := range b.merges {
		err := m.addMerge(int32(i), g[0], g[1], len(b.prefix))
		if err == nil {
			continue
		}
		if bad++; bad <= maxErrors {
			errs = append(errs, fmt.Errorf("model.merges: %q %q: %w", g[0], g[1], err))
		}
	}
	if bad > maxErrors {
		errs = append(errs, fmt.Errorf("model.merges: and %d more errors", bad-maxErrors))
	}
	return errors.Join(errs...)
}

// addMerge adds the merge of two tokens; the right one may have a prefix of the given length.
func (m *bpe) addMerge(rank int32, left, right string, prefix int) error {
	if len(right) < prefix {
		return fmt.Errorf("%q is shorter than continuing_subword_prefix", right)
	}
	var ids [3]int32
	for i, token := range [...]string{left, right, left + right[prefix:]} {
		id, ok := m.ids[token]
		if !ok {
			return fmt.Errorf("%q is not in the vocabulary", token)
		}
		ids[i] = id
	}
	m.merges[pair{ids[0], ids[1]}] = merge{rank, ids[2]}
	return nil
}

// parseVocabulary returns the tokens by id, from an object that maps tokens to ids. The ids must begin at 0. If maxGaps
// is not 0, maxGaps plus the number of tokens ids may be missing.
func parseVocabulary(f field, maxGaps int) (vocab []string, missing map[int32]bool) {
	m := f.object()
	limit := len(m)
	if maxGaps > 0 {
		limit += len(m) + maxGaps
	}
	size := 0
	for _, v := range m {
		if id, ok := vocabularyID(v); ok && id < limit {
			size = max(size, id+1)
		}
	}
	vocab = make([]string, size)
	taken := make([]bool, size)
	good := 0
	for token, v := range m {
		if id, ok := vocabularyID(v); ok && id < size && !taken[id] {
			vocab[id], taken[id] = token, true
			good++
		}
	}
	if good < len(m) {
		explainVocabulary(f, m, limit)
	}
	for id, ok := range taken {
		if !ok {
			if missing == nil {
				missing = map[int32]bool{}
			}
			missing[int32(id)] = true
		}
	}
	return vocab, missing
}

// vocabularyID returns the id v and whether v is an integer that is not negative.
func vocabularyID(v any) (int, bool) {
	n, _ := v.(json.Number)
	id, err := strconv.Atoi(n.String())
	return id, err == nil && id >= 0
}

// explainVocabulary adds the errors of the ids of m, which must be below limit.
func explainVocabulary(f field, m map[string]any, limit int) {
	var bad []string
	first := map[int64]string{}
	for _, token := range slices.Sorted(maps.Keys(m)) {
		n, _ := m[token].(json.Number)
		id, err := strconv.ParseInt(n.String(), 10, 64)
		other, twice := first[id]
		switch {
		case err != nil:
			bad = append(bad, fmt.Sprintf("token %q: want an integer, got %v", token, m[token]))
		case limit == len(m) && (id < 0 || id >= int64(limit)):
			bad = append(bad, fmt.Sprintf("token %q: id %d, but the ids of %d tokens are 0 … %d without gaps",
				token, id, len(m), len(m)-1))
		case id < 0 || id >= int64(limit):
			bad = append(bad, fmt.Sprintf("token %q: id %d; want 0 … %d for %d tokens", token, id, limit-1, len(m)))
		case twice:
			bad = append(bad, fmt.Sprintf("token %q: id %d is also that of %q", token, id, other))
		default:
			first[id] = token
		}
	}
	for i, what := range bad {
		if i == maxErrors {
			f.fail("and %d more errors", len(bad)-i)
			break
		}
		f.fail("%s", what)
	}
}
