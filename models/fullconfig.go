package models

import (
	"encoding/json"
	"fmt"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models/arch"
)

// completed is a configuration that can fill in what config.json may leave out.
type completed interface{ Full() arch.Config }

// FullConfig returns the fields of config.json that the model of src is built from, as a JSON object under their names
// in config.json, with the values that transformers has for those that the file leaves out. Only decoders have such a
// configuration; other model types are an error.
func FullConfig(src *checkpoint.Source) ([]byte, error) {
	modelType, _, c, err := architectures.read(src)
	if err != nil {
		return nil, err
	}
	full, ok := c.(completed)
	if !ok {
		return nil, fmt.Errorf("models: %s: model_type %q does not predict the next token; want %s", src.Name(), modelType,
			architectures.with(arch.Causal))
	}
	text, err := json.Marshal(full.Full())
	if err != nil {
		return nil, fmt.Errorf("models: %s: %w", src.Name(), err)
	}
	return text, nil
}
