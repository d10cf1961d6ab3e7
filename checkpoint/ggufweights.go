package checkpoint

import (
	"errors"
	"os"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/safetensors"
)

// quantisedName is the file of a model directory that has quantised weights in place of safetensors files: a GGUF
// container with the tensor names and shapes of the model's own class in transformers, for architectures that
// llama.cpp has no names for. namesKey in its metadata says so; llama.cpp's files do not have it.
const (
	quantisedName = "model.transformers.gguf"
	namesKey      = "spalora.tensor_names"
	ownNames      = "transformers"
)

// errForeignNames is the error about a GGUF file whose tensors have the names of llama.cpp.
var errForeignNames = errors.New("its tensors have llama.cpp's names; to use it, give its path instead of the " +
	"directory's")

// quantised is a container of tensors that may be quantised.
type quantised struct{ *gguf.File }

// openQuantised returns the container of an opened file, or closes it and returns an error.
func openQuantised(f *gguf.File, err error) (container, error) {
	if err != nil {
		return nil, err
	}
	names, _, err := f.Text(namesKey)
	if err == nil && names != ownNames {
		err = errForeignNames
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return quantised{f}, nil
}

// quantisedFile is openQuantised for a file on disk.
func quantisedFile(f *os.File) (container, error) { return openQuantised(gguf.FromFile(f)) }

// quantisedBytes is openQuantised for a file in memory.
func quantisedBytes(data []byte) (container, error) { return openQuantised(gguf.Parse(data)) }

// Tensor returns the tensor with the given name and whether it exists. Its DType is GGUF's name of the stored type.
func (q quantised) Tensor(name string) (safetensors.Tensor, bool) {
	t, ok := q.File.Tensor(name)
	return safetensors.Tensor{
		Name: name, DType: safetensors.DType(t.Type.String()), Shape: t.Shape, Data: t.Data,
	}, ok
}
