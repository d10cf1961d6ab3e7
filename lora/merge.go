package lora

import (
	"fmt"
	"math"
	"slices"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// MergedWeight is a weight of the merged model.
type MergedWeight struct {
	Name   string    // in the checkpoint
	Shape  []int     // in the checkpoint
	Values []float32 // in the order of Shape
}

// Unties reports whether merging the set gives a tied head or embedding of m a separate weight. It does if the set
// changes the table or the layer, since an adapter of one does not act on the other, unless it replaces both by the
// same weight. The configuration of the merged model must then have tie_word_embeddings false.
func (s *Set) Unties(m spago.Model) bool {
	for _, h := range nn.TiedLayers(m) {
		if s.unties(h.Layer.Table(), h.Layer.Key()) {
			return true
		}
	}
	return false
}

// unties is Unties for one layer, which the set knows by key, and its table.
func (s *Set) unties(table, key *op.Weight) bool {
	return s.Correction(table) != nil || s.Correction(key) != nil || s.Replacement(table) != s.Replacement(key)
}

// Merge returns all weights of m with the set merged into them: W + s·B·A for adapted layers, times m/n with DoRA,
// and the set's own copy for saved modules, trained biases and weights that the adapter file replaces. Tied layers are
// included if [Set.Unties] reports true. The caller owns the values; m and the set do not change. Merge returns an
// error if the set was made for another model, a weight has no values, or a merged value is not finite.
func Merge(m spago.Model, s *Set, pool *op.Pool) ([]MergedWeight, error) {
	pending, err := Mergeable(m, s, pool)
	if err != nil {
		return nil, err
	}
	list := make([]MergedWeight, len(pending))
	for i, w := range pending {
		v, err := w.Values()
		if err != nil {
			return nil, err
		}
		list[i] = MergedWeight{w.Name, w.Shape, v}
	}
	return list, nil
}

// PendingWeight is a weight of the merged model whose values are computed on demand.
type PendingWeight struct {
	Name  string // in the checkpoint
	Shape []int  // in the checkpoint
	// Values returns the merged values in the order of Shape; the caller owns them. It returns an error if one is not
	// finite.
	Values func() ([]float32, error)
}

// Mergeable returns the weights of [Merge] in its order without computing them, so that a caller can hold one at a
// time. A nil set stands for no adapter. Mergeable returns an error if the set was made for another model or if a
// weight has no values.
func Mergeable(m spago.Model, s *Set, pool *op.Pool) ([]PendingWeight, error) {
	if s == nil {
		s = &Set{}
	}
	if err := s.belongsTo(m); err != nil {
		return nil, err
	}
	tables, biases := map[*op.Weight]bool{}, map[*op.Weight]*op.Correction{}
	for _, p := range s.pairs {
		tables[p.base] = p.table
		if p.c.Bias == nil {
			continue
		}
		if p.bias == nil {
			return nil, fmt.Errorf("lora: merge: %s has no bias that the one of its correction (lora_bias) could be merged "+
				"into; use the adapter without merging it", p.path)
		}
		biases[p.bias] = p.c
	}
	var list []PendingWeight
	unties := s.Unties(m) // all layers, since config.json has one field for them
	for _, w := range weightsOf(m) {
		if w.key != w.Weight && !unties { // the layer stays tied
			continue
		}
		if !w.Weight.Filled() {
			return nil, fmt.Errorf("lora: merge: %s has no values; load the model first", w.Name)
		}
		from := w.Weight
		if own := s.Replacement(w.key); own != nil {
			from = own
		}
		list = append(list, PendingWeight{w.Name, from.Shape(), func() ([]float32, error) {
			v := op.Merged(pool, from, s.Correction(w.key), tables[w.key])
			if c := biases[w.key]; c != nil {
				v = op.MergedBias(from, c)
			}
			for i, x := range v {
				if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
					return nil, fmt.Errorf("lora: merge: %s has %g at element %d; want finite values", w.Name, x, i)
				}
			}
			return v, nil
		}})
	}
	return list, nil
}

// belongsTo returns an error unless m has all weights that the set changes.
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
	for _, c := range slices.Concat(s.copies, s.biases) {
		if !weights[c.base] {
			return fmt.Errorf("lora: merge: the set was made for another model, which has %s", c.path)
		}
	}
	return nil
}

// Fit changes the vocabulary of m, a model without values of its own, to that of merged weights, of which size returns
// the number of values by their names in the checkpoint.
func Fit(m spago.Model, size func(name string) int) {
	layers := nn.WordLayers(m)
	if len(layers) == 0 {
		return
	}
	words := layers[0]
	if n := size(words.Path+".weight") / words.Weight.Cols; n > 0 && n != words.Weight.Rows {
		nn.Resize(m, n)
	}
}

// Assign makes the merged weights the frozen values of m, a new model of the same architecture, for example to compare
// a merged model with the attached one. It unties tied layers that have a merged weight. m owns the values from then
// on. It returns an error if a weight of m is missing or has another size.
func Assign(m spago.Model, merged []MergedWeight) error {
	byName := map[string][]float32{}
	for _, w := range merged {
		byName[w.Name] = w.Values
	}
	Fit(m, func(name string) int { return len(byName[name]) })
	for _, h := range nn.TiedLayers(m) {
		if byName[h.Path+".weight"] != nil {
			h.Layer.Untie(op.NewMatrix(h.Layer.Table().Rows, h.Layer.Table().Cols))
		}
	}
	for _, w := range nn.Weights(m) {
		v, ok := byName[w.Name]
		if !ok {
			return fmt.Errorf("lora: the merged weights do not contain %s", w.Name)
		}
		if err := w.Weight.SetValues(v); err != nil {
			return fmt.Errorf("lora: %s: %w", w.Name, err)
		}
	}
	return nil
}
