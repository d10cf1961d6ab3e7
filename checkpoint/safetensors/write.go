package safetensors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/internal/files"
)

// Write writes the tensors as one safetensors file with the bytes of the reference writer: tensors are sorted by type
// (wide ones first), then by name, and the header is padded with spaces to a multiple of 8 bytes. Keys of the metadata
// are sorted; the reference has no fixed order for them.
//
// If metadata is nil, Write stores {"format": "pt"}, without which transformers refuses a checkpoint; an empty map
// writes no metadata. The tensors may be in any order and are not changed. Write returns an error if a name occurs
// twice, is "__metadata__" or is not UTF-8, or if a tensor's data do not fit its type and shape.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted, err := arrange(tensors)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	header, err := encodeHeader(sorted, metadata)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	buffered := bufio.NewWriterSize(w, 1<<16)
	// A bufio.Writer keeps its first error and Flush returns it.
	_, _ = buffered.Write(header)
	for _, t := range sorted {
		if _, err := buffered.Write(t.Data); err != nil {
			break
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// WriteFile writes the tensors to path as [Write] does. It replaces an old file only when the new one is complete and
// on disk. Tensors may be views of the old file.
func WriteFile(path string, tensors []Tensor, metadata map[string]string, opts ...files.Option) error {
	return files.WriteFile(path, func(w io.Writer) error { return Write(w, tensors, metadata) }, opts...)
}

// arrange checks the tensors and returns a copy in the order of the file.
func arrange(tensors []Tensor) ([]Tensor, error) {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		if a.DType != b.DType {
			return b.DType.place() - a.DType.place()
		}
		return strings.Compare(a.Name, b.Name)
	})
	seen := make(map[string]bool, len(sorted))
	for _, t := range sorted {
		var err error
		switch {
		case t.Name == metadataKey:
			err = errors.New("the name is reserved")
		case !utf8.ValidString(t.Name):
			err = errors.New("the name is not UTF-8")
		case seen[t.Name]:
			err = errors.New("the name occurs twice")
		default:
			err = t.check()
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", quote(t.Name), err)
		}
		seen[t.Name] = true
	}
	return sorted, nil
}

// check returns an error if data, type and shape do not fit each other.
func (t Tensor) check() error {
	if t.DType.Bits() == 0 {
		return fmt.Errorf("%s is not a type of the format", quote(string(t.DType)))
	}
	if len(t.Shape) > maxDims {
		return fmt.Errorf("%d dimensions, at most %d are allowed", len(t.Shape), maxDims)
	}
	for _, d := range t.Shape {
		if d < 0 {
			return fmt.Errorf("negative dimension in shape %v", t.Shape)
		}
	}
	size, err := byteSize(t.DType, t.Shape)
	if err != nil {
		return err
	}
	if size != uint64(len(t.Data)) {
		return fmt.Errorf("%d bytes of data, but %s %v takes %d", len(t.Data), t.DType, t.Shape, size)
	}
	return nil
}

// encodeHeader returns the length and the JSON of the header for tensors in the order of the file.
func encodeHeader(sorted []Tensor, metadata map[string]string) ([]byte, error) {
	if metadata == nil {
		metadata = map[string]string{"format": "pt"}
	}
	b := append(make([]byte, headerLen, 256+128*len(sorted)), '{')
	if len(metadata) > 0 {
		b = append(b, `"`+metadataKey+`":{`...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
				return nil, fmt.Errorf("metadata %s: not UTF-8", quote(key))
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(append(appendString(b, key), ':'), metadata[key])
		}
		b = append(b, '}')
	}
	at := 0
	for _, t := range sorted {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = appendString(b, t.Name)
		b = append(b, `:{"dtype":"`+string(t.DType)+`","shape":[`...)
		for i, d := range t.Shape {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(d), 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = append(strconv.AppendInt(b, int64(at), 10), ',')
		at += len(t.Data)
		b = append(strconv.AppendInt(b, int64(at), 10), "]}"...)
	}
	b = append(b, '}')
	for len(b)%8 != 0 { // so that the data are aligned for every type
		b = append(b, ' ')
	}
	if len(b)-headerLen > maxHeader {
		return nil, fmt.Errorf("the header takes %d bytes, at most %d are allowed", len(b)-headerLen, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-headerLen))
	return b, nil
}

// appendString appends s as a JSON string with exactly the escapes of the reference's writer (serde_json).
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '"')
}
