package seq2seq_test

import (
	"math"
	"slices"
	"testing"

	"github.com/spalora/spalora/tasks/seq2seq"
)

// TestMeasures compares the measures of two texts, of which one has two references, with those of rouge_score 0.1.2
// and sacreBLEU 2.6.0.
func TestMeasures(t *testing.T) {
	m := seq2seq.NewMeasures(true)
	m.Add("the cats sat on the mat", []string{"a cat sat on the mat", "there was a cat on the mat"})
	m.Add("good morning", []string{"good morning"})
	list := m.Metrics(seq2seq.MainBLEU)
	var names []string
	want := map[string]float64{
		"bleu": 53.7284965911771, "chrf": 84.34953075969887, "chrf++": 81.01310389306906, "exact_match": 50,
		"rouge1": 91.66666666666667, "rouge2": 90.0, "rougeL": 91.66666666666667, "rougeLsum": 91.66666666666667,
	}
	for _, v := range list {
		names = append(names, v.Name)
		if got := v.Value; math.Abs(got-want[v.Name]) > 1e-9 {
			t.Errorf("%s is %v, want %v", v.Name, got, want[v.Name])
		}
	}
	if len(names) != len(want) || names[0] != "bleu" {
		t.Errorf("the measures are %v; want all, bleu first", names)
	}
	if first := m.Metrics(seq2seq.MainRouge)[0].Name; first != "rougeL" {
		t.Errorf("the first measure of other texts is %s", first)
	}
	stems, exact := m.Metrics(seq2seq.MainRouge), seq2seq.NewMeasures(false)
	exact.Add("the cats sat on the mat", []string{"a cat sat on the mat", "there was a cat on the mat"})
	exact.Add("good morning", []string{"good morning"})
	if slices.Equal(stems, exact.Metrics(seq2seq.MainRouge)) {
		t.Error("stems make no difference")
	}
}
