package tokenize_test

import (
	"fmt"
	"io/fs"
	"log"
	"os"

	"github.com/spalora/spalora/tokenize"
)

func ExampleLoad() {
	dir := os.DirFS("../embedded/minilm")
	tok, err := tokenize.Load(func(name string) ([]byte, error) { return fs.ReadFile(dir, name) })
	if err != nil {
		log.Fatal(err)
	}
	e, err := tok.EncodePair("Where is my unbelievable card?", "It's lost.", tokenize.Options{
		MaxLength: 12,
		Offsets:   true,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.IDs)
	fmt.Println(e.Types)
	fmt.Println(e.Offsets)
	fmt.Println(tok.Decode(e.IDs, true), e.Truncated)
	// Output:
	// [101 2073 2003 2026 23653 4003 102 2009 1005 1055 2439 102]
	// [0 0 0 0 0 0 0 1 1 1 1 1]
	// [[0 0] [0 5] [6 8] [9 11] [12 24] [25 29] [0 0] [0 2] [2 3] [3 4] [5 9] [0 0]]
	// where is my unbelievable card it ' s lost 2
}
