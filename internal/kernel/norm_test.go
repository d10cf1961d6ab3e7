package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// wide converts to float64.
func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// mustBeNear compares got with an exact result, element by element, with a tolerance.
func mustBeNear(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance) {
			t.Fatalf("%s: element %d of %d is %v, want %v ± %v", what, i, len(want), got[i], want[i], tolerance)
		}
	}
}

// rowLengths returns the lengths of rows to test: like lengths, but fewer.
func rowLengths() []int {
	return []int{
		1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 257, 384, 768, 1000, maxCall, maxCall + 1, 2*maxCall + 9,
	}
}

// exactNorm is LayerNorm in float64.
func exactNorm(x, gamma, beta []float32, eps float64) (y, xhat []float64, rstd float64) {
	n := float64(len(x))
	var mean, variance float64
	for _, v := range x {
		mean += float64(v) / n
	}
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean) / n
	}
	rstd = 1 / math.Sqrt(variance+eps)
	for i, v := range x {
		h := (float64(v) - mean) * rstd
		xhat = append(xhat, h)
		y = append(y, h*float64(gamma[i])+float64(beta[i]))
	}
	return y, xhat, rstd
}

func TestLayerNorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	const eps = 1e-12
	for _, n := range rowLengths() {
		for _, shift := range []float32{0, 10} {
			x, gamma, beta := normalSlice(rng, n), normalSlice(rng, n), normalSlice(rng, n)
			if n == 1 {
				shift = 0 // the variance of one number is 0 only if its mean is exact
			}
			for i := range x {
				x[i] = x[i]*3 + shift
			}
			y, xhat, rstd := exactNorm(x, gamma, beta, eps)
			what := fmt.Sprintf("%d elements around %v", n, shift)
			if n == 1 {
				rstd = 1e6
			}

			fy, fh, fx := fence(make([]float32, n), n%9), fence(make([]float32, n), (n+2)%9), fence(x, (n+5)%9)
			got := LayerNorm(fy.data, fh.data, fx.data, gamma, beta, eps)
			if math.Abs(float64(got)-rstd) > 1e-6*rstd {
				t.Errorf("%s: rstd is %v, want %v", what, got, rstd)
			}
			mustBeNear(t, what+": y", fy.data, y, 2e-5)
			mustBeNear(t, what+": xhat", fh.data, xhat, 4e-6)
			mustEqualBits(t, what+": x", fx.data, x)
			for _, f := range []fenced{fy, fh, fx} {
				f.check(t, what)
			}

			// Each result computed alone, or in place of x, has the same bits.
			only := fence(x, 1)
			LayerNorm(only.data, nil, only.data, gamma, beta, eps)
			mustEqualBits(t, what+": y alone, over x", only.data, fy.data)
			only.check(t, what)
			only = fence(x, 3)
			LayerNorm(nil, only.data, only.data, nil, nil, eps)
			mustEqualBits(t, what+": xhat alone, over x", only.data, fh.data)
			only.check(t, what)
			both, over := make([]float32, n), append([]float32(nil), x...)
			LayerNorm(both, over, over, gamma, beta, eps)
			mustEqualBits(t, what+": y with xhat over x", both, fy.data)
			mustEqualBits(t, what+": xhat over x", over, fh.data)
			LayerNorm(fx.data, both, fx.data, gamma, beta, eps)
			mustEqualBits(t, what+": y over x", fx.data, fy.data)
			mustEqualBits(t, what+": xhat with y over x", both, fh.data)
			again := fence(make([]float32, n), 5)
			LayerNormAgain(again.data, fh.data, gamma, beta)
			mustEqualBits(t, what+": y again", again.data, fy.data)
			again.check(t, what)
		}
	}
}

func TestLayerNormPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for _, n := range []int{2, 384, 777} {
		x, gamma, beta := normalSlice(rng, n), normalSlice(rng, n), normalSlice(rng, n)
		y, xhat, rstd := exactNorm(x, gamma, beta, 0)
		mean := sumGeneric(x) / float32(n)
		if got := centredSquaresGeneric(x, mean); math.Abs(1/math.Sqrt(float64(got)/float64(n))/rstd-1) > 1e-6 {
			t.Errorf("centredSquaresGeneric of %d is %v", n, got)
		}
		gotY, gotH := make([]float32, n), make([]float32, n)
		normalizeGeneric(gotY, gotH, x, gamma, beta, mean, float32(rstd))
		mustBeNear(t, "normalizeGeneric: y", gotY, y, 2e-5)
		mustBeNear(t, "normalizeGeneric: xhat", gotH, xhat, 4e-6)
	}
}

func TestLayerNormLimits(t *testing.T) {
	if got := LayerNorm(nil, nil, nil, nil, nil, 1); got != 0 {
		t.Errorf("rstd of an empty row is %v", got)
	}
	y, gamma, beta := make([]float32, 9), make([]float32, 9), make([]float32, 9)
	for i := range beta {
		gamma[i], beta[i] = 1, float32(i)
	}
	if got := LayerNorm(y, nil, gamma, gamma, beta, 0.25); got != 2 {
		t.Errorf("rstd of equal elements is %v, want 2", got)
	}
	mustEqualBits(t, "y of equal elements", y, beta)
	bad := []float32{1, 2, float32(math.NaN())}
	LayerNorm(nil, bad, bad, nil, nil, 1e-5)
	if bad[0] == bad[0] {
		t.Errorf("NaN in a row gives %v", bad)
	}
}

func TestLayerNormBackward(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for _, n := range rowLengths() {
		x, dy, gamma := normalSlice(rng, n), normalSlice(rng, n), normalSlice(rng, n)
		xhat := make([]float32, n)
		rstd := LayerNorm(nil, xhat, x, nil, nil, 0.01)
		d, h, w := wide(dy), wide(xhat), wide(gamma)
		var meanG, meanGX float64
		for i := range d {
			meanG += d[i] * w[i] / float64(n)
			meanGX += d[i] * w[i] * h[i] / float64(n)
		}
		want := make([]float64, n)
		for i := range want {
			want[i] = float64(rstd) * (d[i]*w[i] - meanG - h[i]*meanGX)
		}
		what := fmt.Sprintf("LayerNormBackward of %d", n)
		dx := fence(dy, n%9)
		LayerNormBackward(dx.data, dx.data, xhat, gamma, rstd)
		mustBeNear(t, what, dx.data, want, 1e-5*float64(rstd))
		dx.check(t, what)
		g, gx := gradientSumsGeneric(dy, xhat, gamma)
		plain := make([]float32, n)
		normalizeBackwardGeneric(plain, dy, xhat, gamma, rstd, g/float32(n), gx/float32(n))
		mustBeNear(t, what+" go", plain, want, 1e-5*float64(rstd))
		over := append([]float32(nil), xhat...)
		LayerNormBackward(over, dy, over, gamma, rstd)
		mustEqualBits(t, what+" over xhat", over, dx.data)
	}
}

func TestLayerNormParams(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	for version, f := range versions(LayerNormParams, normalizeParamsGeneric) {
		for _, n := range rowLengths() {
			dy, xhat, gamma, beta := normalSlice(rng, n), normalSlice(rng, n), normalSlice(rng, n), normalSlice(rng, n)
			dgamma, dbeta := fence(gamma, n%9), fence(beta, (n+1)%9)
			f(dgamma.data, dbeta.data, dy, xhat)
			for i := range dy {
				want := float64(gamma[i]) + float64(dy[i])*float64(xhat[i])
				if math.Abs(float64(dgamma.data[i])-want) > 1e-6*(1+math.Abs(want)) || dbeta.data[i] != beta[i]+dy[i] {
					t.Fatalf("%s, %d of %d: dgamma %v, dbeta %v", version, i, n, dgamma.data[i], dbeta.data[i])
				}
			}
			dgamma.check(t, version)
			dbeta.check(t, version)
		}
	}
}
