package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// mlxWeights is the file of the tensors of an adapter of mlx-lm; its configuration has PEFT's name.
const mlxWeights = "adapters.safetensors"

// mlxConfig is adapter_config.json as mlx-lm writes it.
type mlxConfig struct {
	FineTuneType *string `json:"fine_tune_type"` // lora (also if it is missing), dora or full
	Model        string  `json:"model"`
	Parameters   *struct {
		Rank    int     `json:"rank"`
		Scale   float64 `json:"scale"` // the factor itself, not divided by the rank
		Dropout float64 `json:"dropout"`
	} `json:"lora_parameters"`
}

// ReadMLX reads the LoRA adapter of a language model that mlx-lm wrote to dir: adapters.safetensors, where A is in×r
// and B is r×out, and adapter_config.json. Layers have their names in transformers. The target modules are the paths
// of all layers. It returns an error if a file is missing or not valid, or if the adapter is not plain LoRA.
func ReadMLX(dir string) (*Detached, error) {
	text, err := os.ReadFile(filepath.Join(dir, configName))
	if err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	var c mlxConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("lora: %s: %s: %w", dir, configName, err)
	}
	switch {
	case c.FineTuneType != nil && *c.FineTuneType != "lora":
		return nil, fmt.Errorf("lora: %s: fine_tune_type is %q; only lora can be converted", dir, *c.FineTuneType)
	case c.Parameters == nil || c.Parameters.Rank < 1:
		return nil, fmt.Errorf("lora: %s: %s has no lora_parameters with a rank; give the directory of an adapter of mlx-lm",
			dir, configName)
	}
	path := filepath.Join(dir, mlxWeights)
	f, err := safetensors.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lora: %s has no %s; give the directory of an adapter of mlx-lm", dir, mlxWeights)
	}
	if err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	defer f.Close()
	var tensors []stored
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		x, err := mlxTensor(t)
		if err != nil {
			return nil, fmt.Errorf("lora: %s: %w", path, err)
		}
		tensors = append(tensors, x)
	}
	config := DefaultConfig()
	config.R, config.Alpha = c.Parameters.Rank, c.Parameters.Scale*float64(c.Parameters.Rank)
	config.Dropout, config.TaskType, config.BaseModel = float32(c.Parameters.Dropout), CausalLM, c.Model
	d, err := detach(config, tensors)
	if err != nil {
		return nil, fmt.Errorf("lora: %s: %w", path, err)
	}
	d.Name, d.Config.TargetModules = dir, Names(d.paths()...)
	return d, d.Config.Check()
}

// mlxTensor returns a tensor of mlx-lm as PEFT stores it.
func mlxTensor(t safetensors.Tensor) (stored, error) {
	path, isA := strings.CutSuffix(t.Name, ".lora_a")
	var isB bool
	if !isA {
		path, isB = strings.CutSuffix(t.Name, ".lora_b")
	}
	if !isA && !isB || len(t.Shape) != 2 {
		return stored{}, fmt.Errorf("tensor %q is not a matrix A or B of LoRA; only plain LoRA of linear layers and "+
			"embeddings can be converted", t.Name)
	}
	values, err := safetensors.AsFloat32(t)
	if err != nil {
		return stored{}, err
	}
	if rest, gpt := strings.CutPrefix(path, "model.h."); gpt { // GPT-2 is below transformer in transformers
		path = "transformer.h." + rest
	}
	endings := []string{linearA, linearB}
	if slices.Contains([]string{"model.embed_tokens", "model.wte"}, path) {
		path, endings = strings.Replace(path, "model.wte", "transformer.wte", 1), []string{tableA, tableB}
	}
	rows, columns := t.Shape[0], t.Shape[1]
	turned := make([]float32, len(values))
	for i := range rows {
		for j := range columns {
			turned[j*rows+i] = values[i*columns+j]
		}
	}
	ending := endings[0]
	if isB {
		ending = endings[1]
	}
	return stored{keyPrefix + path + ending, []int{columns, rows}, turned}, nil
}

// paths returns the paths of all layers.
func (d *Detached) paths() []string {
	list := make([]string, len(d.Layers))
	for i, l := range d.Layers {
		list[i] = l.Path
	}
	return list
}
