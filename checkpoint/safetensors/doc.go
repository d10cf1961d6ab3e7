// Package safetensors reads and writes the safetensors format: named tensors in one file, without code.
//
// A file consists of an 8-byte little-endian length n, n bytes of JSON and one buffer of bytes; the JSON gives each
// tensor's type, shape and place in the buffer. [Open] maps a file into memory and checks the whole header before it
// returns: names are unique, sizes fit shapes, and the tensors cover the buffer without gap, overlap or rest. Tensor
// data are views of the mapping, so opening a large file costs neither time nor memory:
//
//	f, err := safetensors.Open("model.safetensors")
//	if err != nil { … }
//	defer f.Close()
//	t, ok := f.Tensor("classifier.weight")
//	values, err := safetensors.AsFloat32(t)
//
// [Write] and [WriteFile] produce the same bytes as the reference implementation (Python package safetensors 0.8).
//
// The reader accepts the same files as the reference, with these exceptions: a tensor name must not occur twice (the
// format's description forbids it, the reference takes the last), a tensor has at most 64 dimensions, and it is
// described by an object (the reference also accepts an array of its fields' values).
//
// Limits: if another program shrinks a file while it is mapped, the process ends, as with any mapping. [WriteFile]
// replaces files safely, because it never changes one in place (Windows refuses to replace a mapped file; close it
// first). Tensor data stay valid until [File.Close].
//
// Format: https://github.com/huggingface/safetensors#format
package safetensors
