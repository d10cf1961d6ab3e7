package lora

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/nlpodyssey/spago/mat"
	gonum "gonum.org/v1/gonum/mat"

	"github.com/spalora/spalora/internal/linalg"
	"github.com/spalora/spalora/nn/op"
)

// EVAConfig holds the settings of InitEVA, PEFT's eva_config. [DefaultEVAConfig] returns PEFT's defaults.
type EVAConfig struct {
	// Rho limits the rank of a layer to r·Rho, at least 1. With 1, all layers keep their rank.
	Rho float64 `json:"rho"`
	// Tau is the least cosine, in [0, 1], between a direction and that of the batch before at which it has converged.
	Tau float64 `json:"tau"`
	// UseLabelMask leaves out tokens whose label is LabelMaskValue, where tokens have labels.
	UseLabelMask   bool `json:"use_label_mask"`
	LabelMaskValue int  `json:"label_mask_value"`
	// Whiten divides each direction by the square root of its singular value.
	Whiten bool `json:"whiten"`
	// AdjustScalingFactors multiplies lora_alpha of a layer by the same factor as its rank, so that α/r stays.
	AdjustScalingFactors bool `json:"adjust_scaling_factors"`
}

// DefaultEVAConfig returns PEFT's defaults.
func DefaultEVAConfig() EVAConfig {
	return EVAConfig{Rho: 2, Tau: 0.99, UseLabelMask: true, LabelMaskValue: -100, AdjustScalingFactors: true}
}

// UnmarshalJSON sets c from a JSON object. Missing fields have PEFT's defaults.
func (c *EVAConfig) UnmarshalJSON(text []byte) error {
	type plain EVAConfig
	p := plain(DefaultEVAConfig())
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	*c = EVAConfig(p)
	return nil
}

// ParseEVAConfig returns the settings in text, such as "rho=1.5,tau=0.9,whiten=true", with PEFT's defaults for the
// others. It returns an error for a name that eva_config does not have and for invalid values.
func ParseEVAConfig(text string) (EVAConfig, error) {
	c := DefaultEVAConfig()
	fields := map[string]any{
		"rho": &c.Rho, "tau": &c.Tau, "use_label_mask": &c.UseLabelMask, "label_mask_value": &c.LabelMaskValue,
		"whiten": &c.Whiten, "adjust_scaling_factors": &c.AdjustScalingFactors,
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		to := fields[strings.TrimSpace(name)]
		if !ok || to == nil {
			return c, fmt.Errorf("eva_config has %q; want name=value with a name of %s", part,
				strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if err := json.Unmarshal([]byte(strings.TrimSpace(value)), to); err != nil {
			want := "a number"
			if _, ok := to.(*bool); ok {
				want = "true or false"
			}
			return c, fmt.Errorf("%s of eva_config is %q; want %s", name, value, want)
		}
	}
	return c, c.check()
}

// String returns the settings in the form that ParseEVAConfig reads.
func (c EVAConfig) String() string {
	return fmt.Sprintf("rho=%g,tau=%g,use_label_mask=%t,label_mask_value=%d,whiten=%t,adjust_scaling_factors=%t",
		c.Rho, c.Tau, c.UseLabelMask, c.LabelMaskValue, c.Whiten, c.AdjustScalingFactors)
}

// check returns an error that lists all invalid fields, or nil if there are none.
func (c EVAConfig) check() error {
	var errs []error
	if !(c.Rho >= 1) || math.IsInf(c.Rho, 0) {
		errs = append(errs, fmt.Errorf("rho of eva_config is %g; want 1 or more", c.Rho))
	}
	if !(c.Tau >= 0 && c.Tau <= 1) {
		errs = append(errs, fmt.Errorf("tau of eva_config is %g; want 0 to 1", c.Tau))
	}
	return errors.Join(errs...)
}

// EVAConfig returns the settings of InitEVA: EVA, or PEFT's defaults if it is nil.
func (c Config) EVAConfig() EVAConfig {
	if c.EVA == nil {
		return DefaultEVAConfig()
	}
	return *c.EVA
}

// EVABatch is a batch of inputs for [Set.InitEVA].
type EVABatch struct {
	// Rows are the numbers of the tokens to look at; nil: all. Layers whose input has another number of rows than
	// Tokens, such as a pooler, look at all of their rows.
	Rows   []int
	Tokens int
	// Forward runs the base model in a pass without an adapter and without dropout whose Watch is watch.
	Forward func(watch func(key *op.Weight, x mat.Tensor)) error
}

// evaRounds limits how often InitEVA goes through the batches, after which PEFT would not end.
const evaRounds = 100

// InitEVA gives the pairs of linear layers the starting values of InitEVA, which s must have: the principal directions
// of the layers' inputs, found batch by batch until they have converged (as PEFT's initialize_lora_eva_weights). The
// batches are gone through again from the first when all were used. Ranks move to the layers where the directions
// explain most of the variance; a layer of rank 0 loses its pair. Ranks, alphas and target modules of the configuration
// change accordingly, and so do [Set.Params]. Pairs of embeddings stay.
//
// InitEVA returns an error if n is 0, batch or a forward returns one, a layer has fewer columns than directions are
// wanted, no batch has enough tokens, or the directions do not converge.
func (s *Set) InitEVA(n int, batch func(i int) (EVABatch, error)) error {
	if s.config.InitLoraWeights != InitEVA {
		return fmt.Errorf("lora: eva: init_lora_weights is %s; want eva", s.config.InitLoraWeights)
	}
	if n == 0 {
		return errors.New("lora: eva: there are no batches; give data")
	}
	e := &eva{config: s.config.EVAConfig()}
	for i, p := range s.pairs {
		if p.table {
			continue
		}
		r, in := op.Size(p.c.A)
		most := int(math.RoundToEven(float64(r) * e.config.Rho))
		if most > in {
			return fmt.Errorf("lora: eva: %s has %d inputs, fewer than the %d directions of r %d and rho %g; "+
				"set a lower r or rho", p.path, in, most, r, e.config.Rho)
		}
		e.layers = append(e.layers, &evaLayer{pair: i, key: p.base, path: p.path, most: most})
		e.budget += r
	}
	if len(e.layers) == 0 {
		return errors.New("lora: eva: target_modules name no linear layer; name others")
	}
	if err := e.run(n, batch); err != nil {
		return fmt.Errorf("lora: eva: %w", err)
	}
	return s.redistribute(e)
}

// eva finds the directions of layers.
type eva struct {
	config EVAConfig
	layers []*evaLayer // in the order of the set
	budget int         // sum of the ranks
}

// evaLayer is an adapted linear layer.
type evaLayer struct {
	pair   int // index
	key    *op.Weight
	path   string
	most   int       // number of directions to find
	leader *evaLayer // first layer with the same input, whose directions serve this one; itself if it is the first
	sum    [sha256.Size]byte
	rank   int // of the directions that are wanted so far

	// Of a leader:
	pca       incrementalPCA
	converged []bool // by direction
	done      bool   // all that are wanted have converged; inputs are not looked at
}

// run looks at batches until all layers are done.
func (e *eva) run(n int, batch func(i int) (EVABatch, error)) error {
	b, err := batch(0)
	if err != nil {
		return err
	}
	if err := e.group(b); err != nil {
		return err
	}
	for i := range n * evaRounds {
		if e.update() {
			return e.check()
		}
		if i == n && !e.started() {
			return e.tooFew()
		}
		if b, err = batch(i % n); err != nil {
			return err
		}
		if err := e.fit(b); err != nil {
			return err
		}
		if e.started() {
			e.distribute()
		}
	}
	return fmt.Errorf("the directions have not converged after %d batches; set a lower tau or more data", n*evaRounds)
}

// rows returns the rows of x that b looks at.
func (b EVABatch) rows(x mat.Tensor) *gonum.Dense {
	rows, cols := op.Size(x)
	v := op.Values(x)
	if b.Rows == nil || rows != b.Tokens {
		return linalg.FromFloat32(rows, cols, v)
	}
	chosen := make([]float32, 0, len(b.Rows)*cols)
	for _, i := range b.Rows {
		chosen = append(chosen, v[i*cols:(i+1)*cols]...)
	}
	if len(chosen) == 0 {
		return nil
	}
	return linalg.FromFloat32(len(b.Rows), cols, chosen)
}

// group finds the layers that have the same inputs in a batch. They get the same number of directions.
func (e *eva) group(b EVABatch) error {
	byKey := map[*op.Weight]*evaLayer{}
	for _, l := range e.layers {
		byKey[l.key] = l
	}
	err := b.Forward(func(key *op.Weight, x mat.Tensor) {
		l := byKey[key]
		if l == nil || l.leader != nil {
			return
		}
		l.leader = l
		h := sha256.New()
		if m := b.rows(x); m != nil {
			bits := make([]byte, 0, 1<<15)
			for values := range slices.Chunk(m.RawMatrix().Data, cap(bits)/8) {
				bits = bits[:0]
				for _, v := range values {
					bits = binary.LittleEndian.AppendUint64(bits, math.Float64bits(v))
				}
				h.Write(bits)
			}
		}
		h.Sum(l.sum[:0])
	})
	if err != nil {
		return err
	}
	first := map[[sha256.Size]byte]*evaLayer{}
	for _, l := range e.layers {
		if l.leader == nil {
			return fmt.Errorf("%s is not computed in the forward pass; exclude it", l.path)
		}
		if first[l.sum] == nil {
			first[l.sum] = l
		}
		l.leader = first[l.sum]
		l.leader.most = max(l.leader.most, l.most)
	}
	for _, l := range e.layers {
		l.most = l.leader.most
		l.rank = l.most
		l.converged = make([]bool, l.most)
	}
	return nil
}

// leaders returns the first layers with their inputs.
func (e *eva) leaders() []*evaLayer {
	return slices.DeleteFunc(slices.Clone(e.layers), func(l *evaLayer) bool { return l.leader != l })
}

// update decides which layers need to look at more inputs, and reports whether none does.
func (e *eva) update() (all bool) {
	all = true
	for _, l := range e.leaders() {
		l.done = !slices.Contains(l.converged[:l.rank], false)
		all = all && l.done
	}
	return all
}

// started reports whether all layers have directions.
func (e *eva) started() bool {
	return !slices.ContainsFunc(e.leaders(), func(l *evaLayer) bool { return l.pca.components == nil })
}

// tooFew names a layer that no batch had enough rows for.
func (e *eva) tooFew() error {
	for _, l := range e.leaders() {
		if l.pca.components == nil {
			return fmt.Errorf("no batch has the %d tokens that %s needs for %d directions; use larger batches or a lower r",
				l.most, l.path, l.most)
		}
	}
	return nil
}

// fit looks at the inputs of a batch.
func (e *eva) fit(b EVABatch) error {
	byKey := map[*op.Weight]*evaLayer{}
	for _, l := range e.leaders() {
		if !l.done {
			byKey[l.key] = l
		}
	}
	var failed error
	err := b.Forward(func(key *op.Weight, x mat.Tensor) {
		l := byKey[key]
		if l == nil || failed != nil {
			return
		}
		delete(byKey, key) // a layer that the model calls again looks at the first input
		m := b.rows(x)
		if m == nil || m.RawMatrix().Rows < l.most {
			return
		}
		before := l.pca.components
		if err := l.pca.fit(m, l.most); err != nil {
			failed = fmt.Errorf("%s: %w", l.path, err)
			return
		}
		if before == nil {
			return
		}
		for k := range l.converged {
			l.converged[k] = cosine(before.RawRowView(k), l.pca.components.RawRowView(k)) >= e.config.Tau
		}
	})
	return cmp.Or(err, failed)
}

// distribute shares the budget among the layers: the directions with the largest shares of explained variance, of all
// layers, get one rank each. The first of the layers with one input gets the largest of their ranks, since it has the
// directions.
func (e *eva) distribute() {
	type direction struct {
		layer *evaLayer
		share float64
	}
	var list []direction
	ordered := slices.Concat(e.leaders(), e.followers())
	for _, l := range ordered {
		l.rank = 0
		for _, v := range l.leader.pca.explained[:l.most] {
			list = append(list, direction{l, v})
		}
	}
	slices.SortStableFunc(list, func(a, b direction) int {
		switch {
		case a.share > b.share:
			return -1
		case a.share < b.share:
			return 1
		}
		return 0
	})
	for _, d := range list[:min(e.budget, len(list))] {
		d.layer.rank++
	}
	for _, l := range e.followers() {
		if l.leader.rank < l.rank {
			l.leader.rank, l.rank = l.rank, l.leader.rank
		}
	}
}

// followers returns the layers that share the input of an earlier one, in the order of these.
func (e *eva) followers() []*evaLayer {
	var list []*evaLayer
	for _, first := range e.leaders() {
		for _, l := range e.layers {
			if l.leader == first && l != first {
				list = append(list, l)
			}
		}
	}
	return list
}

// check returns an error for a direction that is wanted but has not converged.
func (e *eva) check() error {
	for _, l := range e.layers {
		if slices.Contains(l.leader.converged[:l.rank], false) {
			return fmt.Errorf("%s has rank %d, but its directions have not converged", l.path, l.rank)
		}
	}
	return nil
}

// directions returns A of a layer.
func (e *eva) directions(l *evaLayer) []float32 {
	p := l.leader.pca
	a := gonum.DenseCopyOf(p.components.Slice(0, l.rank, 0, p.components.RawMatrix().Cols))
	if e.config.Whiten {
		a.Apply(func(i, _ int, v float64) float64 { return v / math.Sqrt(p.singular[i]) }, a)
	}
	return linalg.ToFloat32(a)
}

// redistribute gives the pairs the ranks and directions of e, and the configuration their ranks, alphas and names.
func (s *Set) redistribute(e *eva) error {
	sel, err := newSelector(s.config)
	if err != nil {
		return fmt.Errorf("lora: eva: %w", err)
	}
	found := map[int]*evaLayer{}
	for _, l := range e.layers {
		found[l.pair] = l
	}
	var names []string
	var pairs []pair
	var ranks Overrides[int]
	var alphas Overrides[float64]
	for i, p := range s.pairs {
		r, alpha, err := sel.rank(p.path)
		if err != nil {
			return fmt.Errorf("lora: eva: %w", err)
		}
		rank := r
		if l := found[i]; l != nil {
			if rank = l.rank; rank == 0 {
				delete(s.pairOf, p.base)
				continue
			}
			if e.config.AdjustScalingFactors {
				alpha *= float64(rank) / float64(r)
			}
			p.setA(rank, e.directions(l), s.config.scale(rank, alpha))
		}
		names = append(names, p.path)
		pairs = append(pairs, p)
		if rank != s.config.R {
			ranks = append(ranks, Override[int]{p.path, rank})
		}
		if alpha != s.config.Alpha {
			alphas = append(alphas, Override[float64]{p.path, alpha})
		}
	}
	s.pairs = pairs
	s.config.TargetModules = Names(names...)
	s.config.RankPattern, s.config.AlphaPattern = ranks, alphas
	return nil
}

// setA makes a A, with another rank, and B zero.
func (p pair) setA(rank int, a []float32, scale float32) {
	_, in := op.Size(p.c.A)
	out, _ := op.Size(p.c.B)
	p.c.A, p.c.B = op.NewParam(rank, in, a), op.NewParam(out, rank, make([]float32, out*rank))
	p.c.Scale = scale
}

func cosine(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

// incrementalPCA finds the principal directions of rows that come in batches (Ross et al. 2008, as scikit-learn's
// IncrementalPCA and PEFT's): the directions so far, scaled by their singular values, stand for the earlier rows.
type incrementalPCA struct {
	components     *gonum.Dense // k×C, by singular value; nil before the first batch
	singular       []float64    // k
	explained      []float64    // k, shares of the variance
	mean, variance []float64    // C, of all rows
	seen           int          // rows
}

// fit looks at x (N×C) for k directions.
func (p *incrementalPCA) fit(x *gonum.Dense, k int) error {
	const iterations, seed = 4, 42 // of PEFT's decomposition
	rows, cols := x.Dims()
	batchMean := make([]float64, cols)
	for i := range rows {
		for j, v := range x.RawRowView(i) {
			batchMean[j] += v / float64(rows)
		}
	}
	squares := make([]float64, cols) // of deviations from the batch's mean
	for i := range rows {
		for j, v := range x.RawRowView(i) {
			squares[j] += (v - batchMean[j]) * (v - batchMean[j])
		}
	}
	x = gonum.DenseCopyOf(x)
	x.Apply(func(_, j int, v float64) float64 { return v - batchMean[j] }, x)
	total := p.seen + rows
	mean, variance := make([]float64, cols), make([]float64, cols)
	first := p.components == nil
	if first {
		mean = batchMean
		for j := range variance {
			variance[j] = squares[j] / float64(total)
		}
	} else {
		old, now := float64(p.seen), float64(rows)
		weight := math.Sqrt(old / float64(total) * now)
		shift := make([]float64, cols) // stands for the difference of the means
		for j := range mean {
			mean[j] = (p.mean[j]*old + batchMean[j]*now) / float64(total)
			d := p.mean[j] - batchMean[j]
			variance[j] = (p.variance[j]*old + squares[j] + d*d*old*now/float64(total)) / float64(total)
			shift[j] = weight * d
		}
		var past gonum.Dense
		past.Mul(gonum.NewDiagDense(k, p.singular), p.components)
		stacked := gonum.NewDense(k+rows+1, cols, nil)
		stacked.Slice(0, k, 0, cols).(*gonum.Dense).Copy(&past)
		stacked.Slice(k, k+rows, 0, cols).(*gonum.Dense).Copy(x)
		stacked.SetRow(k+rows, shift)
		x = stacked
	}
	m, n := x.Dims()
	d, err := linalg.LowRank(x, linalg.TorchNormal(seed, min(m, n), 2*k, !first), iterations)
	if err != nil {
		return err
	}
	sum := 0.0
	for _, v := range variance {
		sum += v * float64(total)
	}
	p.components = gonum.DenseCopyOf(d.V.Slice(0, n, 0, k).T())
	p.singular = slices.Clone(d.S[:k])
	p.explained = make([]float64, k)
	for i, v := range p.singular {
		p.explained[i] = v * v / sum
	}
	p.mean, p.variance, p.seen = mean, variance, total
	return nil
}
