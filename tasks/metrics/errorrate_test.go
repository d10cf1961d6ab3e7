package metrics_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/spalora/spalora/tasks/metrics"
)

// TestErrorRates: word and character error rates equal jiwer's, of single rows and of several, with empty texts and
// more words than the reference has.
func TestErrorRates(t *testing.T) {
	file, err := os.Open("testdata/wer.json.gz") // reference/wer_fixture.py
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Rows    [][4]any
		Corpora [][4]float64
	}
	if err := json.NewDecoder(z).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Rows) < 500 || len(f.Corpora) < 50 {
		t.Fatalf("the fixture has %d rows, %d corpora", len(f.Rows), len(f.Corpora))
	}
	check := func(first, n int, want ...float64) {
		t.Helper()
		for i, e := range []*metrics.ErrorRate{metrics.NewWER(), metrics.NewCER()} {
			for _, row := range f.Rows[first : first+n] {
				e.Add(row[0].(string), row[1].(string))
			}
			if got := e.Score(); math.Abs(got-100*want[i]) > 1e-9*(1+want[i]) {
				t.Errorf("rows from %d, %d of them, %q: rate %d is %v, want %v", first, n, f.Rows[first], i, got, 100*want[i])
			}
		}
	}
	beyond := 0
	for i, row := range f.Rows {
		check(i, 1, row[2].(float64), row[3].(float64))
		if row[2].(float64) > 1 {
			beyond++
		}
	}
	if beyond < 20 {
		t.Errorf("only %d rows are beyond 100 %%", beyond)
	}
	for _, c := range f.Corpora {
		check(int(c[0]), int(c[1]), c[2], c[3])
	}
}

// TestNoTexts: without rows the rates are 0.
func TestNoTexts(t *testing.T) {
	if w, c := metrics.NewWER().Score(), metrics.NewCER().Score(); w != 0 || c != 0 {
		t.Errorf("got %v, %v", w, c)
	}
}
