package tokenize

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

// TestScores checks 523 spellings of numbers in a vocabulary against the values that the reference reads.
func TestScores(t *testing.T) {
	raw, err := os.ReadFile("testdata/unigram_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Scores [][2]string }
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	other := 0 // number of values that are not the nearest float64
	for _, c := range f.Scores {
		want, err := strconv.ParseFloat(c[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if have, ok := libraryFloat(c[0]); !ok || have != want {
			t.Errorf("%s: %v, %t, want %v", c[0], have, ok, want)
		}
		if exact, _ := strconv.ParseFloat(c[0], 64); exact != want {
			other++
		}
	}
	if len(f.Scores) < 500 || other < 40 {
		t.Errorf("%d numbers, %d of which are rounded otherwise", len(f.Scores), other)
	}
	for _, text := range []string{"1e309", "-1e999", "1e2147483648", "18446744073709551616e300"} {
		if f, ok := libraryFloat(text); ok {
			t.Errorf("%s: %v", text, f)
		}
	}
}
