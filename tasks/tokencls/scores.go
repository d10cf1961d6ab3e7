package tasks

import (
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/train"
)

// TokenScores are the scores of predictions for words, in full.
type TokenScores struct {
	Words int // that were scored: those with a tag and a token
	// Entities are the scores of entities, nil if the tags spell none.
	Entities *metrics.EntityScores
	// Tags are the scores of the words' tags, each a class of TokenClsConfig.Labels.
	Tags *metrics.ClassScores
	Loss float64 // mean over the tokens that have a label
}

// Found returns how many entities there are, and how many are predicted.
func (s *TokenScores) Found() (targets, predicted int) {
	if s.Entities != nil {
		for _, t := range s.Entities.PerType {
			targets += t.Targets
			predicted += t.Predicted
		}
	}
	return targets, predicted
}

// Metrics returns the scores as a training loop wants them: those that TokenCls.MetricNames lists.
func (s *TokenScores) Metrics() train.Metrics {
	m := train.Metrics{Main: "accuracy", Values: []train.Metric{
		metric("accuracy", s.Tags.Accuracy, false), metric("macro_f1", s.Tags.MacroF1, false), {Name: "loss", Value: s.Loss, LowerIsBetter: true},
	}}
	if s.Entities != nil {
		e := s.Entities.Micro
		m.Main = "f1"
		m.Values[1] = m.Values[0]
		m.Values = append([]train.Metric{metric("f1", e.F1, false), metric("precision", e.Precision, false), metric("recall", e.Recall, false)}, m.Values[1:]...)
	}
	return m
}

// scores compares the classes of words with the predicted ones, where batch.Ignore means that the word has no token.
// Sentences without classes do not count.
func (t *TokenCls) scores(classes, found [][]int32) (*TokenScores, error) {
	var want, got []int32
	var wantTags, gotTags [][]string
	names := t.cfg.Labels.Names
	for i, list := range classes {
		var a, b []string
		for w, class := range list {
			f := found[i][w]
			if f == batch.Ignore || class == batch.Ignore {
				continue
			}
			want, got = append(want, class), append(got, f)
			a, b = append(a, names[class]), append(b, names[f])
		}
		wantTags, gotTags = append(wantTags, a), append(gotTags, b)
	}
	s := &TokenScores{Words: len(want)}
	var err error
	if s.Tags, err = metrics.Classes(want, got, len(names)); err != nil || t.cfg.Scheme == tagged.Plain {
		return s, err
	}
	scheme := tagged.Scheme("") // any tags
	if t.cfg.Strict || t.cfg.Scheme == tagged.BILOU {
		scheme = t.cfg.Scheme
	}
	s.Entities, err = metrics.Entities(wantTags, gotTags, scheme)
	return s, err
}
