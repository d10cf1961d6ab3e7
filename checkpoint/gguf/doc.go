// Package gguf reads GGUF, the file format of llama.cpp: metadata and tensors, often quantised in blocks, in one file.
//
// A file is a header (magic, version, counts), key-value pairs with typed values, one description for each tensor, and the
// tensors' data, each at a multiple of the alignment. [Open] maps a file into memory and checks all of it but the values of the
// tensors before it returns; metadata are decoded when asked for and tensor data are views of the mapping, so opening a large file
// costs neither time nor memory:
//
//	f, err := gguf.Open("model.gguf")
//	if err != nil { … }
//	defer f.Close()
//	architecture, ok, err := f.Text("general.architecture")
//	t, ok := f.Tensor("blk.0.attn_q.weight")
//
// Every count, length, dimension and offset is compared with the bytes that are there before it is used, with arithmetic that
// cannot overflow. Errors name the key or the tensor and the byte.
//
// The reader takes versions 2 and 3, little-endian. It is as strict as llama.cpp, and stricter in this: keys and names are UTF-8
// without NUL and at most 65,535 and 64 bytes long, truth values are 0 or 1, dimensions are at least 1, the alignment is a power of
// two and a multiple of 8, and nothing but padding stands between tensors or after the last. It is laxer in one thing: tensors may be
// described in another order than that of their data.
//
// Limits: models that are split over several files are refused, as are big-endian files. Types of tensors that are not in [Types] are listed with their sizes only.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
package gguf
