package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	known "github.com/spalora/spalora/internal/settings"
)

// settingsCase is a tokenizer with settings beside it, and what transformers makes of them. See
// reference/tokenizer_settings_fixtures.py.
type settingsCase struct {
	Key, Tokenizer, Read, Class, Side string
	Patch                             map[string]any
	ModelType                         string `json:"model_type"`
	MaxLength                         int    `json:"max_length"`
	Files                             map[string]json.RawMessage
	Runs                              []settingsRun
}

// settingsRun is a call of a tokenizer and its result: lists of lists for windows, null if the call is refused.
type settingsRun struct {
	Text string
	Pair *string
	Call struct {
		MaxLength  int `json:"max_length"`
		Truncation string
		Stride     *int
	}
	IDs, Types, Offsets json.RawMessage
	Decoded             []string
}

// settingsFiles are the tokenizers of the cases.
var settingsFiles = map[string]string{
	"uncased": "testdata/cased.json", "cased": "testdata/cased.json", "bytes": "testdata/bpe_bytes.json",
	"marks": "testdata/bpe_marks.json", "xlmr": "testdata/unigram_xlmr.json",
}

func readSettingsCases(t *testing.T) []settingsCase {
	raw, err := os.ReadFile("testdata/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []settingsCase
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// dir returns the files of a case.
func (c settingsCase) dir(t *testing.T) files {
	doc := patchedDocument(t, settingsFiles[c.Tokenizer], c.Patch)
	out := files{modelFile: fmt.Sprintf(`{"model_type": %q}`, c.ModelType)}
	switch model := doc["model"].(map[string]any); c.Read {
	case tokenizerFile:
		out[tokenizerFile] = marshal(t, doc)
	case vocabFile:
		lines := make([]string, len(model["vocab"].(map[string]any)))
		for token, id := range model["vocab"].(map[string]any) {
			n, err := id.(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			lines[n] = token
		}
		out[vocabFile] = strings.Join(lines, "\n") + "\n"
	default:
		out[bpeFile], out[mergesFile] = splitModel(t, settingsFiles[c.Tokenizer])
	}
	for name, content := range c.Files {
		out[name] = string(content)
	}
	return out
}

func marshal(t *testing.T, v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSettings compares tokenizers with the settings beside them with those that transformers makes of them.
func TestSettings(t *testing.T) {
	for i, c := range readSettingsCases(t) {
		t.Run(fmt.Sprintf("%d %s %s", i, c.Key, c.Tokenizer), func(t *testing.T) {
			t.Parallel()
			tok, err := Load(c.dir(t).open)
			if err != nil {
				t.Fatal(err)
			}
			if tok.MaxLength() != c.MaxLength || tok.TruncationSide().String() != c.Side {
				t.Errorf("length %d, side %s; want %d, %s", tok.MaxLength(), tok.TruncationSide(), c.MaxLength, c.Side)
			}
			for _, r := range c.Runs {
				r.check(t, tok)
			}
			if w := tok.Warnings(); strings.HasPrefix(c.Key, "neutral ") && len(w) > 0 {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// check compares a run with its result.
func (r settingsRun) check(t *testing.T, tok *Tokenizer) {
	in := Input{Text: r.Text}
	if r.Pair != nil {
		in.Pair, in.HasPair = *r.Pair, true
	}
	o := Options{MaxLength: r.Call.MaxLength, Offsets: true}
	for _, s := range []Strategy{LongestFirst, OnlyFirst, OnlySecond} {
		if r.Call.Truncation == s.String() {
			o.Truncation = s
		}
	}
	var list []Encoding
	var err error
	if r.Call.Stride != nil {
		var w Windows
		w, err = tok.Windows(in, Windowing{MaxLength: r.Call.MaxLength, Stride: *r.Call.Stride})
		list = w.List
	} else {
		list = make([]Encoding, 1)
		list[0], err = tok.encode(in, o)
	}
	if string(r.IDs) == "null" {
		if err == nil {
			t.Errorf("%q %+v: no error, the reference refuses it", r.Text, r.Call)
		}
		return
	}
	if err != nil {
		t.Errorf("%q %+v: %v", r.Text, r.Call, err)
		return
	}
	var ids, types [][]int32
	var offsets [][][2]int
	for _, e := range list {
		ids, types, offsets = append(ids, e.IDs), append(types, e.Types), append(offsets, e.Offsets)
	}
	compare := func(what string, have any, want json.RawMessage) {
		text := marshal(t, have)
		if r.Call.Stride == nil {
			text = text[1 : len(text)-1]
		}
		if text != string(want) {
			t.Errorf("%q %+v: %s\n%s, want\n%s", r.Text, r.Call, what, text, want)
		}
	}
	compare("ids", ids, r.IDs)
	compare("offsets", offsets, r.Offsets)
	if string(r.Types) != "null" {
		compare("types", types, r.Types)
	} else if i := slices.IndexFunc(types, func(t []int32) bool { return len(t) > 0 && slices.Max(t) > 0 }); i >= 0 {
		t.Errorf("%q: types %v, but transformers passes none", r.Text, types[i])
	}
	for i, want := range r.Decoded {
		stream, parts := tok.Stream(i == 1), ""
		for _, id := range list[0].IDs {
			parts += stream.Next(id)
		}
		parts += stream.Flush()
		if have := tok.Decode(list[0].IDs, i == 1); have != want || parts != want {
			t.Errorf("%q: decoded %q, in parts %q, want %q", r.Text, have, parts, want)
		}
	}
}

// TestSettingsTables checks that every key of the tables has a test of what the table says.
func TestSettingsTables(t *testing.T) {
	tested := map[string]bool{
		"chat_template": true, // by chat/chat_test.go
	}
	for _, c := range readSettingsCases(t) {
		tested[c.Key] = true
	}
	models, _ := readSPM(t) // transformers reads the settings of these cases, too
	for _, c := range models {
		var config map[string]any
		if err := json.Unmarshal(c.Config, &config); err != nil {
			t.Fatal(err)
		}
		for key := range config {
			tested[key], tested["neutral "+key] = true, true
		}
	}
	base := settingsCase{Tokenizer: "bytes", Read: tokenizerFile, ModelType: "gpt2"}.dir(t)
	for _, f := range []known.File{known.TokenizerConfig, known.SpecialTokensMap} {
		for _, k := range f.Keys {
			switch k.Effect {
			case known.Acts:
				if !tested[k.Name] {
					t.Errorf("%s: no case of testdata/settings.json is about %s", f.Name, k.Name)
				}
			case known.Neutral:
				if !tested["neutral "+k.Name] {
					t.Errorf("%s: no case of testdata/settings.json shows that %s changes nothing", f.Name, k.Name)
				}
			case known.Warned, known.Refused:
				for _, value := range append(slices.Clone(k.Silent), `"loud"`) {
					dir := maps.Clone(base)
					dir[f.Name] = fmt.Sprintf(`{"tokenizer_class": "PreTrainedTokenizerFast", %q: %s}`, k.Name, value)
					tok, err := Load(dir.open)
					if err != nil {
						t.Fatal(err)
					}
					told := slices.ContainsFunc(tok.Warnings(), func(w string) bool { return strings.Contains(w, k.Name) })
					if told != (value == `"loud"`) {
						t.Errorf("%s: %s is %s: warnings %q", f.Name, k.Name, value, tok.Warnings())
					}
				}
			}
		}
	}
	if !tested[known.AddedTokens.Name] {
		t.Errorf("no case is about %s", known.AddedTokens.Name)
	}
}

// TestSettingsWarnings checks the messages about settings without effect and about files that contradict each other.
func TestSettingsWarnings(t *testing.T) {
	token := func(content string) string {
		return fmt.Sprintf(`{"content": %q, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, `+
			`"special": true}`, content)
	}
	const fast = `"tokenizer_class": "PreTrainedTokenizerFast"`
	for _, c := range []struct {
		name, tokenizer string
		patch           map[string]any
		config          string
		more            files
		want            []string // parts of the warnings
	}{
		{"nothing", "uncased", nil, `{"tokenizer_class": "BertTokenizer"}`, nil, nil},
		{"agreement", "uncased", nil, `{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "pad_token": "[PAD]"}`,
			files{specialFile: `{"pad_token": {"content": "[PAD]"}}`}, nil},
		{"unknown", "uncased", nil, `{"tokenizer_class": "BertTokenizer", "do_lowercase": true, "x_token": "[PAD]"}`,
			files{specialFile: `{"bar": 1}`},
			[]string{"tokenizer_config.json: not known and without effect: do_lowercase",
				"special_tokens_map.json: not known and without effect: bar"}},
		{"cased", "uncased", nil, `{"tokenizer_class": "BertTokenizer", "do_lower_case": false}`, nil,
			[]string{"do_lower_case is false, but tokenizer.json was saved with true; the former is used"}},
		{"cased file", "cased", nil, `{"tokenizer_class": "BertTokenizer"}`, nil,
			[]string{"tokenizer.json was saved with do_lower_case false, but tokenizer_config.json does not say so"}},
		{"no effect", "uncased", nil, `{` + fast + `, "do_lower_case": false}`, nil,
			[]string{"lower case false, but the tokenizer was saved with true", "strip_accents"}},
		{"prefix", "bytes", map[string]any{"pre_tokenizer": nil}, `{"tokenizer_class": "GPT2Tokenizer"}`, nil,
			[]string{"pre_tokenizer is not the one that transformers 5 makes for the tokenizer_class GPT2Tokenizer"}},
		{"own words", "bytes", nil, `{"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true}`, nil,
			[]string{"pre_tokenizer is not the one", "add_prefix_space is true, but the pre_tokenizer of tokenizer.json"}},
		{"two files", "uncased", nil, `{"tokenizer_class": "BertTokenizer", "pad_token": "[PAD]"}`,
			files{specialFile: `{"pad_token": "[MASK]"}`},
			[]string{`pad_token is "[PAD]", but special_tokens_map.json has "[MASK]"; special_tokens_map.json takes`}},
		{"two files, all tokens", "uncased", nil, `{` + fast + `, "pad_token": "[PAD]", "added_tokens_decoder": {}}`,
			files{specialFile: `{"pad_token": "[MASK]"}`},
			[]string{`pad_token is "[PAD]", but special_tokens_map.json has "[MASK]"; tokenizer_config.json takes`}},
		{"id", "bytes", nil, `{` + fast + `, "added_tokens_decoder": {"7": ` + token("<|begin|>") + `}}`, nil,
			[]string{`added_tokens_decoder gives "<|begin|>" the id 7, but tokenizer.json gives it 1, which is used`}},
		{"content", "bytes", nil, `{` + fast + `, "added_tokens_decoder": {"1": ` + token("<x>") + `}}`, nil,
			[]string{`gives the id 1 to "<x>", but tokenizer.json gives it to "<|begin|>"; "<x>" gets 2400`}},
		{"gap", "bytes", nil, `{` + fast + `, "added_tokens_decoder": {"2409": ` + token("<x>") + `}}`, nil,
			[]string{`gives "<x>" the id 2409, but it gets 2400`}},
		{"old gap", "bytes", nil, `{` + fast + `}`, files{addedFile: `{"<x>": 2409}`},
			[]string{`added_tokens.json gives "<x>" the id 2409, but it gets 2400`}},
		{"lost", "marks", map[string]any{"normalizer": nil},
			`{"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": {"0": ` + token("<unk>") + `}, "bos_token": "<s>", ` +
				`"eos_token": "<s>"}`, nil,
			[]string{`added_tokens_decoder lacks "</s>", which tokenizer.json adds`}},
		{"beginning", "marks", nil, `{` + fast + `, "bos_token": "<s>", "add_bos_token": false}`, nil,
			[]string{"add_bos_token is false, but the post_processor of tokenizer.json says otherwise"}},
		{"end", "marks", nil, `{` + fast + `, "eos_token": "</s>", "add_eos_token": true, "add_bos_token": true}`, nil,
			[]string{"add_eos_token is true, but the post_processor of tokenizer.json says otherwise"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.tokenizer == "uncased" {
				c.patch = map[string]any{"normalizer": map[string]any{"type": "BertNormalizer", "clean_text": true,
					"handle_chinese_chars": true, "strip_accents": nil, "lowercase": true}}
			}
			dir := settingsCase{Tokenizer: c.tokenizer, Patch: c.patch, Read: tokenizerFile, ModelType: map[string]string{
				"uncased": "bert", "cased": "bert", "bytes": "gpt2", "marks": "llama"}[c.tokenizer]}.dir(t)
			dir[configFile] = c.config
			maps.Copy(dir, c.more)
			tok, err := Load(dir.open)
			if err != nil {
				t.Fatal(err)
			}
			have := tok.Warnings()
			if len(have) != len(c.want) {
				t.Fatalf("warnings %q, want %q", have, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(have[i], want) {
					t.Errorf("warning %q, want %q", have[i], want)
				}
			}
		})
	}
}
