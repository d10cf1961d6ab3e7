package safetensors

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Tensors that the reference wrote give the same bytes when they are shuffled and written here.
func TestWriteEqualsReference(t *testing.T) {
	for _, c := range []struct {
		name     string
		metadata map[string]string
	}{
		{"every_type", nil},
		{"no_metadata", map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, err := os.ReadFile("testdata/" + c.name + ".safetensors")
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(want)
			if err != nil {
				t.Fatal(err)
			}
			var tensors []Tensor
			for _, name := range f.Names() {
				tensor, _ := f.Tensor(name)
				tensors = append(tensors, tensor)
			}
			shuffle := rand.New(rand.NewPCG(1, 2))
			for range 5 {
				shuffle.Shuffle(len(tensors), func(i, j int) { tensors[i], tensors[j] = tensors[j], tensors[i] })
				var got bytes.Buffer
				if err := Write(&got, tensors, c.metadata); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want) {
					t.Fatalf("got\n%q\nwant\n%q", got.Bytes()[:400], want[:400])
				}
			}
		})
	}
}

func TestWriteEmpty(t *testing.T) {
	for _, c := range []struct {
		metadata map[string]string
		want     string // the reference pads with spaces to a multiple of 8
	}{
		{map[string]string{}, "\x08\x00\x00\x00\x00\x00\x00\x00{}      "},
		{
			map[string]string{"framework": "pt"},
			"\x28\x00\x00\x00\x00\x00\x00\x00" + `{"__metadata__":{"framework":"pt"}}` + "     ",
		},
		{
			map[string]string{"b": "é<>&", "a": "\x01\b\f\n\r\t"},
			"\x38\x00\x00\x00\x00\x00\x00\x00" + `{"__metadata__":{"a":"\u0001\b\f\n\r\t","b":"é<>&"}}` + "   ",
		},
	} {
		var got strings.Builder
		if err := Write(&got, nil, c.metadata); err != nil {
			t.Fatal(err)
		}
		if got.String() != c.want {
			t.Errorf("got %q, want %q", got.String(), c.want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	four := make([]byte, 4)
	for _, c := range []struct {
		name     string
		tensors  []Tensor
		metadata map[string]string
		want     string
	}{
		{
			"name twice", []Tensor{{"w", F32, []int{1}, four}, {"w", U8, []int{4}, four}}, nil,
			`tensor "w": the name occurs twice`,
		},
		{"reserved", []Tensor{{"__metadata__", F32, []int{1}, four}}, nil, "reserved"},
		{"not UTF-8", []Tensor{{"\xff", F32, []int{1}, four}}, nil, "not UTF-8"},
		{"size", []Tensor{{"w", F32, []int{2}, four}}, nil, `tensor "w": 4 bytes of data, but F32 [2] takes 8`},
		{"type", []Tensor{{"w", "F33", []int{1}, four}}, nil, `"F33" is not a type`},
		{"negative", []Tensor{{"w", F32, []int{-1, -1}, four}}, nil, "negative dimension"},
		{"overflow", []Tensor{{"w", F32, []int{1 << 30, 1 << 30, 1 << 30}, nil}}, nil, "overflow"},
		{"rank", []Tensor{{"w", U8, make([]int, 65), nil}}, nil, "65 dimensions"},
		{"metadata", nil, map[string]string{"a": "\xff"}, `metadata "a"`},
		{"header", nil, map[string]string{"a": strings.Repeat("x", maxHeader)}, "at most 100000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Write(io.Discard, c.tensors, c.metadata)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteReportsFailure(t *testing.T) {
	big := make([]byte, 1<<20)
	err := Write(failing{}, []Tensor{{"w", U8, []int{len(big)}, big}}, nil)
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Error(err)
	}
}

// A file can be replaced by tensors that are mapped from it.
func TestWriteOverMappedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	data := bytes.Repeat([]byte{1, 2, 3, 4}, 50_000)
	if err := WriteFile(path, []Tensor{{"w", F32, []int{50_000}, data}}, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := f.Tensor("w")
		if err := WriteFile(path, []Tensor{w, {"v", U8, []int{1}, []byte{9}}}, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.Data, data) {
			t.Fatal("the mapped tensor changed")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
