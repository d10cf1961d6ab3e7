package speechseq2seq

import (
	"strings"

	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tasks/metrics/normalize"
	"github.com/spalora/spalora/train"
)

// MainWER is the measure that decides which state is best if evaluations write transcripts.
const MainWER = "wer"

// Measures collects how transcripts differ from their references: word and character error rates as jiwer computes
// them, of the texts as they are and in the normal form of Whisper's evaluation. They are from 0 to 100, or more if
// there are more edits than words.
type Measures struct {
	form                       func(string) string
	wer, cer, normWER, normCER *metrics.ErrorRate
	n                          int
}

// NewMeasures returns an empty list. The normal form is that of English texts, or the basic one for other languages.
func NewMeasures(english bool) *Measures {
	m := &Measures{form: normalize.Basic, wer: metrics.NewWER(), cer: metrics.NewCER(), normWER: metrics.NewWER(),
		normCER: metrics.NewCER()}
	if english {
		m.form = normalize.English
	}
	return m
}

// Add counts a transcript with its reference. White space around them does not count.
func (m *Measures) Add(text, reference string) {
	text, reference = strings.TrimSpace(text), strings.TrimSpace(reference)
	m.wer.Add(text, reference)
	m.cer.Add(text, reference)
	text, reference = m.form(text), m.form(reference)
	m.normWER.Add(text, reference)
	m.normCER.Add(text, reference)
	m.n++
}

// Len returns the number of transcripts.
func (m *Measures) Len() int { return m.n }

// measureNames lists the measures, the one that decides first.
func measureNames() []string { return []string{MainWER, "cer", "wer_normalized", "cer_normalized"} }

// Metrics returns the measures.
func (m *Measures) Metrics() []train.Metric {
	var list []train.Metric
	for i, rate := range []*metrics.ErrorRate{m.wer, m.cer, m.normWER, m.normCER} {
		list = append(list, train.Metric{Name: measureNames()[i], Value: rate.Score(), LowerIsBetter: true})
	}
	return list
}

// English reports whether transcripts are taken for English texts: those of an English-only model, or in English by the
// settings.
func (p *Predictor) English() bool {
	if !p.front.Tokens.Multilingual {
		return true
	}
	code, err := p.front.Tokens.Language(p.cfg.Language)
	return p.cfg.Language != "" && err == nil && code == "en"
}
