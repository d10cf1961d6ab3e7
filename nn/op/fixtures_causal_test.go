package op

import (
	spago "github.com/nlpodyssey/spago/nn"
)

// Comparisons with PyTorch of the functions that causal models are made of.

func torchRMSNorm(c torchCase) {
	x, gain := c.param("x"), c.trainedWeight("gain")
	y := RMSNorm(c.tape, x, gain, c.number("eps"))
	c.is("y", Values(y))
	c.backward(y)
	c.gradients(map[string]*spago.Param{"dx": x, "dgain": gain.Param})
}

func torchSiLU(c torchCase) {
	x := c.param("x")
	y := Activate(c.tape, x, SiLU)
	c.near("y", Values(y), 1e-6, 1e-7)
	c.backward(y)
	c.near("dx", Grad(x), 1e-6, 3e-7)
}

func torchSwiGLU(c torchCase) {
	n, w := c.size("gate")
	x := NewParam(n, 2*w, sideBySide(c.floats("gate"), c.floats("up"), w))
	y := SwiGLU(c.tape, x)
	c.near("y", Values(y), 1e-6, 1e-7)
	c.backward(y)
	dgate, dup := apart(Grad(x), w)
	c.near("dgate", dgate, 1e-6, 3e-7)
	c.near("dup", dup, 1e-6, 1e-7)
}

// sideBySide returns the columns of a followed by those of b, both w wide.
func sideBySide(a, b []float32, w int) []float32 {
	var out []float32
	for i := 0; i < len(a); i += w {
		out = append(append(out, a[i:i+w]...), b[i:i+w]...)
	}
	return out
}

// apart is the inverse of sideBySide.
func apart(x []float32, w int) (a, b []float32) {
	for i := 0; i < len(x); i += 2 * w {
		a, b = append(a, x[i:i+w]...), append(b, x[i+w:i+2*w]...)
	}
	return a, b
}

func torchRotary(c torchCase) {
	n, width := c.size("x")
	_, half := c.size("cos")
	heads := int(c.number("heads"))
	x := c.param("x")
	y := Rotate(c.tape, x, false, 0, heads, width/heads, &Rotary{Half: half, Cos: c.floats("cos"), Sin: c.floats("sin")})
	c.near("y", Values(y), 0, 1e-7)
	c.backward(y)
	c.near("dx", Grad(x), 0, 1e-7)

	// The angles themselves, each row a sequence that begins at its position.
	s := Seqs{Starts: make([]int, n+1), First: c.ints("positions")}
	frequencies := make([]float32, half)
	for i := range frequencies {
		frequencies[i] = 1 / pow(c.number("theta"), float32(2*i)/float32(2*half))
	}
	for i := range n {
		s.Starts[i+1] = i + 1
	}
	r := NewRotary(c.tape, s, func(int) []float32 { return frequencies }, 1)
	c.near("cos", r.Cos, 0, 2e-5) // at a large position, one bit of the frequency changes the angle much
	c.near("sin", r.Sin, 0, 2e-5)
}

func torchHeadLoss(c torchCase) {
	x, w := c.param("x"), c.trainedWeight("w")
	labels, smoothing := int32s(c.ints("labels")), c.number("smoothing")
	sum, stats := LinearCrossEntropy(c.tape, x, Drop{}, Projection{Weight: w}, labels, smoothing)
	c.near("sum", Values(sum), 1e-6, 0)
	c.near("cross_entropy", []float32{stats.CrossEntropy}, 1e-6, 0)
	if float32(stats.Correct) != c.number("correct") || float32(stats.Targets) != c.number("targets") {
		c.Errorf("%d of %d correct, want %v of %v", stats.Correct, stats.Targets, c.number("correct"), c.number("targets"))
	}
	if err := c.tape.Backward(sum); err != nil {
		c.Fatal(err)
	}
	c.gradients(map[string]*spago.Param{"dx": x, "dw": w.Param})
}
