package tokenize

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// robertaFiles returns vocab.json and merges.txt with RoBERTa's special tokens at their usual ids, and <mask> at the
// end (2402).
func robertaFiles(t testing.TB) files {
	t.Helper()
	vocab, merges := splitModel(t, "testdata/bpe_bytes.json")
	var ids map[string]int
	if err := json.Unmarshal([]byte(vocab), &ids); err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(ids))
	for token, id := range ids {
		list[id] = token
	}
	list = slices.Concat([]string{"<s>", "<pad>", "</s>", "<unk>"}, list[2:], []string{"<mask>"})
	clear(ids)
	for id, token := range list {
		ids[token] = id
	}
	raw, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	return files{bpeFile: string(raw), mergesFile: merges, modelFile: `{"model_type": "roberta"}`}
}

// TestRobertaSettings checks RoBERTa's vocab.json with settings beside it. Ids and offsets are those of transformers
// 5.23.0.
func TestRobertaSettings(t *testing.T) {
	for _, c := range []struct {
		name, config string
		ids          []int32
		offsets      [][2]int
	}{
		{"no settings", "", []int32{0, 777, 224, 431, 280, 79, 71, 224, 2402, 2041, 2, 2, 335, 282, 2},
			[][2]int{
				{0, 0}, {0, 5}, {6, 6}, {7, 8}, {8, 10}, {10, 11}, {11, 12}, {13, 13}, {13, 19}, {20, 21}, {0, 0}, {0, 0}, {0, 2},
				{2, 4}, {0, 0},
			}},
		{"add_bos_token", `{"tokenizer_class": "RobertaTokenizer", "add_bos_token": true}`, []int32{
			0, 777, 224, 431, 280, 79, 71, 224, 2402, 2041, 2, 2, 335, 282, 2,
		},
			[][2]int{
				{0, 0}, {0, 5}, {6, 6}, {7, 8}, {8, 10}, {10, 11}, {11, 12}, {13, 13}, {13, 19}, {20, 21}, {0, 0}, {0, 0}, {0, 2},
				{2, 4}, {0, 0},
			}},
		{"prefix, mask", `{"tokenizer_class": "RobertaTokenizer", "add_prefix_space": true,
			"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": true, "rstrip": false, "normalized": true,
			"single_word": false}}`,
			[]int32{0, 1284, 224, 431, 280, 79, 71, 2402, 2041, 2, 2, 224, 335, 282, 2},
			[][2]int{
				{0, 0}, {0, 5}, {6, 6}, {7, 8}, {8, 10}, {10, 11}, {11, 12}, {13, 19}, {20, 21}, {0, 0}, {0, 0}, {0, 0}, {0, 2},
				{2, 4}, {0, 0},
			}},
		{"mask by id", `{"tokenizer_class": "RobertaTokenizer", "added_tokens_decoder": {"2402": {"content": "<mask>",
		"lstrip": true, "rstrip": false,
			"normalized": false, "single_word": false, "special": true}}}`,
			[]int32{0, 777, 224, 431, 280, 79, 71, 2402, 2041, 2, 2, 335, 282, 2},
			[][2]int{
				{0, 0}, {0, 5}, {6, 6}, {7, 8}, {8, 10}, {10, 11}, {11, 12}, {13, 19}, {20, 21}, {0, 0}, {0, 0}, {0, 2}, {2, 4},
				{0, 0},
			}},
		{"own tokens",
			`{"tokenizer_class": "RobertaTokenizerFast", "trim_offsets": false, "sep_token": "<sep>", "cls_token": "<cls>"}`,
			[]int32{2404, 777, 224, 431, 280, 79, 71, 224, 2402, 2041, 2403, 2403, 335, 282, 2403},
			[][2]int{
				{0, 0}, {0, 5}, {5, 6}, {6, 8}, {8, 10}, {10, 11}, {11, 12}, {12, 13}, {13, 19}, {19, 21}, {0, 0}, {0, 0}, {0, 2},
				{2, 4}, {0, 0},
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := robertaFiles(t)
			if c.config != "" {
				dir[configFile] = c.config
			}
			tok, err := Load(dir.open)
			if err != nil {
				t.Fatal(err)
			}
			e, err := tok.EncodePair("Hello  world <mask> x", "it's", Options{Offsets: true})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(e.IDs, c.ids) || !slices.Equal(e.Offsets, c.offsets) || slices.Max(e.Types) != 0 {
				t.Errorf("have %v %v of types %v, want %v %v", e.IDs, e.Offsets, e.Types, c.ids, c.offsets)
			}
		})
	}
}

// roles lists the ids of a tokenizer's roles.
func roles(t *Tokenizer) string {
	return fmt.Sprintf("bos %d pad %d eos %d unk %d cls %d sep %d mask %d", t.BosID(), t.PadID(), t.EosID(),
		t.UnkID(), t.ClsID(), t.SepID(), t.MaskID())
}

// TestRolesByClass checks the roles of tokenizers whose settings name no tokens for them.
func TestRolesByClass(t *testing.T) {
	vocab := tinyUnigram("unk", "3", "vocab",
		`[["<s>", 0], ["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["a", -1], ["<mask>", 0]]`)
	const robertas = "bos 0 pad 1 eos 2 unk 3 cls 0 sep 2 mask 5"
	const none = "bos -1 pad -1 eos -1 unk -1 cls -1 sep -1 mask -1"
	for _, c := range []struct{ config, model, want string }{
		{"", `{"model_type": "xlm-roberta"}`, robertas},
		{"", `{"model_type": "roberta"}`, robertas},
		{`{"tokenizer_class": "XLMRobertaTokenizerFast"}`, "", robertas},
		{`{"model_max_length": 512}`, `{"model_type": "xlm-roberta"}`, robertas},
		{`{"pad_token": "a"}`, `{"model_type": "xlm-roberta"}`, strings.Replace(robertas, "pad 1", "pad 4", 1)},
		{"", `{"model_type": "electra"}`, none},
		{"", "", none},
	} {
		dir := files{tokenizerFile: vocab}
		if c.config != "" {
			dir[configFile] = c.config
		}
		if c.model != "" {
			dir[modelFile] = c.model
		}
		tok, err := Load(dir.open)
		if err != nil {
			t.Fatal(err)
		}
		if have := roles(tok); have != c.want {
			t.Errorf("%s %s: %s, want %s", c.config, c.model, have, c.want)
		}
	}
	tok, err := Load(robertaFiles(t).open)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(robertas, "mask 5", "mask 2402", 1); roles(tok) != want {
		t.Errorf("vocab.json: %s, want %s", roles(tok), want)
	}
}

// TestExactScores checks that the numbers of a Unigram vocabulary are read as transformers passes them to the library,
// which decides between equal sums.
func TestExactScores(t *testing.T) {
	const number = "-3.6601955890655518" // the library reads …552
	doc := tinyUnigram("vocab", `[["<unk>", 0], ["a", `+number+`]]`)
	for config, want := range map[string]float64{
		`{}`: -3.660195589065552, `{"tokenizer_class": "PreTrainedTokenizerFast"}`: -3.660195589065552,
		`{"tokenizer_class": "TokenizersBackend"}`:   -3.660195589065552,
		`{"tokenizer_class": "XLMRobertaTokenizer"}`: -3.6601955890655518,
		`{"tokenizer_class": "AlbertTokenizerFast"}`: -3.6601955890655518,
	} {
		tok, err := Load(files{tokenizerFile: doc, configFile: config}.open)
		if err != nil {
			t.Fatal(err)
		}
		if have := tok.model.(*unigram).scores[1]; have != want {
			t.Errorf("%s: %v, want %v", config, have, want)
		}
	}
}

// TestTokenTwice checks a vocabulary that lists a token more than once: its last index counts, as in the reference.
func TestTokenTwice(t *testing.T) {
	tok, err := Load(files{tokenizerFile: tinyUnigram("vocab",
		`[["<unk>", 0], ["▁", -1], ["a", -1], ["a", -2], ["", 9]]`)}.open)
	if err != nil {
		t.Fatal(err)
	}
	e := encodeAll(t, tok, "a")
	if want := []int32{1, 3}; !reflect.DeepEqual(e.IDs, want) || tok.VocabSize() != 5 {
		t.Errorf("%v of %d tokens, want %v of 5", e.IDs, tok.VocabSize(), want)
	}
	if s := tok.Decode([]int32{1, 2, 3}, false); s != "▁ a a" {
		t.Errorf("decoded %q", s)
	}
}
