package base

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/tokenize"
)

// extended returns text with elements in the list added_tokens.
func extended(t *testing.T, text string, elements ...[]byte) []byte {
	t.Helper()
	out, err := extend([]byte(text), addedKey, '[', elements)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// addedIn returns the list added_tokens of a JSON object.
func addedIn(t *testing.T, text []byte) []json.RawMessage {
	t.Helper()
	var o struct {
		Added []json.RawMessage `json:"added_tokens"`
	}
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o.Added
}

// TestExtend: elements follow those that are there, and no other byte changes.
func TestExtend(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:               `{"added_tokens":[1,2]}`,
		"{\n \"a\": [3] }": "{\"added_tokens\":[1,2],\n \"a\": [3] }",
		`{"a": {"added_tokens": []}, "added_tokens" : [ ] }`: `{"a": {"added_tokens": []}, "added_tokens" : [ 1,2] }`,
		`{"added_tokens": [{"x": "]"}], "b": 1.50}`:          `{"added_tokens": [{"x": "]"},1,2], "b": 1.50}`,
		`{"added_tokens": null}`:                             `{"added_tokens": [1,2]}`,
	} {
		if got := extended(t, text, []byte("1"), []byte("2")); string(got) != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "[]", `{"added_tokens": {}}`, `{"added_tokens": 3}`, `{"added_tokens": `,
		`{"a": 1`} {
		if got, err := extend([]byte(text), addedKey, '[', [][]byte{{'1'}}); err == nil && json.Valid(got) {
			t.Errorf("%s is accepted: %s", text, got)
		}
	}
}

// small are bases of every kind of tokenizer files that can list added tokens.
var small = []string{"../testdata/bert/query_value/base", "../testdata/llamacpp/gpt2", "../testdata/llamacpp/qwen2",
	"../testdata/llamacpp/llama", "../embedded/minilm"}

// withDecoder returns a copy of a base whose tokenizer_config.json has added_tokens_decoder, without which transformers
// takes a token of tokenizer.json for ordinary text.
func withDecoder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(small[1])); err != nil {
		t.Fatal(err)
	}
	const config = `{"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {
		"290": {"content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
			"special": true},
		"291": {"content": "<tool>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
			"special": false}}}`
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAddTokens: a word that was cut into pieces is one token, in texts and in decoded ids; every other token keeps its
// id, and other texts their ids.
func TestAddTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new.json")
	text := `["covidosis", {"content": "<call>", "special": true, "rstrip": true}, "covidosis"]`
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(small, withDecoder(t)) {
		b, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		var log bytes.Buffer
		other, ids, err := b.AddTokens(file, zerolog.New(&log))
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		n := int32(b.Tokenizer.VocabSize())
		if !slices.Equal(ids, []int32{n, n + 1}) || other.Tokenizer.VocabSize() != int(n)+2 {
			t.Errorf("%s: ids %d of %d tokens, want two after %d", dir, ids, other.Tokenizer.VocabSize(), n)
		}
		if !strings.Contains(log.String(), "is on line 1 already") {
			t.Errorf("%s: the log says %s", dir, log.String())
		}
		encode := func(tok *tokenize.Tokenizer, text string) []int32 {
			e, err := tok.Encode(text, tokenize.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return e.IDs
		}
		const sample = "good a covidosis <call> b"
		if got := encode(b.Tokenizer, sample); slices.Contains(got, n) {
			t.Errorf("%s: the base has changed: %d", dir, got)
		}
		got := encode(other.Tokenizer, sample)
		if !slices.Contains(got, n) || !slices.Contains(got, n+1) {
			t.Errorf("%s: %q has the ids %d, want %d and %d among them", dir, sample, got, n, n+1)
		}
		if text := other.Tokenizer.Decode(got, true); !strings.Contains(text, "covidosis") || strings.Contains(text, "call") {
			t.Errorf("%s: %d decodes to %q", dir, got, text)
		}
		if a, z := encode(b.Tokenizer, "good film again"), encode(other.Tokenizer, "good film again"); !slices.Equal(a, z) {
			t.Errorf("%s: ids of other texts were %d, are %d", dir, a, z)
		}
		alone, err := tokenize.Load(func(name string) ([]byte, error) {
			if text, ok := other.OwnFiles()[name]; ok {
				return text, nil
			}
			return nil, fs.ErrNotExist
		})
		if err != nil || !slices.Equal(encode(alone, sample), got) {
			t.Errorf("%s: the adapter's files alone make another tokenizer: %v", dir, err)
		}
	}
}

// TestAddTokensRefused: files without a new token, tokenizers that cannot list added tokens.
func TestAddTokensRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b, err := Open(small[0])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	refused := func(b *Base, path, want string) {
		t.Helper()
		_, _, err := b.AddTokens(path, zerolog.Nop())
		if err == nil || !strings.Contains(err.Error(), want) || Blame(err) == nil {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	refused(b, filepath.Join(dir, "none"), "there is no such file")
	refused(b, file("known", "the\n[CLS]\n"), "all its tokens are in the vocabulary of "+small[0]+" already")
	refused(b, file("same", "Foo\nfoo\n"), `is "foo" after normalization`)
	fresh := file("fresh", "covidosis\n")
	with := func(change func(files map[string][]byte)) *Base {
		files := map[string][]byte{}
		for _, name := range []string{"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"} {
			text, err := os.ReadFile(filepath.Join(small[0], name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = text
		}
		change(files)
		b, err := FromFiles("changed", files)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	refused(with(func(f map[string][]byte) { f["added_tokens.json"] = []byte(`{"<x>": 96}`) }), fresh,
		"cannot extend added_tokens.json")
	refused(with(func(f map[string][]byte) {
		delete(f, "vocab.txt")
		f["tokenizer_config.json"] = []byte(`{"tokenizer_class": "ByT5Tokenizer"}`)
	}), fresh, "needs tokenizer.json, vocab.txt or vocab.json")
	custom := *b
	made, err := b.Tokenizer.Custom()
	if err != nil {
		t.Fatal(err)
	}
	if custom.Tokenizer, err = tokenize.New(made); err != nil {
		t.Fatal(err)
	}
	refused(&custom, fresh, "has the custom tokenizer")
}
