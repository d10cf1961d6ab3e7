package tokenize

import (
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The fixtures of these tests are written by reference/sentencepiece_models.py and
// reference/sentencepiece_fixtures.py.

const spmDir = "testdata/sentencepiece/"

type spmCase struct {
	Name      string
	Files     map[string]string
	ModelType string `json:"model_type"`
	Config    json.RawMessage
	Vocab     []string // of Marian
	Class     string
	Size      int
	Saved     *spmResults // as tokenizer.json, if they differ
	spmResults
}

// spmResults are the hashes of the results of a case.
type spmResults struct {
	IDs                                    [][]int32
	Strings, Targets, Pairs, Decode, Noise string
}

func readGzip(t testing.TB, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// spmTables names the tables of replacements of the models, which are stored in files of their own.
var spmTables = map[string]string{
	"t5": "nmt_nfkc", "fairseq": "nmt_nfkc", "albert": "nfkc_cf", "source": "nmt_nfkc", "target": "nmt_nfkc",
	"bpe": "nmt_nfkc", "suffix": "rules",
}

// spmModel returns the content of a model file. Its table of replacements is a second normalizer_spec, which adds to
// the first one, as protocol buffers allow. NAME- is the model without it.
func spmModel(t testing.TB, name string) []byte {
	t.Helper()
	short, without := strings.CutSuffix(name, "-")
	raw := readGzip(t, spmDir+short+".model.gz")
	table := spmTables[short]
	if without || table == "" {
		return raw
	}
	f, err := os.Open("testdata/unigram_" + table + ".bin.bz2")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rules, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return append(raw, protoBytes(3, protoBytes(2, rules))...)
}

// protoBytes returns a field of a protocol buffer.
func protoBytes(number int, data []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(number<<3|int(delimited)))
	return append(binary.AppendUvarint(out, uint64(len(data))), data...)
}

func readSPM(t testing.TB) (cases []spmCase, texts []string) {
	t.Helper()
	raw, err := os.ReadFile(spmDir + "cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Cases []spmCase }
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"testdata/strings.json.gz", "testdata/bpe_strings.json.gz"} {
		var list []string
		if err := json.Unmarshal(readGzip(t, name), &list); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, list...)
	}
	for i := range texts[:len(texts)/4] {
		texts[i] = texts[4*i]
	}
	texts = texts[:len(texts)/4]
	var list []string
	if err := json.Unmarshal(readGzip(t, spmDir+"texts.json.gz"), &list); err != nil {
		t.Fatal(err)
	}
	return doc.Cases, append(texts, list...)
}

// dir returns the files of a case.
func (c spmCase) dir(t testing.TB) files {
	out := files{modelFile: fmt.Sprintf(`{"model_type": %q}`, c.ModelType), configFile: string(c.Config)}
	for name, model := range c.Files {
		out[name] = string(spmModel(t, model))
	}
	if c.Vocab != nil {
		vocab := map[string]int{}
		for id, token := range c.Vocab {
			vocab[token] = id
		}
		raw, err := json.Marshal(vocab)
		if err != nil {
			t.Fatal(err)
		}
		out[bpeFile] = string(raw)
	}
	return out
}

func (c spmCase) load(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := Load(c.dir(t).open)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// masked returns an encoding with the mask of special tokens instead of types. Tokenizers that transformers writes in
// Python have no offsets, and no mask of this kind.
func masked(t testing.TB, tok *Tokenizer, in Input, target, offsets bool) Encoding {
	e, err := tok.encode(in, Options{Offsets: offsets, Words: true, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range e.Sequences {
		e.Types[i] = 0
		if s < 0 {
			e.Types[i] = 1
		}
	}
	if !offsets {
		e.Types = nil
	}
	e.Words = nil
	return e
}

// TestSentencePieceParity compares tokenizers of SentencePiece models with those that transformers makes of them.
func TestSentencePieceParity(t *testing.T) {
	cases, texts := readSPM(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.check(t, c.load(t), texts, true)
		})
	}
}

// check compares results with the hashes of the case: all, or those of a part of the texts.
func (c spmCase) check(t *testing.T, tok *Tokenizer, texts []string, all bool) {
	if w := tok.Warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	if n := tok.VocabSize(); n != c.Size {
		t.Errorf("%d tokens, want %d", n, c.Size)
	}
	offsets := c.Class != "ByT5Tokenizer" && c.Class != "MarianTokenizer"
	compare := func(kind, want string, n int, result func(i int) any) {
		check{t, c.Name, kind, want, 32, n}.run(result)
	}
	if all {
		compare("strings", c.Strings, len(texts), func(i int) any {
			return masked(t, tok, Input{Text: texts[i]}, false, offsets)
		})
		compare("decode", c.Decode, len(texts)/2, func(i int) any {
			return tok.Decode(masked(t, tok, Input{Text: texts[2*i]}, false, false).IDs, i%2 == 0)
		})
	}
	compare("targets", c.Targets, len(texts)/4, func(i int) any {
		return masked(t, tok, Input{Text: texts[4*i]}, true, offsets)
	})
	compare("pairs", c.Pairs, len(texts)/8, func(i int) any {
		return masked(t, tok, Input{Text: texts[8*i], Pair: texts[len(texts)-1-i], HasPair: true}, false, offsets)
	})
	compare("noise", c.Noise, len(c.IDs), func(i int) any {
		stream, parts := tok.Stream(i%2 == 0), ""
		for _, id := range c.IDs[i] {
			piece := stream.Next(id)
			if !utf8.ValidString(piece) {
				t.Errorf("%v: piece %q", c.IDs[i], piece)
			}
			parts += piece
		}
		text := tok.Decode(c.IDs[i], i%2 == 0)
		if parts += stream.Flush(); parts != text {
			t.Errorf("%v: %q in parts, %q at once", c.IDs[i], parts, text)
		}
		return text
	})
}

// TestPieceClassJSON checks that a tokenizer.json of a class that reads SentencePiece models, with another
// pre-tokenizer, gives the same as the model, as in transformers.
func TestPieceClassJSON(t *testing.T) {
	cases, texts := readSPM(t)
	for _, c := range cases {
		if pieceClasses[c.Class] == nil || c.Class == llamaClass || c.Class == xlmrClass {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			dir := c.dir(t)
			for name, model := range c.Files {
				dir[tokenizerFile] = c.document(t, c.load(t), model)
				delete(dir, name)
			}
			tok, err := Load(dir.open)
			if err != nil {
				t.Fatal(err)
			}
			if c.Saved != nil {
				c.spmResults = *c.Saved
			}
			c.check(t, tok, texts, false)
		})
	}
}

// document returns a tokenizer.json with the vocabulary of tok.
func (c spmCase) document(t testing.TB, tok *Tokenizer, model string) string {
	doc := map[string]any{"version": "1.0", "pre_tokenizer": map[string]any{"type": "WhitespaceSplit"}}
	if table := spmTables[model]; table != "" {
		doc["normalizer"] = map[string]any{"type": "Precompiled", "precompiled_charsmap": charsMapOf(t, table)}
	}
	switch m := tok.model.(type) {
	case *unigram:
		vocab := []any{}
		for id, score := range m.scores {
			vocab = append(vocab, []any{tok.tokens[id], score})
		}
		doc["model"] = map[string]any{"type": unigramModel, "unk_id": 0, "vocab": vocab}
	case *bpe:
		own, err := parseSentencePiece(spmModel(t, model))
		if err != nil {
			t.Fatal(err)
		}
		pieces, _ := vocabulary(own.pieces)
		vocab := map[string]int{}
		for id, token := range tok.tokens[:len(pieces)+1] {
			vocab[token] = id
		}
		doc["model"] = map[string]any{"type": bpeModel, "unk_token": nil, "vocab": vocab, "merges": mergesOf(pieces)}
	}
	added := []any{}
	for _, m := range []*matcher{tok.source, tok.normal} {
		if m == nil {
			continue
		}
		for _, a := range m.tokens {
			added = append(added, map[string]any{
				"id": a.id, "content": a.content, "single_word": a.singleWord, "lstrip": a.lstrip, "rstrip": a.rstrip,
				"normalized": a.normalized, "special": a.special,
			})
		}
	}
	slices.SortFunc(added, func(a, b any) int {
		return int(a.(map[string]any)["id"].(int32) - b.(map[string]any)["id"].(int32))
	})
	doc["added_tokens"] = added
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
