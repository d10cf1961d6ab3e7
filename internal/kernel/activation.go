package kernel

// GELU computes the Gaussian error linear unit in its exact form (Hendrycks and Gimpel 2016); dst may be x:
//
//	dst[i] = x[i]·Φ(x[i]),  Φ(x) = (1 + erf(x/√2))/2
//
// It is computed as max(x, 0) - |x|·Φ(-|x|), where Φ(-t) = e^(-t²/2)·p(t)/q(t), which keeps the relative error
// small for negative x too: at most 7 ULP where |x·Φ(x)| is in the normal range, and at most 2^-125 absolute below
// it. (1 + erf loses all digits near x = -5.) NaN stays NaN, GELU(-Inf) = 0.
func GELU(dst, x []float32) {
	mustMatch("GELU", len(dst), len(x))
	gelu(dst, x)
}

// GELUBackward computes the gradient of GELU from the gradient dy of its result and its input x; dx may be dy or x:
//
//	dx[i] = dy[i]·(Φ(x[i]) + x[i]·φ(x[i])),  φ(x) = e^(-x²/2)/√2π
//
// The factor of dy differs from the exact one by at most 6 ULP of the larger of Φ(x) and |x|·φ(x).
func GELUBackward(dx, dy, x []float32) {
	mustMatch3("GELUBackward", len(dx), len(dy), len(x))
	geluBackward(dx, dy, x)
}

// GELUTanh computes the tanh approximation of GELU that GPT-2 and Gemma use; dst may be x:
//
//	dst[i] = x/2·(1 + tanh u) = x/(1 + e^-2u),  u = √(2/π)·(x + 0.044715·x³)
//
// The result differs from the exact value of that formula by at most 3 + 5·|u| ULP, or by 2^-122 for very negative x.
// NaN stays NaN, GELUTanh(-Inf) = 0.
func GELUTanh(dst, x []float32) {
	mustMatch("GELUTanh", len(dst), len(x))
	geluTanh(dst, x)
}

// GELUTanhBackward computes the gradient of GELUTanh from the gradient dy of its result and its input x; dx may be dy
// or x:
//
//	dx[i] = dy[i]·σ·(1 + x·(1-σ)·z'),  σ = 1/(1 + e^-z),  z = 2u,  z' = 2·√(2/π)·(1 + 3·0.044715·x²)
//
// The factor of dy differs from the exact one by at most 5 + 6·|u| ULP of the larger of its two terms, or by 2^-117
// for very negative x.
func GELUTanhBackward(dx, dy, x []float32) {
	mustMatch3("GELUTanhBackward", len(dx), len(dy), len(x))
	geluTanhBackward(dx, dy, x)
}

// Tanh computes the hyperbolic tangent of each element, to within 3 ULP of the exact value; dst may be x.
func Tanh(dst, x []float32) {
	mustMatch("Tanh", len(dst), len(x))
	tanh(dst, x)
}

// TanhBackward computes the gradient of Tanh from the gradient dy of its result and its result y, not its input; dx may
// be dy or y:
//
//	dx[i] = dy[i]·(1 - y[i]²)
func TanhBackward(dx, dy, y []float32) {
	mustMatch3("TanhBackward", len(dx), len(dy), len(y))
	tanhBackward(dx, dy, y)
}

// ReLU computes the positive part of each element; dst may be x. NaN stays NaN:
//
//	dst[i] = max(x[i], 0)
func ReLU(dst, x []float32) {
	mustMatch("ReLU", len(dst), len(x))
	relu(dst, x)
}

// ReLUBackward computes the gradient of ReLU from the gradient dy of its result and y, which may be its input or its
// result (both have the same sign); dx may be dy or y. The gradient at 0 is 0, as in PyTorch:
//
//	dx[i] = dy[i] if y[i] > 0, else 0
func ReLUBackward(dx, dy, y []float32) {
	mustMatch3("ReLUBackward", len(dx), len(dy), len(y))
	reluBackward(dx, dy, y)
}
