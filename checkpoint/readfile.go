package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spalora/spalora/checkpoint/internal/magic"
)

// ReadFile returns the content of a file of the model directory dir, which need not hold a configuration or weights: what a
// tokenizer is loaded with when there is no model. The error is fs.ErrNotExist if there is no such file; links that lead out of
// the directory are refused, as by [Open].
func ReadFile(dir, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	d, err := openDirectory(dir)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the path is named once, below
		}
		return nil, fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	s := &Source{name: dir, store: d}
	s.files, err = d.list()
	var data []byte
	if err == nil {
		data, err = s.read(name)
	}
	if err == nil {
		if what := magic.Explain(data); what != "" {
			err = errors.New(what)
		}
	}
	if err := errors.Join(err, d.close()); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %s: %w", dir, name, err)
	}
	return data, nil
}
