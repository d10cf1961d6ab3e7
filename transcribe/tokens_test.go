package transcribe

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/tokenize"
)

// tinyConfig is a config.json for the small multilingual tokenizer.
const tinyConfig = `{"model_type": "whisper", "vocab_size": 479}`

// loadTokenizer reads the tokenizer of a directory.
func loadTokenizer(t testing.TB, dir string) *tokenize.Tokenizer {
	t.Helper()
	tok, err := tokenize.Load(func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) })
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// multilingual is the directory of the small multilingual tokenizer.
var multilingual = filepath.Join("testdata", "multilingual")

// published returns the directory of the real Whisper tiny.en, and skips the test if it is not there.
func published(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("SPALORA_SHARED"), "../../shared"), "models", "whisper-tiny.en")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s does not exist", dir)
	}
	return dir
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tokensFile is testdata/tokens.json.
type tokensFile struct {
	Names  map[string]string `json:"names"`
	Texts  []string          `json:"texts"`
	Labels []struct {
		Language string    `json:"language"`
		Task     string    `json:"task"`
		IDs      [][]int32 `json:"ids"`
	} `json:"labels"`
	English  [][]int32                  `json:"english"`
	Variants map[string]json.RawMessage `json:"variants"`
	Prefixes []struct {
		Settings   string  `json:"settings"`
		Language   string  `json:"language"`
		Task       string  `json:"task"`
		Timestamps bool    `json:"timestamps"`
		IDs        []int32 `json:"ids"`
	} `json:"prefixes"`
}

func readTokensFile(t testing.TB) (f tokensFile) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "testdata", "tokens.json"), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// small returns the tokens of the small multilingual checkpoint, with its own generation_config.json or another.
func small(t testing.TB, generation []byte) *Tokens {
	t.Helper()
	tokens, err := NewTokens(loadTokenizer(t, multilingual), []byte(tinyConfig), generation)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// TestLabels: labels equal WhisperTokenizer's, with a language and a task, one of them, and none.
func TestLabels(t *testing.T) {
	f := readTokensFile(t)
	for name, generation := range map[string][]byte{
		"own": readFile(t, multilingual, "generation_config.json"), "none": nil,
	} {
		tokens := small(t, generation)
		if len(f.Labels) != 6 {
			t.Fatalf("%d kinds of labels", len(f.Labels))
		}
		for _, c := range f.Labels {
			for i, text := range f.Texts {
				got, err := tokens.Labels(text, c.Language, c.Task)
				if err != nil || !slices.Equal(got, c.IDs[i]) {
					t.Errorf("%s, %q, language %q, task %q\n got %v, %v\nwant %v", name, text, c.Language, c.Task, got, err,
						c.IDs[i])
				}
			}
		}
	}
}

// TestPublishedLabels: labels of the real English-only checkpoint equal WhisperTokenizer's, whatever files it has.
func TestPublishedLabels(t *testing.T) {
	dir := published(t)
	f, tok := readTokensFile(t), loadTokenizer(t, dir)
	config, generation := readFile(t, dir, "config.json"), readFile(t, dir, "generation_config.json")
	for name, generation := range map[string][]byte{"own": generation, "none": nil, "empty": []byte("{}")} {
		tokens, err := NewTokens(tok, config, generation)
		if err != nil {
			t.Fatal(err)
		}
		if tokens.Multilingual || tokens.NoTimestamps != 50362 || tokens.Previous != 50360 || !tokens.HasTimestamps() {
			t.Errorf("%s: %+v", name, tokens)
		}
		for _, language := range []string{"", "en", "English"} {
			for i, text := range f.Texts {
				got, err := tokens.Labels(text, language, Transcribe)
				if err != nil || !slices.Equal(got, f.English[i]) {
					t.Errorf("%s, %q: %v, %v, want %v", name, text, got, err, f.English[i])
				}
			}
		}
		got, err := tokens.Prefix("", "", false)
		if err != nil || !slices.Equal(got, []int32{50257, 50362}) {
			t.Errorf("%s: prefix %v, %v", name, got, err)
		}
	}
}

// TestPrefix: the first tokens of transcripts equal those of transformers' generate for new, old and changed settings,
// and what it refuses is an error.
func TestPrefix(t *testing.T) {
	f := readTokensFile(t)
	tok := loadTokenizer(t, multilingual)
	f.Variants["as it is"] = readFile(t, multilingual, "generation_config.json")
	config := []byte(`{"model_type": "whisper", "vocab_size": 51864}`)
	if len(f.Prefixes) < 120 || len(f.Variants) != 9 {
		t.Fatalf("%d prefixes, %d settings", len(f.Prefixes), len(f.Variants))
	}
	for _, c := range f.Prefixes {
		tokens, err := NewTokens(tok, config, f.Variants[c.Settings])
		if err != nil {
			t.Fatal(err)
		}
		got, err := tokens.Prefix(c.Language, c.Task, c.Timestamps)
		if !slices.Equal(got, c.IDs) || (err != nil) != (c.IDs == nil) {
			t.Errorf("%s, language %q, task %q, timestamps %v\n got %v, %v\nwant %v", c.Settings, c.Language, c.Task,
				c.Timestamps, got, err, c.IDs)
		}
	}
}

// TestLanguages: every name that transformers knows is a language here, with the same code.
func TestLanguages(t *testing.T) {
	f := readTokensFile(t)
	if len(f.Names) != 112 {
		t.Fatalf("%d names", len(f.Names))
	}
	names := 0
	for _, l := range languages {
		names += len(l.names)
	}
	if names != len(f.Names) {
		t.Errorf("%d names, want %d", names, len(f.Names))
	}
	for name, want := range f.Names {
		for _, s := range []string{name, strings.ToUpper(name), want, "<|" + want + "|>"} {
			if code, err := LanguageCode(s); err != nil || code != want {
				t.Errorf("%q: %q, %v, want %q", s, code, err, want)
			}
		}
	}
	if code, err := LanguageCode("iw"); err != nil || code != "he" || LanguageName(code) != "hebrew" {
		t.Errorf("iw: %q, %v", code, err)
	}
	if name := LanguageName("xx"); name != "xx" {
		t.Errorf("xx: %q", name)
	}
}

// TestOldFiles: without generation_config.json, or with one that lacks what newer ones have, the tokens are the
// tokenizer's.
func TestOldFiles(t *testing.T) {
	want := small(t, readFile(t, multilingual, "generation_config.json"))
	for name, generation := range map[string][]byte{
		"none": nil, "empty": []byte("{}"), "ends": []byte(`{"eos_token_id": [320, 321], "decoder_start_token_id": 321}`),
	} {
		got := small(t, generation)
		if got.Start != want.Start || got.End != want.End || got.NoTimestamps != want.NoTimestamps ||
			got.Previous != want.Previous || !got.Multilingual || len(got.Languages) != 100 || len(got.Tasks) != 2 {
			t.Errorf("%s: %+v", name, got)
		}
		if code := got.Code([]int32{want.Start, want.Languages["de"]}); code != "de" {
			t.Errorf("%s: language %q", name, code)
		}
		prefix, err := got.Prefix("", "", true)
		if err != nil || !slices.Equal(prefix, []int32{want.Start, Detect}) {
			t.Errorf("%s: %v, %v", name, prefix, err)
		}
	}
	config := []byte(`{"vocab_size": 479, "forced_decoder_ids": [[1, 324], [2, 423]], "suppress_tokens": [5]}`)
	old, err := NewTokens(loadTokenizer(t, multilingual), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := old.Prefix("", "", false)
	if err != nil || !slices.Equal(prefix, []int32{want.Start, 324, 423, want.NoTimestamps}) {
		t.Errorf("%v, %v", prefix, err)
	}
	if !slices.Equal(old.Suppress, []int32{5}) {
		t.Errorf("suppressed: %v", old.Suppress)
	}
}

// TestTokensRefused: files with tokens that cannot be, and settings that a checkpoint cannot follow, are errors.
func TestTokensRefused(t *testing.T) {
	tok := loadTokenizer(t, multilingual)
	for _, c := range []struct{ config, generation, want string }{
		{`{"vocab_size": 100}`, `{}`, "decoder_start_token_id is 321; want an id below the model's 100 tokens"},
		{tinyConfig, `{"no_timestamps_token_id": 500}`, "no_timestamps_token_id is 500"},
		{tinyConfig, `{"lang_to_id": {"<|en|>": 9000}}`, "lang_to_id of en is 9000"},
		{tinyConfig, `{"task_to_id": {"transcribe": 9000}}`, "task_to_id of transcribe is 9000"},
		{tinyConfig, `{"forced_decoder_ids": [[2, 5]]}`, "forced_decoder_ids, entry 0: want a pair of the place 1"},
		{tinyConfig, `{"forced_decoder_ids": [[1, 5000]]}`, "forced_decoder_ids is 5000"},
		{tinyConfig, `{"eos_token_id": "x"}`, "eos_token_id"},
		{tinyConfig, `{"lang_to_id": 5}`, "lang_to_id"},
		{`[]`, `{}`, "config.json"},
	} {
		_, err := NewTokens(tok, []byte(c.config), []byte(c.generation))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %s: %v, want %q", c.config, c.generation, err, c.want)
		}
	}
	if _, err := NewTokens(nil, []byte(tinyConfig), nil); err == nil {
		t.Error("no error without a tokenizer")
	}
	english := small(t, []byte(`{"is_multilingual": false}`))
	for _, c := range []struct {
		tokens               *Tokens
		language, task, want string
	}{
		{english, "german", "", "only transcribes English"},
		{english, "", Translate, "only transcribes English"},
		{english, "klingon", "", "`language` is \"klingon\", which Whisper does not know"},
		{small(t, nil), "", "summarise", "`task` is \"summarise\"; want transcribe or translate"},
		{small(t, []byte(`{"lang_to_id": {"<|en|>": 322}}`)), "french", "", "has no token <|fr|>"},
		{small(t, []byte(`{"task_to_id": {"transcribe": 423}}`)), "", Translate, "has no token for it"},
	} {
		_, err := c.tokens.Prefix(c.language, c.task, false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q: %v, want %q", c.language, c.task, err, c.want)
		}
		if _, err = c.tokens.Labels("text", c.language, c.task); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("labels with %q, %q: %v, want %q", c.language, c.task, err, c.want)
		}
	}
	none, err := NewTokens(tok, []byte(`{"vocab_size": 428}`), nil) // the last one is <|notimestamps|>
	if err != nil {
		t.Fatal(err)
	}
	if _, err = none.Prefix("de", "", true); err == nil || !strings.Contains(err.Error(), "no timestamp tokens") {
		t.Errorf("timestamps: %v", err)
	}
}

// TestText: the text of tokens has neither special tokens nor timestamps.
func TestText(t *testing.T) {
	tokens := small(t, nil)
	list, err := tokens.Labels(" six seven eight", "de", Transcribe)
	if err != nil {
		t.Fatal(err)
	}
	list = append(append([]int32{tokens.NoTimestamps + 1}, list...), tokens.NoTimestamps+7)
	if text := tokens.Text(list); text != " six seven eight" {
		t.Errorf("%q", text)
	}
}
