package kernel

// SiLU computes the sigmoid linear unit, also called swish; dst may be x:
//
//	dst[i] = x[i]·σ(x[i]) = x[i]/(1 + e^-x[i])
//
// The result differs from the exact value by at most 3 ULP, or by 2^-120 for very negative x. NaN stays NaN and
// SiLU(+Inf) = +Inf; SiLU(-Inf) is NaN as in PyTorch, so that an overflow in an earlier layer shows.
func SiLU(dst, x []float32) {
	mustMatch("SiLU", len(dst), len(x))
	silu(dst, x)
}

// SiLUBackward computes the gradient of SiLU from the gradient dy of its result and its input x; dx may be dy or x:
//
//	dx[i] = dy[i]·σ·(1 + x[i]·(1-σ)),  σ = 1/(1 + e^-x[i])
//
// The factor of dy differs from the exact one by at most 5 ULP of the larger of σ and |x|·σ·(1-σ), or by 2^-117
// for very negative x. It is NaN for NaN and the infinities.
func SiLUBackward(dx, dy, x []float32) {
	mustMatch3("SiLUBackward", len(dx), len(dy), len(x))
	siluBackward(dx, dy, x)
}

// SwiGLU computes the gated unit of LLaMA's feed-forward layers (Shazeer 2020); dst may be gate or up:
//
//	dst[i] = gate[i]·σ(gate[i])·up[i]
func SwiGLU(dst, gate, up []float32) {
	mustMatch3("SwiGLU", len(dst), len(gate), len(up))
	swiglu(dst, gate, up)
}

// SwiGLUBackward computes the gradient of SwiGLU from the gradient dy of its result and its inputs; dgate and dup may
// each be dy, gate or up, but must differ from each other:
//
//	dgate[i] = dy[i]·up[i]·σ·(1 + gate[i]·(1-σ)),  σ = σ(gate[i])
//	dup[i]   = dy[i]·gate[i]·σ
func SwiGLUBackward(dgate, dup, dy, gate, up []float32) {
	mustMatch3("SwiGLUBackward", len(dgate), len(dup), len(dy))
	mustMatch3("SwiGLUBackward", len(dgate), len(gate), len(up))
	swigluBackward(dgate, dup, dy, gate, up)
}
