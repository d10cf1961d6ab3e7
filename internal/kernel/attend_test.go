package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestAttendOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	for _, d := range []int{1, 5, 8, 17, 64, 80} {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 8, 31, 130} {
			stride, scale := d+n%3*7, float32(0.3)
			q, keys, values := normalSlice(rng, d), normalSlice(rng, extent(n, d, stride)),
				normalSlice(rng, extent(n, d, stride))
			var bias []float32
			if n%2 == 1 {
				bias = normalSlice(rng, n)
			}
			want, weights, total := make([]float64, d), make([]float64, n), 0.0
			for j := range n {
				s := 0.0
				for i := range d {
					s += float64(q[i]) * float64(keys[j*stride+i])
				}
				s *= float64(scale)
				if bias != nil {
					s += float64(bias[j])
				}
				weights[j] = math.Exp(s)
				total += weights[j]
			}
			for j := range n {
				for i := range d {
					want[i] += weights[j] / total * float64(values[j*stride+i])
				}
			}
			what := fmt.Sprintf("%d rows of %d", n, d)
			dst, scores := fence(make([]float32, d), n%9), fence(make([]float32, n), d%9)
			AttendOne(dst.data, q, keys, values, stride, n, scale, bias, scores.data)
			mustBeNear(t, what, dst.data, want, 1e-5)
			dst.check(t, what)
			scores.check(t, what)
		}
	}
}

func TestAttendOneNonFinite(t *testing.T) {
	const d, n = 8, 6
	nan := float32(math.NaN())
	for _, bad := range []int{0, 3, 5} {
		q, dst, scores := filled(d, 1), make([]float32, d), make([]float32, n)
		keys, values := filled(d*n, 1), filled(d*n, 1)
		values[bad*d+2] = nan
		AttendOne(dst, q, keys, values, d, n, 1, nil, scores)
		for i, v := range dst {
			if (i == 2) != (v != v) {
				t.Errorf("NaN in value %d of row %d: result %d is %v", 2, bad, i, v)
			}
		}
		keys[bad*d] = nan
		AttendOne(dst, q, keys, values, d, n, 1, nil, scores)
		for i, v := range dst {
			if v == v {
				t.Errorf("NaN in key row %d: result %d is %v", bad, i, v)
			}
		}
	}
}

func TestAttendOnePanics(t *testing.T) {
	x := make([]float32, 16)
	AttendOne(x[:4:4], x[4:8], x[8:], x[8:], 4, 2, 1, nil, make([]float32, 2))
	for name, f := range map[string]func(){
		"short dst":    func() { AttendOne(x[:3], x[4:8], x, x, 4, 2, 1, nil, x) },
		"short keys":   func() { AttendOne(x[:4], x[4:8], x[:7], x, 4, 2, 1, nil, x) },
		"short values": func() { AttendOne(x[:4], x[4:8], x, x[:7], 4, 2, 1, nil, x) },
		"short scores": func() { AttendOne(x[:4], x[4:8], x, x, 4, 2, 1, nil, x[:1]) },
		"short bias":   func() { AttendOne(x[:4], x[4:8], x, x, 4, 2, 1, x[:1], x) },
		"stride":       func() { AttendOne(x[:4], x[4:8], x, x, 3, 2, 1, nil, x) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
