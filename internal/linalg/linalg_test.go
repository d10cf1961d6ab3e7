package linalg_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/linalg"
)

const fixture = "testdata/torch.safetensors"

// TestTorchNormal: the numbers of torch.randn, below and above the 16 values from which PyTorch fills blocks.
func TestTorchNormal(t *testing.T) {
	g := golden.Open(t, fixture)
	for _, name := range g.Names() {
		kind, _, _ := strings.Cut(name, ".")
		if kind != "randn" && kind != "double" {
			continue
		}
		s := g.Shape(name)
		got := linalg.TorchNormal(42, s[0], s[1], kind == "double")
		golden.Close(t, name, linalg.ToFloat32(got), g.Float32(name), 1e-5, 1e-6)
	}
}

// TestPyTorch: factors of QR with PyTorch's signs; singular values and vectors, the latter up to sign.
func TestPyTorch(t *testing.T) {
	g := golden.Open(t, fixture)
	for _, s := range [][2]int{{7, 7}, {12, 5}, {5, 12}} {
		name := fmt.Sprintf("%dx%d.", s[0], s[1])
		a := linalg.FromFloat32(s[0], s[1], g.Float32(name+"a"))
		q, r := linalg.QR(a)
		golden.Close(t, name+"q", linalg.ToFloat32(q), g.Float32(name+"q"), 1e-5, 1e-6)
		golden.Close(t, name+"r", linalg.ToFloat32(r), g.Float32(name+"r"), 1e-5, 1e-6)
		thin, err := linalg.Thin(a)
		if err != nil {
			t.Fatal(err)
		}
		low, err := linalg.LowRank(a, linalg.TorchNormal(42, min(s[0], s[1]), 3, false), 2)
		if err != nil {
			t.Fatal(err)
		}
		for prefix, d := range map[string]linalg.SVD{"": thin, "low_": low} {
			values := make([]float32, len(d.S))
			for i, v := range d.S {
				values[i] = float32(v)
			}
			golden.Close(t, name+prefix+"s", values, g.Float32(name+prefix+"s"), 1e-5, 1e-6)
			k := len(d.S)
			u := linalg.FromFloat32(s[0], k, g.Float32(name+prefix+"u"))
			v := linalg.FromFloat32(s[1], k, g.Float32(name+prefix+"v"))
			for j := range k {
				if mat.Dot(v.ColView(j), d.V.ColView(j)) < 0 {
					negate(u, j)
					negate(v, j)
				}
			}
			golden.Close(t, name+prefix+"u", linalg.ToFloat32(d.U), linalg.ToFloat32(u), 1e-4, 1e-5)
			golden.Close(t, name+prefix+"v", linalg.ToFloat32(d.V), linalg.ToFloat32(v), 1e-4, 1e-5)
		}
	}
}

// negate changes the sign of column j of a.
func negate(a *mat.Dense, j int) {
	rows, _ := a.Dims()
	for i := range rows {
		a.Set(i, j, -a.At(i, j))
	}
}

// random returns a matrix of the given rank.
func random(rows, cols, rank int) *mat.Dense {
	r := rand.New(rand.NewPCG(3, 4))
	factor := func(m, n int) *mat.Dense {
		a := mat.NewDense(m, n, nil)
		a.Apply(func(int, int, float64) float64 { return r.NormFloat64() }, a)
		return a
	}
	var a mat.Dense
	a.Mul(factor(rows, rank), factor(rank, cols))
	return &a
}

// TestLaws: U and V are orthonormal, S descends, the product is A, signs are as documented, for tall, wide and
// rank-deficient matrices and for zeros.
func TestLaws(t *testing.T) {
	cases := map[string]*mat.Dense{
		"tall": random(40, 9, 9), "wide": random(9, 40, 9), "deficient": random(30, 20, 4), "row": random(1, 6, 1),
		"column": random(6, 1, 1), "zero": mat.NewDense(5, 4, nil),
	}
	for name, a := range cases {
		m, n := a.Dims()
		d, err := linalg.Thin(a)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		k := min(m, n)
		if len(d.S) != k {
			t.Fatalf("%s: %d singular values, want %d", name, len(d.S), k)
		}
		isIdentity(t, name+" UᵀU", d.U)
		isIdentity(t, name+" VᵀV", d.V)
		var us, back mat.Dense
		us.Mul(d.U, mat.NewDiagDense(k, d.S))
		back.Mul(&us, d.V.T())
		if !mat.EqualApprox(&back, a, 1e-12*max(1, d.S[0])) {
			t.Errorf("%s: U·S·Vᵀ is not A", name)
		}
		for j := range k {
			if j > 0 && d.S[j] > d.S[j-1] || d.S[j] < 0 {
				t.Errorf("%s: singular values %v do not descend to 0", name, d.S)
			}
			if c := d.V.ColView(j); mat.Max(c) < -mat.Min(c) {
				t.Errorf("%s: the largest element of column %d of V is negative", name, j)
			}
		}
		q, r := linalg.QR(a)
		isIdentity(t, name+" QᵀQ", q)
		back.Reset()
		back.Mul(q, r)
		if !mat.EqualApprox(&back, a, 1e-12*max(1, d.S[0])) {
			t.Errorf("%s: Q·R is not A", name)
		}
	}
}

func isIdentity(t *testing.T, what string, a *mat.Dense) {
	t.Helper()
	_, k := a.Dims()
	var p mat.Dense
	p.Mul(a.T(), a)
	one := mat.NewDiagDense(k, nil)
	for i := range k {
		one.SetDiag(i, 1)
	}
	if !mat.EqualApprox(&p, one, 1e-12) {
		t.Errorf("%s is not the identity", what)
	}
}

// TestLowRankFinds: a matrix of rank 4 is found exactly by four random directions; more iterations come closer to the
// largest triples of a matrix of full rank.
func TestLowRankFinds(t *testing.T) {
	a := random(30, 20, 4)
	exact, err := linalg.Thin(a)
	if err != nil {
		t.Fatal(err)
	}
	low, err := linalg.LowRank(a, linalg.TorchNormal(1, 20, 4, false), 1)
	if err != nil {
		t.Fatal(err)
	}
	if !mat.EqualApprox(low.U, exact.U.Slice(0, 30, 0, 4), 1e-10) {
		t.Error("U of a matrix of rank 4 differs")
	}
	full := random(30, 20, 20)
	if exact, err = linalg.Thin(full); err != nil {
		t.Fatal(err)
	}
	last := math.Inf(1)
	for _, n := range []int{0, 2, 16} {
		low, err := linalg.LowRank(full, linalg.TorchNormal(1, 20, 4, false), n)
		if err != nil {
			t.Fatal(err)
		}
		off := 0.0
		for j := range 4 {
			off += exact.S[j] - low.S[j]
		}
		if off < -1e-9 || off >= last {
			t.Errorf("%d iterations miss %g of the singular values, fewer iterations %g", n, off, last)
		}
		last = off
	}
	if last > 1e-2*exact.S[0] {
		t.Errorf("16 iterations miss %g of the singular values", last)
	}
}

// TestNotFinite: NaN and infinite values are errors, not endless loops.
func TestNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(-1)} {
		a := random(5, 4, 4)
		a.Set(3, 2, v)
		if _, err := linalg.Thin(a); err == nil || !strings.Contains(err.Error(), "(3, 2)") {
			t.Errorf("Thin: got %v, want an error that names the element", err)
		}
		if _, err := linalg.LowRank(a, linalg.TorchNormal(1, 4, 2, false), 1); err == nil {
			t.Errorf("LowRank accepts %g", v)
		}
	}
}
