package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/internal/gguftest"
)

type (
	file   = gguftest.File
	tensor = gguftest.Tensor
)

func pairs(keysAndValues ...any) []gguftest.Pair { return gguftest.Pairs(keysAndValues...) }

func raw(typ uint32, b []byte) gguftest.Raw { return gguftest.Raw{Type: typ, Bytes: b} }

// sound returns a valid file with a value of every type and tensors of several types.
func sound() file {
	u64 := binary.LittleEndian.AppendUint64
	u32 := binary.LittleEndian.AppendUint32
	nested := u64(u32(u64(u32(nil, 9), 2), 4), 2) // two arrays of uint32, of two and no elements
	nested = u32(u32(nested, 7), 8)
	nested = u64(u32(nested, 4), 0)
	return file{
		Pairs: pairs(
			"general.architecture", "llama", "u32", uint32(7), "i32", int32(-7), "f32", float32(0.5), "yes", true, "no", false,
			"u64", uint64(1)<<62, "f64", 0.1, "texts", []string{"a", "", "ü"}, "ints", []int32{-1, 2}, "floats",
			[]float32{1, 2},
			"u8", raw(0, []byte{200}), "i8", raw(1, []byte{200}), "u16", raw(2, []byte{1, 2}), "i16", raw(3, []byte{255, 255}),
			"i64", raw(11, u64(nil, math.MaxUint64)), "nested", raw(9, nested), "bools",
			raw(9, append(u64(u32(nil, 7), 3), 0, 1, 1)),
			"empty", []string{},
		),
		Tensors: []tensor{
			{Name: "a", Dims: []uint64{3, 2}, Type: 0, Data: bytes.Repeat([]byte{1}, 24)},
			{Name: "q", Dims: []uint64{64, 2}, Type: 3, Data: bytes.Repeat([]byte{2}, 80)},
			{Name: "unread", Dims: []uint64{256}, Type: 10, Data: make([]byte, 84)},
			{Name: "cube", Dims: []uint64{1, 2, 3, 4}, Type: 30, Data: make([]byte, 48)},
		},
	}
}

func TestParse(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		s := sound()
		s.Version = version
		f, err := Parse(s.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Names(); f.Version() != int(version) || !slices.Equal(got, []string{"a", "q", "unread", "cube"}) {
			t.Errorf("version %d, names %q", f.Version(), got)
		}
		q, ok := f.Tensor("q")
		if !ok || q.Type != Q4_1 || fmt.Sprint(q.Shape) != "[2 64]" || len(q.Data) != 80 || q.Data[79] != 2 ||
			cap(q.Data) != 80 {
			t.Errorf("q: %v %v %d bytes", q.Type, q.Shape, len(q.Data))
		}
		if c, _ := f.Tensor("cube"); fmt.Sprint(c.Shape) != "[4 3 2 1]" {
			t.Errorf("cube: %v", c.Shape)
		}
		if u, _ := f.Tensor("unread"); u.Type.String() != "Q2_K" || NonFinite(u) != 0 {
			t.Errorf("unread: %v", u.Type)
		}
		if _, ok := f.Tensor("b"); ok {
			t.Error("found a tensor that does not exist")
		}
	}
}

func TestValues(t *testing.T) {
	f, err := Parse(sound().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if k := f.Keys(); len(k) != 19 || k[0] != "general.architecture" || !f.Has("u8") || f.Has("x") {
		t.Errorf("keys %q", k)
	}
	for key, want := range map[string]uint64{"u32": 7, "u64": 1 << 62, "u8": 200, "u16": 0x201} {
		if n, ok, err := f.Uint(key); n != want || !ok || err != nil {
			t.Errorf("%s: %d, %v, %v", key, n, ok, err)
		}
	}
	for _, key := range []string{"i32", "i8", "i16", "i64", "f32", "texts"} {
		if _, ok, err := f.Uint(key); ok || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("key %q: byte ", key)) {
			t.Errorf("%s: %v, %v", key, ok, err)
		}
	}
	for key, want := range map[string]float64{"f32": 0.5, "f64": 0.1} {
		if x, ok, err := f.Float(key); x != want || !ok || err != nil {
			t.Errorf("%s: %v, %v, %v", key, x, ok, err)
		}
	}
	if b, ok, err := f.Bool("yes"); !b || !ok || err != nil {
		t.Error(b, ok, err)
	}
	if text, ok, err := f.Text("general.architecture"); text != "llama" || !ok || err != nil {
		t.Error(text, ok, err)
	}
	if list, err := f.Texts("texts"); !slices.Equal(list, []string{"a", "", "ü"}) || err != nil {
		t.Errorf("%q, %v", list, err)
	}
	if list, err := f.Texts("empty"); list == nil || len(list) != 0 || err != nil {
		t.Errorf("%q, %v", list, err)
	}
	if list, err := f.Ints("ints"); !slices.Equal(list, []int64{-1, 2}) || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := f.Floats("floats"); !slices.Equal(list, []float64{1, 2}) || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	for name, err := range map[string]error{
		"Text": second(f.Text("u32")), "Float": second(f.Float("u32")), "Bool": second(f.Bool("u32")),
		"Texts": last(f.Texts("nested")),
		"Ints":  last(f.Ints("floats")), "Floats": last(f.Floats("ints")),
	} {
		if err == nil || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%s of another type: %v", name, err)
		}
	}
	if n, ok, err := f.Length("texts"); n != 3 || !ok || err != nil {
		t.Error(n, ok, err)
	}
	if _, ok, err := f.Length("u32"); ok || err == nil {
		t.Error(ok, err)
	}
	if list, err := f.Texts("missing"); list != nil || err != nil {
		t.Error(list, err)
	}
}

func second[T any](_ T, _ bool, err error) error { return err }

func last[T any](_ T, err error) error { return err }

// Values that are valid bytes but not of the requested type or encoding are errors.
func TestBadValues(t *testing.T) {
	f, err := Parse(file{Pairs: pairs("text", "a\xff", "texts", []string{"a", "\xc0"}, "nan", float32(math.NaN()),
		"huge", uint64(math.MaxUint64))}.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		`key "text": byte 48: the string is not UTF-8`:                                second(f.Text("text")),
		`key "texts": element 1, byte 96: the string is not UTF-8`:                    last(f.Texts("texts")),
		`key "nan": byte 112: NaN is not a finite number`:                             second(f.Float("nan")),
		`key "huge": byte 132: 18446744073709551615 is out of range, want 0 … 2^63-1`: second(f.Uint("huge")),
	} {
		if err == nil || err.Error() != "gguf: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Every prefix of a valid file is refused.
func TestCut(t *testing.T) {
	data := sound().Bytes()
	for n := range data {
		if _, err := Parse(data[:n:n]); err == nil {
			t.Fatalf("a prefix of %d of %d bytes was accepted", n, len(data))
		}
	}
	if _, err := Parse(append(data, make([]byte, 16)...)); err != nil {
		t.Errorf("padding at the end: %v", err)
	}
}

func TestAlignment(t *testing.T) {
	for _, n := range []uint32{8, 16, 64, 4096} {
		f := sound()
		f.Alignment, f.Pairs = int(n), append(f.Pairs, pairs("general.alignment", n)...)
		if _, err := Parse(f.Bytes()); err != nil {
			t.Errorf("alignment %d: %v", n, err)
		}
	}
	// The descriptions are in another order than the data.
	f := file{
		Tensors: []tensor{
			{Name: "w", Dims: []uint64{8}, Offset: 32, Data: make([]byte, 32)},
			{Name: "v", Dims: []uint64{8}, Data: make([]byte, 32)},
		},
	}
	data := f.Bytes()
	at := bytes.LastIndex(data, []byte("v\x01\x00\x00\x00")) + 1 + 4 + 8 + 4
	binary.LittleEndian.PutUint64(data[at:], 0)
	g, err := Parse(data)
	if err != nil || !slices.Equal(g.Names(), []string{"v", "w"}) {
		t.Errorf("%v", err)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(path, sound().Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := f.Tensor("q")
	f.Release(q.Data)
	f.Release(make([]byte, 8))
	if q.Data[0] != 2 {
		t.Error("a released page lost its content")
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, data := range map[string]string{"empty": "", "LFS": "version https://git-lfs.github.com/spec/v1\n"} {
		bad := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(bad, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), bad) || name == "LFS" &&
			!strings.Contains(err.Error(), "git lfs pull") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("opened a directory")
	}
}

func TestNonFinite(t *testing.T) {
	for typ, at := range halves {
		elements, size := typ.Block()
		for _, i := range at {
			for _, word := range []uint16{0x7c00, 0xfc00, 0x7e01} {
				data := make([]byte, 3*size)
				binary.LittleEndian.PutUint16(data[size+i:], word)
				if n := NonFinite(Tensor{Type: typ, Data: data}); n != elements {
					t.Errorf("%v: %#x at byte %d of a block: %d, want %d", typ, word, i, n, elements)
				}
			}
		}
		// Other bytes may be numbers of any value.
		data := bytes.Repeat([]byte{0xff}, size)
		for _, i := range at {
			binary.LittleEndian.PutUint16(data[i:], 0x7bff)
		}
		if n := NonFinite(Tensor{Type: typ, Data: data}); n != 0 {
			t.Errorf("%v: %d, want none", typ, n)
		}
	}
	if n := NonFinite(Tensor{Type: F32, Data: []byte{0, 0, 128, 127, 0, 0, 0, 0}}); n != 1 {
		t.Errorf("F32: %d", n)
	}
	if len(halves)+3 != len(Types()) {
		t.Error("a quantised type has no entry in halves")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sound().Bytes())
	for _, c := range malformed() {
		if data := c.file.Bytes(); len(data) < 4096 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("the message has several lines: %q", err)
			}
			return
		}
		total := 0
		for _, name := range file.Names() {
			w, ok := file.Tensor(name)
			n := 1
			for _, d := range w.Shape {
				n *= d
			}
			if elements, size := w.Type.Block(); !ok || n/elements*size != len(w.Data) {
				t.Fatalf("%s %v: %d bytes", w.Type, w.Shape, len(w.Data))
			}
			total += len(w.Data)
			NonFinite(w)
		}
		if total > len(data) {
			t.Fatalf("tensors of %d bytes in a file of %d", total, len(data))
		}
		for _, key := range file.Keys() {
			_, _, _ = file.Text(key)
			_, _, _ = file.Uint(key)
			_, _, _ = file.Length(key)
			_, _, _ = file.Float(key)
			_, _, _ = file.Bool(key)
			_, _ = file.Texts(key)
			_, _ = file.Ints(key)
			_, _ = file.Floats(key)
		}
	})
}
