package tokenize

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"unicode/utf8"
)

// reference/tokenizer_fixtures.py writes the fixtures of this file. It documents the kinds of text and can print the
// reference's result for one.

const (
	lastPoint   = 0x30000
	pointBlock  = 256
	stringBlock = 32
)

type fixtures struct {
	Version   string
	Pipelines []fixturePipeline
	Cases     []fixtureCase
}

type fixturePipeline struct {
	Name            string
	Normalizer      any
	PreTokenizer    any `json:"pre_tokenizer"`
	Points, Strings string
}

type fixtureCase struct {
	Name, File                            string
	Patch                                 map[string]any
	IDs                                   [][]int32
	Points, Strings, Pairs, Decode, Noise string
	Words                                 string // texts as words
}

func loadFixtures(t testing.TB) (f fixtures, texts []string) {
	t.Helper()
	return readFixtures(t, "testdata/cases.json", "testdata/strings.json.gz")
}

// readFixtures reads a file of hashes and the files with their texts.
func readFixtures(t testing.TB, cases string, textFiles ...string) (f fixtures, texts []string) {
	t.Helper()
	raw, err := os.ReadFile(cases)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	for _, name := range textFiles {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		z, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		if err := json.NewDecoder(z).Decode(&list); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, list...)
	}
	if len(texts) < 10000 {
		t.Fatalf("only %d texts", len(texts))
	}
	return f, texts
}

// byRune is a model that shows its input: the id of every code point is its number.
type byRune struct{}

func (byRune) encode(dst []piece, word []byte, _ *buffers) []piece {
	for i := 0; i < len(word); {
		r, n := utf8.DecodeRune(word[i:])
		dst = append(dst, piece{r, i, i + n})
		i += n
	}
	return dst
}

// TestPipelines checks normalizers and pre-tokenizers: the code points, offsets and words that a model would see.
func TestPipelines(t *testing.T) {
	f, texts := loadFixtures(t)
	for _, c := range f.Pipelines {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tok := pipeline(t, c.Normalizer, c.PreTokenizer)
			check{t, c.Name, "points", c.Points, pointBlock, lastPoint}.run(func(i int) any {
				return encodeAll(t, tok, pointText(i))
			})
			check{t, c.Name, "strings", c.Strings, stringBlock, len(texts)}.run(func(i int) any {
				return encodeAll(t, tok, texts[i])
			})
		})
	}
}

// pipeline returns a tokenizer with the given normalizer and pre-tokenizer whose model is byRune.
func pipeline(t *testing.T, normalizer, preTokenizer any) *Tokenizer {
	var errs []error
	tok := &Tokenizer{
		normalizer:   parseNormalizer(field{"normalizer", withCharsMaps(t, normalizer), &errs}),
		preTokenizer: parsePreTokenizer(field{"pre_tokenizer", preTokenizer, &errs}),
		model:        byRune{}, template: plain, decoder: chain(blanks()),
	}
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	tok.scratch = newScratch()
	return tok
}

// TestParity checks complete tokenizers: encoding, truncated pairs, decoding.
func TestParity(t *testing.T) {
	f, texts := loadFixtures(t)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tok := loadPatched(t, c.File, c.Patch)
			check{t, c.Name, "points", c.Points, pointBlock, lastPoint}.run(func(i int) any {
				return encodeAll(t, tok, pointText(i))
			})
			checkCase(t, c, tok, texts, 8)
		})
	}
}

// checkCase checks a complete tokenizer on texts; block is the number of texts that a hash covers.
func checkCase(t *testing.T, c fixtureCase, tok *Tokenizer, texts []string, block int) {
	ids := make([][]int32, len(texts)) // for decoding
	check{t, c.Name, "strings", c.Strings, block, len(texts)}.run(func(i int) any {
		e := encodeAll(t, tok, texts[i])
		ids[i] = e.IDs
		return e
	})
	check{t, c.Name, "pairs", c.Pairs, block, len(texts)}.run(func(i int) any { return encodePair(tok, texts, i) })
	check{t, c.Name, "decode", c.Decode, 32, len(texts)}.run(func(i int) any {
		if ids[i] == nil { // skipped above under the race detector
			ids[i] = encodeAll(t, tok, texts[i]).IDs
		}
		return tok.Decode(ids[i], i%2 == 0)
	})
	check{t, c.Name, "noise", c.Noise, 32, len(c.IDs)}.run(func(i int) any { return tok.Decode(c.IDs[i], i%2 == 0) })
}

// pointText returns the text that tests code point p: at the start, inside a word, doubled and at the end.
func pointText(p int) string {
	if 0xD800 <= p && p <= 0xDFFF {
		return ""
	}
	c := string(rune(p))
	return c + " a" + c + "b " + c + c
}

func encodeAll(t testing.TB, tok *Tokenizer, text string) Encoding {
	e, err := tok.Encode(text, Options{Offsets: true, Words: true})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// encodePair encodes the i-th truncated pair; it returns nil after an error.
func encodePair(tok *Tokenizer, texts []string, i int) any {
	o := Options{
		Truncation: []Strategy{LongestFirst, OnlyFirst, OnlySecond}[i%3],
		Side:       []Side{Right, Left}[i/3%2],
		MaxLength:  []int{3, 4, 5, 8, 13, 16, 32, 64}[i/6%8],
		NoSpecial:  i/48%4 == 0,
		Offsets:    true,
	}
	in := Input{Text: texts[i]}
	if i%7 != 0 {
		in.Pair, in.HasPair = texts[len(texts)-1-i], true
	}
	e, err := tok.encode(in, o)
	if err != nil {
		return nil
	}
	return e
}

// check compares the hashes of n results, in blocks, with those of the reference.
type check struct {
	t        *testing.T
	name     string
	kind     string
	want     string
	block, n int
}

func (c check) run(result func(i int) any) {
	c.t.Helper()
	want, err := base64.StdEncoding.DecodeString(c.want)
	if err != nil || len(want) != 4*((c.n+c.block-1)/c.block) {
		c.t.Fatalf("%s: %d bytes of hashes, %v", c.kind, len(want), err)
	}
	bad := 0
	var packed []byte
	for block := 0; block*c.block < c.n; block += blockStep {
		packed = packed[:0]
		from := block * c.block
		to, want := min(from+c.block, c.n), want[4*block:]
		for i := from; i < to; i++ {
			packed = pack(packed, result(i))
		}
		sum := sha256.Sum256(packed)
		if bytes.Equal(sum[:4], want[:4]) {
			continue
		}
		if bad++; bad == 1 {
			c.t.Errorf("%s %d … %d differ; for the reference's results run tokenizer_fixtures.py --show %q %s N",
				c.kind, from, to-1, c.name, c.kind)
			for i := from; i < min(to, from+32); i++ {
				c.t.Logf("%s %d (%#x): have %v", c.kind, i, i, result(i))
			}
		}
	}
	if bad > 0 {
		c.t.Errorf("%s: %d blocks of %d differ", c.kind, bad, c.block)
	}
}

// pack appends the hashed bytes of a result.
func pack(b []byte, result any) []byte {
	switch r := result.(type) {
	case nil:
		return append(b, "error"...)
	case string:
		return append(append(b, r...), 0)
	case Encoding:
		b = binary.LittleEndian.AppendUint32(b, uint32(len(r.IDs)))
		for _, list := range [][]int32{r.IDs, r.Types} {
			for _, v := range list {
				b = binary.LittleEndian.AppendUint32(b, uint32(v))
			}
		}
		for _, o := range r.Offsets {
			b = binary.LittleEndian.AppendUint32(b, uint32(o[0]))
			b = binary.LittleEndian.AppendUint32(b, uint32(o[1]))
		}
		for _, v := range r.Words {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
		return b
	}
	panic(fmt.Sprintf("pack: %T", result))
}

// loadPatched loads a tokenizer.json in which some fields are replaced.
func loadPatched(t testing.TB, file string, patch map[string]any) *Tokenizer {
	t.Helper()
	raw, err := json.Marshal(patchedDocument(t, file, patch))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Load(files{tokenizerFile: string(raw)}.open)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// patchedDocument returns the content of a tokenizer file with the fields of patch replaced.
func patchedDocument(t testing.TB, file string, patch map[string]any) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	model := doc["model"].(map[string]any)
	for key, value := range patch {
		switch key {
		case "model":
			for k, v := range value.(map[string]any) {
				switch k {
				case "scores", "drop":
					patchUnigram(model["vocab"].([]any), k, v)
				default:
					model[k] = v
				}
			}
		case "drop":
			for _, token := range value.([]any) {
				delete(model["vocab"].(map[string]any), token.(string))
			}
		case "added_tokens+":
			doc["added_tokens"] = append(doc["added_tokens"].([]any), value.([]any)...)
		default:
			doc[key] = value
		}
	}
	withCharsMaps(t, doc)
	return doc
}

// files is a checkpoint in memory.
type files map[string]string

func (f files) open(name string) ([]byte, error) {
	if s, ok := f[name]; ok {
		return []byte(s), nil
	}
	return nil, fs.ErrNotExist
}
