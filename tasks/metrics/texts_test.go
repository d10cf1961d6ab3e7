package metrics

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/tasks/metrics/normalize"
)

// textFixture is what reference/text_metrics_fixture.py writes. Scores are from 0 to 100.
type textFixture struct {
	Rows  int
	Cases []struct {
		Prediction string
		References []string
		Rouge      []float64 // F1 of the four measures, with and without stemming
		Parts      []float64 // their precision and recall, of some cases
		BLEU       []float64
		CHRF       []float64
	}
	Corpora []struct {
		First      int // of Rows cases
		BLEU       []float64
		Precisions [][]float64
		Penalties  []float64
		Lengths    [][]int
		CHRF       []float64
		Signatures []string
	}
	Words  [][2]string
	Tokens []struct {
		Text  string
		Words [][]string
	}
	Categories map[string][][2]rune
}

func loadTexts(t testing.TB) textFixture {
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
	var f textFixture
	if err := json.NewDecoder(z).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 1000 || len(f.Corpora) < 100 || len(f.Words) < 3000 {
		t.Fatalf("the fixture has %d cases, %d corpora, %d words", len(f.Cases), len(f.Corpora), len(f.Words))
	}
	return f
}

// equal reports whether two scores from 0 to 100 are equal to the digits of the fixture.
func equal(a, b float64) bool { return math.Abs(a-b) <= 1e-7 }

// TestTexts: ROUGE equals rouge_score's, BLEU and chrF sacreBLEU's, for single texts.
func TestTexts(t *testing.T) {
	f := loadTexts(t)
	above := map[string]int{}
	for n, c := range f.Cases {
		for s, stemming := range []bool{true, false} {
			r := ScoreRouge(c.Prediction, c.References, stemming)
			for i, o := range []Overlap{r.R1, r.R2, r.L, r.LSum} {
				at := 4*s + i
				if !equal(100*o.F1, c.Rouge[at]) || len(c.Parts) > 0 &&
					!(equal(100*o.Precision, c.Parts[2*at]) && equal(100*o.Recall, c.Parts[2*at+1])) {
					t.Errorf("case %d, %q of %q: ROUGE %d, stemming %t is %+v, want F1 %v", n, c.Prediction, c.References, i,
						stemming, o, c.Rouge[at])
				}
			}
			if r.LSum != r.L {
				above["lsum"]++
			}
		}
		for i, tok := range Tokenizers() {
			b := NewBLEU(tok)
			b.Add(c.Prediction, c.References)
			if got := b.Score().Score; !equal(got, c.BLEU[i]) {
				t.Errorf("case %d, %q of %q: BLEU %s is %v, want %v", n, c.Prediction, c.References, tok, got, c.BLEU[i])
			} else if got > 0 {
				above[string(tok)]++
			}
		}
		for i, plus := range []bool{false, true} {
			x := NewCHRF(plus)
			x.Add(c.Prediction, c.References)
			if got := x.Score(); !equal(got, c.CHRF[i]) {
				t.Errorf("case %d, %q of %q: chrF %t is %v, want %v", n, c.Prediction, c.References, plus, got, c.CHRF[i])
			}
		}
	}
	for _, name := range []string{"lsum", "13a", "intl", "zh", "char", "none"} {
		if above[name] < 100 {
			t.Errorf("%s: only %d cases say something", name, above[name])
		}
	}
}

// TestCorpora: corpus BLEU and chrF equal sacreBLEU's, with all their parts and signatures, for rows with equal and
// different numbers of references.
func TestCorpora(t *testing.T) {
	f := loadTexts(t)
	for _, c := range f.Corpora {
		rows := f.Cases[c.First : c.First+f.Rows]
		for i, tok := range Tokenizers() {
			b := NewBLEU(tok)
			for _, r := range rows {
				b.Add(r.Prediction, r.References)
			}
			s := b.Score()
			if !equal(s.Score, c.BLEU[i]) || !slices.EqualFunc(s.Precisions[:], c.Precisions[i], equal) ||
				!equal(s.BrevityPenalty, c.Penalties[i]) || s.PredictionLength != c.Lengths[i][0] ||
				s.ReferenceLength != c.Lengths[i][1] || s.Signature != c.Signatures[i] {
				t.Errorf("rows from %d: BLEU %s is %+v\nwant %v %v %v %v %s", c.First, tok, s, c.BLEU[i], c.Precisions[i],
					c.Penalties[i], c.Lengths[i], c.Signatures[i])
			}
		}
		for i, plus := range []bool{false, true} {
			x := NewCHRF(plus)
			for _, r := range rows {
				x.Add(r.Prediction, r.References)
			}
			if want := c.Signatures[5+i]; !equal(x.Score(), c.CHRF[i]) || x.Signature() != want {
				t.Errorf("rows from %d: chrF %t is %v (%s), want %v (%s)", c.First, plus, x.Score(), x.Signature(),
					c.CHRF[i], want)
			}
		}
	}
}

// TestStem: stems equal NLTK's.
func TestStem(t *testing.T) {
	changed := 0
	for _, w := range loadTexts(t).Words {
		if got := stem(w[0]); got != w[1] {
			t.Errorf("%s: got %s, want %s", w[0], got, w[1])
		}
		if w[0] != w[1] {
			changed++
		}
	}
	if changed < 2000 {
		t.Errorf("only %d words are changed", changed)
	}
}

// TestTokenizers: words equal sacreBLEU's.
func TestTokenizers(t *testing.T) {
	for _, c := range loadTexts(t).Tokens {
		for i, tok := range Tokenizers() {
			if got := tok.Words(c.Text); !slices.Equal(got, c.Words[i]) {
				t.Errorf("%s of %q:\n got %q\nwant %q", tok, c.Text, got, c.Words[i])
			}
		}
	}
	for _, name := range []string{"13a", "intl", "zh", "char", "none"} {
		if got, err := ParseTokenizer(name); err != nil || string(got) != name {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	if _, err := ParseTokenizer("ja-mecab"); err == nil || !strings.Contains(err.Error(), "want one of 13a, intl, zh") {
		t.Errorf("an unknown tokenizer: %v", err)
	}
}

// TestCategories: numbers, punctuation and symbols are those of the tables that sacreBLEU uses, which are newer than
// Go's.
func TestCategories(t *testing.T) {
	f := loadTexts(t)
	for name, is := range map[string]func(rune) bool{"N": isNumber, "P": isPunctuation, "S": isSymbol} {
		in, n := make([]bool, utf8.MaxRune+1), 0
		for _, r := range f.Categories[name] {
			for c := r[0]; c <= r[1]; c++ {
				in[c] = true
				n++
			}
		}
		if n < 500 {
			t.Fatalf("%s has %d characters", name, n)
		}
		for c := range rune(utf8.MaxRune + 1) {
			if is(c) != in[c] {
				t.Errorf("%U: %s is %t, want %t", c, name, is(c), in[c])
			}
		}
	}
}

// TestNothingInCommon: empty texts and missing references give scores of 0, not errors.
func TestNothingInCommon(t *testing.T) {
	for _, refs := range [][]string{{""}, {"", "a b"}, nil} {
		if got := ScoreRouge("", refs, true); got != (Rouge{}) {
			t.Errorf("%q: ROUGE is %+v", refs, got)
		}
		b, x := NewBLEU(Tokenizer13a), NewCHRF(true)
		b.Add("", refs)
		x.Add("", refs)
		if s := b.Score(); s.Score != 0 || x.Score() != 0 {
			t.Errorf("%q: BLEU %+v, chrF++ %v", refs, s, x.Score())
		}
	}
	if s, x := NewBLEU(Tokenizer13a).Score(), NewCHRF(false).Score(); s.Score != 0 || x != 0 {
		t.Errorf("without texts: %+v, %v", s, x)
	}
}

// FuzzWords: tokenizers keep all characters but white space, whatever a text has (13a changes entities), and equal
// texts have the best scores.
func FuzzWords(f *testing.F) {
	for _, text := range []string{
		"", "a,b.c-1.5-2", "1,000.5 “你好” &quot;x&quot; -\n", "\x1c.\u3000,..--９．", "İK₿",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		chars := strings.Join(strings.FieldsFunc(text, normalize.IsSpace), "")
		for _, tok := range Tokenizers() {
			words := tok.Words(text)
			for _, w := range words {
				if w == "" || strings.ContainsFunc(w, normalize.IsSpace) {
					t.Fatalf("%s of %q gives the word %q", tok, text, w)
				}
			}
			if tok != Tokenizer13a && strings.Join(words, "") != chars {
				t.Fatalf("%s of %q gives %q", tok, text, words)
			}
			b := NewBLEU(tok)
			b.Add(text, []string{text})
			if s := b.Score(); len(words) >= bleuOrder && math.Abs(s.Score-100) > 1e-9 {
				t.Fatalf("%s of %q with itself: BLEU is %+v", tok, text, s)
			}
		}
		r := ScoreRouge(text, []string{text}, true)
		for _, o := range []Overlap{r.R1, r.L, r.LSum} {
			if has := len(rougeWords(text, true)) > 0; has != (o.F1 == 1) {
				t.Fatalf("%q with itself: ROUGE is %+v", text, r)
			}
		}
		x := NewCHRF(true)
		x.Add(text, []string{text})
		if s := x.Score(); chars != "" && math.Abs(s-100) > 1e-9 {
			t.Fatalf("%q with itself: chrF++ is %v", text, s)
		}
	})
}
