package gguf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// pending returns a tensor with the given bytes.
func pending(name string, t gguf.Type, data []byte, shape ...int) gguf.Pending {
	return gguf.Pending{Name: name, Type: t, Shape: shape, Data: func() ([]byte, error) { return data, nil }}
}

func floats(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// TestWriteEqualsPackage writes the content of a file of the gguf package and compares the bytes.
func TestWriteEqualsPackage(t *testing.T) {
	want, err := os.ReadFile("../../testdata/llamacpp/written.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []gguf.Pending
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		tensors = append(tensors, pending(name, x.Type, x.Data, x.Shape...))
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, []gguf.Pair{
		{Key: "general.architecture", Value: "test"},
		{Key: "a.bool", Value: true}, {Key: "a.uint32", Value: uint32(4000000000)}, {Key: "a.int32", Value: int32(-5)},
		{Key: "a.uint64", Value: uint64(1 << 40)}, {Key: "a.float32", Value: float32(0.1)},
		{Key: "a.text", Value: "naïve ▁ 🙂"}, {Key: "a.texts", Value: []string{"x", "", "▁the"}},
		{Key: "a.ints", Value: []int32{1, -2, 3}}, {Key: "a.floats", Value: []float32{0.5, -1.5}},
	}, tensors); err != nil {
		t.Fatal(err)
	}
	if got := b.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("the bytes differ:\n%x\nwant\n%x", got, want)
	}
}

func TestWriteErrors(t *testing.T) {
	one := pending("x", gguf.F32, floats(1), 1)
	for name, c := range map[string]struct {
		pairs   []gguf.Pair
		tensors []gguf.Pending
		want    string
	}{
		"empty key":     {pairs: []gguf.Pair{{Key: "", Value: true}}, want: "a key has no name"},
		"key twice":     {pairs: []gguf.Pair{{Key: "k", Value: true}, {Key: "k", Value: true}}, want: "duplicate name"},
		"key with NUL":  {pairs: []gguf.Pair{{Key: "k\x00", Value: true}}, want: "contains a NUL"},
		"key not UTF-8": {pairs: []gguf.Pair{{Key: "k\xff", Value: true}}, want: "not UTF-8"},
		"alignment":     {pairs: []gguf.Pair{{Key: "general.alignment", Value: uint32(64)}}, want: "always 32"},
		"kind":          {pairs: []gguf.Pair{{Key: "k", Value: 1}}, want: "values of type int are not written"},
		"text":          {pairs: []gguf.Pair{{Key: "k", Value: "\xff"}}, want: "the string is not UTF-8"},
		"texts":         {pairs: []gguf.Pair{{Key: "k", Value: []string{"a", "\xff"}}}, want: "element 1"},
		"long name": {
			tensors: []gguf.Pending{pending(strings.Repeat("n", 65), gguf.F32, floats(1), 1)}, want: "65 bytes",
		},
		"name twice":    {tensors: []gguf.Pending{one, one}, want: "duplicate name"},
		"no dimension":  {tensors: []gguf.Pending{pending("x", gguf.F32, nil)}, want: "0 dimensions"},
		"dimension 0":   {tensors: []gguf.Pending{pending("x", gguf.F32, nil, 2, 0)}, want: "dimension 0"},
		"type":          {tensors: []gguf.Pending{pending("x", 99, nil, 2)}, want: "no tensor type 99"},
		"part of block": {tensors: []gguf.Pending{pending("x", gguf.Q8_0, nil, 33)}, want: "whole blocks"},
		"overflow":      {tensors: []gguf.Pending{pending("x", gguf.F32, nil, 1<<40, 1<<40)}, want: "overflows"},
	} {
		var b bytes.Buffer
		err := gguf.Write(&b, c.pairs, c.tensors)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		if b.Len() > 0 {
			t.Errorf("%s: %d bytes are written", name, b.Len())
		}
	}
	err := gguf.Write(io.Discard, nil, []gguf.Pending{pending("x", gguf.F32, floats(1, 2), 1)})
	if err == nil || !strings.Contains(err.Error(), "got 8 bytes, want 4") {
		t.Error(err)
	}
}

// TestWriteFileWhole shows that an error leaves the old file.
func TestWriteFileWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := gguf.WriteFile(path, nil, []gguf.Pending{pending("x", gguf.F32, floats(1), 1)}); err != nil {
		t.Fatal(err)
	}
	reason := errors.New("no values")
	bad := gguf.Pending{Name: "x", Type: gguf.F32, Shape: []int{1}, Data: func() ([]byte, error) { return nil, reason }}
	if err := gguf.WriteFile(path, nil, []gguf.Pending{bad}); !errors.Is(err, reason) {
		t.Errorf("got %v, want %v", err, reason)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, _ := f.Tensor("x"); !bytes.Equal(x.Data, floats(1)) {
		t.Errorf("the old file has changed: %x", x.Data)
	}
}

// FuzzWrite checks that the reader accepts what the writer writes and gives everything back.
func FuzzWrite(f *testing.F) {
	f.Add("general.name", "text", uint32(1), float32(0.5), "blk.0.attn_q.weight", uint8(2), uint8(32), uint8(8), true)
	f.Add("k", "", uint32(0), float32(math.Inf(1)), "x", uint8(1), uint8(1), uint8(0), false)
	f.Fuzz(func(t *testing.T, key, text string, n uint32, x float32, name string, rows, columns, kind uint8, b bool) {
		elements, size := gguf.Type(kind).Block()
		if elements == 0 {
			elements, size = 1, 1
		}
		data := bytes.Repeat([]byte{kind}, int(rows)*(int(columns)/elements)*size)
		pairs := []gguf.Pair{
			{Key: key, Value: text}, {Key: "n", Value: n}, {Key: "x", Value: x}, {Key: "b", Value: b},
			{Key: "texts", Value: []string{text, key}}, {Key: "ints", Value: []int32{int32(n), -1}},
			{Key: "floats", Value: []float32{x, 1}},
		}
		var out bytes.Buffer
		err := gguf.Write(&out, pairs, []gguf.Pending{
			pending(name, gguf.Type(kind), data, int(rows), int(columns)), pending("last", gguf.F32, floats(x), 1),
		})
		if err != nil {
			return
		}
		file, err := gguf.Parse(out.Bytes())
		if key == "split.count" { // the reader gives it a meaning
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		gotText, _, err := file.Text(key)
		gotN, _, errN := file.Uint("n")
		texts, errTexts := file.Texts("texts")
		ints, errInts := file.Ints("ints")
		if err := errors.Join(err, errN, errTexts, errInts); err != nil {
			t.Fatal(err)
		}
		tensor, ok := file.Tensor(name)
		if gotText != text || gotN != uint64(n) || !reflect.DeepEqual(texts, []string{text, key}) ||
			!reflect.DeepEqual(ints, []int64{int64(int32(n)), -1}) || !ok || !bytes.Equal(tensor.Data, data) ||
			!reflect.DeepEqual(tensor.Shape, []int{int(rows), int(columns)}) {
			t.Errorf("read back: %q %d %q %v %v", gotText, gotN, texts, ints, tensor)
		}
	})
}
