package ggufmodel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// The keys of an adapter's metadata, and the ends of its tensors' names.
const (
	adapterKind = "adapter"
	adapterType = "adapter.type"
	adapterLora = "lora"
	alphaKey    = "adapter.lora.alpha"

	loraA, loraB = ".lora_a", ".lora_b"
)

// AdapterLayer is the low-rank pair of one layer, with the layer's Hugging Face name and PEFT's shapes.
type AdapterLayer struct {
	Module  string
	Table   bool // an embedding
	Rank    int
	In, Out int       // of an embedding: the number of tokens and the width
	A, B    []float32 // Rank×In and Out×Rank
}

// Adapter is a LoRA adapter as llama.cpp's files hold it: the correction of each layer is Alpha/rank·B·A.
type Adapter struct {
	Name   string
	Alpha  float32
	Layers []AdapterLayer
}

// Build returns the content of a GGUF file with the adapter, for a base model with the given config.json, in which all
// fields are filled in. It returns an error if llama.cpp cannot apply the adapter.
func (a Adapter) Build(config []byte, kind string, tied bool, encode Encode) ([]gguf.Pair, []gguf.Pending, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, nil, err
	}
	t, ok := fileTypes[kind]
	if !ok || !slices.Contains([]string{"f32", "f16", "bf16"}, kind) {
		return nil, nil, fmt.Errorf("there is no type %q for adapters; want bf16, f16 or f32", kind)
	}
	var tensors []gguf.Pending
	for _, l := range a.Layers {
		p, ok := architectures[c.arch].stored(l.Module)
		switch {
		case !ok || strings.HasSuffix(p.stem, "_norm") || p.stem == "position_embd":
			return nil, nil, fmt.Errorf("llama.cpp does not adapt %s; train the adapter with other `target_modules`", l.Module)
		case l.Table && tied:
			return nil, nil, fmt.Errorf("llama.cpp cannot adapt %s alone: the model's head repeats it; "+
				"merge the adapter and export the model", l.Module)
		case p.stem == "output" && tied:
			return nil, nil, fmt.Errorf("llama.cpp cannot adapt %s alone: it repeats the model's table of words; "+
				"merge the adapter and export the model", l.Module)
		}
		first, second := l.A, l.B
		shape := []int{l.Rank, l.In}
		if l.Table { // llama.cpp looks up rows of A
			first, shape = turned(l.A, l.Rank, l.In), []int{l.In, l.Rank}
		}
		if p.role == queryRows || p.role == keyRows {
			second = interleave(l.B, l.Out, c.headsOf(p.role))
		}
		add := func(end string, shape []int, values []float32) {
			tensors = append(tensors, gguf.Pending{Name: p.name() + ".weight" + end, Type: t.most, Shape: shape,
				Data: func() ([]byte, error) { return encode(t.most, values) }})
		}
		add(loraA, shape, first)
		add(loraB, []int{l.Out, l.Rank}, second)
	}
	return []gguf.Pair{
		{Key: "general.architecture", Value: c.arch}, {Key: "general.type", Value: adapterKind},
		{Key: adapterType, Value: adapterLora}, {Key: "general.name", Value: a.Name},
		{Key: alphaKey, Value: a.Alpha}, {Key: "general.quantization_version", Value: uint32(quantizationVersion)},
	}, tensors, nil
}

// turned returns the transpose of rows×columns values.
func turned(values []float32, rows, columns int) []float32 {
	out := make([]float32, len(values))
	for i := range rows {
		for j := range columns {
			out[j*rows+i] = values[i*columns+j]
		}
	}
	return out
}

// ReadAdapter reads the adapter in a GGUF file, for a base model with the given config.json, in which all fields are
// filled in. decode returns the values of a tensor. It returns an error if the file is not an adapter for this
// architecture or if a tensor has no counterpart in the model; the sizes are not compared with the model's.
func ReadAdapter(f *gguf.File, config []byte, decode func(gguf.Tensor) ([]float32, error)) (Adapter, error) {
	c, err := parseConfig(config)
	if err != nil {
		return Adapter{}, err
	}
	md := &metadata{file: f}
	name := md.text("general.architecture", "")
	if kind := md.text("general.type", "model"); kind != adapterKind {
		md.fail(fmt.Errorf("the file has general.type %q, want %q", kind, adapterKind))
	}
	if kind := md.text(adapterType, adapterLora); kind != adapterLora {
		md.fail(fmt.Errorf("key %q is %q, want %q", adapterType, kind, adapterLora))
	}
	if name != c.arch {
		md.fail(fmt.Errorf("the adapter is for architecture %q, the model is of %q", name, c.arch))
	}
	alpha, _, err := f.Float(alphaKey)
	if err != nil {
		md.fail(err)
	}
	if md.err != nil {
		return Adapter{}, md.err
	}
	layers := map[string]*AdapterLayer{}
	var order []string
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		l, err := c.adapterHalf(t, layers, decode)
		if err != nil {
			return Adapter{}, fmt.Errorf("tensor %q: %w", name, err)
		}
		if !slices.Contains(order, l.Module) {
			order = append(order, l.Module)
		}
	}
	if len(order) == 0 {
		return Adapter{}, errors.New("the file has no tensors")
	}
	for _, module := range slices.Sorted(maps.Keys(layers)) {
		if l := layers[module]; l.A == nil || l.B == nil {
			return Adapter{}, fmt.Errorf("the file has only one of the two tensors of %s", module)
		}
	}
	out := Adapter{Name: md.text("general.name", "adapter"), Alpha: float32(alpha)}
	for _, module := range order {
		out.Layers = append(out.Layers, *layers[module])
	}
	return out, nil
}

// adapterHalf adds A or B of a layer to layers.
func (c *outputConfig) adapterHalf(
	t gguf.Tensor, layers map[string]*AdapterLayer, decode func(gguf.Tensor) ([]float32, error),
) (*AdapterLayer, error) {
	weight, isA := strings.CutSuffix(t.Name, loraA)
	if !isA {
		var isB bool
		if weight, isB = strings.CutSuffix(t.Name, loraB); !isB {
			return nil, errors.New("neither A nor B of a low-rank pair")
		}
	}
	hf, role, err := architectures[c.arch].name(weight, c.layers())
	if err != nil {
		return nil, err
	}
	module, suffix := moduleOf(hf)
	if hf == weight || suffix != ".weight" || len(t.Shape) != 2 {
		return nil, fmt.Errorf("architecture %s has no layer for it", c.arch)
	}
	values, err := decode(t)
	if err != nil {
		return nil, err
	}
	l := layers[module]
	if l == nil {
		l = &AdapterLayer{Module: module, Table: weight == "token_embd.weight"}
		layers[module] = l
	}
	rank := 0
	switch {
	case isA && l.Table:
		l.In, rank = t.Shape[0], t.Shape[1]
		l.A = turned(values, l.In, rank)
	case isA:
		rank, l.In = t.Shape[0], t.Shape[1]
		l.A = values
	default:
		l.Out, rank = t.Shape[0], t.Shape[1]
		l.B = values
		if role == queryRows || role == keyRows {
			heads := c.headsOf(role)
			if l.Out%(2*heads) != 0 {
				return nil, fmt.Errorf("%d rows are not pairs of rows for each of %d heads", l.Out, heads)
			}
			l.B = ordered(values, l.Out, heads)
		}
	}
	if l.Rank != 0 && l.Rank != rank {
		return nil, fmt.Errorf("the rank is %d, but that of the layer's other tensor is %d", rank, l.Rank)
	}
	l.Rank = rank
	return l, nil
}
