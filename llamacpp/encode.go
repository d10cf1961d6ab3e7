package llamacpp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/nn/op"
)

// share is the number of values that one task of the pool encodes: whole blocks of every type.
const share = 1 << 15

// encoder returns a function that stores numbers as a type, with the work shared by the pool. A number that the type
// cannot hold is an error.
func encoder(pool *op.Pool) checkpoint.GGUFEncode {
	return func(t gguf.Type, values []float32) ([]byte, error) {
		if t == gguf.F32 {
			return safetensors.Bytes(values), nil
		}
		kind, err := op.ParseDType(t.String())
		if err != nil {
			return nil, err
		}
		data := make([]byte, kind.Bytes(len(values)))
		pool.For((len(values)+share-1)/share, func(task, _ int) {
			from := task * share
			part := values[from:min(from+share, len(values))]
			encode(data[kind.Bytes(from):][:kind.Bytes(len(part))], part, kind)
		})
		if n := gguf.NonFinite(gguf.Tensor{Type: t, Data: data}); n > 0 {
			return nil, fmt.Errorf("%d values are too large for %s; choose `type f32` or bf16", n, t)
		}
		return data, nil
	}
}

// encode stores values as a type other than F32.
func encode(data []byte, values []float32, t kernel.Type) {
	if t.Quantised() {
		kernel.Quantize(data, values, t)
		return
	}
	words := make([]uint16, len(values))
	kernel.Narrow(words, values, t)
	for i, w := range words {
		binary.LittleEndian.PutUint16(data[2*i:], w)
	}
}

// decode returns the values of a tensor, which belong to the caller.
func decode(t gguf.Tensor) ([]float32, error) {
	kind, err := op.ParseDType(t.Type.String())
	if err != nil {
		return nil, err
	}
	if !kind.Quantised() {
		values, err := safetensors.AsFloat32(safetensors.Tensor{
			Name: t.Name, DType: safetensors.DType(t.Type.String()), Shape: t.Shape, Data: t.Data,
		})
		return slices.Clone(values), err
	}
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	values := make([]float32, n)
	kernel.Dequantize(values, t.Data, kind)
	return values, nil
}
