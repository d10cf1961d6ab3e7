// Package magic recognises files that were given in place of weights or JSON, so that the error can name the remedy.
package magic

import (
	"bytes"
	"strings"
)

// Need is the number of bytes from the start of a file that [Explain] reads.
const Need = 512

// Explain describes the file that begins with head and names a remedy, in one clause. It returns "" if it does not
// recognise the file. A valid safetensors file can begin with any of these bytes by chance, so call Explain only after
// parsing has failed.
func Explain(head []byte) string {
	text := strings.ToLower(strings.TrimLeft(string(head[:min(len(head), Need)]), " \t\r\n\ufeff"))
	switch {
	case strings.HasPrefix(text, "version https://git-lfs.github.com/spec/"):
		return "this is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
	case strings.HasPrefix(text, "<!doctype") || strings.HasPrefix(text, "<html") || strings.HasPrefix(text, "<?xml"):
		return "this is a web page, probably the error page of a failed download; download the file again"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "this is a zip archive, probably a PyTorch pickle, which can run code and is never read; " +
			"convert it to safetensors"
	case len(head) >= 2 && head[0] == 0x80 && 2 <= head[1] && head[1] <= 5:
		return "this is a Python pickle, which can run code and is never read; convert it to safetensors"
	case bytes.HasPrefix(head, []byte("GGUF")):
		return "this is a GGUF file; give its path instead of a directory's as the model"
	case bytes.HasPrefix(head, []byte("\x89HDF\r\n\x1a\n")):
		return "this is an HDF5 file (Keras, TensorFlow); use the safetensors checkpoint of the model"
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "this is a gzip archive; unpack it first"
	}
	return ""
}
