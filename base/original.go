package base

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
)

// OriginalName is the file beside a merged model with what [Unmerge] needs to restore the base model.
const OriginalName = "unmerge.safetensors"

// originalKey is the key of the list of tensors in the metadata of the file OriginalName.
const originalKey = "spalora.unmerge"

// original is the base model of a merged one.
type original struct {
	Config  string         `json:"config"` // the text of config.json
	Tensors []storedTensor `json:"tensors"`
	SHA256  string         `json:"sha256"` // of the tensors in the order of the list
	// Files are the base model's files of the tokenizer where the merged model has an adapter's, by name: null if there is
	// none.
	Files map[string]*string `json:"files,omitempty"`
}

// storedTensor is a tensor of the base model.
type storedTensor struct {
	Name  string            `json:"name"`
	DType safetensors.DType `json:"dtype"`
	Shape []int             `json:"shape"`
	From  string            `json:"from,omitempty"` // tensor of the merged model with the same values; "": in this file
}

// sourceOf returns the tensor of the checkpoint that a weight of a model was loaded from, by its name with or without
// the prefix of the base model, and its shape.
func (b *Base) sourceOf(weight string, shape []int) (safetensors.Tensor, bool) {
	if t, ok := b.Source.Tensor(weight); ok && slices.Equal(t.Shape, shape) {
		return t, true
	}
	for _, name := range b.Source.Names() {
		if !strings.HasSuffix(name, "."+weight) && !strings.HasSuffix(weight, "."+name) {
			continue
		}
		if t, ok := b.Source.Tensor(name); ok && slices.Equal(t.Shape, shape) {
			return t, true
		}
	}
	return safetensors.Tensor{}, false
}

// StoredTypes returns the types in which the checkpoint stores weights, and the type of most values. Weights that it
// does not have, such as the head of an adapter, have the type of most values. Other types than F32, F16 and BF16, as
// those of quantised weights, become F32.
func StoredTypes(b *Base, weights []lora.MergedWeight) (
	of func(name string) safetensors.DType, common safetensors.DType,
) {
	types, values := map[string]safetensors.DType{}, map[safetensors.DType]int{}
	for _, w := range weights {
		t, ok := b.sourceOf(w.Name, w.Shape)
		if !ok {
			continue
		}
		if configNames[t.DType] == "" {
			t.DType = safetensors.F32
		}
		types[w.Name] = t.DType
		values[t.DType] += len(w.Values)
	}
	common = safetensors.F32
	for _, t := range []safetensors.DType{safetensors.F16, safetensors.BF16} {
		if values[t] > values[common] {
			common = t
		}
	}
	return func(name string) safetensors.DType {
		if t, ok := types[name]; ok {
			return t
		}
		return common
	}, common
}

// KeepOriginal passes the file [OriginalName] to put: those tensors of b that the merged ones do not determine bit by
// bit, and what else is needed to restore the checkpoint. It returns an error for a GGUF file, whose weights have no
// type of a Hugging Face checkpoint.
func KeepOriginal(
	b *Base, merged []safetensors.Tensor, put func(name string, write func(io.Writer) error) error,
) error {
	byShape := map[string][]safetensors.Tensor{}
	for _, t := range merged {
		byShape[fmt.Sprint(t.Shape)] = append(byShape[fmt.Sprint(t.Shape)], t)
	}
	record := original{Config: string(b.Source.Config())}
	var kept []safetensors.Tensor
	hash := sha256.New()
	for _, name := range b.Source.Names() {
		t, _ := b.Source.Tensor(name)
		if t.DType.Bits() == 0 || b.Source.Transposed(name) {
			return Settings(fmt.Errorf("`keep_original` needs a base model in safetensors, but %s stores %s as %s; keep the "+
				"file itself", b.Name, name, t.DType))
		}
		s := storedTensor{Name: name, DType: t.DType, Shape: t.Shape}
		for _, m := range byShape[fmt.Sprint(t.Shape)] {
			same := m.Name == name || strings.HasSuffix(m.Name, "."+name) || strings.HasSuffix(name, "."+m.Name)
			if !same {
				continue
			}
			if data, err := convert(m, t.DType); err == nil && bytes.Equal(data, t.Data) {
				s.From = m.Name
				break
			}
		}
		if s.From == "" {
			t.Name = name
			kept = append(kept, t)
		}
		s.hash(hash, t.Data)
		record.Tensors = append(record.Tensors, s)
	}
	for name := range b.own {
		if record.Files == nil {
			record.Files = map[string]*string{}
		}
		record.Files[name] = nil
		text, err := b.bare().File(name)
		if err == nil {
			record.Files[name] = new(string(text))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return Input(err)
		}
	}
	record.SHA256 = hex.EncodeToString(hash.Sum(nil))
	text, err := compactJSON(record)
	if err != nil {
		return err
	}
	return put(OriginalName, func(w io.Writer) error {
		return safetensors.Write(w, kept, map[string]string{"format": "pt", originalKey: string(text)})
	})
}

// hash adds a tensor to h.
func (s storedTensor) hash(h io.Writer, data []byte) {
	fmt.Fprintf(h, "%s %s %v\n", s.Name, s.DType, s.Shape)
	_, _ = h.Write(data) // a hash takes everything
}

// convert returns the data of a tensor in another type. It returns an error if a value of another type than F32, F16
// and BF16 would have to change.
func convert(t safetensors.Tensor, to safetensors.DType) ([]byte, error) {
	if t.DType == to {
		return t.Data, nil
	}
	if configNames[to] == "" {
		return nil, fmt.Errorf("%s is %s, not %s", t.Name, t.DType, to)
	}
	values, err := safetensors.AsFloat32(t)
	if err != nil {
		return nil, err
	}
	list, err := StoreWeights([]lora.MergedWeight{{Name: t.Name, Shape: t.Shape, Values: values}},
		func(string) safetensors.DType { return to }, "dtype")
	if err != nil {
		return nil, err
	}
	return list[0].Data, nil
}

// Unmerged is the outcome of [Unmerge].
type Unmerged struct {
	Tensors int // of the base model
	Kept    int // of them, how many the file [OriginalName] holds; the others are those of the merged model
}

// Unmerge writes the base model of the merged one in the directory model to dir, with the same bytes of each tensor and
// of config.json: those of the file [OriginalName] that merging left beside it. The files of the tokenizer are copied.
// The directory appears complete or not at all; overwrite replaces one that exists with all its content. Unmerge
// returns an error if that file is missing or does not fit to the weights, which must be those that merging wrote.
func Unmerge(model, dir string, overwrite bool) (u Unmerged, err error) {
	if err := CheckModelPath(model); err != nil {
		return u, err
	}
	f, err := safetensors.Open(filepath.Join(model, OriginalName))
	if errors.Is(err, fs.ErrNotExist) {
		return u, Input(fmt.Errorf("`model %s` has no %s, which a merge with `keep_original` writes; the base model can "+
			"only be got again from where it came", model, OriginalName))
	}
	if err != nil {
		return u, Input(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var record original
	if err := json.Unmarshal([]byte(f.Metadata()[originalKey]), &record); err != nil {
		return u, Input(fmt.Errorf("%s: the list of tensors: %w; the file is damaged", filepath.Join(model, OriginalName),
			err))
	}
	merged, err := checkpoint.Open(model)
	if err != nil {
		return u, Input(err)
	}
	defer func() { err = errors.Join(err, merged.Close()) }()
	tensors, err := record.restore(f, merged)
	if err != nil {
		return u, Input(fmt.Errorf("%s: %w; the merged model has changed since, or %s belongs to another", model, err,
			OriginalName))
	}
	return Unmerged{len(tensors), len(f.Names())}, files.WriteDir(dir, overwrite, func(d *files.Dir) error {
		for _, name := range CopiedNames() {
			text, err := os.ReadFile(filepath.Join(model, name))
			if own, ok := record.Files[name]; ok {
				if own == nil {
					continue
				}
				text, err = []byte(*own), nil
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return Input(err)
			}
			if err := d.WriteFile(name, files.Bytes(text)); err != nil {
				return err
			}
		}
		write := func(w io.Writer) error { return safetensors.Write(w, tensors, nil) }
		if err := d.WriteFile(modelWeightsName, write); err != nil {
			return err
		}
		return d.WriteFile(modelConfigName, files.Bytes([]byte(record.Config)))
	})
}

// restore returns the tensors of the base model: those of f, and those of the merged model.
func (o original) restore(f *safetensors.File, merged *checkpoint.Source) ([]safetensors.Tensor, error) {
	var list []safetensors.Tensor
	hash := sha256.New()
	for _, s := range o.Tensors {
		t, ok := f.Tensor(s.Name)
		if s.From != "" {
			t, ok = merged.Tensor(s.From)
		}
		if !ok || !slices.Equal(t.Shape, s.Shape) {
			return nil, fmt.Errorf("%s is missing or has another shape", s.Name)
		}
		data, err := convert(t, s.DType)
		if err != nil {
			return nil, err
		}
		s.hash(hash, data)
		list = append(list, safetensors.Tensor{Name: s.Name, DType: s.DType, Shape: s.Shape, Data: data})
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != o.SHA256 || len(list) == 0 {
		return nil, errors.New("the restored weights have another checksum than the base model's")
	}
	return list, nil
}
