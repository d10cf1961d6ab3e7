package llama

import (
	"errors"
	"fmt"
	"math"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Rope describes rotary positions in config.json: rope_parameters of transformers 5, or rope_scaling of older files.
// transformers' modeling_rope_utils.py defines the types.
type Rope struct {
	Type        string   `json:"rope_type"`
	OldType     string   `json:"type"` // of older files
	Theta       *float64 `json:"rope_theta"`
	Factor      *float64 `json:"factor"`
	OriginalMax *int     `json:"original_max_position_embeddings"`
	Partial     *float64 `json:"partial_rotary_factor"`

	// yarn
	AttentionFactor *float64 `json:"attention_factor"`
	BetaFast        *float64 `json:"beta_fast"`
	BetaSlow        *float64 `json:"beta_slow"`
	MScale          *float64 `json:"mscale"`
	MScaleAllDim    *float64 `json:"mscale_all_dim"`
	Truncate        *bool    `json:"truncate"`

	// llama3
	LowFreqFactor  *float64 `json:"low_freq_factor"`
	HighFreqFactor *float64 `json:"high_freq_factor"`
}

// rope returns the parameters as transformers standardises them: type, base and original length filled in.
func (c Config) rope() Rope {
	var r Rope
	switch {
	case c.RopeScaling != nil:
		r = *c.RopeScaling
	case c.RopeParameters != nil:
		r = *c.RopeParameters
	}
	if r.Type == "" {
		r.Type = r.OldType
	}
	if r.Type == "" {
		r.Type = "default"
	}
	theta := 10000.0
	if c.RopeTheta != nil {
		theta = *c.RopeTheta
	}
	if r.Theta == nil {
		r.Theta = &theta
	}
	if r.Partial == nil {
		r.Partial = c.PartialRotary
	}
	if c.OriginalMax != nil {
		r.OriginalMax = c.OriginalMax
	}
	if r.OriginalMax == nil {
		r.OriginalMax = &c.MaxPositions
	}
	return r
}

// checkRope returns an error for each parameter that the angles cannot be computed from.
func (c Config) checkRope() (errs []error) {
	r := c.rope()
	above := func(name string, v *float64, least float64) {
		if v != nil && (!(*v > least) || math.IsInf(*v, 0)) {
			errs = append(errs, fmt.Errorf("rope %s is %g; want more than %g", name, *v, least))
		}
	}
	above("rope_theta", r.Theta, 0)
	above("factor", r.Factor, 0)
	above("beta_fast", r.BetaFast, 0)
	above("beta_slow", r.BetaSlow, 0)
	above("attention_factor", r.AttentionFactor, 0)
	above("low_freq_factor", r.LowFreqFactor, 0)
	above("high_freq_factor", r.HighFreqFactor, 0)
	if *r.OriginalMax < 1 {
		errs = append(errs, fmt.Errorf("rope original_max_position_embeddings is %d; want 1 or more", *r.OriginalMax))
	}
	if r.Partial != nil && *r.Partial != 1 {
		errs = append(errs, fmt.Errorf("partial_rotary_factor %g is not supported; want 1", *r.Partial))
	}
	switch r.Type {
	case "default":
	case "linear", "dynamic", "yarn", "llama3":
		if r.Factor == nil && r.Type != "yarn" {
			errs = append(errs, fmt.Errorf("rope type %s has no factor", r.Type))
		}
		if r.Type == "dynamic" && c.headSize() < 4 {
			errs = append(errs, errors.New("rope type dynamic needs a head_dim of 4 or more"))
		}
	default:
		errs = append(errs,
			fmt.Errorf("rope type %q is not supported; want default, linear, dynamic, yarn or llama3", r.Type))
	}
	if r.Type == "llama3" && (r.LowFreqFactor == nil || r.HighFreqFactor == nil || *r.LowFreqFactor == *r.HighFreqFactor) {
		errs = append(errs, errors.New("rope type llama3 needs different values of low_freq_factor and high_freq_factor"))
	}
	if r.Type == "yarn" && r.Theta != nil && *r.Theta == 1 {
		errs = append(errs, errors.New("rope type yarn needs a rope_theta other than 1"))
	}
	return errs
}

// rotary computes the angles of a batch.
type rotary struct {
	frequencies []float32 // D/2
	scale       float32   // of cosines and sines
	grown       func(length int) []float32
	longest     int // longer sequences have other frequencies, from grown; 0: none
}

func newRotary(c Config) *rotary {
	r, dim := c.rope(), c.headSize()
	w := &rotary{frequencies: frequencies(*r.Theta, dim), scale: 1}
	switch r.Type {
	case "linear":
		for i := range w.frequencies {
			w.frequencies[i] /= float32(*r.Factor)
		}
	case "dynamic":
		w.longest = c.MaxPositions
		w.grown = func(length int) []float32 {
			ratio := *r.Factor*float64(length)/float64(c.MaxPositions) - (*r.Factor - 1)
			return frequencies(*r.Theta*math.Pow(ratio, float64(dim)/float64(dim-2)), dim)
		}
	case "yarn":
		w.frequencies, w.scale = yarn(r, c, dim)
	case "llama3":
		llama3(r, w.frequencies)
	}
	return w
}

// frequencies returns θ^(−2i/D) for i < D/2, in float32 as PyTorch computes it.
func frequencies(theta float64, dim int) []float32 {
	f := make([]float32, dim/2)
	for i := range f {
		f[i] = 1 / power(theta, 2*i, dim)
	}
	return f
}

// power returns theta^(i/dim) rounded to float32, with the exponent rounded before.
func power(theta float64, i, dim int) float32 {
	return float32(math.Pow(theta, float64(float32(i)/float32(dim))))
}

// yarn returns the frequencies of YaRN (Peng et al. 2023, arXiv:2309.00071) and its factor for attention.
func yarn(r Rope, c Config, dim int) ([]float32, float32) {
	theta, original := *r.Theta, float64(*r.OriginalMax)
	factor := float64(c.MaxPositions) / original
	if r.Factor != nil {
		factor = *r.Factor
	}
	low, high := correction(or(r.BetaFast, 32), dim, theta, original), correction(or(r.BetaSlow, 1), dim, theta, original)
	if r.Truncate == nil || *r.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = math.Max(low, 0), math.Min(high, float64(dim-1))
	if low == high {
		high += 0.001
	}
	f := make([]float32, dim/2)
	for i := range f {
		p := power(theta, 2*i, dim)
		extra, inter := 1/p, 1/(float32(factor)*p)
		keep := 1 - min(max((float32(i)-float32(low))/float32(high-low), 0), 1)
		f[i] = inter*(1-keep) + extra*keep
	}
	return f, float32(yarnScale(r, factor))
}

// correction returns the dimension that makes the given number of turns over the original length.
func correction(turns float64, dim int, theta, original float64) float64 {
	return float64(dim) * math.Log(original/(turns*2*math.Pi)) / (2 * math.Log(theta))
}

// yarnScale returns the factor of cosines and sines.
func yarnScale(r Rope, factor float64) float64 {
	if r.AttentionFactor != nil {
		return *r.AttentionFactor
	}
	scale := func(m float64) float64 {
		if factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(factor) + 1
	}
	if m, all := or(r.MScale, 0), or(r.MScaleAllDim, 0); m != 0 && all != 0 {
		return scale(m) / scale(all)
	}
	return scale(1)
}

// or returns *v, or def if there is none or it is 0.
func or(v *float64, def float64) float64 {
	if v == nil || *v == 0 {
		return def
	}
	return *v
}

// llama3 rescales frequencies as LLaMA 3.1 does: long wavelengths by the factor, short ones not, and those between
// smoothly.
func llama3(r Rope, f []float32) {
	factor, low, high, original := float32(*r.Factor), *r.LowFreqFactor, *r.HighFreqFactor, float64(*r.OriginalMax)
	for i, v := range f {
		wave := float32(2*math.Pi) / v
		switch {
		case wave > float32(original/low):
			f[i] = v / factor
		case wave < float32(original/high):
		default:
			smooth := (float32(original)/wave - float32(low)) / float32(high-low)
			f[i] = (1-smooth)*v/factor + smooth*v
		}
	}
}

// angles returns the angles of the rows of a pass. With the type dynamic the frequencies of a sequence depend on its
// length.
func (w *rotary) angles(p *nn.Pass) *op.Rotary {
	s := p.Seqs
	return op.NewRotary(p.Tape, s, func(i int) []float32 {
		length := s.Starts[i+1] - s.Starts[i]
		if s.First != nil {
			length += s.First[i]
		}
		if w.longest == 0 || length <= w.longest {
			return w.frequencies
		}
		return w.grown(length)
	}, w.scale)
}
