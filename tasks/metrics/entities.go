package metrics

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spalora/spalora/data/tagged"
)

// EntityScores are the metrics of tagged sentences, as seqeval computes them: they count entities, each with its type
// and all its words, not single words.
type EntityScores struct {
	// Words is the number of words that count.
	Words int
	// Accuracy is the part of the words whose tag is predicted.
	Accuracy Score
	// Micro counts all entities alike, Macro is the mean of the types, and Weighted their
	// mean by the number of entities in the targets.
	Micro, Macro, Weighted EntityAverage
	// PerType has a score for each type that is a target or predicted, sorted by name.
	PerType []TypeScore
}

// EntityAverage is a precision, recall and F1 of all types together.
type EntityAverage struct{ Precision, Recall, F1 Score }

// TypeScore is how well the entities of one type are found.
type TypeScore struct {
	Type string
	ClassScore
}

// place is an entity of one of many sentences.
type place struct {
	sentence int
	tagged.Entity
}

// Entities scores predicted tags against those that are wanted, sentence by sentence. With the scheme "" it finds
// entities as seqeval does in its default mode, which takes tags that no scheme allows too ([tagged.Entities]), with
// another one as in its strict mode ([tagged.StrictEntities]). The values are those of seqeval 1.2.2 with
// zero_division=0, save that the mean over no types is 0 with a reason, not NaN.
//
// Entities returns an error if the lengths differ, a tag is empty or not one of the scheme, or there are no words.
func Entities(want, got [][]string, scheme tagged.Scheme) (*EntityScores, error) {
	s := &EntityScores{}
	right, err := s.words(want, got)
	if err != nil {
		return nil, err
	}
	s.Accuracy.Value = ratio(right, s.Words)
	wanted, err := find(want, scheme)
	if err != nil {
		return nil, fmt.Errorf("metrics: target: %w", err)
	}
	predicted, err := find(got, scheme)
	if err != nil {
		return nil, fmt.Errorf("metrics: prediction: %w", err)
	}
	counts := map[string]*[3]int{} // by type: wanted, predicted, both
	of := func(kind string) *[3]int {
		if counts[kind] == nil {
			counts[kind] = new([3]int)
		}
		return counts[kind]
	}
	is := make(map[place]bool, len(wanted))
	for _, e := range wanted {
		is[e] = true
		of(e.Type)[0]++
	}
	for _, e := range predicted {
		of(e.Type)[1]++
		if is[e] {
			of(e.Type)[2]++
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		n := counts[kind]
		s.PerType = append(s.PerType, TypeScore{kind, classScore(n[0], n[1], n[2])})
	}
	s.average()
	return s, nil
}

// words counts the words into s and returns how many tags are right.
func (s *EntityScores) words(want, got [][]string) (right int, err error) {
	if len(want) != len(got) {
		return 0, fmt.Errorf("metrics: %d tagged sentences for %d predictions", len(want), len(got))
	}
	for i := range want {
		if len(want[i]) != len(got[i]) {
			return 0, fmt.Errorf("metrics: %d tags for %d predictions in sentence %d", len(want[i]), len(got[i]), i)
		}
		for j, tag := range want[i] {
			if tag == "" || got[i][j] == "" {
				return 0, fmt.Errorf("metrics: a tag of word %d in sentence %d is empty", j, i)
			}
			if tag == got[i][j] {
				right++
			}
		}
		s.Words += len(want[i])
	}
	if s.Words == 0 {
		return 0, fmt.Errorf("metrics: %w", ErrNoTargets)
	}
	return right, nil
}

// find returns the entities of sentences.
func find(sentences [][]string, scheme tagged.Scheme) (out []place, err error) {
	if scheme == "" {
		// seqeval's default mode reads all sentences as one, with an O behind each.
		// Of odd tags that no letter begins it finds other entities so.
		var all []string
		for _, tags := range sentences {
			all = append(append(all, tags...), "O")
		}
		for _, e := range tagged.Entities(all) {
			out = append(out, place{0, e})
		}
		return out, nil
	}
	for i, tags := range sentences {
		list, err := tagged.StrictEntities(tags, scheme)
		if err != nil {
			return nil, fmt.Errorf("sentence %d: %w", i, err)
		}
		for _, e := range list {
			out = append(out, place{i, e})
		}
	}
	return out, nil
}

// average fills in the means over the types.
func (s *EntityScores) average() {
	targets, predicted, correct := 0, 0, 0
	var macro, weighted [3]float64 // precision, recall, F1
	for _, t := range s.PerType {
		targets += t.Targets
		predicted += t.Predicted
		correct += t.Correct
		for i, v := range [3]float64{t.Precision, t.Recall, t.F1} {
			macro[i] += v
			weighted[i] += v * float64(t.Targets)
		}
	}
	micro := classScore(targets, predicted, correct)
	s.Micro = EntityAverage{Score{Value: micro.Precision}, Score{Value: micro.Recall}, Score{Value: micro.F1}}
	if predicted == 0 {
		s.Micro.Precision.Reason = "no entity is predicted"
	}
	if targets == 0 {
		s.Micro.Recall.Reason = "no entity is a target"
	}
	if targets+predicted == 0 {
		s.Micro.F1.Reason = "no entity is a target or predicted"
	}
	s.Macro = meanOfTypes(macro, len(s.PerType), s.Micro.F1.Reason)
	s.Weighted = meanOfTypes(weighted, targets, s.Micro.Recall.Reason)
}

// meanOfTypes divides sums by their weight; without any, the means are 0 for a reason.
func meanOfTypes(sums [3]float64, weight int, reason string) EntityAverage {
	if weight == 0 {
		none := Score{Reason: reason}
		return EntityAverage{none, none, none}
	}
	n := float64(weight)
	return EntityAverage{Score{Value: sums[0] / n}, Score{Value: sums[1] / n}, Score{Value: sums[2] / n}}
}
