// Package gguf reads GGUF, the file format of llama.cpp: one file holds metadata and tensors, often quantised in
// blocks.
//
// A file consists of a header (magic, version, counts), key-value pairs with typed values, one description for each
// tensor, and the tensors' data, each at a multiple of the alignment. [Open] maps a file into memory and checks
// everything except the values of the tensors before it returns. Metadata are decoded on demand and tensor data are
// views of the mapping, so opening a large file costs neither time nor memory:
//
//	f, err := gguf.Open("model.gguf")
//	if err != nil { … }
//	defer f.Close()
//	architecture, ok, err := f.Text("general.architecture")
//	t, ok := f.Tensor("blk.0.attn_q.weight")
//
// Every count, length, dimension and offset is compared with the number of available bytes before it is used, with
// arithmetic that cannot overflow. Errors name the key or the tensor and the byte.
//
// The reader reads versions 2 and 3, little-endian. It is as strict as llama.cpp, and stricter in some points: keys and
// names are UTF-8 without NUL and at most 65,535 and 64 bytes long, truth values are 0 or 1, dimensions are at least 1,
// the alignment is a power of two and a multiple of 8, and only padding may lie between tensors or after the last. It
// is less strict in one point: tensors may be described in another order than that of their data.
//
// Limits: models that are split over several files are refused, and so are big-endian files. Tensors of types that are
// not in [Types] are only listed, with their sizes.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
package gguf
