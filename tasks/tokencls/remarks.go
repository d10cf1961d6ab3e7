package tokencls

import (
	"fmt"
	"reflect"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
)

// scored keeps the scores of an evaluation and logs what is odd about them and, of the test, those of each type.
func (r *run) scored(s batch.Split, scores *Scores) {
	log := r.session.Log
	for _, text := range oddScores(scores, r.found.Names) {
		log.Warn().Msgf("%v: %s", s, text)
	}
	if s != batch.Test {
		r.evaluations = append(r.evaluations, scores)
		return
	}
	r.test = scores
	if scores.Entities == nil {
		return
	}
	for _, x := range typeScores(scores, r.found.Names) {
		log.Info().Msgf("test, %s: precision %.4f, recall %.4f, f1 %.4f; %d entities, %d predicted",
			x.Type, x.Precision, x.Recall, x.F1, x.Targets, x.Predicted)
	}
}

// oddScores says why scores have little meaning.
func oddScores(s *Scores, names []string) []string {
	if s.Entities == nil {
		only := ""
		for i, c := range s.Tags.PerClass {
			if c.Predicted == s.Words && c.Targets < s.Words {
				only = names[i]
			}
		}
		if only == "" {
			return nil
		}
		return []string{fmt.Sprintf("%s is predicted for every one of %d words. Likely causes: %s",
			only, s.Words, collapse)}
	}
	wanted, predicted := s.Found()
	switch {
	case wanted == 0 && predicted == 0:
		return []string{fmt.Sprintf("none of the %d words is in an entity, and none is predicted to be: "+
			"f1, precision and recall are 0 by convention", s.Words)}
	case wanted == 0:
		return []string{fmt.Sprintf("none of the %d words is in an entity, so each of the %d predicted ones is wrong "+
			"and f1 is 0", s.Words, predicted)}
	case predicted == 0:
		return []string{fmt.Sprintf("not one entity is predicted for %d words, which have %d: f1 is 0. Likely causes: %s",
			s.Words, wanted, collapse)}
	}
	return nil
}

// collapse lists why a model predicts one tag only.
const collapse = "too few steps so far; a learning rate that is too high for the layers that are adapted " +
	"(all-linear with 3e-3 collapses to O, 1e-3 on query and value does not) or too low; `class_weights`; or almost all " +
	"words with one tag (`class_weights balanced`)"

// typeScore is the score of a type of entity, or of a tag, as results.json has it.
type typeScore struct {
	Type      string  `json:"type"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	Targets   int     `json:"targets"`
	Predicted int     `json:"predicted"`
}

// typeScores lists the scores of types or, without entities, of the tags that are in the data or predicted.
func typeScores(s *Scores, names []string) []typeScore {
	if s == nil {
		return nil
	}
	var list []typeScore
	add := func(name string, c metrics.ClassScore) {
		list = append(list, typeScore{name, c.Precision, c.Recall, c.F1, c.Targets, c.Predicted})
	}
	if s.Entities != nil {
		for _, t := range s.Entities.PerType {
			add(t.Type, t.ClassScore)
		}
		return list
	}
	for i, c := range s.Tags.PerClass {
		if c.Targets+c.Predicted > 0 {
			add(names[i], c)
		}
	}
	return list
}

// complete puts the scores of types into the results: those of the best evaluation, if it was in this run, and of the
// test.
func (r *run) complete(results *tasks.Results) {
	add := func(key string, s *Scores) {
		if list := typeScores(s, r.found.Names); len(list) > 0 {
			results.Scores = append(results.Scores, tasks.Fact{Key: key, Value: list})
		}
	}
	if best := results.Train.Best; best != nil {
		for _, s := range r.evaluations {
			if reflect.DeepEqual(s.Metrics(), best.Metrics) {
				add("eval_types", s)
				break
			}
		}
	}
	add("test_types", r.test)
}
