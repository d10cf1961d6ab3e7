package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	spago "github.com/nlpodyssey/spago/nn"
	"gonum.org/v1/gonum/mat"

	"github.com/spalora/spalora/internal/linalg"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Init names the starting values of the corrections of linear layers: PEFT's init_lora_weights. With W (out×in), A
// (r×in), B (out×r) and the scale s. Corrections of embeddings ignore all of them but InitFalse: A is zero and B is
// drawn from a normal distribution with deviation 1. [PiSSAIterations] returns one more.
type Init string

const (
	// InitTrue draws A from U(−1/√in, 1/√in) and sets B to zero, so the adapted model starts with the base's
	// outputs.
	InitTrue Init = ""
	// InitFalse draws A from U(−1/√in, 1/√in) and B from U(−1/√r, 1/√r), so the start differs from the base.
	// It is for tests. Both factors of an embedding are drawn from a normal distribution with deviation 1.
	InitFalse Init = "false"
	// InitGaussian draws A from a normal distribution with deviation 1/r and sets B to zero.
	InitGaussian Init = "gaussian"
	// InitOrthogonal draws A and B, neither of which is zero, so that B·A is zero within rounding; r must be even.
	InitOrthogonal Init = "orthogonal"
	// InitPiSSA takes the r largest singular triples of W (Meng et al. 2024, arXiv:2404.02948). W − s·B·A replaces W.
	InitPiSSA Init = "pissa"
	// InitOLoRA takes the first r columns and rows of the factors Q and R of W (Büyükakyüz 2024, arXiv:2406.01775).
	// W − s·B·A replaces W.
	InitOLoRA Init = "olora"
	// InitEVA takes the principal directions of the layer's inputs as A, and moves ranks to the layers where these
	// directions explain most (Paischer et al. 2024, arXiv:2410.07170). B is zero. [Set.InitEVA] sets the values from
	// data; before that they are those of InitTrue.
	InitEVA Init = "eva"
)

// pissaNiter is the prefix of InitPiSSA with a randomised decomposition.
const pissaNiter = "pissa_niter_"

// PiSSAIterations returns InitPiSSA with a randomised decomposition of n subspace iterations instead of an exact one:
// faster for large layers (PEFT's pissa_niter_n).
func PiSSAIterations(n int) Init { return Init(pissaNiter + strconv.Itoa(n)) }

// ParseInit returns the starting values that PEFT calls name: true, false, gaussian, orthogonal, pissa, pissa_niter_N,
// olora or eva. It returns an error for other names.
func ParseInit(name string) (Init, error) {
	i := Init(name)
	switch strings.ToLower(name) { // PEFT ignores the case of some names
	case "true", "":
		return InitTrue, nil
	case "false", string(InitGaussian), string(InitOLoRA):
		i = Init(strings.ToLower(name))
	}
	return i, i.check()
}

// String returns PEFT's name.
func (i Init) String() string {
	if i == InitTrue {
		return "true"
	}
	return string(i)
}

// MarshalJSON returns true, false or PEFT's name in quotes.
func (i Init) MarshalJSON() ([]byte, error) {
	if i == InitTrue || i == InitFalse {
		return []byte(i.String()), nil
	}
	return json.Marshal(string(i))
}

// UnmarshalJSON sets i from what MarshalJSON returns. As in PEFT, null is InitFalse. It returns an error for starting
// values that are not supported.
func (i *Init) UnmarshalJSON(value []byte) error {
	switch string(value) {
	case "true":
		*i = InitTrue
		return nil
	case "false", "null":
		*i = InitFalse
		return nil
	}
	var name string
	err := json.Unmarshal(value, &name)
	if err != nil || slices.Contains([]string{"", "true", "false"}, strings.ToLower(name)) {
		return fmt.Errorf("init_lora_weights is %s; want true, false or a name", clip(value))
	}
	if reason, ok := unsupportedInits[Init(name)]; ok {
		return fmt.Errorf("init_lora_weights %s %s, which is not supported; merge the adapter into its base model with PEFT "+
			"(merge_and_unload) and give the result as `model`", name, reason)
	}
	parsed, err := ParseInit(name)
	if err != nil {
		return err
	}
	*i = parsed
	return nil
}

// unsupportedInits are PEFT's starting values that are not supported, with the reason.
var unsupportedInits = map[Init]string{
	"corda":   "needs covariances of inputs (preprocess_corda) and changes the base weights",
	"loftq":   "needs a quantiser that runs on GPUs only and changes the base weights",
	"lora_ga": "needs gradients of all weights (preprocess_loraga) and changes the base weights",
	"mica":    "freezes B, the smallest singular directions of the base weights",
}

// check returns an error if i is not supported.
func (i Init) check() error {
	switch i {
	case InitTrue, InitFalse, InitGaussian, InitOrthogonal, InitPiSSA, InitOLoRA, InitEVA:
		return nil
	}
	if _, ok := i.iterations(); ok {
		return nil
	}
	const want = "want true, false, gaussian, orthogonal, pissa, pissa_niter_N, olora or eva"
	if reason, ok := unsupportedInits[i]; ok {
		return fmt.Errorf("init_lora_weights %s %s, which is not supported; %s", i, reason, want)
	}
	return fmt.Errorf("init_lora_weights is %q; %s", string(i), want)
}

// iterations returns N of pissa_niter_N.
func (i Init) iterations() (n int, ok bool) {
	text, ok := strings.CutPrefix(string(i), pissaNiter)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && n >= 0 && strconv.Itoa(n) == text
}

// changesBase reports whether the set replaces the base weights of adapted linear layers.
func (i Init) changesBase() bool {
	_, niter := i.iterations()
	return niter || i == InitPiSSA || i == InitOLoRA
}

// start gives all pairs their starting values. They depend on seed, the path of the layer and its weight only.
func (s *Set) start(m spago.Model, seed uint64) error {
	init := s.config.InitLoraWeights
	if init.changesBase() {
		if err := s.config.convertible(); err != nil {
			return fmt.Errorf("lora: %w", err)
		}
	}
	for _, p := range s.pairs {
		r := nn.NewRand(seed, p.path)
		a, b := op.Values(p.c.A), op.Values(p.c.B)
		rank, in := op.Size(p.c.A)
		switch {
		case p.table:
			if init == InitFalse {
				fillNormal(a, 1, r)
			}
			fillNormal(b, 1, r)
		case init == InitGaussian:
			fillNormal(a, 1/float64(rank), r)
		case init == InitOrthogonal:
			if err := p.orthogonal(r); err != nil {
				return err
			}
		case init == InitFalse:
			nn.KaimingUniform(a, in, math.Sqrt(5), r)
			nn.KaimingUniform(b, rank, math.Sqrt(5), r)
			if p.c.Bias != nil {
				nn.KaimingUniform(op.Values(p.c.Bias), rank, math.Sqrt(5), r)
			}
		case init.changesBase(): // split does it
		default:
			nn.KaimingUniform(a, in, math.Sqrt(5), r)
		}
	}
	if !init.changesBase() {
		return nil
	}
	if err := s.split(m, seed); err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	for _, x := range s.residuals {
		copy(op.Values(x.pair.c.A), x.a)
		copy(op.Values(x.pair.c.B), x.b)
	}
	return nil
}

// fillNormal fills v with values from a normal distribution with the given deviation.
func fillNormal(v []float32, deviation float64, r *rand.Rand) {
	for i := range v {
		v[i] = float32(r.NormFloat64() * deviation)
	}
}

// orthogonal sets A and B as PEFT's orthogonal_init: random mixtures of the rows of an orthogonal matrix, of the first,
// third, … for A and of the others for B, divided by 10.
func (p pair) orthogonal(r *rand.Rand) error {
	rank, in := op.Size(p.c.A)
	out, _ := op.Size(p.c.B)
	if rank%2 != 0 {
		return fmt.Errorf("lora: init_lora_weights orthogonal needs an even r, but %s has %d; set another r", p.path, rank)
	}
	normal := func(rows, cols int) *mat.Dense {
		m := mat.NewDense(rows, cols, nil)
		m.Apply(func(int, int, float64) float64 { return r.NormFloat64() }, m)
		return m
	}
	q, _ := linalg.QR(normal(rank, rank))
	rows := func(from int) *mat.Dense {
		half := mat.NewDense(rank/2, rank, nil)
		for i := range rank / 2 {
			half.SetRow(i, q.RawRowView(2*i+from))
		}
		return half
	}
	var a, b mat.Dense
	a.Mul(rows(0).T(), normal(rank/2, in))
	b.Mul(normal(out, rank/2), rows(1))
	a.Scale(0.1, &a)
	b.Scale(0.1, &b)
	copy(op.Values(p.c.A), linalg.ToFloat32(&a))
	copy(op.Values(p.c.B), linalg.ToFloat32(&b))
	return nil
}

// residual is the base weight of an adapted layer without the part that its pair starts with: PiSSA and OLoRA train
// that part, and the set replaces W by the rest.
type residual struct {
	pair pair
	a, b []float32  // A and B at the start
	own  *op.Weight // W − s·B·A, frozen, in float32
}

// split splits the base weights of all adapted linear layers into the starting values of their pairs and residuals, and
// makes the set replace the weights by the latter. Weights that the set replaces already keep their replacement. Layers
// are split in parallel, which changes no bit.
func (s *Set) split(m spago.Model, seed uint64) error {
	weights := map[*op.Weight]*op.Weight{} // by key
	for _, w := range weightsOf(m) {
		weights[w.key] = s.wordsOf(w.key, w.Weight)
	}
	var todo []pair
	for _, p := range s.pairs {
		if !p.table && s.copyOf[p.base] == nil {
			todo = append(todo, p)
		}
	}
	list, errs := make([]residual, len(todo)), make([]error, len(todo))
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(todo)) {
		wait.Go(func() {
			for i := range next {
				list[i], errs[i] = todo[i].split(s.config.InitLoraWeights, weights[todo[i].base], seed)
			}
		})
	}
	for i := range todo {
		next <- i
	}
	close(next)
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.residuals = list
	for _, x := range list {
		s.copyOf[x.pair.base] = x.own
	}
	return nil
}

// split decomposes w, the base weight of the pair's layer.
func (p pair) split(init Init, w *op.Weight, seed uint64) (residual, error) {
	r, in := op.Size(p.c.A)
	out, _ := op.Size(p.c.B)
	if most := min(in, out); r > most {
		return residual{}, fmt.Errorf("init_lora_weights %s: r is %d, but %s (%d→%d) has only %d directions; set a lower r",
			init, r, p.path, in, out, most)
	}
	if !w.Filled() {
		return residual{}, fmt.Errorf("%s.weight has no values; load the model first", p.path)
	}
	stored := w.Float32()
	var weight *mat.Dense // out×in
	if w.InOut {
		weight = mat.DenseCopyOf(linalg.FromFloat32(in, out, stored).T())
	} else {
		weight = linalg.FromFloat32(out, in, stored)
	}
	var a, b *mat.Dense
	var err error
	if init == InitOLoRA {
		q, upper := linalg.QR(weight)
		a, b = upper.Slice(0, r, 0, in).(*mat.Dense), q.Slice(0, out, 0, r).(*mat.Dense)
	} else {
		a, b, err = principal(weight, r, float64(p.c.Scale), init, nn.NewRand(seed, p.path))
	}
	if err != nil {
		return residual{}, fmt.Errorf("%s.weight: %w", p.path, err)
	}
	x := residual{pair: p, a: linalg.ToFloat32(a), b: linalg.ToFloat32(b)}
	var change mat.Dense // of rounded factors, so that the residual takes up their rounding
	change.Mul(linalg.FromFloat32(out, r, x.b), linalg.FromFloat32(r, in, x.a))
	change.Scale(float64(p.c.Scale), &change)
	weight.Sub(weight, &change)
	var rest mat.Matrix = weight
	if w.InOut {
		rest = weight.T()
	}
	x.own = &op.Weight{Rows: w.Rows, Cols: w.Cols, InOut: w.InOut}
	return x, x.own.SetValues(linalg.ToFloat32(rest))
}

// principal returns A = √(S/s)·Vᵀ (r×in) and B = U·√(S/s) (out×r) of the r largest singular triples U, S, V
// of w.
func principal(w *mat.Dense, r int, scale float64, init Init, draw *rand.Rand) (a, b *mat.Dense, err error) {
	var d linalg.SVD
	out, in := w.Dims()
	if n, ok := init.iterations(); ok {
		start := mat.NewDense(min(in, out), r, nil)
		start.Apply(func(int, int, float64) float64 { return draw.NormFloat64() }, start)
		d, err = linalg.LowRank(w, start, n)
	} else {
		d, err = linalg.Thin(w)
	}
	if err != nil {
		return nil, nil, err
	}
	a, b = mat.NewDense(r, in, nil), mat.NewDense(out, r, nil)
	a.Apply(func(k, i int, _ float64) float64 { return math.Sqrt(d.S[k]/scale) * d.V.At(i, k) }, a)
	b.Apply(func(i, k int, _ float64) float64 { return math.Sqrt(d.S[k]/scale) * d.U.At(i, k) }, b)
	return a, b, nil
}

// convertible returns an error if PEFT could not save an adapter with these starting values for the unchanged base.
func (c Config) convertible() error {
	if c.UseRSLoRA && (len(c.RankPattern) > 0 || len(c.AlphaPattern) > 0) {
		return fmt.Errorf("init_lora_weights %s excludes rank_pattern and alpha_pattern with use_rslora, since such "+
			"an adapter cannot be saved for the unchanged base model; leave one of them out", c.InitLoraWeights)
	}
	return nil
}

// content returns the configuration and the tensors of the adapter's files, for the unchanged base model.
func (s *Set) content() (Config, []stored, error) {
	if s.config.InitLoraWeights.changesBase() {
		return s.converted()
	}
	return s.config, s.all(), nil
}

// converted returns the configuration and the tensors of the set as plain LoRA on the unchanged base: with
//
//	W − s·B₀·A₀ + s·B·A = W + s·[B −B₀]·[A; A₀]
//
// ranks double and scales stay, as PEFT does it with path_initial_model_for_weight_conversion. Pairs of embeddings,
// and of layers whose base weight the adapter file replaces, get zeros in place of A₀ and B₀.
func (s *Set) converted() (Config, []stored, error) {
	c := s.config
	if err := c.convertible(); err != nil {
		return c, nil, err
	}
	c.InitLoraWeights = InitTrue
	c.R *= 2
	factor := 2.0
	if c.UseRSLoRA {
		factor = math.Sqrt2
	}
	c.Alpha *= factor
	c.RankPattern, c.AlphaPattern = slices.Clone(c.RankPattern), slices.Clone(c.AlphaPattern)
	for i := range c.RankPattern {
		c.RankPattern[i].Value *= 2
	}
	for i := range c.AlphaPattern {
		c.AlphaPattern[i].Value *= factor
	}
	initial := map[string][]float32{}
	for _, x := range s.residuals {
		a, b := x.pair.keys()
		initial[a], initial[b] = x.a, x.b
	}
	factors := map[string]bool{} // names of A and B: true for A
	for _, p := range s.pairs {
		a, b := p.keys()
		factors[a], factors[b] = true, false
	}
	list := s.all()
	for i, t := range list {
		isA, ok := factors[t.key]
		if !ok {
			continue
		}
		first := initial[t.key]
		if first == nil {
			first = make([]float32, len(t.values))
		}
		if isA {
			list[i].shape = []int{2 * t.shape[0], t.shape[1]}
			list[i].values = slices.Concat(t.values, first)
			continue
		}
		list[i].shape = []int{t.shape[0], 2 * t.shape[1]}
		list[i].values = beside(t.values, first, t.shape[1])
	}
	return c, list, nil
}

// beside returns [b −first], where both have rows of r values.
func beside(b, first []float32, r int) []float32 {
	v := make([]float32, 0, 2*len(b))
	for i := 0; i < len(b); i += r {
		v = append(v, b[i:i+r]...)
		for _, x := range first[i : i+r] {
			v = append(v, -x)
		}
	}
	return v
}

// convert says what to do about an adapter for base weights that are not known.
const convert = "save the adapter with PEFT's path_initial_model_for_weight_conversion"

// splitLoaded splits the base weights for a loaded adapter that PEFT saved without conversion: its pairs hold trained
// values for residuals that PEFT computes again while it loads. It returns an error if they cannot be equal.
func (s *Set) splitLoaded(m spago.Model) error {
	init := s.config.InitLoraWeights
	if !init.changesBase() {
		return nil
	}
	if _, ok := init.iterations(); ok {
		return fmt.Errorf("init_lora_weights is %s: the adapter is for base weights that PEFT changed with random numbers, "+
			"which cannot be repeated; %s", init, convert)
	}
	for _, p := range s.pairs {
		if init == InitOLoRA && p.base.InOut {
			return fmt.Errorf("init_lora_weights is olora, but PEFT decomposes the transpose of %s.weight, which is stored "+
				"in×out; %s", p.path, convert)
		}
	}
	return s.split(m, 0)
}
