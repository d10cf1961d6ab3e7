package base

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spalora/spalora/data"
)

// LabelsName is the file of an adapter that names its classes.
const LabelsName = "labels.json"

// SavedLabels are the classes that were saved with an adapter.
type SavedLabels struct {
	Names   []string
	Problem *data.Problem // nil: the file is a plain list of names
}

// ReadLabels reads the file [LabelsName] of an adapter: an object as finetune writes it, or a plain list of class
// names. It returns nil if there is no such file, as in PEFT's adapters.
func ReadLabels(adapter string) (*SavedLabels, error) {
	path := filepath.Join(adapter, LabelsName)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, Input(err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		var names []string
		if err := json.Unmarshal(text, &names); err != nil {
			return nil, Input(fmt.Errorf("%s: want a list of class names: %w", path, err))
		}
		if _, err := data.NewLabels(data.SingleLabel, names); err != nil {
			return nil, Input(fmt.Errorf("%s: %w", path, err))
		}
		return &SavedLabels{Names: names}, nil
	}
	l, err := data.DecodeLabels(text, path)
	if err != nil {
		return nil, Input(err)
	}
	return &SavedLabels{Names: l.Names, Problem: &l.Problem}, nil
}
