package gotokenizers

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/nlpodyssey/gotokenizers/models"
	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
	"github.com/nlpodyssey/gotokenizers/normalizedstring"
	"github.com/nlpodyssey/gotokenizers/pretokenizedstring"
	"github.com/nlpodyssey/gotokenizers/pretokenizers/bytelevelpretokenizer"
	"github.com/nlpodyssey/gotokenizers/vocabulary"

	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tokenize"
)

// texts returns the texts of the fixtures of package tokenize: the general ones, and those of byte-level models.
var texts = sync.OnceValue(func() (list []string) {
	for _, name := range []string{"../testdata/strings.json.gz", "../testdata/bpe_strings.json.gz"} {
		file, err := os.Open(name)
		if err != nil {
			panic(err)
		}
		z, err := gzip.NewReader(file)
		if err != nil {
			panic(err)
		}
		var some []string
		if err := json.NewDecoder(z).Decode(&some); err != nil {
			panic(err)
		}
		list = append(list, some...)
		if err := file.Close(); err != nil {
			panic(err)
		}
	}
	return list
})

// load loads the tokenizer of a file, or of files in memory.
func load(t testing.TB, files map[string][]byte) *tokenize.Tokenizer {
	t.Helper()
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return text, nil
		}
		return nil, os.ErrNotExist
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// fixture returns the files of a tokenizer among the fixtures of package tokenize.
func fixture(t testing.TB, name string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"tokenizer.json": text}
}

// gpt2Words is the pattern of GPT-2's words. That of gotokenizers ignores the case of contractions and splits 'S off;
// GPT-2's does not.
var gpt2Words = regexp2.MustCompile(
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, regexp2.Multiline)

// byteLevel returns the parts of gotokenizers for the byte-level BPE in the files of a tokenizer.
func byteLevel(t testing.TB, files map[string][]byte) Pipeline {
	t.Helper()
	var doc struct {
		Model struct {
			Vocab  map[string]int
			Merges []any // "a b" or ["a", "b"]
		}
	}
	if err := json.Unmarshal(files["tokenizer.json"], &doc); err != nil {
		t.Fatal(err)
	}
	v := vocabulary.NewVocabulary()
	byID := make([]string, len(doc.Model.Vocab))
	for token, id := range doc.Model.Vocab {
		byID[id] = token
	}
	for _, token := range byID {
		v.AddTerm(token)
	}
	merges := bpemodel.NewMergeMap()
	id := func(token string) int {
		n, ok := v.GetID(token)
		if !ok {
			t.Fatalf("%q is not in the vocabulary", token)
		}
		return n
	}
	for rank, m := range doc.Model.Merges {
		var left, right string
		switch m := m.(type) {
		case string:
			left, right, _ = strings.Cut(m, " ")
		case []any:
			left, right = m[0].(string), m[1].(string)
		}
		merges.Set(id(left), id(right), bpemodel.MergeValue{Rank: rank, ID: id(left + right)})
	}
	return Pipeline{
		PreTokenizer: bytelevelpretokenizer.New(gpt2Words, false, false),
		Model:        bpemodel.New(v, merges, 0, 0, "", "", "", false),
		Vocabulary:   v,
	}
}

// gpt returns the embedded byte-level model with both tokenizers.
func gpt(t testing.TB) (own *tokenize.Tokenizer, theirs Pipeline) {
	t.Helper()
	return load(t, embedded.GPT()), byteLevel(t, embedded.GPT())
}

// run runs a pipeline as programs that are built on gotokenizers do, and returns its encoding.
func run(p Pipeline, text string) (*encoding, error) {
	ns := normalizedstring.FromString(text)
	if p.Normalizer != nil {
		if err := p.Normalizer.Normalize(ns); err != nil {
			return nil, err
		}
	}
	pts := pretokenizedstring.FromNormalizedString(ns)
	if p.PreTokenizer != nil {
		if err := p.PreTokenizer.PreTokenize(pts); err != nil {
			return nil, err
		}
	}
	words := pts.Splits()
	if err := pts.Tokenize(func(ns *normalizedstring.NormalizedString) ([]models.Token, error) {
		return p.Model.Tokenize(ns.Get())
	}); err != nil {
		return nil, err
	}
	e, err := pts.IntoEncoding(-1, 0)
	if err != nil {
		return nil, err
	}
	out := &encoding{}
	for _, w := range words {
		out.words = append(out.words, w.NormalizedString.Get())
	}
	starts := make([]int, len(text)+1) // code points before each byte
	n := 0
	for i := range text {
		n++
		for k := i + 1; k < len(starts); k++ {
			starts[k] = n
			if k < len(text) && text[k]&0xC0 != 0x80 {
				break
			}
		}
	}
	for i, id := range e.IDs {
		out.ids = append(out.ids, int32(id))
		out.offsets = append(out.offsets, [2]int{starts[e.Offsets[i].Start], starts[e.Offsets[i].End]})
		out.wordOf = append(out.wordOf, int32(e.Words[i]))
	}
	return out, nil
}

// encoding is what a pipeline of gotokenizers makes of a text, with offsets in code points.
type encoding struct {
	ids     []int32
	offsets [][2]int
	words   []string
	wordOf  []int32
}
