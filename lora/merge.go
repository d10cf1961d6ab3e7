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

// Merge returns all weights of m with the set worked in: W + s·B·A where it adapts, its own copy where it has one. m and
// the set stay as they are. A value that is not finite is an error naming the weight, and so is a set that was made for
// another model: it would change nothing.
func Merge(m spago.Model, s *Set, pool *op.Pool) ([]MergedWeight, error) {
	if err := s.belongsTo(m); err != nil {
		return nil, err
	}
	tables := map[*op.Weight]bool{}
	for _, p := range s.pairs {
		tables[p.base] = p.table
	}
	var list []MergedWeight
	for _, w := range nn.Weights(m) {
		if !w.Weight.Filled() {
			return nil, fmt.Errorf("lora: merge: %s has no values; load the model first", w.Name)
		}
		from := w.Weight
		if own := s.Replacement(from); own != nil {
			from = own
		}
		v := op.Merged(pool, from, s.Correction(w.Weight), tables[w.Weight])
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
	for _, w := range nn.Weights(m) {
		weights[w.Weight] = true
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
// comparing a merged model with the attached one needs.
func Assign(m spago.Model, merged []MergedWeight) error {
	byName := map[string][]float32{}
	for _, w := range merged {
		byName[w.Name] = w.Values
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
