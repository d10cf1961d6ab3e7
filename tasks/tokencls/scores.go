package tokencls

import (
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/train"
)

// Scores are the scores of predictions for words, in full.
type Scores struct {
	Words int // that were scored: those with a tag and a token
	// Entities are the scores of entities, nil if the tags spell none.
	Entities *metrics.EntityScores
	// Tags are the scores of the words' tags, each a class of Config.Labels.
	Tags *metrics.ClassScores
	Loss float64 // mean over the tokens that have a label or, with a CRF, over the sentences
}

// Found returns the number of entities in the data and the number of those that are predicted.
func (s *Scores) Found() (targets, predicted int) {
	if s.Entities != nil {
		for _, t := range s.Entities.PerType {
			targets += t.Targets
			predicted += t.Predicted
		}
	}
	return targets, predicted
}

// Metrics returns the scores as a training loop takes them: those that [Predictor.MetricNames] lists.
func (s *Scores) Metrics() train.Metrics {
	m := train.Metrics{Main: "accuracy", Values: []train.Metric{tasks.Metric("accuracy", s.Tags.Accuracy, false)}}
	if s.Entities != nil {
		e := s.Entities.Micro
		m.Main = "f1"
		m.Values = append([]train.Metric{
			tasks.Metric("f1", e.F1, false), tasks.Metric("precision", e.Precision, false),
			tasks.Metric("recall", e.Recall, false),
		}, m.Values...)
	} else {
		m.Values = append(m.Values, tasks.Metric("macro_f1", s.Tags.MacroF1, false))
	}
	m.Values = append(m.Values, train.Metric{Name: "loss", Value: s.Loss, LowerIsBetter: true})
	return m
}

// scores compares the classes of words with the predicted ones. ends has for each sentence the number of words up to
// its end.
func (p *Predictor) scores(want, got []int32, ends []int) (*Scores, error) {
	names := p.cfg.Labels.Names
	s := &Scores{Words: len(want)}
	var err error
	if s.Tags, err = metrics.Classes(want, got, len(names)); err != nil || p.cfg.Scheme == tagged.Plain {
		return s, err
	}
	tags := func(classes []int32) [][]string {
		list, from := make([][]string, len(ends)), 0
		for i, to := range ends {
			for _, c := range classes[from:to] {
				list[i] = append(list[i], names[c])
			}
			from = to
		}
		return list
	}
	scheme := tagged.Scheme("") // any tags
	if p.cfg.Strict || p.cfg.Scheme == tagged.BILOU {
		scheme = p.cfg.Scheme
	}
	s.Entities, err = metrics.Entities(tags(want), tags(got), scheme)
	return s, err
}
