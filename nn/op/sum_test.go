package op

import (
	"crypto/sha256"
	"math"
	"slices"
	"testing"

	"github.com/spalora/spalora/internal/kernel"
)

// filled returns a weight of values in a type.
func filled(t DType, rows, cols int, v []float32) *Weight {
	w := NewMatrix(rows, cols)
	if t == F32 {
		must(w.SetValues(slices.Clone(v)))
		return w
	}
	half := make([]uint16, len(v))
	kernel.Narrow(half, v, t)
	must(w.SetBytes(t, bytesOf(half)))
	return w
}

// TestSum: the sum depends on every value and on nothing else: not on the type, not on the workers.
func TestSum(t *testing.T) {
	const rows, cols = 3, summed/2 + 7 // two parts, the second not full
	pools := []*Pool{nil, NewPool(1), NewPool(3)}
	defer func() {
		for _, p := range pools {
			p.Close()
		}
	}()
	sum := func(w *Weight) (first [sha256.Size]byte) {
		for i, p := range pools {
			s := NewHasher(p).Sum(w)
			if i > 0 && s != first {
				t.Errorf("%v: the sum with %d workers is another", w.Type, p.Workers())
			}
			first = s
		}
		return first
	}
	rnd := seedOf("sum")
	full := random(rnd, rows*cols, 1)
	for _, kind := range []DType{BF16, F16} {
		half := filled(kind, rows, cols, full)
		v := half.Float32()
		mixed := slices.Clone(v) // the first part as before, the second with a value that needs float32
		mixed[len(v)-1] = math.Nextafter32(v[len(v)-1], 9)
		if sum(half) != sum(filled(F32, rows, cols, v)) {
			t.Errorf("%v: the sum of the same values as F32 is another", kind)
		}
		if sum(half) == sum(filled(F32, rows, cols, mixed)) {
			t.Errorf("%v: the sum does not depend on the last bit of the last value", kind)
		}
	}
	trained := filled(BF16, rows, cols, full)
	before := sum(trained)
	values := Values(trained.Train())
	if sum(trained) != before {
		t.Error("the sum of a parameter is another than that of its values")
	}
	values[len(values)/2]++
	if sum(trained) == before {
		t.Error("the sum of a parameter does not depend on its values")
	}
	special := make([]float32, 70)
	for i, bits := range []uint32{0x80000000, 0x7f800000, 0xff800000, 0x7f810000, 0x7fc00000, 0x00010000, 1} {
		special[i] = math.Float32frombits(bits)
	}
	whole := filled(F32, 1, 70, special)
	for i := range special {
		other := slices.Clone(special)
		other[i] = math.Float32frombits(math.Float32bits(special[i]) ^ 1<<31)
		if sum(whole) == sum(filled(F32, 1, 70, other)) {
			t.Errorf("the sum does not depend on the sign of value %d", i)
		}
	}
	word := []uint16{0x7f81, 0x3f80} // a signalling NaN in BF16
	nan := NewMatrix(1, 2)
	must(nan.SetBytes(BF16, bytesOf(word)))
	if sum(nan) != sum(filled(F32, 1, 2, nan.Float32())) {
		t.Error("the sum of a NaN in BF16 is another than in F32")
	}
	if sum(NewMatrix(0, 0)) == sum(filled(F32, 1, 1, []float32{0})) {
		t.Error("nothing has the sum of a zero")
	}
}

// TestSumStored: a transposed weight has the sum of its values, a quantised one that of its blocks.
func TestSumStored(t *testing.T) {
	const out, in = 10, 32
	v := random(seedOf("turned"), out*in, 1)
	turned, plain := NewMatrix(out, in), NewMatrix(out, in)
	turned.InOut, plain.InOut = true, true
	must(turned.SetTransposed("F32", bytesOf(v)))
	must(plain.SetValues(turned.Float32()))
	if NewHasher(nil).Sum(turned) != NewHasher(nil).Sum(plain) {
		t.Error("the sum of a transposed weight is another")
	}
	blocks := make([]byte, kernel.Q8_0.Bytes(out*in))
	quantised := NewMatrix(out, in)
	must(quantised.SetBytes(kernel.Q8_0, blocks))
	before := NewHasher(nil).Sum(quantised)
	if before == NewHasher(nil).Sum(quantised.Copy()) {
		t.Error("a quantised weight has the sum of its widened copy")
	}
	blocks[len(blocks)-1]++
	if before == NewHasher(nil).Sum(quantised) {
		t.Error("the sum does not depend on the last byte of a quantised weight")
	}
}
