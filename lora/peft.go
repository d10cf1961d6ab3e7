package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn/op"
)

// The files of an adapter, as PEFT names them.
const (
	configName  = "adapter_config.json"
	weightsName = "adapter_model.safetensors"
)

// FileNames returns the names of the files that [Set.Save] writes.
func FileNames() []string { return []string{configName, weightsName} }

// fingerprintKey is the key of the base model's fingerprint in the metadata of the tensors. PEFT ignores it.
const fingerprintKey = "spalora.base_fingerprint"

// notePrefix is the prefix of the keys of notes in the metadata of the tensors. PEFT ignores them.
const notePrefix = "spalora."

// keyPrefix is the prefix of every tensor name in an adapter file.
const keyPrefix = "base_model.model."

// baseLayer is the suffix in PEFT's name of the weight below an adapted layer.
const baseLayer = ".base_layer.weight"

// keys returns the names of the pair's tensors in an adapter file, for saving and loading.
func (p pair) keys() (a, b string) {
	if p.table {
		return keyPrefix + p.path + ".lora_embedding_A", keyPrefix + p.path + ".lora_embedding_B"
	}
	return keyPrefix + p.path + ".lora_A.weight", keyPrefix + p.path + ".lora_B.weight"
}

// stored is a tensor of the adapter file with the set's own values.
type stored struct {
	key    string
	shape  []int
	values []float32
}

// stored returns the tensors of the set in the order of the adapter file.
func (s *Set) stored() []stored {
	var list []stored
	for _, p := range s.pairs {
		a, b := p.keys()
		r, in := op.Size(p.c.A)
		out, _ := op.Size(p.c.B)
		list = append(list,
			stored{a, []int{r, in}, op.Values(p.c.A)},
			stored{b, []int{out, r}, op.Values(p.c.B)})
	}
	for _, c := range s.copies {
		list = append(list, stored{keyPrefix + c.path, c.own.Shape(), op.Values(c.own.Param)})
	}
	return list
}

// Save writes adapter_model.safetensors (float32) and adapter_config.json to dir, which must exist. Each file is
// replaced atomically. Save returns an error, before it writes anything, if a value is NaN or infinite.
func (s *Set) Save(dir string) error {
	if err := s.finite(); err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, t := range s.stored() {
		data := safetensors.Bytes(t.values)
		tensors = append(tensors, safetensors.Tensor{Name: t.key, DType: "F32", Shape: t.shape, Data: data})
	}
	metadata := map[string]string{"format": "pt"}
	if s.base != "" {
		metadata[fingerprintKey] = s.base
	}
	for name, value := range s.notes {
		metadata[notePrefix+name] = value
	}
	if err := safetensors.WriteFile(filepath.Join(dir, weightsName), tensors, metadata); err != nil {
		return fmt.Errorf("lora: save: %w", err)
	}
	text, err := json.MarshalIndent(s.config, "", "  ")
	if err != nil {
		return fmt.Errorf("lora: save: %w", err)
	}
	if err := files.WriteFile(filepath.Join(dir, configName), files.Bytes(append(text, '\n'))); err != nil {
		return fmt.Errorf("lora: save: %w", err)
	}
	return nil
}

// finite returns an error that names the first value that is NaN or infinite, or nil if there is none.
func (s *Set) finite() error {
	for _, t := range s.stored() {
		for i, v := range t.values {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("lora: save: %s has %g at element %d; want finite values", t.key, v, i)
			}
		}
	}
	return nil
}

// ReadConfig returns the configuration of the adapter in dir, and a warning for each field of adapter_config.json that
// is ignored. It returns an error if the file is missing or [DecodeConfig] does.
func ReadConfig(dir string) (Config, []string, error) {
	text, err := os.ReadFile(filepath.Join(dir, configName))
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil, fmt.Errorf("lora: %s has no %s; give the directory of an adapter", dir, configName)
	}
	if err != nil {
		return Config{}, nil, fmt.Errorf("lora: %w", err)
	}
	c, warnings, err := DecodeConfig(text)
	if err != nil {
		return c, warnings, fmt.Errorf("%s: %w", dir, err)
	}
	return c, warnings, nil
}

// Load returns the set of the adapter in dir, written by [Set.Save] or by PEFT, for m, which must have its weights and
// does not change. It returns a warning for each ignored field of adapter_config.json, for each of target_modules that
// matches no layer while others do, and for each tensor with NaN or infinite values. It returns an error that lists all
// tensors that are missing, unexpected or of another shape, and an error in the cases of [ReadConfig] and [Attach].
func Load(dir string, m spago.Model) (*Set, []string, error) {
	c, warnings, err := ReadConfig(dir)
	if err != nil {
		return nil, warnings, err
	}
	f, err := openWeights(dir)
	if err != nil {
		return nil, warnings, err
	}
	defer f.Close()
	s, err := attach(m, c, true)
	if err != nil {
		return nil, warnings, fmt.Errorf("%s: %w", dir, err)
	}
	if err := s.fill(f); err != nil {
		return nil, warnings, fmt.Errorf("lora: %s: %w", filepath.Join(dir, weightsName), err)
	}
	for _, name := range s.unused {
		warnings = append(warnings, fmt.Sprintf("%s: target_modules %q matches no layer of this model", configName, name))
	}
	s.base, s.notes = f.Metadata()[fingerprintKey], notes(f)
	for _, t := range s.stored() {
		if n := notFinite(t.values); n > 0 {
			warnings = append(warnings, fmt.Sprintf("%s: %s holds %d NaN or infinite values", weightsName, t.key, n))
		}
	}
	return s, warnings, nil
}

// notFinite returns the number of values that are NaN or infinite.
func notFinite(values []float32) int {
	n := 0
	for _, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			n++
		}
	}
	return n
}

func missingWeights(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "adapter_model.bin")); err == nil {
		return fmt.Errorf("lora: %s has only adapter_model.bin, a Python pickle, which is not supported; "+
			"load the adapter with PEFT and save it with save_pretrained", dir)
	}
	return fmt.Errorf("lora: %s has no %s; give the whole directory of an adapter", dir, weightsName)
}

// fill copies the tensors of f into the set. It returns an error that lists all tensors that do not fit.
func (s *Set) fill(f *safetensors.File) error {
	var missing, misfit []string
	left := map[string]bool{}
	for _, name := range f.Names() {
		left[name] = true
	}
	for _, want := range s.stored() {
		t, ok := f.Tensor(want.key)
		delete(left, want.key)
		if !ok {
			missing = append(missing, want.key)
			continue
		}
		if !slices.Equal(t.Shape, want.shape) {
			misfit = append(misfit, fmt.Sprintf("%s is %v, want %v", want.key, t.Shape, want.shape))
			continue
		}
		v, err := safetensors.AsFloat32(t)
		if err != nil {
			return err
		}
		copy(want.values, v)
	}
	for _, p := range s.pairs {
		delete(left, keyPrefix+p.path+baseLayer) // PEFT also saves the base model's table below an adapted embedding
	}
	var extra []string
	for _, name := range f.Names() {
		if left[name] {
			extra = append(extra, name)
		}
	}
	return errors.Join(tensorError("missing", missing), tensorError("of another shape", misfit),
		tensorError("not expected by this model and adapter_config.json", extra))
}

func tensorError(what string, names []string) error {
	const most = 8
	switch n := len(names); {
	case n == 0:
		return nil
	case n > most:
		return fmt.Errorf("%d tensors are %s: %s, …", n, what, strings.Join(names[:most], ", "))
	default:
		return fmt.Errorf("%d tensors are %s: %s", n, what, strings.Join(names, ", "))
	}
}
