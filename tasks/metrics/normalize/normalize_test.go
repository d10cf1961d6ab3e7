package normalize_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/tasks/metrics/normalize"
)

// fixture returns what reference/normalizer_fixture.py writes: rows of text, english, basic.
func fixture(t testing.TB) [][3]string {
	t.Helper()
	file, err := os.Open("testdata/texts.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][3]string
	if err := json.NewDecoder(z).Decode(&rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 3000 {
		t.Fatalf("the fixture has %d texts", len(rows))
	}
	return rows
}

// TestNormalizers: both normalisers equal those of transformers.
func TestNormalizers(t *testing.T) {
	for i, name := range normalize.Names() {
		f, err := normalize.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		changed := 0
		for _, row := range fixture(t) {
			got, want := f(row[0]), row[1+i]
			if got != want {
				t.Errorf("%s of %q is\n%q, want\n%q", name, row[0], got, want)
			}
			if want != normalize.Lower(row[0]) {
				changed++
			}
		}
		if changed < 1000 {
			t.Errorf("%s: only %d texts are changed", name, changed)
		}
	}
}

func TestNamed(t *testing.T) {
	same, err := normalize.Named("")
	if err != nil || same(" Mr. X") != " Mr. X" {
		t.Errorf("no normaliser changes the text: %v", err)
	}
	if _, err := normalize.Named("whisper"); err == nil || !strings.Contains(err.Error(), "want one of english, basic") {
		t.Errorf("an unknown name: %v", err)
	}
}

// FuzzNormalizers: any text has a normal form of valid UTF-8 in lower case with single spaces.
func FuzzNormalizers(f *testing.F) {
	for _, row := range fixture(f)[:300] {
		f.Add(row[0])
	}
	f.Add("$12.$5 million and a half\x00 double \xff zero 99999999999999999999999 decillionths")
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range normalize.Names() {
			of, err := normalize.Named(name)
			if err != nil {
				t.Fatal(err)
			}
			got := of(text)
			if !utf8.ValidString(got) || strings.Contains(got, "  ") || strings.ContainsAny(got, "<>()[],;\t\n") {
				t.Fatalf("%s of %q is %q", name, text, got)
			}
		}
	})
}
