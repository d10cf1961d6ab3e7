package op

import (
	"math"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/golden"
)

// torchCase is one case of testdata/ops.safetensors: what PyTorch computed for one function (reference/ops.py).
type torchCase struct {
	*testing.T
	g      *golden.Fixture
	prefix string
	tape   *Tape
}

func (c torchCase) has(part string) bool          { return c.g.Has(c.prefix + part) }
func (c torchCase) floats(part string) []float32  { return c.g.Float32(c.prefix + part) }
func (c torchCase) number(part string) float32    { return c.floats(part)[0] }
func (c torchCase) ints(part string) []int        { return c.g.Ints(c.prefix + part) }
func (c torchCase) size(part string) (r, k int)   { return shape2(c.g.Shape(c.prefix + part)) }
func (c torchCase) is(part string, got []float32) { c.Helper(); c.near(part, got, 1e-5, 2e-6) }

func shape2(s []int) (rows, cols int) {
	switch len(s) {
	case 1:
		return 1, s[0]
	case 2:
		return s[0], s[1]
	}
	return s[0] * s[1], s[2]
}

// near compares got with a part of the fixture; atol is relative to the largest value of the part.
func (c torchCase) near(part string, got []float32, rtol, atol float64) {
	c.Helper()
	want := c.floats(part)
	top := 0.0
	for _, v := range want {
		if a := math.Abs(float64(v)); !math.IsInf(a, 0) {
			top = max(top, a)
		}
	}
	golden.Close(c.T, part, got, want, rtol, atol*top)
}

func (c torchCase) param(part string) *spago.Param {
	rows, cols := c.size(part)
	return NewParam(rows, cols, c.floats(part))
}

func (c torchCase) trainedWeight(part string) *Weight {
	if !c.has(part) {
		return nil
	}
	rows, cols := c.size(part)
	return &Weight{Rows: rows, Cols: cols, Param: c.param(part)}
}

func (c torchCase) frozenWeight(part string) *Weight {
	rows, cols := c.size(part)
	w := NewMatrix(rows, cols)
	must(w.SetValues(c.floats(part)))
	return w
}

// backward runs the backward of y with the fixture's dy as its gradient.
func (c torchCase) backward(y mat.Tensor) {
	c.Helper()
	dy := c.floats("dy")
	if err := c.tape.Backward(newProbe(c.tape, y, dy, make([]float32, len(dy)))); err != nil {
		c.Fatal(err)
	}
}

// gradients compares the gradients of parameters with the parts of the fixture that have the keys' names.
func (c torchCase) gradients(parts map[string]*spago.Param) {
	c.Helper()
	for part, p := range parts {
		c.is(part, Grad(p))
	}
}

// torchFunctions runs each function of the fixture file. Softmax is not among them: it is in internal/kernel.
var torchFunctions = map[string]func(c torchCase){
	"linear": func(c torchCase) {
		x, w, b := c.param("x"), c.trainedWeight("w"), c.trainedWeight("b")
		y := Affine(c.tape, x, Drop{}, Projection{Weight: w, Bias: b})
		c.is("y", Values(y))
		c.backward(y)
		c.gradients(map[string]*spago.Param{"dx": x, "dw": w.Param})
		if b != nil {
			c.is("db", Grad(b.Param))
		}
	},
	"lora": func(c torchCase) {
		x, a, b := c.param("x"), c.param("a"), c.param("b")
		y := Affine(c.tape, x, Drop{}, Projection{Weight: c.frozenWeight("w"), Bias: c.frozenWeight("bias"),
			Adapt: &Correction{A: a, B: b, Scale: c.number("scale")}})
		c.is("y", Values(y))
		c.backward(y)
		c.gradients(map[string]*spago.Param{"dx": x, "da": a, "db": b})
	},
	"embedding": func(c torchCase) {
		w := c.trainedWeight("w")
		y := Embedding(c.tape, int32s(c.ints("ids")), w, nil, NoPadding)
		c.is("y", Values(y))
		c.backward(y)
		c.is("dw", Grad(w.Param))
	},
	"conv1d": func(c torchCase) {
		x, w, b := c.param("x"), c.trainedWeight("w"), c.trainedWeight("b")
		s := Seqs{Starts: c.ints("starts")}
		window := Window{Size: int(c.number("size")), Stride: int(c.number("stride")), Padding: int(c.number("padding"))}
		u := Unfold(c.tape, x, s, window)
		y := Affine(c.tape, u, Drop{}, Projection{Weight: w, Bias: b})
		c.tape.Release(u)
		c.is("y", Values(y))
		c.backward(y)
		c.gradients(map[string]*spago.Param{"dx": x, "dw": w.Param, "db": b.Param})
	},
	"layernorm": func(c torchCase) {
		x, gain, bias := c.param("x"), c.trainedWeight("gamma"), c.trainedWeight("beta")
		y := LayerNorm(c.tape, x, nil, Drop{}, gain, bias, c.number("eps"))
		c.near("y", Values(y), 1e-4, 1e-5) // with a mean of 100 or a variance near eps PyTorch loses digits too
		c.backward(y)
		c.near("dx", Grad(x), 1e-4, 1e-5)
		c.near("dgamma", Grad(gain.Param), 1e-4, 1e-5)
		c.is("dbeta", Grad(bias.Param))
	},
	"residual": func(c torchCase) {
		x, h, gain, bias := c.param("x"), c.param("h"), c.trainedWeight("gamma"), c.trainedWeight("beta")
		y := LayerNorm(c.tape, x, h, Drop{}, gain, bias, c.number("eps"))
		c.is("y", Values(y))
		c.backward(y)
		c.gradients(map[string]*spago.Param{"dx": x, "dh": h, "dgamma": gain.Param, "dbeta": bias.Param})
	},
	"gelu":      activation(GELU),
	"gelu_tanh": activation(GELUTanh),
	"tanh":      activation(Tanh),
	"relu":      activation(ReLU),
	"cross_entropy": func(c torchCase) {
		x := c.param("x")
		cfg := CrossEntropyConfig{Smoothing: c.number("smoothing")}
		if c.has("weight") {
			cfg.ClassWeights = c.floats("weight")
		}
		labels := int32s(c.ints("labels"))
		sum, targets := CrossEntropy(c.tape, x, labels, cfg)
		c.is("sum", Values(sum))
		c.is("denominator", []float32{float32(targets)})
		c.is("mean", []float32{Values(sum)[0] / float32(targets)})
		c.lossGradient(sum, x)
		_, k := Size(x)
		rows := make([]float32, len(labels))
		for i := range rows {
			one, _ := CrossEntropy(c.tape, dense(Values(x)[i*k:(i+1)*k], 1, k), labels[i:i+1], cfg)
			rows[i] = Values(one)[0]
		}
		c.is("rows", rows)
	},
	"bce": func(c torchCase) {
		x := c.param("x")
		if c.has("weight") {
			c.weightedBCE()
			return
		}
		sum := BCEWithLogits(c.tape, x, c.floats("target"))
		c.is("sum", Values(sum))
		c.is("mean", []float32{Values(sum)[0] / float32(len(c.floats("x")))})
		c.lossGradient(sum, x)
	},
	"mse": func(c torchCase) {
		x := c.param("x")
		sum := MSE(c.tape, x, c.floats("target"))
		c.is("sum", Values(sum))
		c.is("mean", []float32{Values(sum)[0] / float32(len(c.floats("x")))})
		c.lossGradient(sum, x)
	},
	"attention": func(c torchCase) {
		q, k, v := c.param("q"), c.param("k"), c.param("v")
		_, cols := Size(q)
		h := Heads{Q: int(c.number("heads")), KV: int(c.number("kv_heads")), Causal: c.number("causal") != 0}
		h.Dim = cols / h.Q
		y := Attention(c.tape, Columns{X: q}, Columns{X: k}, Columns{X: v}, Seqs{Starts: c.ints("starts")},
			Seqs{Starts: c.ints("kstarts")}, h, Drop{})
		c.is("y", Values(y))
		c.backward(y)
		c.near("dq", Grad(q), 1e-5, 1e-5)
		c.near("dk", Grad(k), 1e-5, 1e-5)
		c.is("dv", Grad(v))
	},
	"rmsnorm":              torchRMSNorm,
	"silu":                 torchSiLU,
	"swiglu":               torchSwiGLU,
	"rotary":               torchRotary,
	"linear_cross_entropy": torchHeadLoss,
	"mean_rows":            torchMeanRows,
	"normalize_rows":       torchNormalizeRows,
	"cosine":               torchCosine,
	"multiple_negatives":   torchMultipleNegatives,
	"image_positions":      torchImageRows,
	"group_cross_entropy": func(c torchCase) {
		x := c.param("x")
		sum, targets := GroupCrossEntropy(c.tape, x, c.ints("starts"), int32s(c.ints("labels")))
		c.is("sum", Values(sum))
		c.is("targets", []float32{float32(targets)})
		c.lossGradient(sum, x)
	},
}

func activation(a Activation) func(torchCase) {
	return func(c torchCase) {
		x := c.param("x")
		y := Activate(c.tape, x, a)
		// PyTorch's 1 + erf loses digits where the result is tiny, so the tolerance is absolute there.
		c.near("y", Values(y), 1e-5, 3e-7)
		c.backward(y)
		c.near("dx", Grad(x), 1e-5, 1e-6)
	}
}

func (c torchCase) lossGradient(sum mat.Tensor, x *spago.Param) {
	c.Helper()
	if err := c.tape.Backward(sum); err != nil {
		c.Fatal(err)
	}
	c.is("dx", Grad(x))
}

// weightedBCE compares BCEWithLogits, which has no class weights, with PyTorch's weighted loss, column by column.
func (c torchCase) weightedBCE() {
	x, target, weight := c.floats("x"), c.floats("target"), c.floats("weight")
	n, k := c.size("x")
	total, dx := float32(0), make([]float32, n*k)
	for j := range k {
		column, y := make([]float32, n), make([]float32, n)
		for i := range n {
			column[i], y[i] = x[i*k+j], target[i*k+j]
		}
		p := NewParam(n, 1, column)
		sum := BCEWithLogits(c.tape, p, y)
		total += weight[j] * Values(sum)[0]
		if err := c.tape.Backward(sum); err != nil {
			c.Fatal(err)
		}
		for i := range n {
			dx[i*k+j] = weight[j] * Grad(p)[i]
		}
	}
	c.is("sum", []float32{total})
	c.is("mean", []float32{total / float32(n*k)})
	c.is("dx", dx)
}

func int32s(v []int) []int32 {
	w := make([]int32, len(v))
	for i, x := range v {
		w[i] = int32(x)
	}
	return w
}

// TestPyTorch compares every function with PyTorch, forward and backward. It fails if the file has a case that no
// function runs.
func TestPyTorch(t *testing.T) {
	g := golden.Open(t, "../../testdata/ops.safetensors")
	seen := map[string]bool{}
	for _, name := range g.Names() {
		fields := strings.SplitN(name, ".", 3)
		prefix := fields[0] + "." + fields[1] + "."
		if seen[prefix] || fields[0] == "softmax" {
			continue
		}
		seen[prefix] = true
		run, ok := torchFunctions[fields[0]]
		if !ok {
			t.Errorf("the fixture has the function %q, which nothing runs", fields[0])
			continue
		}
		t.Run(fields[0]+"/"+fields[1], func(t *testing.T) {
			tape := NewTape(nil)
			defer tape.Close()
			run(torchCase{t, g, prefix, tape})
		})
	}
	for name := range torchFunctions {
		found := false
		for prefix := range seen {
			found = found || strings.HasPrefix(prefix, name+".")
		}
		if !found {
			t.Errorf("the fixture has no case of %s", name)
		}
	}
}
