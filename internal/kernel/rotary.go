package kernel

import "fmt"

// Rotate applies rotary position embeddings (Su et al. 2021) to one head's row x of D values, in the half-split layout
// of Hugging Face's LLaMA. cos and sin hold R/2 values each, R <= D, for the row's position:
//
//	dst[i]     = x[i]·cos[i] - x[i+R/2]·sin[i]      i < R/2
//	dst[i+R/2] = x[i+R/2]·cos[i] + x[i]·sin[i]
//	dst[i]     = x[i]                               i >= R
//
// If negate is true, the sine is negated: this rotates back, and so computes the gradient. dst may be x. Products are
// rounded before they are added, as in PyTorch. Rotate panics if the lengths do not fit.
func Rotate(dst, x, cos, sin []float32, negate bool) {
	mustMatch("Rotate", len(dst), len(x))
	mustMatch("Rotate", len(cos), len(sin))
	half := len(cos)
	if 2*half > len(x) {
		panic(fmt.Sprintf("kernel: Rotate: %d angles for %d values", half, len(x)))
	}
	sign := float32(1)
	if negate {
		sign = -1
	}
	rotate(dst[:half], dst[half:2*half], x[:half], x[half:2*half], cos, sin, sign)
	copy(dst[2*half:], x[2*half:])
}
