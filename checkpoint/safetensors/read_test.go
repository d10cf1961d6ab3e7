package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// verdict is a hand-made file and the verdict of the reference reader on it; see reference/safetensors_fixture.py.
type verdict struct {
	Name     string `json:"name"`
	File     []byte `json:"file"`
	Accepted bool   `json:"accepted"`
}

func verdicts(t testing.TB) []verdict {
	t.Helper()
	text, err := os.ReadFile("testdata/verdicts.json")
	if err != nil {
		t.Fatal(err)
	}
	var v []verdict
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReferenceVerdicts(t *testing.T) {
	stricter := []string{"name twice, same data", "name twice, other data", "rank 65", "tensor is array"}
	for _, v := range verdicts(t) {
		t.Run(v.Name, func(t *testing.T) {
			want := v.Accepted
			if slices.Contains(stricter, v.Name) {
				if !want {
					t.Fatal("listed as stricter than the reference, which refuses it too")
				}
				want = false
			}
			_, err := Parse(v.File)
			if accepted := err == nil; accepted != want {
				t.Errorf("accepted %v, want %v; error: %v", accepted, want, err)
			}
			if err != nil && (!strings.HasPrefix(err.Error(), "safetensors: ") ||
				strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' })) {
				t.Errorf("message %q lacks the prefix or is more than one line", err)
			}
		})
	}
}

// file returns a file with the given header and n bytes of data.
func file(header string, n int) []byte {
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), []byte(header), make([]byte, n))
}

func TestMessages(t *testing.T) {
	long := strings.Repeat("n", 1<<20)
	for _, c := range []struct {
		name string
		data []byte
		want []string
	}{
		{"empty", nil, []string{"0 bytes are shorter than the 8-byte header length"}},
		{"cut", file("{}", 0)[:9], []string{"header length 2", "cut off"}},
		{
			"header 10 GB", append(binary.LittleEndian.AppendUint64(nil, 10<<30), make([]byte, 1024)...),
			[]string{"header length 10737418240", "100000000"},
		},
		{
			"data 10 GB", file(`{"w":{"dtype":"U8","shape":[10737418240],"data_offsets":[0,10737418240]}}`, 1024),
			[]string{`tensor "w"`, "10737418240", "1024", "cut off"},
		},
		{"no JSON", file("hello", 0), []string{"header", "'h'", "byte 0"}},
		{
			"trailing", file(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 3),
			[]string{"2 bytes after the last tensor"},
		},
		{
			"duplicate",
			file(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}}`, 6),
			[]string{`tensor "w"`, "twice"},
		},
		{
			"other case", file(`{"w":{"Dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1),
			[]string{`tensor "w"`, "dtype is missing"},
		},
		{
			"offset", file(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}}`, 1),
			[]string{`tensor "w"`, "data_offsets", "1.0", "byte 49"},
		},
		{"type", file(`{"w":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}`, 1), []string{`tensor "w"`, `"Q4"`}},
		{
			"size", file(`{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,23]}}`, 23),
			[]string{`tensor "w"`, "23 bytes", "F32 [2 3] takes 24"},
		},
		{
			"overflow", file(`{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0),
			[]string{`tensor "w"`, "overflow"},
		},
		{"hole", file(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), []string{`tensor "w"`, "hole"}},
		{"long name", file(`{"`+long+`":{"dtype":"U8"}}`, 0), []string{`nnn..."`, "shape is missing"}},
		{"escaped name", file(`{"\u202e\n":{"dtype":"U8"}}`, 0), []string{`"\u202e\n"`}},
		{"metadata", file(`{"__metadata__":{"x":1}}`, 0), []string{"__metadata__ must be an object of strings", `"x"`}},
		{
			"pickle", append([]byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."), make([]byte, 64)...),
			[]string{"pickle", "convert it to safetensors"},
		},
		{
			"torch zip", append([]byte("PK\x03\x04"), make([]byte, 64)...), []string{"zip archive", "convert it to safetensors"},
		},
		{"GGUF", append([]byte("GGUF\x03\x00\x00\x00"), make([]byte, 64)...), []string{"GGUF"}},
		{"HTML", []byte("<!DOCTYPE html><html><body>404</body></html>"), []string{"web page", "download"}},
		{
			"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 438007537\n"),
			[]string{"Git LFS pointer", "git lfs pull"},
		},
		{"HDF5", append([]byte("\x89HDF\r\n\x1a\n"), make([]byte, 64)...), []string{"HDF5"}},
		{"gzip", append([]byte{0x1f, 0x8b, 8, 0}, make([]byte, 64)...), []string{"gzip"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.safetensors")
			if err := os.WriteFile(path, c.data, 0o666); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatal("opened")
			}
			message := err.Error()
			for _, want := range append(c.want, path) {
				if !strings.Contains(message, want) {
					t.Errorf("%q does not contain %q", message, want)
				}
			}
			if len(message) > 600 || strings.Contains(message, "\n") {
				t.Errorf("message of %d bytes: %.200q", len(message), message)
			}
		})
	}
}

// A header whose length begins like a pickle (640 = 0x0280) is still a header.
func TestHeaderThatLooksLikePickle(t *testing.T) {
	data := file("{}"+strings.Repeat(" ", 640-2), 0)
	if data[0] != 0x80 || data[1] != 2 {
		t.Fatal("the test itself is wrong: the header length changed")
	}
	if _, err := Parse(data); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing")} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s): %v", path, err)
		}
	}
}

func TestOpenEqualsParse(t *testing.T) {
	const path = "testdata/every_type.safetensors"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(opened.Metadata()); got != "map[format:pt]" {
		t.Errorf("metadata %s", got)
	}
	if !slices.Equal(opened.Names(), parsed.Names()) || len(parsed.Names()) != 28 {
		t.Errorf("names %q and %q", opened.Names(), parsed.Names())
	}
	for _, name := range parsed.Names() {
		want, _ := parsed.Tensor(name)
		opened.Release(want.Data) // not a view of the mapping
		got, ok := opened.Tensor(name)
		opened.Release(got.Data)
		if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if _, ok := opened.Tensor("none"); ok {
		t.Error("found a tensor that does not exist")
	}
	for range 2 {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(opened.Names()) != 0 {
		t.Error("names after Close")
	}
}

func TestScalarAndEmpty(t *testing.T) {
	f, err := Open("testdata/every_type.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]int{"scalar": 1, "empty": 0, "empty.matrix": 0, "float32": 6} {
		tensor, ok := f.Tensor(name)
		if !ok || tensor.Len() != want {
			t.Errorf("%s: %d elements, want %d", name, tensor.Len(), want)
		}
	}
	scalar, _ := f.Tensor("scalar")
	if v, err := AsFloat32(scalar); err != nil || len(v) != 1 || v[0] != 1.5 {
		t.Errorf("scalar: %v, %v", v, err)
	}
}

// Released pages are read again from the file.
func TestRelease(t *testing.T) {
	data := make([]byte, 64*os.Getpagesize())
	for i := range data {
		data[i] = byte(i / 1000)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(path, []Tensor{{Name: "x", DType: U8, Shape: []int{len(data)}, Data: data}}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, _ := f.Tensor("x")
	for _, part := range [][]byte{x.Data, x.Data[:10], x.Data[5000:], nil} {
		f.Release(part)
		if !slices.Equal(x.Data, data) {
			t.Fatal("data changed")
		}
	}
}

// The cost of a header is proportional to its size, and offsets alone cost nothing.
func TestMemory(t *testing.T) {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 100_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%x":{"dtype":"U8","shape":[0,1,1],"data_offsets":[0,0]}`, i)
	}
	b.WriteByte('}')
	many := file(b.String(), 0)
	promise := file(`{"w":{"dtype":"U8","shape":[10737418240],"data_offsets":[0,10737418240]}}`, 1024)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := Parse(promise); err == nil {
		t.Fatal("accepted")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for a header that claims 10 GB", n)
	}

	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := Parse(many)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int(after.HeapAlloc) - int(before.HeapAlloc); n > 4*len(many) {
		t.Errorf("%d bytes allocated for a header of %d bytes", n, len(many))
	}
	runtime.KeepAlive(f)
}

func FuzzParse(f *testing.F) {
	for _, v := range verdicts(f) {
		f.Add(v.File)
	}
	for _, name := range []string{"every_type", "no_metadata"} {
		data, err := os.ReadFile("testdata/" + name + ".safetensors")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		// Every accepted file can be read completely, and keeps its content when it is written and read again.
		var tensors []Tensor
		size := 0
		for _, name := range file.Names() {
			tensor, ok := file.Tensor(name)
			if !ok {
				t.Fatalf("%q is listed but not found", name)
			}
			size += len(tensor.Data)
			NonFinite(tensor)
			if _, err := AsFloat32(tensor); err == nil && tensor.DType == F64 {
				t.Fatal("F64 was accepted as float32")
			}
			tensors = append(tensors, tensor)
		}
		if size > len(data) {
			t.Fatalf("%d bytes of tensors in a file of %d", size, len(data))
		}
		metadata := file.Metadata()
		if metadata == nil {
			metadata = map[string]string{}
		}
		var b strings.Builder
		if err := Write(&b, tensors, metadata); err != nil {
			t.Fatalf("writing what was read: %v", err)
		}
		again, err := Parse([]byte(b.String()))
		if err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		if len(again.Names()) != len(tensors) || len(again.Metadata()) != len(metadata) {
			t.Fatal("tensors or metadata are lost")
		}
		for _, want := range tensors {
			if got, _ := again.Tensor(want.Name); got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) ||
				string(got.Data) != string(want.Data) {
				t.Fatalf("%q: %v, want %v", want.Name, got, want)
			}
		}
	})
}
