package lora

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/spalora/spalora/internal/linalg"
	"github.com/spalora/spalora/nn"
)

// CombinationType says how [Combine] mixes adapters, in the words of PEFT's add_weighted_adapter.
type CombinationType string

// The types of combinations. Cat and SVD mix the corrections themselves: Cat keeps all ranks, so that the result is the
// weighted sum of the corrections, and SVD is the best approximation of that sum with a lower rank. Linear, TIES,
// DARELinear, DARETIES and MagnitudePrune mix all A and all B separately, which is an approximation, and need equal
// ranks; with the ending svd they mix the corrections and take the best approximation.
const (
	Cat               CombinationType = "cat"
	SVD               CombinationType = "svd"
	Linear            CombinationType = "linear"
	TIES              CombinationType = "ties"
	TIESSVD           CombinationType = "ties_svd"
	DARELinear        CombinationType = "dare_linear"
	DARETIES          CombinationType = "dare_ties"
	DARELinearSVD     CombinationType = "dare_linear_svd"
	DARETIESSVD       CombinationType = "dare_ties_svd"
	MagnitudePrune    CombinationType = "magnitude_prune"
	MagnitudePruneSVD CombinationType = "magnitude_prune_svd"
)

// CombinationTypes lists all types.
func CombinationTypes() []CombinationType {
	return []CombinationType{Cat, SVD, Linear, TIES, TIESSVD, DARELinear, DARETIES, DARELinearSVD, DARETIESSVD,
		MagnitudePrune, MagnitudePruneSVD}
}

// Decomposes reports whether the type ends in a decomposition, on which SVDRank and SVDClamp act.
func (t CombinationType) Decomposes() bool { return strings.HasSuffix(string(t), "svd") }

// mixing is the type without the ending: how tensors are mixed.
func (t CombinationType) mixing() CombinationType {
	return CombinationType(strings.TrimSuffix(string(t), "_svd"))
}

// Prunes reports whether the type sets values to zero, so that it needs a density.
func (t CombinationType) Prunes() bool { return t.mixing() == MagnitudePrune || t.Votes() || t.Draws() }

// Votes reports whether the type takes the sign that the majority of adapters has.
func (t CombinationType) Votes() bool { return t.mixing() == TIES || t.mixing() == DARETIES }

// Draws reports whether the type prunes at random.
func (t CombinationType) Draws() bool { return t.mixing() == DARELinear || t.mixing() == DARETIES }

// Combination holds the arguments of [Combine].
type Combination struct {
	Type    CombinationType
	Weights []float64 // one for each adapter; may be negative
	// SVDRank is the rank of a result by decomposition; 0: the largest rank of the adapters.
	SVDRank int
	// SVDClamp, if above 0, limits the values of both factors of a decomposition to this quantile of them and its
	// negative. It depends on the signs of singular vectors, which are arbitrary.
	SVDClamp float64
	// Density is the share of values that pruning keeps, above 0 and at most 1.
	Density float64
	// Frequency counts the signs of a majority (majority_sign_method frequency) instead of summing the values (total).
	Frequency bool
	// OtherBase accepts adapters that were trained on different base models, by their fingerprints, or with different
	// custom tokenizers, by their notes.
	OtherBase bool
	// Seed is that of the draws of DARE.
	Seed uint64
	// Mask, if not nil, sets the values that DARE keeps instead of the draws. part is "A", "B", or "BA" for a whole
	// correction (Out×In), adapter the index of the adapter.
	Mask func(layer, part string, adapter int, keep []bool)
}

// Combine returns one adapter made of several for the same base model, with the arithmetic of PEFT's
// add_weighted_adapter. A single adapter is combined linearly, as in PEFT. The result has lora_alpha = r and no rsLoRA,
// so that its scale is 1; dropout and other settings are those of the first adapter, and so are notes that several
// have. It adapts the layers that one of them adapts. At most one adapter may have a head or other modules_to_save,
// which the result keeps. PEFT gives the result the base model's head instead, and leaves use_rslora of the first
// adapter, which makes the scale √r.
//
// Combine returns an error if adapters or arguments do not fit: other tasks or sizes of layers, different ranks for
// types that mix A and B, several with modules_to_save, or parts that have no combination (DoRA, biases, trained
// tokens).
func Combine(adapters []*Detached, o Combination) (*Detached, error) {
	d, err := combine(adapters, o)
	if err != nil {
		return nil, fmt.Errorf("lora: combine: %w", err)
	}
	return d, nil
}

func combine(adapters []*Detached, o Combination) (*Detached, error) {
	o, err := o.checked(len(adapters))
	if err != nil {
		return nil, err
	}
	for _, d := range adapters {
		if bad := d.NonFinite(); len(bad) > 0 {
			return nil, fmt.Errorf("%s: %s; train the adapter again", d.Name, bad[0])
		}
	}
	r, err := combinedRank(adapters, o)
	if err != nil {
		return nil, err
	}
	sum := &Detached{Name: adapters[0].Name}
	if sum.rest, err = combinedRest(adapters); err != nil {
		return nil, err
	}
	if err := sum.describe(adapters, r, o); err != nil {
		return nil, err
	}
	for _, path := range layerPaths(adapters) {
		l, err := combinedLayer(adapters, path, r, o)
		if err != nil {
			return nil, err
		}
		sum.Layers = append(sum.Layers, l)
	}
	return sum, nil
}

// Check returns an error if the arguments do not fit to each other or to n adapters.
func (o Combination) Check(n int) error {
	if _, err := o.checked(n); err != nil {
		return fmt.Errorf("lora: combine: %w", err)
	}
	return nil
}

// checked returns an error if the arguments do not fit to each other or to n adapters. A single adapter is combined
// linearly.
func (o Combination) checked(n int) (Combination, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	known := slices.Contains(CombinationTypes(), o.Type)
	switch {
	case n == 0:
		bad("no adapter is given; want one or more")
	case !known:
		bad("`combination_type` is %q; want one of %s", o.Type, joined(CombinationTypes()))
	case n == 1 && o.Type != Linear:
		o.Type = Linear
		if o.SVDRank != 0 || o.SVDClamp != 0 || o.Density != 0 || o.Frequency {
			bad("one adapter is combined linearly, as in PEFT; leave out what belongs to other types, or reduce the rank of " +
				"the adapter (adapter reduce)")
		}
	}
	if len(o.Weights) != n {
		bad("`weights` has %d numbers for %d adapters; give one for each", len(o.Weights), n)
	}
	for i, w := range o.Weights {
		if math.IsNaN(w) || math.IsInf(w, 0) {
			bad("`weights` has %g for adapter %d; want a finite number", w, i+1)
		}
	}
	if known && len(errs) == 0 {
		errs = append(errs, o.unused()...)
	}
	return o, errors.Join(errs...)
}

// unused returns errors about arguments that have a wrong value or do not act with the type.
func (o Combination) unused() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case !o.Type.Decomposes() && (o.SVDRank != 0 || o.SVDClamp != 0):
		bad("`svd_rank` and `svd_clamp` act only on types that end in svd, not on %s; leave them out", o.Type)
	case o.SVDRank < 0:
		bad("`svd_rank` is %d; want 1 or more", o.SVDRank)
	case !(o.SVDClamp >= 0 && o.SVDClamp <= 1):
		bad("`svd_clamp` is %g; want a quantile above 0 and at most 1", o.SVDClamp)
	}
	switch {
	case !o.Type.Prunes() && o.Density != 0:
		bad("`density` acts only on types that prune, not on %s; leave it out", o.Type)
	case o.Type.Prunes() && !(o.Density > 0 && o.Density <= 1):
		bad("`density` is %g, but %s prunes; give a share of values to keep above 0 and at most 1", o.Density, o.Type)
	}
	if o.Frequency && !o.Type.Votes() {
		bad("`majority_sign_method` acts only on ties and dare_ties and their svd forms, not on %s; leave it out", o.Type)
	}
	return errs
}

// joined returns the types, separated by commas.
func joined(types []CombinationType) string {
	var names []string
	for _, t := range types {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// combinedRank returns the rank of the result, by PEFT's rules.
func combinedRank(adapters []*Detached, o Combination) (int, error) {
	var ranks []int
	total := 0
	for _, d := range adapters {
		r := d.Config.R
		for _, p := range d.Config.RankPattern {
			r = max(r, p.Value)
		}
		ranks = append(ranks, r)
		total += r
	}
	switch {
	case o.Type == Cat:
		return total, nil
	case !o.Type.Decomposes():
		for i, r := range ranks {
			if r != ranks[0] {
				return 0, fmt.Errorf("%s needs equal ranks, but r is %d in %s and %d in %s; use cat, svd or another type that "+
					"ends in svd", o.Type, ranks[0], adapters[0].Name, r, adapters[i].Name)
			}
		}
		return ranks[0], nil
	case o.SVDRank > 0:
		return o.SVDRank, nil
	}
	return slices.Max(ranks), nil
}

// tokens is the end of the name of trained rows of a table.
const tokens = ".trainable_tokens_delta"

// combinedRest returns the heads and the replaced weights of the base model of all adapters.
func combinedRest(adapters []*Detached) ([]stored, error) {
	var list []stored
	from := map[string]*Detached{} // of tensors
	var head *Detached             // the adapter with modules_to_save
	for _, d := range adapters {
		saved := false
		for _, t := range d.rest {
			name := strings.TrimPrefix(t.key, keyPrefix)
			_, inSaved := savedModule(name, d.Config.saved())
			switch {
			case inSaved && head != nil && head != d:
				return nil, fmt.Errorf("%s and %s both have modules_to_save (%s), which have no combination; at most one "+
					"adapter may have a head of its own", head.Name, d.Name, name)
			case inSaved:
				saved = true
			case strings.HasSuffix(name, magnitude):
				return nil, fmt.Errorf("%s uses DoRA, whose magnitudes have no combination; merge it into the base model "+
					"instead (adapter merge)", d.Name)
			case strings.HasSuffix(name, tokens) || strings.HasSuffix(name, ".bias"):
				return nil, fmt.Errorf("%s has %s; biases and trained tokens have no combination; merge the adapter into the "+
					"base model instead (adapter merge)", d.Name, name)
			}
			if other := from[t.key]; other != nil {
				same := slices.IndexFunc(list, func(s stored) bool {
					return s.key == t.key && slices.Equal(s.shape, t.shape) && slices.Equal(s.values, t.values)
				})
				if same < 0 {
					return nil, fmt.Errorf("%s and %s replace %s by different values; combine adapters with the same one",
						other.Name, d.Name, name)
				}
				continue
			}
			from[t.key] = d
			list = append(list, t)
		}
		if saved {
			head = d
		}
	}
	return list, nil
}

// describe sets the configuration, the notes and the fingerprint.
func (d *Detached) describe(adapters []*Detached, r int, o Combination) error {
	d.Config = adapters[0].Config
	c := &d.Config
	c.R, c.Alpha, c.UseRSLoRA, c.RankPattern, c.AlphaPattern = r, float64(r), false, nil, nil
	c.ModulesToSave = slices.Clone(c.ModulesToSave)
	d.Notes = maps.Clone(adapters[0].Notes)
	task, named := c.TaskType, adapters[0]
	for _, a := range adapters {
		switch t := a.Config.TaskType; {
		case t == NoTask || t == task:
		case task == NoTask:
			task, named = t, a
		default:
			return fmt.Errorf("%s is for %s, %s for %s; combine adapters for one task", named.Name, task, a.Name, t)
		}
		for _, m := range a.Config.ModulesToSave {
			if !slices.Contains(c.ModulesToSave, m) {
				c.ModulesToSave = append(c.ModulesToSave, m)
			}
		}
		switch {
		case d.Fingerprint == "":
			d.Fingerprint = a.Fingerprint
		case a.Fingerprint != "" && a.Fingerprint != d.Fingerprint && !o.OtherBase:
			return fmt.Errorf("%s and %s were trained on different base models (%s, %s); combine adapters of one, or "+
				"accept them with `allow_other_base`", adapters[0].Name, a.Name, adapters[0].Config.BaseModel, a.Config.BaseModel)
		}
		if t, u := d.Notes[TokenizerNote], a.Notes[TokenizerNote]; t != "" && u != "" && t != u && !o.OtherBase {
			return fmt.Errorf("%s was trained with the custom tokenizer %s, others with %s; combine adapters of one, or "+
				"accept them with `allow_other_base`", a.Name, u, t)
		}
		for name, note := range a.Notes {
			if _, ok := d.Notes[name]; !ok {
				if d.Notes == nil {
					d.Notes = map[string]string{}
				}
				d.Notes[name] = note
			}
		}
	}
	c.TaskType = task
	for _, path := range layerPaths(adapters) {
		if _, saved := savedModule(path+".", c.saved()); saved {
			return fmt.Errorf("%s is adapted by one adapter and in modules_to_save of another, which has no combination", path)
		}
	}
	return d.target(adapters)
}

// target sets target_modules to the union of all adapters'. If they leave out different layers, it lists every layer by
// its path: the first adapter's limits, which PEFT takes, would drop layers of the others.
func (d *Detached) target(adapters []*Detached) error {
	c := &d.Config
	alike, expressions, linear := true, 0, 0
	for _, a := range adapters {
		o := a.Config
		alike = alike && o.ExcludeModules.Equal(c.ExcludeModules) &&
			slices.Equal(o.LayersToTransform, c.LayersToTransform) && slices.Equal(o.LayersPattern, c.LayersPattern)
		switch o.TargetModules.pattern {
		case "":
		case AllLinear:
			linear++
		default:
			expressions++
		}
	}
	alike = alike && (linear == 0 || linear == len(adapters))
	switch {
	case expressions > 0 && expressions < len(adapters):
		return errors.New("target_modules is a list in some adapters and an expression in others, which PEFT does not " +
			"combine; write the names of the modules in all of them")
	case !alike:
		c.TargetModules = Names(layerPaths(adapters)...)
		c.ExcludeModules, c.LayersToTransform, c.LayersPattern = Targets{}, nil, nil
	case expressions > 0 && len(adapters) > 1:
		var parts []string
		for _, a := range adapters {
			parts = append(parts, "("+a.Config.TargetModules.pattern+")")
		}
		c.TargetModules = Pattern(strings.Join(parts, "|"))
	case expressions+linear == 0:
		var names []string
		for _, a := range adapters {
			for _, n := range a.Config.TargetModules.names {
				if !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
		}
		c.TargetModules = Names(names...)
	}
	return nil
}

// layerPaths returns the paths of the layers that one of the adapters has.
func layerPaths(adapters []*Detached) []string {
	var paths []string
	for _, d := range adapters {
		for _, l := range d.Layers {
			paths = append(paths, l.Path)
		}
	}
	slices.SortFunc(paths, comparePaths)
	return slices.Compact(paths)
}

// layer returns the layer at path, or nil.
func (d *Detached) layer(path string) *Layer {
	i, ok := slices.BinarySearchFunc(d.Layers, path, func(l Layer, p string) int { return comparePaths(l.Path, p) })
	if !ok {
		return nil
	}
	return &d.Layers[i]
}

// sameSize returns an error if the adapters that have the layer at path have it in different sizes.
func sameSize(adapters []*Detached, path string) error {
	var first *Layer
	var name string
	for _, d := range adapters {
		l := d.layer(path)
		switch {
		case l == nil:
		case first == nil:
			first, name = l, d.Name
		case l.In != first.In || l.Out != first.Out || l.Table != first.Table:
			return fmt.Errorf("%s is %d→%d in %s but %d→%d in %s; the adapters are for different base models", path,
				first.In, first.Out, name, l.In, l.Out, d.Name)
		}
	}
	return nil
}

// combinedLayer returns the pair of rank r of the layer at path, which one of the adapters has.
func combinedLayer(adapters []*Detached, path string, r int, o Combination) (Layer, error) {
	if err := sameSize(adapters, path); err != nil {
		return Layer{}, err
	}
	var layers []Layer
	var weights []float64
	var index []int // of the adapters
	for i, d := range adapters {
		if l := d.layer(path); l != nil {
			layers, weights, index = append(layers, *l), append(weights, o.Weights[i]), append(index, i)
		}
	}
	l := layers[0]
	if most := largestRank(l.In, l.Out, l.Table); r > most {
		return Layer{}, fmt.Errorf("the result has rank %d, but %s (%d→%d) takes at most %d; use svd with a lower "+
			"`svd_rank`", r, path, l.In, l.Out, most)
	}
	var err error
	switch {
	case o.Type == Cat:
		l.A, l.B = concatenated(layers, weights, r)
	case o.Type.Decomposes():
		var d linalg.SVD
		if o.Type == SVD {
			d, err = decompose(layers, weights)
		} else {
			d, err = o.mixedCorrections(layers, weights, index)
		}
		if err == nil {
			l.A, l.B = truncated(d, r)
			if o.SVDClamp > 0 {
				clampAt(o.SVDClamp, l.B, l.A)
			}
		}
	default:
		err = o.mixFactors(&l, layers, weights, index, r)
	}
	if err != nil {
		return Layer{}, fmt.Errorf("%s: %w", path, err)
	}
	l.Rank, l.Scale = r, 1
	return l, nil
}

// concatenated returns all A below each other, times weight and scale, and all B beside each other; the rest up to rank
// r is zero.
func concatenated(layers []Layer, weights []float64, r int) (a, b []float32) {
	in, out := layers[0].In, layers[0].Out
	a, b = make([]float32, r*in), make([]float32, out*r)
	first := 0
	for i, l := range layers {
		for j, v := range l.A {
			a[first*in+j] = v * float32(weights[i]) * float32(l.Scale)
		}
		for row := range out {
			copy(b[row*r+first:], l.B[row*l.Rank:][:l.Rank])
		}
		first += l.Rank
	}
	return a, b
}

// mixFactors sets A and B of l to mixtures of the layers' A and B, padded with zeros to rank r.
func (o Combination) mixFactors(l *Layer, layers []Layer, weights []float64, index []int, r int) error {
	var as, bs [][]float32
	var ofA, ofB []float32
	for i, x := range layers {
		if x.Rank != l.Rank {
			return fmt.Errorf("%s needs equal ranks, but rank_pattern gives this layer %d and %d; use cat or svd", o.Type,
				l.Rank, x.Rank)
		}
		w := weights[i] * x.Scale
		root := math.Sqrt(math.Abs(w))
		as, bs = append(as, x.A), append(bs, x.B)
		ofA, ofB = append(ofA, float32(math.Copysign(root, w))), append(ofB, float32(root))
	}
	a, b := o.mix(l.Path, "A", as, ofA, index), o.mix(l.Path, "B", bs, ofB, index)
	l.A, l.B = make([]float32, r*l.In), make([]float32, l.Out*r)
	copy(l.A, a)
	for row := range l.Out {
		copy(l.B[row*r:], b[row*l.Rank:][:l.Rank])
	}
	return nil
}

// mixedCorrections returns the decomposition of a mixture of whole corrections.
func (o Combination) mixedCorrections(layers []Layer, weights []float64, index []int) (linalg.SVD, error) {
	var deltas [][]float32
	var of []float32
	for i, l := range layers {
		deltas, of = append(deltas, l.correction()), append(of, float32(weights[i]))
	}
	mixed := o.mix(layers[0].Path, "BA", deltas, of, index)
	return linalg.Thin(linalg.FromFloat32(layers[0].Out, layers[0].In, mixed))
}

// correction returns Scale·B·A (Out×In) in float32.
func (l Layer) correction() []float32 {
	delta := make([]float32, l.Out*l.In)
	for row := range l.Out {
		to := delta[row*l.In:][:l.In]
		for k := range l.Rank {
			b := l.B[row*l.Rank+k]
			for col, a := range l.A[k*l.In:][:l.In] {
				to[col] += b * a
			}
		}
		for col := range to {
			to[col] *= float32(l.Scale)
		}
	}
	return delta
}

// mix returns the mixture of tensors of one shape: one part of a layer, of the adapters with the given indices.
func (o Combination) mix(path, part string, tensors [][]float32, weights []float32, index []int) []float32 {
	if o.Type.Prunes() && o.Density < 1 {
		pruned := make([][]float32, len(tensors))
		for i, t := range tensors {
			if o.Type.Draws() {
				pruned[i] = keepMasked(t, o.keep(path, part, index[i], len(t)), o.Density)
			} else {
				pruned[i] = keepLargest(t, o.Density)
			}
		}
		tensors = pruned
	}
	if o.Type.Votes() {
		return disjointMean(tensors, weights, o.Frequency)
	}
	return weightedSum(tensors, weights)
}

// keep returns which of n values DARE keeps.
func (o Combination) keep(path, part string, adapter, n int) []bool {
	keep := make([]bool, n)
	if o.Mask != nil {
		o.Mask(path, part, adapter, keep)
		return keep
	}
	r := nn.NewRand(o.Seed, fmt.Sprintf("%s.%s.%d", path, part, adapter))
	for i := range keep {
		keep[i] = r.Float64() < o.Density
	}
	return keep
}
