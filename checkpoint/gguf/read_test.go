package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
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

// sound returns a file with a value of every type and tensors of several.
func sound() file {
	u64 := binary.LittleEndian.AppendUint64
	u32 := binary.LittleEndian.AppendUint32
	nested := u64(u32(u64(u32(nil, 9), 2), 4), 2) // two arrays of uint32, of two and no elements
	nested = u32(u32(nested, 7), 8)
	nested = u64(u32(nested, 4), 0)
	return file{
		Pairs: pairs(
			"general.architecture", "llama", "u32", uint32(7), "i32", int32(-7), "f32", float32(0.5), "yes", true, "no", false,
			"u64", uint64(1)<<62, "f64", 0.1, "texts", []string{"a", "", "ü"}, "ints", []int32{-1, 2}, "floats", []float32{1, 2},
			"u8", raw(0, []byte{200}), "i8", raw(1, []byte{200}), "u16", raw(2, []byte{1, 2}), "i16", raw(3, []byte{255, 255}),
			"i64", raw(11, u64(nil, math.MaxUint64)), "nested", raw(9, nested), "bools", raw(9, append(u64(u32(nil, 7), 3), 0, 1, 1)),
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
		if !ok || q.Type != Q4_1 || fmt.Sprint(q.Shape) != "[2 64]" || len(q.Data) != 80 || q.Data[79] != 2 || cap(q.Data) != 80 {
			t.Errorf("q: %v %v %d bytes", q.Type, q.Shape, len(q.Data))
		}
		if c, _ := f.Tensor("cube"); fmt.Sprint(c.Shape) != "[4 3 2 1]" {
			t.Errorf("cube: %v", c.Shape)
		}
		if u, _ := f.Tensor("unread"); u.Type.String() != "Q2_K" || NonFinite(u) != 0 {
			t.Errorf("unread: %v", u.Type)
		}
		if _, ok := f.Tensor("b"); ok {
			t.Error("found a tensor that is not there")
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
		"Text": second(f.Text("u32")), "Float": second(f.Float("u32")), "Bool": second(f.Bool("u32")), "Texts": last(f.Texts("nested")),
		"Ints": last(f.Ints("floats")), "Floats": last(f.Floats("ints")),
	} {
		if err == nil || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%s of another type: %v", name, err)
		}
	}
	if list, err := f.Texts("missing"); list != nil || err != nil {
		t.Error(list, err)
	}
}

func second[T any](_ T, _ bool, err error) error { return err }

func last[T any](_ T, err error) error { return err }

// Values that are fine as bytes and not as what they are asked for.
func TestBadValues(t *testing.T) {
	f, err := Parse(file{Pairs: pairs("text", "a\xff", "texts", []string{"a", "\xc0"}, "nan", float32(math.NaN()), "huge", uint64(math.MaxUint64))}.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		`key "text": byte 48: the string is not UTF-8`:              second(f.Text("text")),
		`key "texts": element 1, byte 96: the string is not UTF-8`: last(f.Texts("texts")),
		`key "nan": byte 112: NaN is not a finite number`:           second(f.Float("nan")),
		`key "huge": byte 132: 18446744073709551615 is out of range, want 0 … 2^63-1`: second(f.Uint("huge")),
	} {
		if err == nil || err.Error() != "gguf: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// malformed returns damaged files with what the error must say: those of llama.cpp's test-gguf.cpp, and more.
func malformed() map[string]struct {
	file file
	want string
} {
	n := func(n uint64) *uint64 { return &n }
	u64 := binary.LittleEndian.AppendUint64
	u32 := binary.LittleEndian.AppendUint32
	kv := func(v any) file { return file{Pairs: pairs("k", v)} }
	one := func(t tensor) file { return file{Tensors: []tensor{t}} }
	row := func(dims ...uint64) file { return one(tensor{Name: "w", Dims: dims, Data: make([]byte, 64)}) }
	typed := func(typ uint32, dims ...uint64) file {
		return one(tensor{Name: "w", Dims: dims, Type: typ, Data: make([]byte, 512)})
	}
	at := func(offset uint64) file {
		return file{Tensors: []tensor{{Name: "v", Dims: []uint64{8}, Data: make([]byte, 32)}, {Name: "w", Dims: []uint64{8}, Offset: offset, Data: make([]byte, 32)}}}
	}
	aligned := func(v any) file {
		f := row(16)
		f.Pairs = pairs("general.alignment", v)
		return f
	}
	with := func(f file, change func(*file)) file {
		change(&f)
		return f
	}
	deep := u32(nil, 9)
	for range 5 {
		deep = u32(u64(deep, 1), 9)
	}
	deep = u64(deep, 0)
	return map[string]struct {
		file file
		want string
	}{
		"empty file":                {with(file{}, func(f *file) { f.Cut = 24 }), "byte 0: the magic takes 4 bytes, but only 0 follow"},
		"magic only":                {with(file{}, func(f *file) { f.Cut = 20 }), "byte 4: the version takes 4 bytes"},
		"header cut":                {with(file{}, func(f *file) { f.Cut = 1 }), "byte 16: the number of key-value pairs takes 8 bytes, but only 7 follow"},
		"bad magic":                 {file{Magic: "GGML"}, `begins with "GGML"`},
		"version 0":                 {file{Version: math.MaxUint32}, "version 4294967295 of the format is unknown"},
		"version 1":                 {file{Version: 1}, "version 1 of the format"},
		"future version":            {file{Version: 4}, "version 4 of the format is unknown"},
		"big-endian":                {file{Version: 3 << 24}, "the version is 3 in big-endian order"},
		"tensor count -1":           {file{Count: n(math.MaxUint64)}, "byte 8: 18446744073709551615 tensors are more than"},
		"tensor count 2^59":         {file{Count: n(1 << 59)}, "byte 8: 576460752303423488 tensors are more than"},
		"tensor missing":            {with(row(16), func(f *file) { f.Count = n(2) }), "tensor"},
		"pair count -1":             {file{PairCount: n(math.MaxUint64)}, "byte 16: 18446744073709551615 key-value pairs are more than"},
		"pair count without bytes":  {with(kv(uint32(1)), func(f *file) { f.PairCount = n(1000) }), "byte 16: 1000 key-value pairs are more than"},
		"key length -1":             {with(file{PairCount: n(1)}, func(f *file) { f.Extra = append(u64(nil, math.MaxUint64), make([]byte, 32)...) }), "byte 32: a key takes 18446744073709551615 bytes"},
		"key too long":              {file{Pairs: pairs(strings.Repeat("k", 65536), true)}, "a key has 65536 bytes"},
		"key empty":                 {file{Pairs: pairs("", uint64(1))}, "byte 24: a key is empty"},
		"key with NUL":              {file{Pairs: pairs("a\x00b", true)}, "byte 33: a key holds a NUL"},
		"key not UTF-8":             {file{Pairs: pairs("a\xff", true)}, "byte 24: a key is not UTF-8"},
		"key twice":                 {file{Pairs: pairs("k", true, "k", true)}, `key "k": byte 38: the key a second time`},
		"value type":                {kv(raw(13, make([]byte, 8))), `key "k": byte 33: the format has no value type 13`},
		"value cut":                 {kv(raw(10, make([]byte, 7))), `key "k": byte 37: a value of type uint64 takes 8 bytes, but only 7 follow`},
		"bool 2":                    {kv(raw(7, []byte{2})), `key "k": byte 37: a truth value of 2`},
		"string length -1":          {kv(raw(8, u64(nil, math.MaxUint64))), `key "k": byte 45: a string takes 18446744073709551615 bytes`},
		"string length 2^63":        {kv(raw(8, u64(nil, 1<<63))), `a string takes 9223372036854775808 bytes`},
		"array type":                {kv(raw(9, u64(u32(nil, 99), 1))), `key "k": byte 37: the format has no value type 99`},
		"array count overflow":      {kv(raw(9, u64(u32(nil, 10), 1<<61))), `key "k": byte 41: 2305843009213693952 elements of type uint64 are more than`},
		"array of strings too long": {kv(raw(9, u64(u32(nil, 8), 1<<40))), `elements of type string are more than`},
		"array cut":                 {kv(raw(9, append(u64(u32(nil, 8), 2), u64(u64(nil, 0), 9)...))), `key "k": byte 65: a string takes 9 bytes`},
		"bool 3 in an array":        {kv(raw(9, append(u64(u32(nil, 7), 2), 1, 3))), `key "k": byte 50: a truth value of 3`},
		"arrays too deep":           {kv(raw(9, deep)), `arrays are nested more than 4 deep`},
		"split model":               {file{Pairs: pairs("split.count", raw(2, []byte{3, 0}))}, "one of 3 parts"},
		"alignment 0":               {aligned(uint32(0)), `key "general.alignment": byte 53: 0 is not a power of two`},
		"alignment 33":              {aligned(uint32(33)), `33 is not a power of two`},
		"alignment 4":               {aligned(uint32(4)), `4 is not a power of two that is a multiple of 8`},
		"alignment type":            {aligned(uint64(32)), `found uint64, want uint32`},
		"alignment 2^31":            {aligned(uint32(1 << 31)), `should begin at the next multiple of 2147483648`},
		"alignment of other data":   {with(at(0), func(f *file) { f.Pairs = pairs("general.alignment", uint32(64)) }), `tensor "w": byte 115: offset 32 is not a multiple of the alignment, 64`},
		"name length -1":            {with(file{Count: n(1)}, func(f *file) { f.Extra = append(u64(nil, math.MaxUint64), make([]byte, 32)...) }), "tensor 0: byte 32: a tensor's name takes"},
		"name too long":             {one(tensor{Name: strings.Repeat("w", 65), Dims: []uint64{16}, Data: make([]byte, 64)}), "a tensor's name has 65 bytes"},
		"name empty":                {one(tensor{Dims: []uint64{16}, Data: make([]byte, 64)}), "tensor 0: byte 24: a tensor's name is empty"},
		"name with NUL":             {one(tensor{Name: "w\x00", Dims: []uint64{16}, Data: make([]byte, 64)}), "a tensor's name holds a NUL"},
		"name twice":                {file{Tensors: []tensor{{Name: "w", Dims: []uint64{8}, Data: make([]byte, 32)}, {Name: "w", Dims: []uint64{8}, Data: make([]byte, 32)}}}, `tensor "w": byte 57: the name a second time`},
		"no dimensions":             {row(), `tensor "w": byte 33: 0 dimensions`},
		"five dimensions":           {row(1, 1, 1, 1, 16), `tensor "w": byte 33: 5 dimensions`},
		"dimension 0":               {row(0, 4), `tensor "w": byte 37: dimension 0`},
		"dimension -1":              {row(16, math.MaxUint64), `tensor "w": byte 45: dimension 18446744073709551615`},
		"elements overflow":         {row(1<<62, 4, 4), `tensor "w": byte 61: F32 [4611686018427387904 4 4]: the size overflows`},
		"bytes overflow":            {row(1<<31, 1<<31), `the size overflows`},
		"blocks overflow":           {typed(13, 1<<40, 1<<30), `Q5_K [1099511627776 1073741824]: the size overflows`},
		"type unknown":              {typed(42, 32), `tensor "w": byte 45: the format has no tensor type 42`},
		"type given up":             {typed(4, 32), `no tensor type 4`},
		"row not whole blocks":      {typed(3, 33, 32), `tensor "w": byte 53: rows of 33 elements are not whole blocks of Q4_1, which hold 32`},
		"row of half a K block":     {typed(12, 128, 2), `rows of 128 elements are not whole blocks of Q4_K, which hold 256`},
		"offset not aligned":        {at(33), `tensor "w": byte 82: offset 33 is not a multiple of the alignment, 32`},
		"offset overlaps":           {file{Tensors: []tensor{{Name: "v", Dims: []uint64{9}, Data: make([]byte, 36)}, {Name: "w", Dims: []uint64{8}, Offset: 32, Data: make([]byte, 64)}}}, `tensor "w": its data at byte 32 of the data overlap`},
		"offset leaves a hole":      {with(at(64), func(f *file) { f.Extra = make([]byte, 32) }), `tensor "w": its data at byte 64 of the data leave a hole after byte 32`},
		"offset past the end":       {at(1 << 40), `tensor "w": its data, 32 bytes at byte 1099511627776 of the data, do not fit into the 64 bytes`},
		"offset 2^64-32":            {at(math.MaxUint64 - 31), `tensor "w": its data, 32 bytes at byte 18446744073709551584 of the data, do not fit`},
		"data cut":                  {with(row(16), func(f *file) { f.Cut = 1 }), `tensor "w": its data, 64 bytes at byte 0 of the data, do not fit into the 63 bytes`},
		"no data":                   {with(row(16), func(f *file) { f.Cut = 64 }), `do not fit into the 0 bytes`},
		"padding before data cut":   {with(row(16), func(f *file) { f.Cut = 65 }), `should begin at the next multiple of 32, but the file has`},
		"10 GB in a small file":     {row(1<<32, 1), `tensor "w": its data, 17179869184 bytes`},
		"bytes after the data":      {with(row(16), func(f *file) { f.Extra = make([]byte, 32) }), `32 bytes after the last tensor's data`},
	}
}

func TestMalformed(t *testing.T) {
	for name, c := range malformed() {
		t.Run(name, func(t *testing.T) {
			data := c.file.Bytes()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, err := Parse(data)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("taken: %q", f.Names())
			}
			message := err.Error()
			if !strings.HasPrefix(message, "gguf: ") || !strings.Contains(message, c.want) || strings.ContainsFunc(message, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q, want %q", message, c.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 4*uint64(len(data))+1<<16 {
				t.Errorf("%d bytes allocated for a file of %d", used, len(data))
			}
		})
	}
}

// Every prefix of a sound file is refused.
func TestCut(t *testing.T) {
	data := sound().Bytes()
	for n := range data {
		if _, err := Parse(data[:n:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken", n, len(data))
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
	// Descriptions in another order than the data.
	f := file{Tensors: []tensor{{Name: "w", Dims: []uint64{8}, Offset: 32, Data: make([]byte, 32)}, {Name: "v", Dims: []uint64{8}, Data: make([]byte, 32)}}}
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
		if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), bad) || name == "LFS" && !strings.Contains(err.Error(), "git lfs pull") {
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
		// Other bytes are numbers of any value.
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
		t.Error("a type lacks the places of its scales")
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
				t.Fatalf("several lines: %q", err)
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
			_, _, _ = file.Float(key)
			_, _, _ = file.Bool(key)
			_, _ = file.Texts(key)
			_, _ = file.Ints(key)
			_, _ = file.Floats(key)
		}
	})
}
