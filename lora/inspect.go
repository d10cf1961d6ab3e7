package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// TensorInfo is a tensor of an adapter file.
type TensorInfo struct {
	Path  string // name in the file without PEFT's prefix: the path of the layer, then that of the tensor
	DType safetensors.DType
	Shape []int
}

// Tensors returns the tensors of the adapter in dir, in the order of the file. It needs no model and does not read the
// values. It returns an error if the file of the tensors is missing or not valid.
func Tensors(dir string) ([]TensorInfo, error) {
	f, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	list := make([]TensorInfo, 0, len(f.Names()))
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		list = append(list, TensorInfo{strings.TrimPrefix(name, keyPrefix), t.DType, t.Shape})
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("lora: %s: %w", dir, err)
	}
	return list, nil
}

// BaseClass returns the transformers class that PEFT made the adapter in dir for, such as BertForMultipleChoice, or ""
// if adapter_config.json does not contain it. PEFT writes it for adapters without a task type.
func BaseClass(dir string) (string, error) {
	path := filepath.Join(dir, configName)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("lora: %w", err)
	}
	var c struct {
		AutoMapping struct {
			BaseModelClass string `json:"base_model_class"`
		} `json:"auto_mapping"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return "", fmt.Errorf("lora: %s: %w", path, err)
	}
	return c.AutoMapping.BaseModelClass, nil
}

// ReadNotes returns the notes of the adapter in dir by name (see [Set.SetNote]). PEFT's adapters have none.
func ReadNotes(dir string) (map[string]string, error) {
	f, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	list := notes(f)
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("lora: %s: %w", dir, err)
	}
	return list, nil
}

// notes returns the notes in the metadata of an adapter's tensors.
func notes(f *safetensors.File) map[string]string {
	list := map[string]string{}
	for key, value := range f.Metadata() {
		if name, ok := strings.CutPrefix(key, notePrefix); ok && key != fingerprintKey {
			list[name] = value
		}
	}
	return list
}

// openWeights opens the tensors of the adapter in dir.
func openWeights(dir string) (*safetensors.File, error) {
	f, err := safetensors.Open(filepath.Join(dir, weightsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingWeights(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	return f, nil
}

// Candidate is a module of a model that target_modules may name.
type Candidate struct {
	Path    string
	Table   bool // an embedding: In is the number of rows of the table, Out their length
	In, Out int
}

// Candidates returns the linear and embedding layers of m in the order of declaration.
func Candidates(m spago.Model) []Candidate {
	var list []Candidate
	layers, _ := (&Set{}).candidates(m)
	for _, l := range layers {
		c := Candidate{Path: l.path, Table: l.table, In: l.weight.Cols, Out: l.weight.Rows}
		if l.table {
			c.In, c.Out = l.weight.Rows, l.weight.Cols
		}
		list = append(list, c)
	}
	return list
}
