package base

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tokenize"
)

// AddTokens returns b with the tokens of a file in its vocabulary, as the tokenizers' add_tokens of transformers puts
// them there: their ids follow the last one, and texts are cut at them before anything else. It returns the ids of the
// new tokens, too. Tokens that b has already keep their ids and roles; they are logged. The result shares the
// checkpoint with b, and its [Base.OwnFiles] are those of the tokenizer.
//
// The file has one token a line or, if its name ends in .json, a list of strings and of objects with the fields of
// tokenizer.json: content, single_word, lstrip, rstrip, normalized (default: if it is not special) and special.
//
// AddTokens returns an error if the file cannot be read or has no new token, or if the tokenizer of b is a custom one
// or has no files that can list added tokens.
func (b *Base) AddTokens(path string, log zerolog.Logger) (*Base, []int32, error) {
	if b.Tokenizer == nil {
		return nil, nil, Settings(fmt.Errorf("`add_tokens`: %s reads no tokens", b.Name))
	}
	if custom := b.CustomTokenizer(); custom != "" {
		return nil, nil, Settings(fmt.Errorf("`add_tokens` changes the tokenizer's files, but %s has the custom tokenizer "+
			"%s; add the tokens to that", b.Name, custom))
	}
	f, err := readTokens(path)
	if err != nil {
		return nil, nil, err
	}
	for _, note := range f.notes {
		log.Warn().Msg(note)
	}
	var added []addedToken
	var known []string
	for _, t := range f.tokens {
		if id, ok := b.Tokenizer.ID(t.Content); ok {
			known = append(known, fmt.Sprintf("%s:%d: %q is in the vocabulary already, as token %d, and stays as it is", path,
				t.Line, t.Content, id))
			continue
		}
		added = append(added, addedToken{int32(b.Tokenizer.VocabSize() + len(added)), t})
	}
	if len(added) == 0 {
		return nil, nil, Input(data.Errorf(path, 0, "all its tokens are in the vocabulary of %s already; leave "+
			"`add_tokens` out", b.Name))
	}
	for _, text := range known {
		log.Warn().Msg(text)
	}
	own, err := b.listTokens(added)
	if err != nil {
		return nil, nil, Input(err)
	}
	other, err := b.with(own)
	if err != nil {
		err = fmt.Errorf("%s: the tokens do not fit %s: %w", path, b.Name, err)
		if own[tokenizerName] == nil {
			err = fmt.Errorf("%w; if the ids are at fault, %s", err, saveFirst)
		}
		return nil, nil, Input(err)
	}
	if err := checkAdded(other.Tokenizer, b.Tokenizer, added); err != nil {
		return nil, nil, Input(fmt.Errorf("%s: %w; %s", b.Name, err, saveFirst))
	}
	ids := make([]int32, len(added))
	for i, a := range added {
		ids[i] = a.id
	}
	log.Info().Msgf("%d tokens of %s are new: %d to %d", len(ids), path, ids[0], ids[len(ids)-1])
	return other, ids, nil
}

// saveFirst is the remedy for tokenizers whose files cannot list the tokens.
const saveFirst = "save the tokenizer with transformers (AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)) to " +
	"have a tokenizer.json of all tokens"

// addedToken is a new token with its id.
type addedToken struct {
	id int32
	NewToken
}

// entry returns the token as tokenizer.json lists it, or without the id as tokenizer_config.json does.
func (a addedToken) entry(id bool) ([]byte, error) {
	e := struct {
		ID         *int32 `json:"id,omitempty"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	}{nil, a.Content, a.SingleWord, a.LStrip, a.RStrip, a.Normalized, a.Special}
	if id {
		e.ID = &a.id
	}
	return compactJSON(e)
}

// Names of the tokenizer's files that list added tokens, and of the keys there.
const (
	tokenizerName       = "tokenizer.json"
	tokenizerConfigName = "tokenizer_config.json"
	addedKey            = "added_tokens"
	decoderKey          = "added_tokens_decoder"
)

// listTokens returns the files of b's tokenizer and chat template with further tokens: in added_tokens of
// tokenizer.json, and in added_tokens_decoder of tokenizer_config.json if that exists or there is only a vocabulary.
func (b *Base) listTokens(added []addedToken) (map[string][]byte, error) {
	own, err := ownFiles(b.File)
	if err != nil {
		return nil, err
	}
	var list, object [][]byte
	for _, a := range added {
		in, err := a.entry(true)
		if err != nil {
			return nil, err
		}
		under, err := a.entry(false)
		if err != nil {
			return nil, err
		}
		list = append(list, in)
		object = append(object, append([]byte(strconv.Quote(strconv.Itoa(int(a.id)))+":"), under...))
	}
	text, whole := own[tokenizerName]
	if whole {
		if own[tokenizerName], err = extend(text, addedKey, '[', list); err != nil {
			return nil, fmt.Errorf("%s: %w", tokenizerName, err)
		}
	}
	config, ok := own[tokenizerConfigName]
	if !ok {
		config = []byte("{}")
	}
	var has struct {
		Decoder map[string]json.RawMessage `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(config, &has); err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerConfigName, err)
	}
	switch {
	case whole && len(has.Decoder) == 0:
		return own, nil
	case !whole && own["vocab.txt"] == nil && own["vocab.json"] == nil:
		return nil, fmt.Errorf("%s: `add_tokens` needs tokenizer.json, vocab.txt or vocab.json; %s", b.Name, saveFirst)
	case !whole && len(has.Decoder) == 0 && own["added_tokens.json"] != nil:
		return nil, fmt.Errorf("%s: `add_tokens` cannot extend added_tokens.json; %s", b.Name, saveFirst)
	}
	if own[tokenizerConfigName], err = extend(config, decoderKey, '{', object); err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerConfigName, err)
	}
	return own, nil
}

// checkAdded returns an error if t does not have the tokens of another tokenizer with the same ids, followed by the
// added ones.
func checkAdded(t, from *tokenize.Tokenizer, added []addedToken) error {
	for id := range int32(from.VocabSize()) {
		token, ok := from.Token(id)
		if now, has := t.Token(id); now != token || has != ok || from.IsSpecial(id) != t.IsSpecial(id) {
			return fmt.Errorf("token %d of its vocabulary, %q, would become %q", id, token, now)
		}
	}
	for _, a := range added {
		if id, ok := t.ID(a.Content); !ok || id != a.id {
			return fmt.Errorf("%q would be token %d, not %d, the next one", a.Content, id, a.id)
		}
	}
	if n := int(added[len(added)-1].id) + 1; t.VocabSize() != n {
		return fmt.Errorf("there would be %d tokens, not %d", t.VocabSize(), n)
	}
	return nil
}

// extend returns the JSON object in text with more elements at the end of the list (open is '[') or of the object ('{')
// under key, which is made if it is missing or null. All other bytes stay.
func extend(text []byte, key string, open byte, more [][]byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("want a JSON object")
	}
	first, empty := int(d.InputOffset()), !d.More()
	shut := open + 2 // ] or }
	elements := bytes.Join(more, []byte(","))
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if name != key {
			continue
		}
		end := int(d.InputOffset())
		switch {
		case string(value) == "null":
			return splice(text, end-len(value), end, []byte{open}, elements, []byte{shut}), nil
		case value[0] != open:
			return nil, fmt.Errorf("%s: want a list or an object with added tokens", key)
		case len(bytes.TrimSpace(value[1:len(value)-1])) > 0:
			return splice(text, end-1, end-1, []byte(","), elements), nil
		}
		return splice(text, end-1, end-1, elements), nil
	}
	name, err := compactJSON(key)
	if err != nil {
		return nil, err
	}
	comma := []byte(",")
	if empty {
		comma = nil
	}
	return splice(text, first, first, name, []byte{':', open}, elements, []byte{shut}, comma), nil
}

// splice returns text with parts in place of the bytes between two positions.
func splice(text []byte, from, to int, parts ...[]byte) []byte {
	return bytes.Join([][]byte{text[:from], bytes.Join(parts, nil), text[to:]}, nil)
}
