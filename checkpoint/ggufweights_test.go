package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// quantisedModel returns a GGUF file with one quantised tensor and one of three dimensions. names is the value of
// namesKey, "" for none.
func quantisedModel(t *testing.T, names string) []byte {
	t.Helper()
	pairs := []gguf.Pair{{Key: "general.architecture", Value: "whisper"}}
	if names != "" {
		pairs = append(pairs, gguf.Pair{Key: namesKey, Value: names})
	}
	data := func(n int) func() ([]byte, error) {
		return func() ([]byte, error) { return make([]byte, n), nil }
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, pairs, []gguf.Pending{
		{Name: "model.table.weight", Type: gguf.Q8_0, Shape: []int{3, 64}, Data: data(3 * 2 * 34)},
		{Name: "model.conv.weight", Type: gguf.F16, Shape: []int{2, 5, 3}, Data: data(60)},
	}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestQuantisedDirectory opens a model directory whose weights are in a GGUF file with transformers' names, in memory
// and on disk.
func TestQuantisedDirectory(t *testing.T) {
	files := map[string][]byte{
		"config.json": []byte(`{"model_type": "whisper"}`), quantisedName: quantisedModel(t, ownNames),
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inMemory, err := FromBytes(files)
	if err != nil {
		t.Fatal(err)
	}
	onDisk, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Source{inMemory, onDisk} {
		if got := s.Names(); !slices.Equal(got, []string{"model.table.weight", "model.conv.weight"}) {
			t.Errorf("%s: tensors %v", s.Name(), got)
		}
		x, ok := s.Tensor("model.table.weight")
		if !ok || x.DType != "Q8_0" || !slices.Equal(x.Shape, []int{3, 64}) || len(x.Data) != 204 {
			t.Errorf("%s: table %v %v, %d bytes", s.Name(), x.DType, x.Shape, len(x.Data))
		}
		wants := []Want{{Name: "model.table.weight", Shape: []int{3, 64}}, {Name: "model.conv.weight", Shape: []int{2, 5, 3}}}
		if _, report, err := s.Load(wants, LoadOptions{}); err != nil || report.Loaded != 2 {
			t.Errorf("%s: %d tensors, %v", s.Name(), report.Loaded, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestQuantisedErrors refuses files with llama.cpp's names, damaged ones, and those beside safetensors files.
func TestQuantisedErrors(t *testing.T) {
	config := []byte(`{"model_type": "whisper"}`)
	whole := quantisedModel(t, ownNames)
	for want, data := range map[string][]byte{
		"llama.cpp's names": quantisedModel(t, ""), quantisedName: whole[:len(whole)-100],
		"not a GGUF file": []byte("no GGUF"),
	} {
		_, err := FromBytes(map[string][]byte{"config.json": config, quantisedName: data})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
