package safetensors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// every returns a tensor with all 65,536 values of a 16-bit type, in the order of their bits.
func every(d DType) Tensor {
	data := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(data[2*i:], uint16(i))
	}
	return Tensor{Name: "every", DType: d, Shape: []int{1 << 16}, Data: data}
}

func TestWidenEqualsReference(t *testing.T) {
	text, err := os.ReadFile("testdata/widen.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, d := range []DType{F16, BF16} {
		values, err := AsFloat32(every(d))
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		for _, v := range values {
			word := math.Float32bits(v)
			if v != v {
				word = 0x7fc00000
			}
			hash.Write(binary.LittleEndian.AppendUint32(nil, word))
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != want[string(d)] {
			t.Errorf("%s: SHA-256 %s, want %s", d, got, want[string(d)])
		}
	}
}

func TestWidenSpecials(t *testing.T) {
	for _, c := range []struct {
		word uint16
		want uint32
	}{
		{0x0000, 0x00000000}, {0x8000, 0x80000000}, // zeros keep their sign
		{0x0001, 0x33800000}, {0x83ff, 0xb87fc000}, // subnormals
		{0x7c00, 0x7f800000}, {0xfc00, 0xff800000},
		{0x7e01, 0x7fc02000}, {0xfd01, 0xffe02000}, // NaN with payload; signalling becomes quiet
		{0x3c00, 0x3f800000}, {0x7bff, 0x477fe000},
	} {
		if got := math.Float32bits(FromF16(c.word)); got != c.want {
			t.Errorf("F16 %04x: %08x, want %08x", c.word, got, c.want)
		}
	}
}

func TestViews(t *testing.T) {
	values := []float32{1, -2, float32(math.Inf(1)), 0x1p-149}
	data := Bytes(values)
	if &Float32s(data)[0] != &values[0] && littleEndian() {
		t.Error("an aligned view was copied")
	}
	shifted := append(make([]byte, 1, 1+len(data)), data...)[1:]
	if got := Float32s(shifted); !slices.Equal(got, values) {
		t.Errorf("unaligned: %v", got)
	}
	if got, want := Uint16s(shifted), Uint16s(data); !slices.Equal(got, want) || len(got) != 8 {
		t.Errorf("unaligned words: %x, want %x", got, want)
	}
	if Float32s(nil) != nil || Uint16s(nil) != nil || Bytes(nil) != nil {
		t.Error("views of empty data are not empty")
	}
	for name, call := range map[string]func(){"Float32s": func() { Float32s(data[:len(data)-1]) },
		"Uint16s": func() { Uint16s(data[:len(data)-1]) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of an odd number of bytes does not panic", name)
				}
			}()
			call()
		}()
	}
}

func TestAsFloat32Refuses(t *testing.T) {
	for _, d := range []DType{F64, I32, I64, Bool, F8E5M2, F4, C64} {
		_, err := AsFloat32(Tensor{Name: "w\n", DType: d, Shape: []int{1}, Data: make([]byte, d.Bits()/8)})
		if err == nil || !strings.Contains(err.Error(), `"w\n"`) || !strings.Contains(err.Error(), string(d)) {
			t.Errorf("%s: %v", d, err)
		}
	}
	for _, d := range []DType{F32, F16, BF16} {
		if _, err := AsFloat32(Tensor{Name: "w", DType: d, Data: make([]byte, 3)}); err == nil {
			t.Errorf("%s of 3 bytes", d)
		}
	}
}

func TestNonFinite(t *testing.T) {
	for _, d := range []DType{F16, BF16} {
		all := every(d)
		values, err := AsFloat32(all)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, v := range values {
			if v-v != 0 {
				want++
			}
		}
		if got := NonFinite(all); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
	inf := float32(math.Inf(-1))
	nan := float32(math.NaN())
	for _, c := range []struct {
		values []float32
		want   int
	}{
		{nil, 0},
		{[]float32{1, math.MaxFloat32, 0}, 0},
		{[]float32{nan}, 1},
		{[]float32{1, inf, 1}, 1},
		{[]float32{nan, inf, 1, nan, 0}, 3},
	} {
		if got := NonFinite(Tensor{DType: F32, Data: Bytes(c.values)}); got != c.want {
			t.Errorf("%v: %d, want %d", c.values, got, c.want)
		}
	}
	if got := NonFinite(Tensor{DType: F64, Data: slices.Repeat([]byte{0xff}, 8)}); got != 0 {
		t.Errorf("F64: %d", got)
	}
}

func BenchmarkNonFinite(b *testing.B) {
	t := Tensor{DType: F16, Data: make([]byte, 16<<20)}
	b.SetBytes(int64(len(t.Data)))
	for b.Loop() {
		NonFinite(t)
	}
}
