package base

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// NewToken is a token to add to a vocabulary. The fields are those of an added token in tokenizer.json.
type NewToken struct {
	Content    string
	SingleWord bool // not found inside a word
	LStrip     bool // takes white space before it
	RStrip     bool // takes white space after it
	Normalized bool // found in the normalized text, otherwise in the text itself
	Special    bool // decoding can leave it out
	Line       int  // of the file, from 1
}

// tokenFile are the tokens of a file.
type tokenFile struct {
	tokens []NewToken
	notes  []string // about tokens that are listed again
}

// readTokens reads a file of tokens: JSON if its name ends in .json, otherwise one token a line.
func readTokens(path string) (*tokenFile, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := parseTokens(path, text)
	return f, Input(err)
}

// parseTokens reads the text of a file of tokens with the given name.
func parseTokens(name string, text []byte) (*tokenFile, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	line := 1
	for rest := text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			return nil, data.Errorf(name, line, "the text is not valid UTF-8; save the file as UTF-8")
		}
		if r == '\n' {
			line++
		}
		rest = rest[n:]
	}
	read := tokenLines
	if strings.EqualFold(filepath.Ext(name), ".json") {
		read = tokenList
	}
	list, err := read(name, text)
	if err != nil {
		return nil, err
	}
	f := new(tokenFile)
	seen := map[string]int{}
	for _, t := range list {
		if first, again := seen[t.Content]; again {
			f.notes = append(f.notes, fmt.Sprintf("%s:%d: the token %q is on line %d already and is ignored", name, t.Line,
				t.Content, first))
			continue
		}
		seen[t.Content] = t.Line
		f.tokens = append(f.tokens, t)
	}
	if len(f.tokens) == 0 {
		return nil, data.Errorf(name, 0, "the file has no tokens; write one a line, or a list of strings into a .json file")
	}
	return f, nil
}

// tokenLines reads one token a line, without the blanks around it. Empty lines are skipped.
func tokenLines(_ string, text []byte) (list []NewToken, err error) {
	line := 0
	for s := range strings.Lines(string(text)) {
		line++
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, NewToken{Content: s, Normalized: true, Line: line})
		}
	}
	return list, nil
}

// tokenList reads a JSON list of strings and of objects with the fields of AddedToken.
func tokenList(name string, text []byte) (list []NewToken, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	at := func() int { return 1 + bytes.Count(text[:d.InputOffset()], []byte("\n")) }
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil, data.Errorf(name, at(), "want a list of tokens: strings, or objects with content")
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, data.Errorf(name, at(), "a token is not valid JSON: %v", err)
		}
		t, err := readToken(raw)
		t.Line = at()
		switch {
		case err != nil:
			return nil, data.Errorf(name, t.Line, "want a string, or an object with content: %v", err)
		case t.Content == "":
			return nil, data.Errorf(name, t.Line, "a token has no content; remove it")
		}
		list = append(list, t)
	}
	if _, err := d.Token(); err != nil {
		return nil, data.Errorf(name, at(), "the list has no end: %v", err)
	}
	if d.More() {
		return nil, data.Errorf(name, at(), "there is more after the list; want one list")
	}
	return list, nil
}

// readToken reads a string, or an object.
func readToken(raw json.RawMessage) (NewToken, error) {
	t := NewToken{Normalized: true}
	if raw[0] != '{' {
		return t, json.Unmarshal(raw, &t.Content)
	}
	var o struct {
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized *bool  `json:"normalized"`
		Special    bool   `json:"special"`
		Type       string `json:"__type"` // transformers writes AddedToken
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return t, err
	}
	t = NewToken{Content: o.Content, SingleWord: o.SingleWord, LStrip: o.LStrip, RStrip: o.RStrip,
		Normalized: !o.Special, Special: o.Special}
	if o.Normalized != nil {
		t.Normalized = *o.Normalized
	}
	return t, nil
}
