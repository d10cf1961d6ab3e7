package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spalora/spalora/nn/op"
)

// Part is an adapter of a sum with its factor.
type Part struct {
	Name  string // for errors
	Set   *Set
	Scale float64 // multiplies the scale α/r of each of its corrections
}

// Active is a sum of adapters of one model, each with a factor: their corrections are added, as those of adapters that
// PEFT has made active together (set_adapter with a list, set_scale). A factor acts on the low-rank corrections only,
// not on replaced weights. It implements [nn.AdapterSet], for tapes that do not record. It shares the values of its
// sets, which must not change, and is safe for concurrent use.
type Active struct {
	pairOf map[*op.Weight]*op.Correction
	copyOf map[*op.Weight]*op.Weight
}

// NewActive returns the sum of the parts, which are added in order. It returns an error if there are none, a factor is
// not finite, or two parts replace the same weight, as PEFT does for modules_to_save: such weights cannot be added.
func NewActive(parts ...Part) (*Active, error) {
	if len(parts) == 0 {
		return nil, errors.New("lora: a sum of no adapters; give one or more")
	}
	s := &Active{map[*op.Weight]*op.Correction{}, map[*op.Weight]*op.Weight{}}
	by := map[*op.Weight]string{}
	for _, p := range parts {
		if math.IsNaN(p.Scale) || math.IsInf(p.Scale, 0) {
			return nil, fmt.Errorf("lora: the factor of adapter %q is %g; want a finite number", p.Name, p.Scale)
		}
		var twice []string
		for w, own := range p.Set.copyOf {
			if other, again := by[w]; again {
				twice = append(twice, fmt.Sprintf("adapters %q and %q both replace %s", other, p.Name, p.Set.pathOf(w)))
			}
			by[w], s.copyOf[w] = p.Name, own
		}
		if len(twice) > 0 {
			return nil, fmt.Errorf("lora: %s, so they cannot be added; use one at a time", slices.Min(twice))
		}
		for _, q := range p.Set.pairs {
			s.add(q.base, scaled(q.c, float32(p.Scale)))
		}
	}
	return s, nil
}

// pathOf returns the path of a weight that the set replaces.
func (s *Set) pathOf(w *op.Weight) string {
	for _, c := range slices.Concat(s.copies, s.biases, s.bases) {
		if c.base == w {
			return c.path
		}
	}
	for _, t := range s.tokens {
		if t.base == w {
			return t.path + ".weight"
		}
	}
	for _, x := range s.residuals {
		if x.pair.base == w {
			return x.pair.path + ".weight"
		}
	}
	return "the weight of a tied head"
}

// add adds a correction of the layer that w identifies.
func (s *Active) add(w *op.Weight, c *op.Correction) {
	last := s.pairOf[w]
	if last == nil {
		s.pairOf[w] = c
		return
	}
	for last.And != nil {
		last = last.And
	}
	last.And = c
}

// scaled returns a copy of c with another scale, which has its own cache of norms.
func scaled(c *op.Correction, factor float32) *op.Correction {
	d := *c
	d.Scale *= factor
	if c.Magnitude != nil {
		d.Magnitude = &op.Magnitude{Param: c.Magnitude.Param}
	}
	return &d
}

// Correction returns the corrections of the layer whose base weight is w, or nil. It implements [nn.AdapterSet].
func (s *Active) Correction(w *op.Weight) *op.Correction { return s.pairOf[w] }

// Replacement returns the copy that one of the sets has of the base weight w, or nil. It implements [nn.AdapterSet].
func (s *Active) Replacement(w *op.Weight) *op.Weight { return s.copyOf[w] }
