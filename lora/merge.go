package lora

import (
	"fmt"
	"math"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// MergedWeight is a weight of the merged model.
type MergedWeight struct {
	Name   string
	Shape  []int
	Values []float32 // in stored order
}

// Unties reports whether merging the set gives a tied head of m a weight of its own: if the set changes the table or the head, for a
// table's adapter does not act on the head, nor the other way round. The merged model's configuration must then say
// tie_word_embeddings false.
func (s *Set) Unties(m spago.Model) bool {
	for _, h := range nn.TiedHeads(m) {
		if s.unties(h.Linear) {
			return true
		}
	}
	return false
}

func (s *Set) unties(head *nn.Linear) bool {
	return s.changes(head.Weight) || s.changes(head.Key())
}

func (s *Set) changes(w *op.Weight) bool { return s.Correction(w) != nil || s.Replacement(w) != nil }

// Merge returns all weights of m with the set worked in: W + s·B·A where it adapts, its own copy where it has one; a tied head is
// among them if [Set.Unties]. m and the set stay as they are. A value that is not finite is an error naming the weight, and so is a
// set that was made for another model: it would change nothing.
func Merge(m spago.Model, s *Set, pool *op.Pool) ([]MergedWeight, error) {
	if err := s.belongsTo(m); err != nil {
		return nil, err
	}
	tables := map[*op.Weight]bool{}
	for _, p := range s.pairs {
		tables[p.base] = p.table
	}
	var list []MergedWeight
	for _, w := range weightsOf(m) {
		if w.key != w.Weight && !s.changes(w.Weight) && !s.changes(w.key) { // a head that stays tied
			continue
		}
		if !w.Weight.Filled() {
			return nil, fmt.Errorf("lora: merge: %s has no values; load the model first", w.Name)
		}
		from := w.Weight
		if own := s.Replacement(w.key); own != nil {
			from = own
		}
		v := op.Merged(pool, from, s.Correction(w.key), tables[w.key])
		for i, x := range v {
			if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("lora: merge: %s is %g at element %d", w.Name, x, i)
			}
		}
		list = append(list, MergedWeight{w.Name, w.Weight.Shape(), v})
	}
	return list, nil
}

func (s *Set) belongsTo(m spago.Model) error {
	weights := map[*op.Weight]bool{}
	for _, w := range weightsOf(m) {
		weights[w.key] = true
	}
	for _, p := range s.pairs {
		if !weights[p.base] {
			return fmt.Errorf("lora: merge: the set was made for another model, which has %s", p.path)
		}
	}
	for _, c := range s.copies {
		if !weights[c.base] {
			return fmt.Errorf("lora: merge: the set was made for another model, which has %s", c.path)
		}
	}
	return nil
}

// Assign makes merged weights the frozen values of m, which must be a model of the same architecture made afresh: what
// comparing a merged model with the attached one needs. A tied head of which there are merged weights is untied.
func Assign(m spago.Model, merged []MergedWeight) error {
	byName := map[string][]float32{}
	for _, w := range merged {
		byName[w.Name] = w.Values
	}
	for _, h := range nn.TiedHeads(m) {
		if byName[h.Path+".weight"] != nil {
			h.Linear.Untie(op.NewMatrix(h.Linear.Weight.Rows, h.Linear.Weight.Cols))
		}
	}
	for _, w := range nn.Weights(m) {
		v, ok := byName[w.Name]
		if !ok {
			return fmt.Errorf("lora: merged weights lack %s", w.Name)
		}
		if err := w.Weight.SetValues(v); err != nil {
			return fmt.Errorf("lora: %s: %w", w.Name, err)
		}
	}
	return nil
}
