package tokenize

import (
	"io/fs"
	"os"
	"slices"
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
