package lora

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"
	"gonum.org/v1/gonum/mat"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// AttachTokens returns a fresh set for m as [Attach] does, which also trains the rows of new tokens. ids are those of
// the tokens, without a gap to the end of the vocabulary. If m's table of words has rows for all of them, these train;
// otherwise the set has tables of its own that end with the last token. The rows they have more start as those of
// transformers' resize_token_embeddings (mean_resizing): near the mean of the others, drawn with seed.
//
// The rows of the table of words and of a head with values of its own are added to c.TrainableTokenIndices, unless
// c.ModulesToSave names their layer. A tied head follows the table.
//
// AttachTokens returns the errors of Attach, and one if m has no table of words that can grow, a head over the
// vocabulary has a bias, or a tied head would not train with its table.
func AttachTokens(m spago.Model, c Config, seed uint64, ids []int32) (*Set, error) {
	layers := nn.WordLayers(m)
	if len(layers) == 0 {
		return nil, errors.New("lora: the model has no table of words that can grow; new tokens work with encoders and " +
			"decoders alone")
	}
	for _, l := range layers {
		if x, ok := l.Module.(*nn.Linear); ok && x.Bias != nil {
			return nil, fmt.Errorf("lora: %s has a bias for each token, which cannot grow; new tokens need a head without one",
				l.Path)
		}
	}
	c.TrainableTokenIndices = c.withTokens(layers, ids)
	n := int(slices.Max(ids)) + 1
	s, err := fresh(m, c, seed, func(s *Set) error { return s.grow(layers, n, seed) })
	if err != nil {
		return nil, err
	}
	table := layers[0].Key
	for _, l := range layers[1:] {
		follows := s.copyOf[l.Key] == s.copyOf[table]
		if l.Weight == layers[0].Weight && s.hasCopy(l.Key) != s.hasCopy(table) && !(follows && s.hasCopy(table)) {
			return nil, fmt.Errorf("lora: %s shares the table %s, but modules_to_save names only one of them; name both or "+
				"none, or set ensure_weight_tying", l.Path, layers[0].Path)
		}
	}
	s.keepWords(m)
	return s, nil
}

// hasCopy reports whether the set has a trained copy of the weight with the given key.
func (s *Set) hasCopy(key *op.Weight) bool {
	return slices.ContainsFunc(s.copies, func(c copied) bool { return c.base == key })
}

// withTokens returns the trainable_token_indices of c with the rows ids of the table of words and of the heads that do
// not share it, as far as modules_to_save does not name them.
func (c Config) withTokens(layers []nn.WordLayer, ids []int32) TokenRows {
	list := slices.Clone(c.TrainableTokenIndices)
	for i, l := range layers {
		if _, saved := savedModule(l.Path+".", c.saved()); saved || i > 0 && l.Weight == layers[0].Weight {
			continue
		}
		at := slices.IndexFunc(list, func(t TableRows) bool {
			return t.Table == "" && i == 0 || t.Table != "" && strings.HasSuffix(l.Path, t.Table)
		})
		if at < 0 {
			list, at = append(list, TableRows{Table: l.Path}), len(list)
		}
		rows := slices.Clone(list[at].Indices)
		for _, id := range ids {
			if !slices.Contains(rows, id) {
				rows = append(rows, id)
			}
		}
		list[at].Indices = rows
	}
	for i, t := range list {
		switch {
		case len(list) == 1 && t.Table == layers[0].Path:
			list[i].Table = "" // as PEFT writes it
		case len(list) > 1 && t.Table == "":
			list[i].Table = layers[0].Path
		}
	}
	return list
}

// grow sets s.words to tables of n rows for the word layers that have fewer.
func (s *Set) grow(layers []nn.WordLayer, n int, seed uint64) error {
	for _, l := range layers {
		if s.words[l.Key] != nil || n <= l.Weight.Rows {
			continue
		}
		if !l.Weight.Filled() {
			return fmt.Errorf("attach: %s.weight has no values; load the model first", l.Path)
		}
		own, err := l.Weight.WithMoreRows(drawRows(l.Weight, n-l.Weight.Rows, nn.NewRand(seed, l.Path+".new_tokens")))
		if err != nil {
			return err
		}
		s.grown[own] = true
		for _, other := range layers {
			if other.Weight == l.Weight {
				s.words[other.Key] = own
			}
		}
	}
	return nil
}

// noise is the factor of the covariance of the rows that new tokens start with, as in transformers.
const noise = 1e-9

// drawRows returns n rows drawn from the normal distribution with the mean of the V rows of w and noise times their
// covariance: mean + √(noise/V)·Σ zᵥ·(rowᵥ − mean) with standard normal z.
func drawRows(w *op.Weight, n int, r *rand.Rand) []float32 {
	const block = 256
	mean, row := meanRow(w), make([]float32, w.Cols)
	sum := mat.NewDense(n, w.Cols, nil)
	for from := 0; from < w.Rows; from += block {
		count := min(block, w.Rows-from)
		x, z := mat.NewDense(count, w.Cols, nil), mat.NewDense(n, count, nil)
		for i := range count {
			w.Row(row, from+i)
			for j, v := range row {
				x.Set(i, j, float64(v)-float64(mean[j]))
			}
			for k := range n {
				z.Set(k, i, r.NormFloat64())
			}
		}
		var part mat.Dense
		part.Mul(z, x)
		sum.Add(sum, &part)
	}
	more := make([]float32, n*w.Cols)
	scale := math.Sqrt(noise / float64(w.Rows))
	for i := range more {
		more[i] = float32(float64(mean[i%w.Cols]) + scale*sum.At(i/w.Cols, i%w.Cols))
	}
	return more
}
