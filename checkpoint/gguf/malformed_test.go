package gguf

import (
	"encoding/binary"
	"math"
	"runtime"
	"strings"
	"testing"
)

// malformed returns damaged files and a part of the error that each must give: those of llama.cpp's test-gguf.cpp, and
// more.
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
		return file{
			Tensors: []tensor{
				{Name: "v", Dims: []uint64{8}, Data: make([]byte, 32)},
				{Name: "w", Dims: []uint64{8}, Offset: offset, Data: make([]byte, 32)},
			},
		}
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
		"empty file": {with(file{}, func(f *file) {
			f.Cut = 24
		}), "byte 0: the magic takes 4 bytes, but only 0 follow"},
		"magic only": {with(file{}, func(f *file) { f.Cut = 20 }), "byte 4: the version takes 4 bytes"},
		"header cut": {with(file{}, func(f *file) {
			f.Cut = 1
		}), "byte 16: the number of key-value pairs takes 8 bytes, but only 7 follow"},
		"bad magic":         {file{Magic: "GGML"}, `begins with "GGML"`},
		"version 0":         {file{Version: math.MaxUint32}, "version 4294967295 of the format is unknown"},
		"version 1":         {file{Version: 1}, "version 1 of the format"},
		"future version":    {file{Version: 4}, "version 4 of the format is unknown"},
		"big-endian":        {file{Version: 3 << 24}, "the version is 3 in big-endian order"},
		"tensor count -1":   {file{Count: n(math.MaxUint64)}, "byte 8: 18446744073709551615 tensors are more than"},
		"tensor count 2^59": {file{Count: n(1 << 59)}, "byte 8: 576460752303423488 tensors are more than"},
		"tensor missing":    {with(row(16), func(f *file) { f.Count = n(2) }), "tensor"},
		"pair count -1": {file{PairCount: n(math.MaxUint64)},
			"byte 16: 18446744073709551615 key-value pairs are more than"},
		"pair count without bytes": {with(kv(uint32(1)), func(f *file) {
			f.PairCount = n(1000)
		}), "byte 16: 1000 key-value pairs are more than"},
		"key length -1": {with(file{PairCount: n(1)}, func(f *file) {
			f.Extra = append(u64(nil, math.MaxUint64), make([]byte, 32)...)
		}), "byte 32: a key takes 18446744073709551615 bytes"},
		"key too long":  {file{Pairs: pairs(strings.Repeat("k", 65536), true)}, "a key has 65536 bytes"},
		"key empty":     {file{Pairs: pairs("", uint64(1))}, "byte 24: a key is empty"},
		"key with NUL":  {file{Pairs: pairs("a\x00b", true)}, "byte 33: a key contains a NUL"},
		"key not UTF-8": {file{Pairs: pairs("a\xff", true)}, "byte 24: a key is not UTF-8"},
		"key twice":     {file{Pairs: pairs("k", true, "k", true)}, `key "k": byte 38: duplicate key`},
		"value type":    {kv(raw(13, make([]byte, 8))), `key "k": byte 33: the format has no value type 13`},
		"value cut": {kv(raw(10, make([]byte, 7))),
			`key "k": byte 37: a value of type uint64 takes 8 bytes, but only 7 follow`},
		"bool 2": {kv(raw(7, []byte{2})), `key "k": byte 37: got a truth value of 2`},
		"string length -1": {kv(raw(8, u64(nil, math.MaxUint64))),
			`key "k": byte 45: a string takes 18446744073709551615 bytes`},
		"string length 2^63": {kv(raw(8, u64(nil, 1<<63))), `a string takes 9223372036854775808 bytes`},
		"array type":         {kv(raw(9, u64(u32(nil, 99), 1))), `key "k": byte 37: the format has no value type 99`},
		"array count overflow": {kv(raw(9, u64(u32(nil, 10), 1<<61))),
			`key "k": byte 41: 2305843009213693952 elements of type uint64 are more than`},
		"array of strings too long": {kv(raw(9, u64(u32(nil, 8), 1<<40))), `elements of type string are more than`},
		"array cut": {kv(raw(9, append(u64(u32(nil, 8), 2), u64(u64(nil, 0), 9)...))),
			`key "k": byte 65: a string takes 9 bytes`},
		"bool 3 in an array": {kv(raw(9, append(u64(u32(nil, 7), 2), 1, 3))), `key "k": byte 50: got a truth value of 3`},
		"arrays too deep":    {kv(raw(9, deep)), `arrays are nested more than 4 deep`},
		"split model":        {file{Pairs: pairs("split.count", raw(2, []byte{3, 0}))}, "one of 3 parts"},
		"alignment 0":        {aligned(uint32(0)), `key "general.alignment": byte 53: 0 is not a power of two`},
		"alignment 33":       {aligned(uint32(33)), `33 is not a power of two`},
		"alignment 4":        {aligned(uint32(4)), `4 is not a power of two that is a multiple of 8`},
		"alignment type":     {aligned(uint64(32)), `got uint64, want uint32`},
		"alignment 2^31":     {aligned(uint32(1 << 31)), `should begin at the next multiple of 2147483648`},
		"alignment of other data": {with(at(0), func(f *file) {
			f.Pairs = pairs("general.alignment", uint32(64))
		}), `tensor "w": byte 115: offset 32 is not a multiple of the alignment, 64`},
		"name length -1": {with(file{Count: n(1)}, func(f *file) {
			f.Extra = append(u64(nil, math.MaxUint64), make([]byte, 32)...)
		}), "tensor 0: byte 32: a tensor's name takes"},
		"name too long": {one(tensor{Name: strings.Repeat("w", 65), Dims: []uint64{16}, Data: make([]byte, 64)}),
			"a tensor's name has 65 bytes"},
		"name empty": {one(tensor{Dims: []uint64{16}, Data: make([]byte, 64)}),
			"tensor 0: byte 24: a tensor's name is empty"},
		"name with NUL": {one(tensor{Name: "w\x00", Dims: []uint64{16}, Data: make([]byte, 64)}),
			"a tensor's name contains a NUL"},
		"name twice": {file{Tensors: []tensor{{Name: "w", Dims: []uint64{8}, Data: make([]byte, 32)},
			{Name: "w", Dims: []uint64{8}, Data: make([]byte, 32)}}}, `tensor "w": byte 57: duplicate name`},
		"no dimensions":   {row(), `tensor "w": byte 33: got 0 dimensions`},
		"five dimensions": {row(1, 1, 1, 1, 16), `tensor "w": byte 33: got 5 dimensions`},
		"dimension 0":     {row(0, 4), `tensor "w": byte 37: dimension 0`},
		"dimension -1":    {row(16, math.MaxUint64), `tensor "w": byte 45: dimension 18446744073709551615`},
		"elements overflow": {row(1<<62, 4, 4),
			`tensor "w": byte 61: F32 [4611686018427387904 4 4]: the size overflows`},
		"bytes overflow":  {row(1<<31, 1<<31), `the size overflows`},
		"blocks overflow": {typed(13, 1<<40, 1<<30), `Q5_K [1099511627776 1073741824]: the size overflows`},
		"type unknown":    {typed(42, 32), `tensor "w": byte 45: the format has no tensor type 42`},
		"type given up":   {typed(4, 32), `no tensor type 4`},
		"row not whole blocks": {typed(3, 33, 32),
			`tensor "w": byte 53: rows of 33 elements are not whole blocks of Q4_1, which hold 32`},
		"row of half a K block": {typed(12, 128, 2), `rows of 128 elements are not whole blocks of Q4_K, which hold 256`},
		"offset not aligned":    {at(33), `tensor "w": byte 82: offset 33 is not a multiple of the alignment, 32`},
		"offset overlaps": {file{Tensors: []tensor{{Name: "v", Dims: []uint64{9}, Data: make([]byte, 36)},
			{Name: "w", Dims: []uint64{8}, Offset: 32, Data: make([]byte, 64)}}},
			`tensor "w": its data at byte 32 of the data overlap`},
		"offset leaves a hole": {with(at(64), func(f *file) {
			f.Extra = make([]byte, 32)
		}), `tensor "w": its data at byte 64 of the data leave a gap after byte 32`},
		"offset past the end": {at(1 << 40),
			`tensor "w": its data, 32 bytes at byte 1099511627776 of the data, do not fit into the 64 bytes`},
		"offset 2^64-32": {at(math.MaxUint64 - 31),
			`tensor "w": its data, 32 bytes at byte 18446744073709551584 of the data, do not fit`},
		"data cut": {with(row(16), func(f *file) {
			f.Cut = 1
		}), `tensor "w": its data, 64 bytes at byte 0 of the data, do not fit into the 63 bytes`},
		"no data": {with(row(16), func(f *file) { f.Cut = 64 }), `do not fit into the 0 bytes`},
		"padding before data cut": {with(row(16), func(f *file) {
			f.Cut = 65
		}), `should begin at the next multiple of 32, but the file has`},
		"10 GB in a small file": {row(1<<32, 1), `tensor "w": its data, 17179869184 bytes`},
		"bytes after the data": {with(row(16), func(f *file) {
			f.Extra = make([]byte, 32)
		}), `32 bytes after the last tensor's data`},
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
				t.Fatalf("accepted: %q", f.Names())
			}
			message := err.Error()
			if !strings.HasPrefix(message, "gguf: ") || !strings.Contains(message, c.want) ||
				strings.ContainsFunc(message, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q, want %q", message, c.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 4*uint64(len(data))+1<<16 {
				t.Errorf("%d bytes allocated for a file of %d", used, len(data))
			}
		})
	}
}
