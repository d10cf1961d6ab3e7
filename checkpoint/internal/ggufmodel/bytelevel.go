package ggufmodel

import (
	"fmt"
	"strings"
)

// The patterns that split texts before tokens are merged, as in the models' own tokenizer.json.
const (
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` +
		`\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// The values of tokenizer.ggml.pre, grouped by how they split.
var (
	gpt2Pre   = map[string]bool{"": true, "default": true, "gpt-2": true, "gpt2": true, "olmo": true, "phi-2": true}
	digitsPre = map[string]bool{"smollm": true, "starcoder": true, "refact": true, "codeshell": true, "minerva-7b": true}
	llama3Pre = map[string]bool{"llama3": true, "llama-v3": true, "llama-bpe": true, "falcon3": true}
	qwen2Pre  = map[string]bool{"qwen2": true, "deepseek-r1-qwen": true, "megrez": true}
)

// byteLevel completes t for a byte-level BPE tokenizer.
func (m *Model) byteLevel(t *tokenizerJSON, v *vocab) error {
	pre, _, err := m.file.Text(preKey)
	if err != nil {
		return err
	}
	merges, err := m.merges()
	if err != nil {
		return err
	}
	if merges == nil {
		return errNoMerges
	}
	tokens, err := v.spelled()
	if err != nil {
		return err
	}
	empty := ""
	t.Model = bpe{Type: "BPE", Prefix: &empty, Suffix: &empty, Vocab: tokens, Merges: merges}
	t.Decoder = object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}
	if !t.splitAs(pre) {
		return fmt.Errorf("key %q: splitting texts as %s does is not supported", preKey, quote(pre))
	}
	return nil
}

// splitAs sets how texts are split before tokens are merged for a value of tokenizer.ggml.pre, and reports whether the
// value is known.
func (t *tokenizerJSON) splitAs(pre string) bool {
	switch {
	case gpt2Pre[pre]:
		t.PreTokenizer = byteLevelStep(true)
	case digitsPre[pre]:
		t.PreTokenizer = sequence(object{"type": "Digits", "individual_digits": true}, byteLevelStep(true))
	case llama3Pre[pre]:
		t.PreTokenizer = sequence(split(llama3Pattern), byteLevelStep(false))
		t.Model.IgnoreMerges = true
	case qwen2Pre[pre]:
		t.Normalizer = object{"type": "NFC"}
		t.PreTokenizer = sequence(split(qwen2Pattern), byteLevelStep(false))
	default:
		return false
	}
	return true
}

func byteLevelStep(pattern bool) object {
	return object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": pattern}
}

func split(pattern string) object {
	return object{"type": "Split", "pattern": object{"Regex": pattern}, "behavior": "Isolated", "invert": false}
}

func sequence(steps ...object) object { return object{"type": "Sequence", "pretokenizers": steps} }

// spelled returns the tokens in the spelling of a byte-level vocabulary: one letter for each byte. Some files store a
// few tokens as plain text. Added tokens stay plain text, as in every tokenizer.json.
func (v *vocab) spelled() (vocabulary, error) {
	letters := byteLetters()
	alphabet := map[rune]bool{}
	for _, r := range letters {
		alphabet[r] = true
	}
	out := make(vocabulary, len(v.tokens))
	for id, token := range v.tokens {
		out[id] = token
		if v.added(id) || !strings.ContainsFunc(token, func(r rune) bool { return !alphabet[r] }) {
			continue
		}
		var b strings.Builder
		for i := range len(token) {
			b.WriteRune(letters[token[i]])
		}
		out[id] = b.String()
		if other, taken := v.ids[out[id]]; taken && other != id {
			return nil, fmt.Errorf("key %q: tokens %d and %d both mean the bytes of %s", tokensKey, id, other, quote(token))
		}
	}
	return out, nil
}

// byteLetters returns the letter for each byte in GPT-2's vocabulary: the byte itself if it is a visible character of
// Latin-1, otherwise the next letter from U+0100 on.
func byteLetters() (letters [256]rune) {
	next := rune(0x100)
	for b := range letters {
		if '!' <= b && b <= '~' || 0xa1 <= b && b <= 0xac || 0xae <= b {
			letters[b] = rune(b)
			continue
		}
		letters[b] = next
		next++
	}
	return letters
}
