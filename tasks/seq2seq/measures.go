package seq2seq

import (
	"slices"

	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/train"
)

// The measures that decide which state is best: of translations, and of other texts.
const (
	MainBLEU  = "bleu"
	MainRouge = "rougeL"
)

// Measures collects how well generated texts agree with their references. All measures are from 0 to 100.
type Measures struct {
	stemming bool
	rouge    metrics.RougeMean
	bleu     *metrics.BLEU
	chrf     *metrics.CHRF
	chrfPlus *metrics.CHRF
	exact, n int
}

// NewMeasures returns an empty list. ROUGE takes the stems of words if stemming is set.
func NewMeasures(stemming bool) *Measures {
	return &Measures{
		stemming: stemming, bleu: metrics.NewBLEU(metrics.Tokenizer13a),
		chrf: metrics.NewCHRF(false), chrfPlus: metrics.NewCHRF(true),
	}
}

// Add counts a text with its references, of which there must be at least one.
func (m *Measures) Add(text string, references []string) {
	m.rouge.Add(metrics.ScoreRouge(text, references, m.stemming))
	m.bleu.Add(text, references)
	m.chrf.Add(text, references)
	m.chrfPlus.Add(text, references)
	if m.n++; slices.Contains(references, text) {
		m.exact++
	}
}

// Len returns the number of texts.
func (m *Measures) Len() int { return m.n }

// measureNames lists the measures, the one that decides first.
func measureNames(first string) []string {
	names := []string{"rouge1", "rouge2", MainRouge, "rougeLsum", MainBLEU, "chrf", "chrf++", "exact_match"}
	names = slices.DeleteFunc(names, func(n string) bool { return n == first })
	return slices.Insert(names, 0, first)
}

// Metrics returns the measures: the F1 of ROUGE, corpus BLEU with sacreBLEU's tokenizer 13a, chrF, chrF++, and the
// share of texts that equal a reference. The one called first, MainBLEU or MainRouge, is the first.
func (m *Measures) Metrics(first string) []train.Metric {
	r := m.rouge.Mean()
	of := map[string]float64{
		"rouge1": 100 * r.R1.F1, "rouge2": 100 * r.R2.F1, MainRouge: 100 * r.L.F1, "rougeLsum": 100 * r.LSum.F1,
		MainBLEU: m.bleu.Score().Score, "chrf": m.chrf.Score(), "chrf++": m.chrfPlus.Score(),
		"exact_match": 100 * float64(m.exact) / float64(max(m.n, 1)),
	}
	var list []train.Metric
	for _, name := range measureNames(first) {
		list = append(list, train.Metric{Name: name, Value: of[name]})
	}
	return list
}
