package ggufmodel

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	tokensKey = "tokenizer.ggml.tokens"
	typesKey  = "tokenizer.ggml.token_type"
	scoresKey = "tokenizer.ggml.scores"
	mergesKey = "tokenizer.ggml.merges"
	modelKey  = "tokenizer.ggml.model"
	preKey    = "tokenizer.ggml.pre"
)

// The values of tokenizer.ggml.token_type that matter here.
const (
	control     = 3 // a special token
	userDefined = 4 // matched in the text before all other tokens, but not special
)

// tokenizerJSON is the file of Hugging Face's tokenizers library, with the fields that these models need.
type tokenizerJSON struct {
	Version       string       `json:"version"`
	Truncation    any          `json:"truncation"`
	Padding       any          `json:"padding"`
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    any          `json:"normalizer"`
	PreTokenizer  any          `json:"pre_tokenizer"`
	PostProcessor any          `json:"post_processor"`
	Decoder       any          `json:"decoder"`
	Model         bpe          `json:"model"`
}

type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type bpe struct {
	Type         string      `json:"type"`
	Dropout      any         `json:"dropout"`
	UnkToken     *string     `json:"unk_token"`
	Prefix       *string     `json:"continuing_subword_prefix"`
	Suffix       *string     `json:"end_of_word_suffix"`
	FuseUnk      bool        `json:"fuse_unk"`
	ByteFallback bool        `json:"byte_fallback"`
	IgnoreMerges bool        `json:"ignore_merges"`
	Vocab        vocabulary  `json:"vocab"`
	Merges       [][2]string `json:"merges"`
}

// vocabulary is a list of tokens that is written as a JSON object in the order of the ids.
type vocabulary []string

func (v vocabulary) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for id, token := range v {
		name, err := encode(token)
		if err != nil {
			return nil, err
		}
		if id > 0 {
			b = append(b, ',')
		}
		b = append(append(b, bytes.TrimSpace(name)...), ':')
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return append(b, '}'), nil
}

// object is a JSON object in the file of the tokenizers library.
type object = map[string]any

// vocab is the vocabulary of the metadata.
type vocab struct {
	tokens []string
	types  []int64        // nil if the file has none
	ids    map[string]int // by token
	named  map[int]bool   // ids that the file gives as begin, end, padding or unknown token
}

// readVocab reads the tokens and their types.
func (m *Model) readVocab() (*vocab, error) {
	tokens, err := m.file.Texts(tokensKey)
	if err != nil {
		return nil, err
	}
	v := &vocab{tokens: tokens, ids: make(map[string]int, len(tokens)), named: map[int]bool{}}
	for id, token := range tokens {
		if first, twice := v.ids[token]; twice {
			return nil, fmt.Errorf("key %q: token %s has two ids, %d and %d", tokensKey, quote(token), first, id)
		}
		v.ids[token] = id
	}
	if v.types, err = m.file.Ints(typesKey); err != nil {
		return nil, err
	}
	if v.types != nil && len(v.types) != len(tokens) {
		return nil, fmt.Errorf("key %q has %d values for %d tokens", typesKey, len(v.types), len(tokens))
	}
	return v, nil
}

// special reports whether a token is special and never means text, because the file marks or names it so.
func (v *vocab) special(id int) bool { return v.named[id] || v.types != nil && v.types[id] == control }

// added reports whether a token is matched in the text before all others.
func (v *vocab) added(id int) bool {
	return v.special(id) || v.types != nil && v.types[id] == userDefined
}

func (v *vocab) addedTokens() []addedToken {
	list := []addedToken{}
	for id, token := range v.tokens {
		if v.added(id) && token != "" {
			list = append(list, addedToken{ID: id, Content: token, Special: v.special(id)})
		}
	}
	return list
}

// tokenizer makes tokenizer.json from the metadata.
func (m *Model) tokenizer() ([]byte, error) {
	kind, ok, err := m.file.Text(modelKey)
	if err == nil && !ok {
		err = fmt.Errorf("the metadata lack %q", modelKey)
	}
	if err != nil {
		return nil, err
	}
	v, err := m.readVocab()
	if err != nil {
		return nil, err
	}
	s, err := m.readSettings(v)
	if err != nil {
		return nil, err
	}
	t := tokenizerJSON{Version: "1.0", AddedTokens: v.addedTokens(), PostProcessor: s.template(v)}
	switch kind {
	case "gpt2":
		err = m.byteLevel(&t, v)
	case "llama":
		err = m.sentencePiece(&t, v, s)
	default:
		err = fmt.Errorf("key %q: tokenizer model %s is not supported; want gpt2 or llama", modelKey, quote(kind))
	}
	if err != nil {
		return nil, err
	}
	return encode(t)
}

// merges returns the pairs that the file lists, or nil if it lists none.
func (m *Model) merges() ([][2]string, error) {
	lines, err := m.file.Texts(mergesKey)
	if err != nil || lines == nil {
		return nil, err
	}
	pairs := make([][2]string, len(lines))
	for i, line := range lines {
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("key %q: element %d, %s, is not two tokens separated by a space", mergesKey, i, quote(line))
		}
		pairs[i] = [2]string{left, right}
	}
	return pairs, nil
}

// settings are the parts of the metadata that concern texts as a whole.
type settings struct {
	ids            map[string]int // ids of bos, eos, pad and unk, if the file has them
	addBos, addEos bool
}

func (m *Model) readSettings(v *vocab) (*settings, error) {
	s := &settings{ids: map[string]int{}}
	for _, id := range ids {
		n, ok, err := m.file.Uint(id.key)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if n >= uint64(len(v.tokens)) {
			return nil, fmt.Errorf("key %q: there is no token %d, the vocabulary has %d", id.key, n, len(v.tokens))
		}
		s.ids[id.name], v.named[int(n)] = int(n), true
	}
	bos, hasBos, err := m.file.Bool("tokenizer.ggml.add_bos_token")
	if err != nil {
		return nil, err
	}
	eos, _, err := m.file.Bool("tokenizer.ggml.add_eos_token")
	if err != nil {
		return nil, err
	}
	if !hasBos { // old files of these tokenizers lack the key and mean true
		kind, _, err := m.file.Text(modelKey)
		if err != nil {
			return nil, err
		}
		pre, _, err := m.file.Text(preKey)
		if err != nil {
			return nil, err
		}
		bos = kind == "llama" || kind == "gpt2" && llama3Pre[pre]
	}
	_, s.addBos = s.ids["bos"]
	_, s.addEos = s.ids["eos"]
	s.addBos = s.addBos && bos
	s.addEos = s.addEos && eos
	return s, nil
}

// template returns the post-processor that adds the begin and end tokens to a text and to each text of a pair.
func (s *settings) template(v *vocab) object {
	tokens := object{}
	special := func(name string, typeID int) object {
		token := v.tokens[s.ids[name]]
		tokens[token] = object{"id": token, "ids": []int{s.ids[name]}, "tokens": []string{token}}
		return object{"SpecialToken": object{"id": token, "type_id": typeID}}
	}
	var pair []object
	single := 0
	for typeID, sequence := range []string{"A", "B"} {
		if s.addBos {
			pair = append(pair, special("bos", typeID))
		}
		pair = append(pair, object{"Sequence": object{"id": sequence, "type_id": typeID}})
		if s.addEos {
			pair = append(pair, special("eos", typeID))
		}
		if typeID == 0 {
			single = len(pair)
		}
	}
	return object{"type": "TemplateProcessing", "single": pair[:single], "pair": pair, "special_tokens": tokens}
}

// settings makes tokenizer_config.json from the metadata.
func (m *Model) settings() ([]byte, error) {
	v, err := m.readVocab()
	if err != nil {
		return nil, err
	}
	s, err := m.readSettings(v)
	if err != nil {
		return nil, err
	}
	out := object{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": m.config.positions,
		"clean_up_tokenization_spaces": false,
		"add_bos_token":                s.addBos, "add_eos_token": s.addEos}
	for name, id := range s.ids {
		out[name+"_token"] = v.tokens[id]
	}
	template, err := m.chatTemplate()
	if err != nil {
		return nil, err
	}
	if template != nil {
		out["chat_template"] = template
	}
	return encode(out)
}

// chatTemplate returns the template, or, as in Hugging Face's file, a list if there are named ones; nil if there is
// none.
func (m *Model) chatTemplate() (any, error) {
	const key = "tokenizer.chat_template"
	text, ok, err := m.file.Text(key)
	if err != nil {
		return nil, err
	}
	var list []object
	if ok {
		list = append(list, object{"name": "default", "template": text})
	}
	for _, k := range m.file.Keys() {
		name, named := strings.CutPrefix(k, key+".")
		if !named {
			continue
		}
		other, _, err := m.file.Text(k)
		if err != nil {
			return nil, err
		}
		list = append(list, object{"name": name, "template": other})
	}
	switch {
	case len(list) == 0:
		return nil, nil
	case len(list) == 1 && ok:
		return text, nil
	}
	return list, nil
}

var errNoMerges = errors.New("the metadata lack \"" + mergesKey + "\"")
