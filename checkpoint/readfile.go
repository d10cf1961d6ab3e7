package checkpoint

import (
	"errors"
	"fmt"
)

// ReadFile returns the content of a file of the model directory dir, which need not have a configuration or weights; so
// a tokenizer can be loaded without a model. The error is fs.ErrNotExist if the file does not exist. Like [Open],
// ReadFile refuses links that lead out of the directory.
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
