package tokenize

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// minilm is the embedded checkpoint.
const minilm = "../embedded/minilm"

// loadDir loads the tokenizer of a directory.
func loadDir(t testing.TB, dir string) *Tokenizer {
	t.Helper()
	root := os.DirFS(dir)
	tok, err := Load(func(name string) ([]byte, error) { return fs.ReadFile(root, name) })
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestEncodeMiniLM(t *testing.T) {
	tok := loadDir(t, minilm)
	e, err := tok.EncodePair("Héllo, wörld! [SEP] 你好", "unaffable", Options{Offsets: true, Words: true})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs := []int32{101, 7592, 1010, 2088, 999, 102, 100, 100, 102, 14477, 20961, 3468, 102}
	if !slices.Equal(e.IDs, wantIDs) {
		t.Errorf("ids %v, want %v", e.IDs, wantIDs)
	}
	wantTypes := []int32{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1}
	if !slices.Equal(e.Types, wantTypes) {
		t.Errorf("types %v, want %v", e.Types, wantTypes)
	}
	wantOffsets := [][2]int{
		{0, 0}, {0, 5}, {5, 6}, {7, 12}, {12, 13}, {14, 19}, {20, 21}, {21, 22}, {0, 0}, {0, 3}, {3, 6}, {6, 9}, {0, 0},
	}
	if !slices.Equal(e.Offsets, wantOffsets) {
		t.Errorf("offsets %v, want %v", e.Offsets, wantOffsets)
	}
	wantWords := []int32{-1, 0, 1, 2, 3, 4, 5, 6, -1, 0, 0, 0, -1}
	if !slices.Equal(e.Words, wantWords) {
		t.Errorf("words %v, want %v", e.Words, wantWords)
	}
}

// TestWithin: texts with an id that a model has no word embedding for are errors, in every way of tokenising.
func TestWithin(t *testing.T) {
	whole := loadDir(t, minilm)
	const limit = 2088 // the id of "world"
	tok := whole.Within(limit)
	if whole.Within(whole.VocabSize()) != whole || tok.VocabSize() != whole.VocabSize() {
		t.Error("Within changes tokenizers that fit, or the vocabulary")
	}
	bad, good := Input{Text: "a world"}, Input{Text: "a and the"}
	pair := Input{Text: good.Text, Pair: bad.Text, HasPair: true}
	w := Windowing{MaxLength: 8, Stride: 1}
	_, errOne := tok.Encode(bad.Text, Options{})
	_, errPair := tok.EncodePair(pair.Text, pair.Pair, Options{})
	_, errWords := tok.EncodeWords([]string{"a", "world"}, Options{})
	_, errBatch := tok.EncodeBatch(t.Context(), []Input{good, good, bad, good}, Options{}, 2)
	_, errWindows := tok.Windows(bad, w)
	_, errList := tok.WindowsBatch(t.Context(), []Input{good, pair}, w, 2)
	_, errSpecial := whole.Within(100).Encode(good.Text, Options{})
	for what, err := range map[string]error{"Encode": errOne, "EncodePair": errPair, "EncodeWords": errWords,
		"EncodeBatch": errBatch, "Windows": errWindows, "WindowsBatch": errList, "a special token": errSpecial} {
		want := `token "world" has the id 2088, but the model has word embeddings for 2088 ids`
		if what == "a special token" {
			want = `has the id 101`
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for err, index := range map[error]int{errBatch: 2, errList: 1} {
		if at, ok := errors.AsType[*InputError](err); !ok || at.Index != index {
			t.Errorf("%v: want the error of input %d", err, index)
		}
	}
	_, errOne = tok.Encode(good.Text, Options{})
	_, errWindows = tok.Windows(good, w)
	_, errWhole := whole.Encode(bad.Text, Options{})
	_, errCut := tok.Encode(good.Text+" "+bad.Text, Options{MaxLength: 5}) // the token is cut off
	if err := errors.Join(errOne, errWindows, errWhole, errCut, tok.Check([]int32{limit - 1})); err != nil {
		t.Error(err)
	}
}
