package base

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
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// DTypes lists the values of settings that say how weights are stored.
const DTypes = "float32, float16 or bfloat16"

// dtypes maps these values to the types of safetensors files.
var dtypes = map[string]safetensors.DType{
	"float32": safetensors.F32, "float16": safetensors.F16, "bfloat16": safetensors.BF16,
	"f32": safetensors.F32, "f16": safetensors.F16, "bf16": safetensors.BF16,
}

// DTypeName returns the name of a type of weights in config.json.
func DTypeName(t safetensors.DType) string { return configNames[t] }

var configNames = map[safetensors.DType]string{
	safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16",
}

// ParseDType reads the value of a setting that says how weights are stored; F32, F16 and BF16 are accepted, too.
// option names the setting in the error.
func ParseDType(option, s string) (safetensors.DType, error) {
	if t, ok := dtypes[strings.ToLower(s)]; ok {
		return t, nil
	}
	return "", fmt.Errorf("`%s` is %q; want %s", option, s, DTypes)
}

// StoreWeights converts weights to tensors of the types that typeOf returns for their names, and releases their values.
// A value that the type cannot hold is an error that names the tensor and option, the setting that chose the type.
func StoreWeights(
	weights []lora.MergedWeight, typeOf func(name string) safetensors.DType, option string,
) ([]safetensors.Tensor, error) {
	list := make([]safetensors.Tensor, 0, len(weights))
	for i, w := range weights {
		t := typeOf(w.Name)
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
			return nil, fmt.Errorf("%d values of %s are too large for %s; choose `%s float32` or bfloat16", n, w.Name, t, option)
		}
		list = append(list, x)
	}
	return list, nil
}

// EditConfig returns the config.json of b in which the keys of set, the class and the type of the weights have new
// values: those of the model net. Keys are sorted, as in files that transformers writes.
func EditConfig(b *Base, net models.Model, dtype safetensors.DType, set map[string]any) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b.Source.Config(), &m); err != nil {
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
	if k, ok := net.(nn.Classed); ok {
		if err := edit("architectures", []string{k.Class()}); err != nil {
			return nil, err
		}
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

// compactJSON encodes v without HTML escapes.
func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// ModelFiles is a checkpoint to write: a Hugging Face directory.
type ModelFiles struct {
	// Base is the base model whose tokenizer, chat template, generation settings and terms are copied. If its tokenizer is
	// a custom one, the tokenizer files are left out, so that the model is not used with them by mistake.
	Base    *Base
	Config  []byte
	Tensors []safetensors.Tensor
}

// A checkpoint that is made from another has copies of these of its files, if they exist.
var (
	tokenizerFiles = []string{
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
		"vocab.json", "merges.txt", "tokenizer.model", "sentencepiece.bpe.model", "spiece.model",
		"source.spm", "target.spm",
	}
	taken = []string{
		"chat_template.jinja", "chat_template.json", "generation_config.json", "preprocessor_config.json",
		"processor_config.json",
	}
	terms = []string{
		"LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt",
		"LICENSE-GSM8K.txt", // of text that the embedded GPT was trained on
	}
)

// The files that make a directory a checkpoint.
const (
	modelWeightsName = "model.safetensors"
	modelConfigName  = "config.json"
)

// ModelFileNames lists the files that [ModelFiles.Write] may write, without the terms, which could belong to
// something else.
func ModelFileNames() []string {
	return slices.Concat([]string{modelConfigName, modelWeightsName}, tokenizerFiles, taken)
}

// CopiedNames lists the files that a checkpoint made from another has copies of: those of the tokenizer, settings,
// terms.
func CopiedNames() []string { return slices.Concat(tokenizerFiles, taken, terms) }

// Write passes the files to put one after another, config.json last.
func (f ModelFiles) Write(put func(name string, write func(io.Writer) error) error) error {
	names := CopiedNames()
	if f.Base.CustomTokenizer() != "" {
		names = slices.Concat(taken, terms)
	}
	for _, name := range names {
		text, err := f.Base.File(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Input(err)
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
