package op

import (
	"math"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/kernel"
)

// The functions of internal/kernel that causal models are made of, row by row against PyTorch.

func kernelRMSNorm(c torchCase) {
	n, width := c.size("x")
	x, gain, dy := c.floats("x"), c.floats("gain"), c.floats("dy")
	y, dx, dgain := make([]float32, n*width), make([]float32, n*width), make([]float32, width)
	for i := 0; i < len(x); i += width {
		rstd := kernel.RMSNorm(y[i:i+width], x[i:i+width], gain, c.number("eps"))
		kernel.RMSNormBackward(dx[i:i+width], dy[i:i+width], x[i:i+width], gain, rstd)
		kernel.RMSNormParams(dgain, dy[i:i+width], x[i:i+width], rstd)
	}
	c.is("y", y)
	c.is("dx", dx)
	c.is("dgain", dgain)
}

func kernelSiLU(c torchCase) {
	x := c.floats("x")
	y, dx := make([]float32, len(x)), make([]float32, len(x))
	kernel.SiLU(y, x)
	kernel.SiLUBackward(dx, c.floats("dy"), x)
	c.near("y", y, 1e-6, 1e-7)
	c.near("dx", dx, 1e-6, 3e-7)
}

func kernelSwiGLU(c torchCase) {
	gate, up := c.floats("gate"), c.floats("up")
	y, dgate, dup := make([]float32, len(gate)), make([]float32, len(gate)), make([]float32, len(gate))
	kernel.SwiGLU(y, gate, up)
	kernel.SwiGLUBackward(dgate, dup, c.floats("dy"), gate, up)
	c.near("y", y, 1e-6, 1e-7)
	c.near("dgate", dgate, 1e-6, 3e-7)
	c.near("dup", dup, 1e-6, 1e-7)
}

func kernelRotary(c torchCase) {
	n, width := c.size("x")
	_, half := c.size("cos")
	x, dy, cos, sin := c.floats("x"), c.floats("dy"), c.floats("cos"), c.floats("sin")
	dim := width / int(c.number("heads"))
	for i := range n {
		for h := i * width; h < (i+1)*width; h += dim {
			kernel.Rotate(x[h:h+dim], x[h:h+dim], cos[i*half:(i+1)*half], sin[i*half:(i+1)*half], false)
			kernel.Rotate(dy[h:h+dim], dy[h:h+dim], cos[i*half:(i+1)*half], sin[i*half:(i+1)*half], true)
		}
	}
	c.near("y", x, 0, 1e-7)
	c.near("dx", dy, 0, 1e-7)
}

// kernelCrossEntropy runs the head as a product of its own, and the loss of its rows.
func kernelCrossEntropy(c torchCase) {
	n, _ := c.size("x")
	classes, _ := c.size("w")
	x, w := c.param("x"), c.trainedWeight("w")
	logits := Affine(c.tape, x, Drop{}, Projection{Weight: w})
	v := Values(logits)
	sum, correct, targets := 0.0, 0, 0
	rows := make([]float32, n)
	for i, label := range c.ints("labels") {
		row := v[i*classes : (i+1)*classes]
		if label < 0 {
			clear(row)
			continue
		}
		loss, hit := kernel.CrossEntropyRow(row, label, true)
		if again, _ := kernel.CrossEntropyRow(Values(Affine(c.tape, x, Drop{}, Projection{Weight: w}))[i*classes:(i+1)*classes], label, false); again != loss {
			c.Errorf("row %d: loss %v, without gradient %v", i, loss, again)
		}
		sum, targets = sum+loss, targets+1
		rows[i] = float32(loss)
		if hit {
			correct++
		}
	}
	if want := float64(c.number("sum")); math.Abs(sum-want) > 1e-6*want {
		c.Errorf("sum is %v, want %v", sum, want)
	}
	c.is("rows", rows)
	if float32(correct) != c.number("correct") || float32(targets) != c.number("targets") {
		c.Errorf("%d of %d correct, want %v of %v", correct, targets, c.number("correct"), c.number("targets"))
	}
	if err := c.tape.Backward(newProbe(c.tape, logits, v, make([]float32, len(v)))); err != nil {
		c.Fatal(err)
	}
	c.gradients(map[string]*spago.Param{"dx": x, "dw": w.Param})
}
