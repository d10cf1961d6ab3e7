package ggufmodel

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// Output describes a model to write as a GGUF file.
type Output struct {
	Name   string // general.name
	Config []byte // config.json with everything filled in that it may leave out
	// File returns the files of the tokenizer: tokenizer.json, tokenizer_config.json, chat_template.jinja and
	// generation_config.json. Its error wraps fs.ErrNotExist if there is none of that name.
	File    func(name string) ([]byte, error)
	Special Special
	Tensors []OutputTensor
	Type    string // one of TypeNames
	Encode  Encode
}

// Special holds the special tokens of the model's texts: their ids by name (bos, eos, pad, unk, sep, cls, mask, and eot
// for another token that ends a turn), and whether texts begin and end with one.
type Special struct {
	IDs            map[string]int
	AddBos, AddEos bool
}

// OutputTensor is a tensor to write, with the name and shape of Hugging Face.
type OutputTensor struct {
	Name   string
	Shape  []int
	Values func() ([]float32, error) // in the order of Shape; called once, the caller may change them
}

// Encode returns numbers as the bytes of a tensor of a type.
type Encode func(t gguf.Type, values []float32) ([]byte, error)

// fileType is a value of general.file_type: how most tensors are stored.
type fileType struct {
	number uint32
	most   gguf.Type
}

// fileTypes lists the types of files by their names in options.
var fileTypes = map[string]fileType{
	"f32": {0, gguf.F32}, "f16": {1, gguf.F16}, "bf16": {32, gguf.BF16}, "q8_0": {7, gguf.Q8_0},
	"q4_1": {3, gguf.Q4_1}, "q4_k_m": {15, gguf.Q4_K},
}

// TypeNames returns the types of files that can be written, sorted.
func TypeNames() []string { return slices.Sorted(maps.Keys(fileTypes)) }

// quantizationVersion is general.quantization_version: the version of the blocks' layouts.
const quantizationVersion = 2

// Build returns the content of the file, and notes about what a reader of the file may do differently. It returns an
// error if something of the model has no counterpart in the format.
func (o Output) Build() (pairs []gguf.Pair, tensors []gguf.Pending, notes []string, err error) {
	c, err := parseConfig(o.Config)
	if err != nil {
		return nil, nil, nil, err
	}
	t, ok := fileTypes[o.Type]
	if !ok {
		return nil, nil, nil, fmt.Errorf("there is no type %q; want %s", o.Type, strings.Join(TypeNames(), ", "))
	}
	if tensors, err = o.tensors(c, t); err != nil {
		return nil, nil, nil, err
	}
	factors, err := c.ropeFactors()
	if err != nil {
		return nil, nil, nil, err
	}
	if factors != nil {
		first := gguf.Pending{Name: ropeFactors, Type: gguf.F32, Shape: []int{len(factors)}, Data: func() ([]byte, error) {
			return o.Encode(gguf.F32, factors)
		}}
		tensors = append([]gguf.Pending{first}, tensors...)
	}
	pairs = []gguf.Pair{{Key: "general.architecture", Value: c.arch}, {Key: "general.type", Value: "model"}}
	sampling, err := o.sampling()
	if err != nil {
		return nil, nil, nil, err
	}
	pairs = append(pairs, sampling...)
	pairs = append(pairs, gguf.Pair{Key: "general.name", Value: o.Name},
		gguf.Pair{Key: "general.size_label", Value: sizeLabel(tensors)})
	model, err := c.pairs()
	if err != nil {
		return nil, nil, nil, err
	}
	pairs = append(pairs, model...)
	pairs = append(pairs, gguf.Pair{Key: "general.file_type", Value: t.number},
		gguf.Pair{Key: "general.quantization_version", Value: uint32(quantizationVersion)})
	tokenizer, dropped, err := o.tokenizer(c.vocabulary())
	if err != nil {
		return nil, nil, nil, err
	}
	return append(pairs, tokenizer...), tensors, append(c.notes(), dropped...), nil
}

// sizeLabel returns the number of parameters in the form that llama.cpp's converter gives it, such as "135M".
func sizeLabel(tensors []gguf.Pending) string {
	n := 0
	for _, t := range tensors {
		size := 1
		for _, d := range t.Shape {
			size *= d
		}
		n += size
	}
	x, unit := float64(n)*1e-3, "K"
	switch {
	case n > 1e12:
		x, unit = float64(n)*1e-12, "T"
	case n > 1e9:
		x, unit = float64(n)*1e-9, "B"
	case n > 1e6:
		x, unit = float64(n)*1e-6, "M"
	}
	digits := max(2-len(strings.TrimLeft(fmt.Sprintf("%.0f", x), "0")), 0)
	return fmt.Sprintf("%.*f%s", digits, x, unit)
}

// tensors returns the tensors under GGUF's names.
func (o Output) tensors(c *outputConfig, t fileType) ([]gguf.Pending, error) {
	list := make([]gguf.Pending, 0, len(o.Tensors))
	a := architectures[c.arch]
	tied := !slices.ContainsFunc(o.Tensors, func(t OutputTensor) bool { return t.Name == "lm_head.weight" })
	for _, x := range o.Tensors {
		module, suffix := moduleOf(x.Name)
		p, ok := a.stored(module)
		if !ok || suffix == "" {
			return nil, fmt.Errorf("tensor %q has no counterpart in architecture %s", x.Name, c.arch)
		}
		shape := slices.Clone(x.Shape)
		if p.role == transposed && len(shape) == 2 {
			slices.Reverse(shape)
		}
		kind := t.of(p, suffix, shape, c.layers(), tied)
		list = append(list, gguf.Pending{Name: p.name() + suffix, Type: kind, Shape: shape, Data: func() ([]byte, error) {
			values, err := x.Values()
			if err != nil {
				return nil, err
			}
			return o.Encode(kind, c.arrange(values, x.Shape, p.role))
		}})
	}
	return list, nil
}

// of returns the type of a tensor in a file of type t, as llama.cpp chooses it.
func (t fileType) of(p place, suffix string, shape []int, blocks int, tied bool) gguf.Type {
	if len(shape) < 2 || suffix != ".weight" || strings.HasSuffix(p.stem, "_norm") || p.stem == "position_embd" {
		return gguf.F32
	}
	columns, kind := shape[len(shape)-1], t.most
	fits := func(k gguf.Type) bool { elements, _ := k.Block(); return columns%elements == 0 }
	switch {
	case t.most == gguf.F32 || t.most == gguf.F16 || t.most == gguf.BF16 || t.most == gguf.Q8_0:
	case p.stem == "output" || p.stem == "token_embd" && tied: // the head gets more bits
		if kind = gguf.Q6_K; !fits(t.most) {
			kind = gguf.Q8_0
		}
	case t.most == gguf.Q4_K && slices.Contains([]string{"attn_v", "attn_qkv", "ffn_down"}, p.stem) &&
		moreBits(p.block, blocks):
		kind = gguf.Q6_K
	}
	if smaller := map[gguf.Type]gguf.Type{gguf.Q4_K: gguf.Q5_0, gguf.Q6_K: gguf.Q8_0}; !fits(kind) && smaller[kind] != 0 {
		kind = smaller[kind]
	}
	if !fits(kind) {
		return gguf.F16
	}
	return kind
}

// moreBits reports whether llama.cpp's mixtures store block i of n more exactly: the first and the last eighth of the
// blocks, and every third of the others.
func moreBits(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

// arrange returns values of a tensor in the order that GGUF has for its role.
func (c *outputConfig) arrange(values []float32, shape []int, r role) []float32 {
	switch {
	case r == transposed && len(shape) == 2:
		return turned(values, shape[0], shape[1])
	case r == queryRows || r == keyRows:
		return interleave(values, shape[0], c.headsOf(r))
	}
	return values
}

// interleave applies llama.cpp's order of the rows of queries and keys; ordered is its inverse.
func interleave(values []float32, rows, heads int) []float32 {
	out := make([]float32, len(values))
	moveRows(rows, heads, func(hf, stored int) { copyRow(out, stored, values, hf, rows) })
	return out
}

// ordered applies Hugging Face's order to the rows of queries and keys.
func ordered(values []float32, rows, heads int) []float32 {
	out := make([]float32, len(values))
	moveRows(rows, heads, func(hf, stored int) { copyRow(out, hf, values, stored, rows) })
	return out
}

// copyRow copies one of rows rows from another place in values.
func copyRow[T any](out []T, to int, values []T, from, rows int) {
	size := len(values) / rows
	copy(out[to*size:(to+1)*size], values[from*size:])
}

// moveRows calls move with the place of each row of queries or keys in Hugging Face's order and in that of llama.cpp's
// converter, which interleaves the two halves of a head, since llama.cpp rotates neighbouring rows against each other.
// Row 2i+j of a head is row j·D/2+i of transformers.
func moveRows(rows, heads int, move func(hf, stored int)) {
	half := rows / heads / 2
	for h := range heads {
		first := 2 * half * h
		for i := range half {
			for j := range 2 {
				move(first+j*half+i, first+2*i+j)
			}
		}
	}
}
