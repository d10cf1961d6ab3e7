package gguf

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/spalora/spalora/checkpoint/internal/strictjson"
)

// reader reads numbers and strings one after the other. It checks that the bytes exist before it reads or allocates
// anything.
type reader struct {
	data []byte
	at   int
}

// left returns the number of bytes that follow.
func (r *reader) left() uint64 { return uint64(len(r.data) - r.at) }

// fail returns an error at the current byte.
func (r *reader) fail(format string, args ...any) error {
	return fmt.Errorf("byte %d: %w", r.at, fmt.Errorf(format, args...))
}

// take returns the next n bytes; what names them in the error.
func (r *reader) take(n uint64, what string) ([]byte, error) {
	if n > r.left() {
		return nil, r.fail("%s takes %d bytes, but only %d follow; the file is cut off or damaged", what, n, r.left())
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b, nil
}

func (r *reader) uint32(what string) (uint32, error) {
	b, err := r.take(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) uint64(what string) (uint64, error) {
	b, err := r.take(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a number of things, each of which takes at least size bytes.
func (r *reader) count(size uint64, what string) (int, error) {
	at := r.at
	n, err := r.uint64("the number of " + what)
	if err != nil {
		return 0, err
	}
	if n > r.left()/size {
		return 0, fmt.Errorf("byte %d: %d %s are more than the %d bytes that follow can hold", at, n, what, r.left())
	}
	return int(n), nil
}

// text returns the bytes of a string, which follow its length in 8 bytes.
func (r *reader) text(what string) ([]byte, error) {
	n, err := r.uint64("the length of " + what)
	if err != nil {
		return nil, err
	}
	return r.take(n, what)
}

// name reads the name of a key or a tensor.
func (r *reader) name(what string, most int) (string, error) {
	at := r.at
	b, err := r.text(what)
	if err != nil {
		return "", err
	}
	switch {
	case len(b) == 0:
		return "", fmt.Errorf("byte %d: %s is empty", at, what)
	case len(b) > most:
		return "", fmt.Errorf("byte %d: %s has %d bytes, at most %d are allowed: %s",
			at, what, len(b), most, quote(string(b[:most])))
	case !utf8.Valid(b):
		return "", fmt.Errorf("byte %d: %s is not UTF-8", at, what)
	}
	for i, c := range b {
		if c == 0 {
			return "", fmt.Errorf("byte %d: %s contains a NUL", at+8+i, what)
		}
	}
	return string(b), nil
}

// quote escapes and clips a name from a file, so that it cannot disturb a terminal.
func quote(name string) string { return strconv.QuoteToASCII(strictjson.Clip(name)) }
