package ggufmodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// metadata reads the values that a configuration needs. err keeps the first error; values that are read after it are
// not valid.
type metadata struct {
	file *gguf.File
	arch string
	err  error
	used map[string]bool // keys of the architecture that were read, without its name
}

func (md *metadata) fail(err error) {
	if md.err == nil {
		md.err = err
	}
}

// key returns the full name of an architecture's key and marks it as used.
func (md *metadata) key(name string) string {
	if md.used == nil {
		md.used = map[string]bool{}
	}
	md.used[name] = true
	return md.arch + "." + name
}

// text returns the string of a key without the architecture's name. If the key is missing, it returns otherwise, or
// fails if otherwise is "".
func (md *metadata) text(key, otherwise string) string {
	s, ok, err := md.file.Text(key)
	switch {
	case err != nil:
		md.fail(err)
	case ok:
		return s
	case otherwise == "":
		md.fail(fmt.Errorf("the metadata lack %q", key))
	}
	return otherwise
}

// size returns an integer of the architecture that must be at least 1. If the key is missing, it returns otherwise, or
// fails if otherwise is 0.
func (md *metadata) size(name string, otherwise int) int {
	key := md.key(name)
	n, ok, err := md.file.Uint(key)
	switch {
	case err != nil:
		md.fail(err)
	case ok && (n < 1 || n > math.MaxInt32):
		md.fail(fmt.Errorf("key %q: %d is out of range", key, n))
	case ok:
		return int(n)
	case otherwise == 0:
		md.fail(fmt.Errorf("the metadata lack %q", key))
	}
	return otherwise
}

// count returns an integer of the architecture, or 0 if the key is missing.
func (md *metadata) count(name string) int {
	key := md.key(name)
	n, _, err := md.file.Uint(key)
	if err != nil {
		md.fail(err)
	} else if n > math.MaxInt32 {
		md.fail(fmt.Errorf("key %q: %d is out of range", key, n))
	}
	return int(n)
}

// number returns a float of the architecture that must be above 0. If the key is missing, it returns otherwise, or
// fails if otherwise is 0.
func (md *metadata) number(name string, otherwise float64) float64 {
	key := md.key(name)
	x, ok, err := md.file.Float(key)
	switch {
	case err != nil:
		md.fail(err)
	case ok && x <= 0:
		md.fail(fmt.Errorf("key %q: %v is out of range, want more than 0", key, x))
	case ok:
		return x
	case otherwise == 0:
		md.fail(fmt.Errorf("the metadata lack %q", key))
	}
	return otherwise
}

// token returns a token's id as an int, or nil if the key is missing.
func (md *metadata) token(key string, tokens int) any {
	n, ok, err := md.file.Uint(key)
	if err != nil {
		md.fail(err)
		return nil
	}
	if !ok {
		return nil
	}
	if n >= uint64(tokens) {
		md.fail(fmt.Errorf("key %q: there is no token %d, the model has %d", key, n, tokens))
		return nil
	}
	return int(n)
}

// encode returns v as JSON, without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
