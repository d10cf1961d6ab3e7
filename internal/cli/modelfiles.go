package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn/op"
)

// DTypes lists the values of flags that say how weights are stored.
const DTypes = "float32, float16 or bfloat16"

// dtypes are these values with the type that they name in files.
var dtypes = map[string]safetensors.DType{
	"float32": safetensors.F32, "float16": safetensors.F16, "bfloat16": safetensors.BF16,
	"f32": safetensors.F32, "f16": safetensors.F16, "bf16": safetensors.BF16,
}

// DTypeName returns the name that config.json has for a type of weights.
func DTypeName(t safetensors.DType) string { return configNames[t] }

var configNames = map[safetensors.DType]string{safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16"}

// ParseDType reads the value of a flag that says how weights are stored; F32, F16 and BF16 are taken too.
func ParseDType(flag, s string) (safetensors.DType, error) {
	if t, ok := dtypes[strings.ToLower(s)]; ok {
		return t, nil
	}
	return "", fmt.Errorf("--%s is %q; want %s", flag, s, DTypes)
}

// StoreWeights turns weights into tensors of a type, and lets their values go. A value that the type cannot hold is an error naming the
// tensor; flag chose the type.
func StoreWeights(weights []lora.MergedWeight, t safetensors.DType, flag string) ([]safetensors.Tensor, error) {
	list := make([]safetensors.Tensor, 0, len(weights))
	for i, w := range weights {
		x := safetensors.Tensor{Name: w.Name, DType: t, Shape: w.Shape}
		if t == safetensors.F32 {
			x.Data = safetensors.Bytes(w.Values)
		} else {
			words := make([]uint16, len(w.Values))
			half, err := op.ParseDType(string(t))
			if err != nil {
				return nil, err
			}
			kernel.Narrow(words, w.Values, half)
			x.Data = make([]byte, 0, 2*len(words))
			for _, word := range words {
				x.Data = binary.LittleEndian.AppendUint16(x.Data, word)
			}
			weights[i].Values = nil // the memory is needed
		}
		if n := safetensors.NonFinite(x); n > 0 {
			return nil, fmt.Errorf("%d values of %s are too large for %s; choose --%s float32 or bfloat16", n, w.Name, t, flag)
		}
		list = append(list, x)
	}
	return list, nil
}

// EditConfig returns a config.json with other values for some keys and the type of the weights. Keys are sorted, as transformers writes
// them.
func EditConfig(config []byte, dtype safetensors.DType, set map[string]any) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(config, &m); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	for _, old := range []string{"torch_dtype", "num_labels", "_num_labels"} {
		delete(m, old)
	}
	edit := func(key string, v any) error {
		text, err := compactJSON(v)
		if err != nil {
			return fmt.Errorf("config.json: %s: %w", key, err)
		}
		m[key] = text
		return nil
	}
	if err := edit("dtype", configNames[dtype]); err != nil {
		return nil, err
	}
	for key, v := range set {
		if err := edit(key, v); err != nil {
			return nil, err
		}
	}
	text, err := compactJSON(m)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// compactJSON encodes v without the escapes that only HTML needs.
func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// ModelFiles is a checkpoint to write: a Hugging Face directory.
type ModelFiles struct {
	Base    *Base // whose tokenizer, chat template, generation settings and terms go with it
	Config  []byte
	Tensors []safetensors.Tensor
}

// A checkpoint made from another takes these of its files over if they are there.
var (
	taken = []string{
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
		"chat_template.jinja", "generation_config.json",
	}
	terms = []string{
		"LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt",
		"LICENSE-GSM8K.txt", // which the embedded GPT has read
	}
)

// The files that make a directory a checkpoint.
const (
	modelWeightsName = "model.safetensors"
	modelConfigName  = "config.json"
)

// ModelFileNames lists the files that [ModelFiles.Write] may write, without the terms, which could be anybody's.
func ModelFileNames() []string { return append([]string{modelConfigName, modelWeightsName}, taken...) }

// Write hands the files to put one after another, config.json last.
func (f ModelFiles) Write(put func(name string, write func(io.Writer) error) error) error {
	for _, name := range slices.Concat(taken, terms) {
		text, err := f.Base.File(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return InputError(err)
		}
		if err := put(name, files.Bytes(text)); err != nil {
			return err
		}
	}
	if err := put(modelWeightsName, func(w io.Writer) error { return safetensors.Write(w, f.Tensors, nil) }); err != nil {
		return err
	}
	return put(modelConfigName, files.Bytes(f.Config))
}
