package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/spalora/spalora/checkpoint/internal/strictjson"
)

const (
	headerLen   = 8           // bytes of the length that precedes the JSON
	maxHeader   = 100_000_000 // maximum length of the JSON, as in the reference, for reading and for writing
	maxDims     = 64          // maximum of numpy; keeps the memory of a header in proportion to its size
	metadataKey = "__metadata__"
)

func tooShort(n int) error {
	return fmt.Errorf("%d bytes are shorter than the 8-byte header length at the start of the format", n)
}

// entry is one tensor of the header.
type entry struct {
	Tensor
	begin, end uint64 // data_offsets
}

// parseHeader reads and checks the header and makes the views of the data.
func parseHeader(data []byte) (*File, error) {
	if len(data) < headerLen {
		return nil, tooShort(len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	switch rest := uint64(len(data) - headerLen); {
	case n > maxHeader:
		return nil, fmt.Errorf("header length %d is more than the allowed %d bytes", n, maxHeader)
	case n > rest:
		return nil, fmt.Errorf("header length %d is more than the %d bytes that follow it; "+
			"the file is cut off or not safetensors", n, rest)
	}
	f := &File{}
	if err := f.readHeader(data[headerLen : headerLen+n]); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := f.place(data[headerLen+n:]); err != nil {
		return nil, err
	}
	return f, nil
}

// readHeader reads the JSON into f and leaves the tensors in the order of the text.
func (f *File) readHeader(text []byte) error {
	s, err := strictjson.New(text)
	if err != nil {
		return err
	}
	hasMetadata := false
	err = s.Object(func(name string) error {
		if name == metadataKey {
			if hasMetadata {
				return errors.New("duplicate key __metadata__")
			}
			hasMetadata = true
			return f.readMetadata(s)
		}
		e, err := readEntry(s, name)
		if err != nil {
			return err
		}
		f.tensors = append(f.tensors, e)
		return nil
	})
	if err != nil {
		return err
	}
	return s.End()
}

func (f *File) readMetadata(s *strictjson.Scanner) error {
	if s.Kind() == 'n' {
		return s.Skip()
	}
	f.metadata = map[string]string{}
	err := s.Object(func(key string) error {
		value, err := s.Text()
		if err != nil {
			return fmt.Errorf("%q: %w", strictjson.Clip(key), err)
		}
		f.metadata[key] = value
		return nil
	})
	if err != nil {
		return fmt.Errorf("__metadata__ must be an object of strings: %w", err)
	}
	return nil
}

// readEntry reads the value of a tensor's key. Each of its three fields must occur exactly once; other fields are
// ignored.
func readEntry(s *strictjson.Scanner, name string) (entry, error) {
	e := entry{Tensor: Tensor{Name: name}}
	var dtype, shape, offsets int
	err := s.Object(func(field string) (err error) {
		switch field {
		case "dtype":
			dtype++
			err = e.readDType(s)
		case "shape":
			shape++
			err = e.readShape(s)
		case "data_offsets":
			offsets++
			err = e.readOffsets(s)
		default:
			return s.Skip()
		}
		if err == nil && max(dtype, shape, offsets) > 1 {
			err = errors.New("duplicate field")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		return nil
	})
	if err == nil {
		for i, n := range []int{dtype, shape, offsets} {
			if n == 0 {
				err = fmt.Errorf("%s is missing", []string{"dtype", "shape", "data_offsets"}[i])
				break
			}
		}
	}
	if err != nil {
		return e, fmt.Errorf("tensor %s: %w", quote(name), err)
	}
	return e, nil
}

func (e *entry) readDType(s *strictjson.Scanner) error {
	text, err := s.Text()
	if err != nil {
		return err
	}
	i := DType(text).place()
	if i < 0 {
		return fmt.Errorf("%s is not a type of the format", quote(text))
	}
	e.DType = types[i].dtype // the constant, so that text is not kept
	return nil
}

func (e *entry) readShape(s *strictjson.Scanner) error {
	e.Shape = []int{}
	return s.Array(func() error {
		d, err := s.Uint()
		if err != nil {
			return err
		}
		if uint64(int(d)) != d || int(d) < 0 {
			return fmt.Errorf("dimension %d is too large", d)
		}
		if len(e.Shape) == maxDims {
			return fmt.Errorf("more than %d dimensions", maxDims)
		}
		e.Shape = append(e.Shape, int(d))
		return nil
	})
}

func (e *entry) readOffsets(s *strictjson.Scanner) error {
	var at [2]uint64
	n := 0
	err := s.Array(func() error {
		v, err := s.Uint()
		if err != nil {
			return err
		}
		if n == len(at) {
			return errors.New("more than two numbers")
		}
		at[n] = v
		n++
		return nil
	})
	if err == nil && n < len(at) {
		err = fmt.Errorf("%d numbers, want two", n)
	}
	e.begin, e.end = at[0], at[1]
	return err
}

// place sorts the tensors by their data, checks that the data cover the buffer without gap or overlap, and makes the
// views.
func (f *File) place(buffer []byte) error {
	slices.SortStableFunc(f.tensors, func(a, b entry) int {
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		return cmp.Compare(a.end, b.end)
	})
	f.index = make(map[string]int, len(f.tensors))
	for i, e := range f.tensors {
		if _, twice := f.index[e.Name]; twice {
			return fmt.Errorf("tensor %s: the name occurs twice in the header", quote(e.Name))
		}
		f.index[e.Name] = i
	}
	var at uint64
	for i, e := range f.tensors {
		size, err := byteSize(e.DType, e.Shape)
		switch {
		case err != nil:
		case e.end < e.begin:
			err = fmt.Errorf("data_offsets [%d, %d] end before they begin", e.begin, e.end)
		case e.begin < at:
			err = fmt.Errorf("data_offsets [%d, %d] overlap the preceding tensor, which ends at %d", e.begin, e.end, at)
		case e.begin > at:
			err = fmt.Errorf("data_offsets [%d, %d] leave a gap after byte %d", e.begin, e.end, at)
		case e.end-e.begin != size:
			err = fmt.Errorf("data_offsets [%d, %d] hold %d bytes, but %s %v takes %d",
				e.begin, e.end, e.end-e.begin, e.DType, e.Shape, size)
		case e.end > uint64(len(buffer)):
			err = fmt.Errorf("data end at %d, but the file holds %d bytes of data; it is cut off", e.end, len(buffer))
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(e.Name), err)
		}
		f.tensors[i].Data = buffer[e.begin:e.end:e.end]
		at = e.end
	}
	if rest := uint64(len(buffer)) - at; rest > 0 {
		return fmt.Errorf("%d bytes after the last tensor's data, which end at %d of %d", rest, at, len(buffer))
	}
	return nil
}

// byteSize returns elements·bits/8. It returns an error if that overflows or is not a whole number of bytes.
func byteSize(d DType, shape []int) (uint64, error) {
	n := uint64(1)
	for _, dim := range append(slices.Clone(shape), d.Bits()) {
		high, low := bits.Mul64(n, uint64(dim))
		if high != 0 {
			return 0, fmt.Errorf("%s %v: the size overflows", d, shape)
		}
		n = low
	}
	if n%8 != 0 {
		return 0, fmt.Errorf("%s %v: %d bits are not whole bytes", d, shape, n)
	}
	return n / 8, nil
}

// quote escapes and clips a name from a file, so that it cannot disturb a terminal.
func quote(name string) string { return strconv.QuoteToASCII(strictjson.Clip(name)) }
