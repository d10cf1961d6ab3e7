package ggufmodel

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// ropeFactors is the tensor that divides the frequencies of rotary positions, with one factor for each pair of
// dimensions. The converter computes it for models with rope_type "llama3", whose parameters are not in the metadata.
const ropeFactors = "rope_freqs.weight"

// rope returns rope_parameters for heads of the given width.
func (c *config) rope(md *metadata, width int) map[string]any {
	theta := md.number("rope.freq_base", 10000)
	p := map[string]any{"rope_theta": theta, "rope_type": "default"}
	key := md.key("rope.scaling.type")
	kind := md.text(key, "none")
	factor := md.number("rope.scaling.factor", 1)
	if linear := md.number("rope.scale_linear", 1); linear != 1 && kind == "none" { // the key in files of 2023
		kind, factor = "linear", linear
	}
	original := md.count("rope.scaling.original_context_length")
	for _, name := range []string{"attn_factor", "yarn_ext_factor", "yarn_attn_factor"} {
		if x := md.number("rope.scaling."+name, 1); x != 1 {
			md.fail(fmt.Errorf("key %q is %v: not supported", md.key("rope.scaling."+name), x))
		}
	}
	for _, name := range []string{"yarn_log_multiplier", "alpha"} {
		if x, _, err := md.file.Float(md.key("rope.scaling." + name)); err != nil || x != 0 {
			md.fail(fmt.Errorf("key %q is %v: not supported", md.key("rope.scaling."+name), x))
		}
	}
	fast, slow := md.number("rope.scaling.yarn_beta_fast", 32), md.number("rope.scaling.yarn_beta_slow", 1)
	md.key("rope.scaling.finetuned") // whether the model was trained with the scaling; it does not change the numbers
	_, factors := md.file.Tensor(ropeFactors)
	switch {
	case kind == "none" && factors:
		c.llama3(md, p, theta, width, original)
	case factors:
		md.fail(fmt.Errorf("tensor %q beside %q %q: not supported", ropeFactors, key, kind))
	case kind == "none", kind == "linear" && factor == 1:
	case kind == "linear":
		p["rope_type"], p["factor"] = "linear", factor
	case kind == "yarn":
		if original == 0 {
			original = c.positions
		}
		p["rope_type"], p["factor"], p["original_max_position_embeddings"] = "yarn", factor, original
		p["beta_fast"], p["beta_slow"] = fast, slow
	default:
		md.fail(fmt.Errorf("key %q is %q: not supported", key, kind))
	}
	return p
}

// llama3 finds the parameters that give the factors of the tensor. The factor of long waves is the largest one. The
// limits between which it falls to 1 are fractions of a number of positions; in every published model their parameters
// are 1 and 4.
func (c *config) llama3(md *metadata, p map[string]any, theta float64, width, original int) {
	t, _ := md.file.Tensor(ropeFactors)
	if t.Type.String() != "F32" || len(t.Shape) != 1 || t.Shape[0] != width/2 {
		md.fail(fmt.Errorf("tensor %q is %s %v, want F32 [%d]", ropeFactors, t.Type, t.Shape, width/2))
		return
	}
	stored := safetensors.Float32s(t.Data)
	factor := 1.0
	for _, x := range stored {
		factor = max(factor, float64(x))
	}
	if factor == 1 && llama3Equal(stored, theta, 1, 1) {
		return // all factors are 1
	}
	candidates := []int{original, 8192}
	for n := 512; n <= 1<<20; n *= 2 {
		candidates = append(candidates, n)
	}
	for _, n := range candidates {
		if n > 0 && llama3Equal(stored, theta, factor, float64(n)) {
			p["rope_type"], p["factor"], p["original_max_position_embeddings"] = "llama3", factor, n
			p["low_freq_factor"], p["high_freq_factor"] = llama3Low, llama3High
			return
		}
	}
	md.fail(fmt.Errorf("tensor %q: its factors are not those of rope_type llama3 "+
		"with low_freq_factor %v and high_freq_factor %v; not supported",
		ropeFactors, llama3Low, llama3High))
}

const (
	llama3Low  = 1.0
	llama3High = 4.0
)

// llama3Equal reports whether stored holds the factors of rope_type "llama3", up to the rounding of float32.
func llama3Equal(stored []float32, theta, factor, original float64) bool {
	for i, got := range stored {
		wave := 2 * math.Pi * math.Pow(theta, float64(2*i)/float64(2*len(stored)))
		want := 1.0
		switch {
		case wave > original/llama3Low:
			want = factor
		case wave >= original/llama3High:
			smooth := (original/wave - llama3Low) / (llama3High - llama3Low)
			want = 1 / ((1-smooth)/factor + smooth)
		}
		if !(math.Abs(float64(got)-want) <= 1e-5*want) || math.IsInf(want, 0) { // NaN is never equal
			return false
		}
	}
	return true
}
