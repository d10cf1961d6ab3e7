package ggufmodel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// More values of tokenizer.ggml.token_type.
const (
	normal     = 1
	unused     = 5 // an id without a token
	byteOfText = 6 // a byte of text that is not in the vocabulary
)

// writtenIDs lists the special tokens that are written.
var writtenIDs = slices.Concat(ids, []tokenKey{
	{"tokenizer.ggml.seperator_token_id", "sep"}, // the format's spelling
	{"tokenizer.ggml.cls_token_id", "cls"}, {"tokenizer.ggml.mask_token_id", "mask"},
	{endings[0], "eot"},
})

// inputTokenizer is a tokenizer.json with the fields that the metadata hold.
type inputTokenizer struct {
	AddedTokens  []addedToken `json:"added_tokens"`
	Normalizer   any          `json:"normalizer"`
	PreTokenizer any          `json:"pre_tokenizer"`
	Model        struct {
		Type         string          `json:"type"`
		ByteFallback bool            `json:"byte_fallback"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocab        map[string]int  `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
	} `json:"model"`
}

// tokenizer returns the metadata of the tokenizer for a model with the given number of tokens, and notes about what
// llama.cpp ignores.
func (o Output) tokenizer(rows int) (pairs []gguf.Pair, notes []string, err error) {
	text, err := o.File(tokenizerName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("the model has no %s; save its tokenizer with save_pretrained of transformers",
			tokenizerName)
	}
	if err != nil {
		return nil, nil, err
	}
	t := inputTokenizer{}
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", tokenizerName, err)
	}
	if t.Model.Type != "BPE" {
		return nil, nil, fmt.Errorf("%s: a model of type %s cannot be written as GGUF; want BPE", tokenizerName,
			quote(t.Model.Type))
	}
	tokens, types, notes, err := t.tokens(rows)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", tokenizerName, err)
	}
	merges, err := t.merges()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", tokenizerName, err)
	}
	add := func(key string, value any) { pairs = append(pairs, gguf.Pair{Key: key, Value: value}) }
	if t.Model.ByteFallback {
		prefix, err := t.spacePrefix()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", tokenizerName, err)
		}
		add("tokenizer.ggml.add_space_prefix", prefix)
		add(modelKey, "llama")
		add(preKey, "default")
		add(tokensKey, tokens)
		add(scoresKey, scoresOf(tokens, types, merges))
		add(typesKey, types)
	} else {
		pre, err := t.pre()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", tokenizerName, err)
		}
		add(modelKey, "gpt2")
		add(preKey, pre)
		add(tokensKey, tokens)
		add(typesKey, types)
		lines := make([]string, len(merges))
		for i, m := range merges {
			lines[i] = m[0] + " " + m[1]
		}
		add(mergesKey, lines)
	}
	for _, r := range writtenIDs {
		if id, ok := o.Special.IDs[r.name]; ok && id < len(tokens) {
			add(r.key, uint32(id))
		}
	}
	add("tokenizer.ggml.add_bos_token", o.Special.AddBos)
	add("tokenizer.ggml.add_eos_token", o.Special.AddEos)
	template, err := o.chatTemplate()
	return append(pairs, template...), notes, err
}

// tokens returns the tokens of the ids below rows and their types. Added tokens beyond are left out; others are errors.
func (t inputTokenizer) tokens(rows int) (tokens []string, types []int32, notes []string, err error) {
	tokens, types = make([]string, rows), make([]int32, rows)
	for i := range tokens {
		tokens[i], types[i] = fmt.Sprintf("[PAD%d]", i), unused
	}
	added := map[string]bool{}
	for _, a := range t.AddedTokens {
		added[a.Content] = true
		if a.LStrip || a.RStrip || a.SingleWord {
			notes = append(notes, fmt.Sprintf("llama.cpp ignores lstrip, rstrip and single_word of token %s",
				quote(a.Content)))
		}
		if a.ID >= rows || a.ID < 0 {
			notes = append(notes, fmt.Sprintf("token %s is left out: its id %d is beyond the model's %d tokens",
				quote(a.Content), a.ID, rows))
			continue
		}
		tokens[a.ID], types[a.ID] = a.Content, userDefined
		if a.Special || looksSpecial(a.Content) {
			types[a.ID] = control
		} else {
			tokens[a.ID] = strings.ReplaceAll(a.Content, "▁", " ")
		}
	}
	for token, id := range t.Model.Vocab {
		if added[token] {
			continue
		}
		if id < 0 || id >= rows {
			return nil, nil, nil, fmt.Errorf("token %s has the id %d, but the model has %d tokens", quote(token), id, rows)
		}
		tokens[id], types[id] = token, normal
		if t.Model.ByteFallback && byteToken.MatchString(token) {
			types[id] = byteOfText
		}
	}
	slices.Sort(notes)
	return tokens, types, notes, nil
}

var byteToken = regexp.MustCompile(`^<0x[0-9A-Fa-f]{2}>$`)

// looksSpecial reports whether llama.cpp's converter takes an added token for a special one, whatever its flags say.
func looksSpecial(token string) bool {
	switch token {
	case "<pad>", "<mask>", "<2mass>", "[@BOS@]":
		return true
	}
	for _, form := range [][2]string{{"<|", "|>"}, {"<｜", "｜>"}, {"<unused", ">"}} {
		if strings.HasPrefix(token, form[0]) && strings.HasSuffix(token, form[1]) {
			return true
		}
	}
	return false
}

// merges returns the pairs to merge, in order.
func (t inputTokenizer) merges() ([][2]string, error) {
	var pairs [][2]string
	if json.Unmarshal(t.Model.Merges, &pairs) == nil {
		for i, p := range pairs {
			if strings.Contains(p[0]+p[1], " ") {
				return nil, fmt.Errorf("merge %d has a space, which GGUF cannot hold", i)
			}
		}
		return pairs, nil
	}
	var lines []string // of older files
	if err := json.Unmarshal(t.Model.Merges, &lines); err != nil {
		return nil, fmt.Errorf("merges: %w", err)
	}
	for i, line := range lines {
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("merge %d, %s, is not two tokens separated by a space", i, quote(line))
		}
		pairs = append(pairs, [2]string{left, right})
	}
	return pairs, nil
}

// pre returns the value of tokenizer.ggml.pre by which a reader splits texts as t does.
func (t inputTokenizer) pre() (string, error) {
	for _, pre := range []string{"gpt-2", "smollm", "llama-bpe", "qwen2"} {
		want := tokenizerJSON{}
		want.splitAs(pre)
		if want.Model.IgnoreMerges == t.Model.IgnoreMerges && sameSteps(want.Normalizer, t.Normalizer) &&
			sameSteps(want.PreTokenizer, t.PreTokenizer) {
			return pre, nil
		}
	}
	return "", errors.New("texts are split in a way that is not known to have a name in llama.cpp; " +
		"want that of GPT-2, SmolLM2, LLaMA 3 or Qwen2")
}

// sameSteps compares a normalizer or a pre-tokenizer with one of a file, beside what changes offsets only.
func sameSteps(want, got any) bool {
	text, err := encode(want)
	var parsed any
	if err != nil || json.Unmarshal(text, &parsed) != nil {
		return false
	}
	return reflect.DeepEqual(plainStep(parsed), plainStep(got))
}

// plainStep returns a step of a tokenizer in its shortest form.
func plainStep(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = plainStep(x)
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for key, x := range v {
			if key != "trim_offsets" {
				m[key] = plainStep(x)
			}
		}
		if steps, ok := m["pretokenizers"].([]any); ok && len(steps) == 1 {
			return steps[0]
		}
		if steps, ok := m["normalizers"].([]any); ok && len(steps) == 1 {
			return steps[0]
		}
		return m
	}
	return v
}

// spacePrefix reports whether texts get a leading space, and returns an error unless t writes spaces as SentencePiece
// does: by the pre-tokenizer Metaspace, or by the normalizers of older files.
func (t inputTokenizer) spacePrefix() (bool, error) {
	for _, scheme := range []string{"first", "always", "never"} {
		metaspace := object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false}
		if t.Normalizer == nil && sameSteps(metaspace, t.PreTokenizer) {
			return scheme != "never", nil
		}
	}
	spaces := object{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"}
	prefix := object{"type": "Prepend", "prepend": "▁"}
	if t.PreTokenizer == nil {
		switch {
		case sameSteps(object{"type": "Sequence", "normalizers": []object{prefix, spaces}}, t.Normalizer):
			return true, nil
		case sameSteps(spaces, t.Normalizer):
			return false, nil
		}
	}
	return false, errors.New("texts are not split as SentencePiece does it; want the pre-tokenizer Metaspace")
}

// scoresOf returns scores by which SentencePiece merges in the order of the list: minus the place of the first merge
// that makes a token, and lower ones, in the order of ids, for tokens that no merge makes.
func scoresOf(tokens []string, types []int32, merges [][2]string) []float32 {
	place := map[string]int{}
	for _, m := range merges {
		if _, ok := place[m[0]+m[1]]; !ok {
			place[m[0]+m[1]] = len(place)
		}
	}
	scores := make([]float32, len(tokens))
	rest := len(place)
	for id, token := range tokens {
		n, merged := place[token]
		switch {
		case types[id] == byteOfText:
			scores[id] = 0
		case types[id] == unused:
			scores[id] = -10000
		case types[id] != normal:
			scores[id] = -1000
		case merged:
			scores[id] = -float32(n)
		default:
			scores[id] = -float32(rest)
			rest++
		}
	}
	return scores
}

// chatTemplate returns the metadata of the model's chat templates.
func (o Output) chatTemplate() ([]gguf.Pair, error) {
	const key = "tokenizer.chat_template"
	text, err := o.File("chat_template.jinja")
	if err == nil {
		return []gguf.Pair{{Key: key, Value: string(text)}}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text, err = o.File(settingsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var settings struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", settingsName, err)
	}
	if settings.Template == nil || bytes.Equal(settings.Template, []byte("null")) {
		return nil, nil
	}
	var single string
	if json.Unmarshal(settings.Template, &single) == nil {
		return []gguf.Pair{{Key: key, Value: single}}, nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(settings.Template, &list); err != nil {
		return nil, fmt.Errorf("%s: chat_template: %w", settingsName, err)
	}
	var pairs []gguf.Pair
	var names []string
	for _, x := range list {
		if x.Name == "default" {
			pairs = append(pairs, gguf.Pair{Key: key, Value: x.Template})
			continue
		}
		pairs = append(pairs, gguf.Pair{Key: key + "." + x.Name, Value: x.Template})
		names = append(names, x.Name)
	}
	if len(names) > 0 {
		pairs = append(pairs, gguf.Pair{Key: "tokenizer.chat_templates", Value: names})
	}
	return pairs, nil
}
