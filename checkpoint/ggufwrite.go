package checkpoint

import (
	"fmt"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/internal/ggufmodel"
	"github.com/spalora/spalora/internal/files"
)

// The descriptions of what is written to GGUF files.
type (
	// GGUFModel is a model for [WriteGGUF], with the names and shapes of Hugging Face.
	GGUFModel = ggufmodel.Output
	// GGUFTensor is a tensor of a GGUFModel.
	GGUFTensor = ggufmodel.OutputTensor
	// GGUFSpecial holds the special tokens of a GGUFModel.
	GGUFSpecial = ggufmodel.Special
	// GGUFEncode returns numbers as the bytes of a tensor of a type.
	GGUFEncode = ggufmodel.Encode
	// GGUFAdapter is a LoRA adapter for [WriteGGUFAdapter], or one that [ReadGGUFAdapter] has read.
	GGUFAdapter = ggufmodel.Adapter
	// GGUFLayer is the low-rank pair of one layer of a GGUFAdapter, with the layer's Hugging Face name.
	GGUFLayer = ggufmodel.AdapterLayer
)

// GGUFTypes returns the types of files that [WriteGGUF] writes, sorted.
func GGUFTypes() []string { return ggufmodel.TypeNames() }

// WriteGGUF writes a model to path as a GGUF file with the names, the order of rows and the metadata of llama.cpp's
// converter. It holds one tensor at a time, and replaces an old file only when the new one is complete. It returns
// notes about what llama.cpp does differently, and an error if something of the model has no counterpart in the format.
func WriteGGUF(path string, m GGUFModel, opts ...files.Option) (notes []string, err error) {
	pairs, tensors, notes, err := m.Build()
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", m.Name, err)
	}
	return notes, gguf.WriteFile(path, pairs, tensors, opts...)
}

// WriteGGUFAdapter writes a LoRA adapter to path as a GGUF file for llama.cpp. config is the base model's config.json
// with everything filled in that it may leave out, kind one of f32, f16 and bf16, and tied says that the model's head
// repeats its table of words. It returns an error if llama.cpp cannot apply the adapter.
func WriteGGUFAdapter(
	path string, a GGUFAdapter, config []byte, kind string, tied bool, encode GGUFEncode, opts ...files.Option,
) error {
	pairs, tensors, err := a.Build(config, kind, tied, encode)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", a.Name, err)
	}
	return gguf.WriteFile(path, pairs, tensors, opts...)
}

// ReadGGUFAdapter reads the LoRA adapter in the GGUF file at path for a base model with the given config.json, in which
// everything is filled in. decode returns the values of a tensor. The sizes are not compared with the model's.
func ReadGGUFAdapter(
	path string, config []byte, decode func(gguf.Tensor) ([]float32, error),
) (a GGUFAdapter, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return GGUFAdapter{}, err
	}
	defer f.Close()
	if a, err = ggufmodel.ReadAdapter(f, config, decode); err != nil {
		return a, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return a, nil
}
