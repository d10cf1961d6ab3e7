package tasktest

import (
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tokenize"
)

// Open opens the checkpoint in a directory with its tokenizer, until the test ends.
func Open(t testing.TB, dir string) (*checkpoint.Source, *tokenize.Tokenizer) {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return src, tokenizer(t, src)
}

// OpenMiniLM opens the embedded MiniLM with its tokenizer, until the test ends.
func OpenMiniLM(t testing.TB) (*checkpoint.Source, *tokenize.Tokenizer) {
	t.Helper()
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		t.Fatal(err)
	}
	return src, tokenizer(t, src)
}

// tokenizer reads the tokenizer of a checkpoint, which it closes when the test ends.
func tokenizer(t testing.TB, src *checkpoint.Source) *tokenize.Tokenizer {
	t.Helper()
	t.Cleanup(func() { src.Close() })
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
