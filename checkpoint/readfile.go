package checkpoint

import (
	"errors"
	"fmt"
)

// ReadFile returns the content of a file of the model directory dir, which need not hold a configuration or weights: what a
// tokenizer is loaded with when there is no model. The error is fs.ErrNotExist if there is no such file; links that lead out of
// the directory are refused, as by [Open].
func ReadFile(dir, name string) ([]byte, error) {
	d, err := storeOf(dir)
	if err != nil {
		return nil, err
	}
	s := &Source{name: dir, store: d}
	if s.files, err = d.list(); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", dir, errors.Join(err, s.Close()))
	}
	data, err := s.File(name)
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	return data, nil
}
