package nn

import (
	"errors"
	"fmt"
)

// Upper limits of the sizes in a config.json. No model comes near them; a damaged config.json may exceed them, and is
// rejected before anything is allocated.
const (
	MaxLayers     = 1000
	MaxWidth      = 1 << 20
	MaxVocabulary = 1 << 24
)

// maxInitializer limits initializer_range, so that fresh weights are finite.
const maxInitializer = 100

// ConfigCheck collects the errors of a model's configuration, so that one error reports all of them. The zero value is
// ready to use.
type ConfigCheck struct{ errs []error }

// Add adds err unless it is nil.
func (k *ConfigCheck) Add(err error) {
	if err != nil {
		k.errs = append(k.errs, err)
	}
}

// Size adds an error unless v is 1 to most. name is the field of config.json.
func (k *ConfigCheck) Size(name string, v, most int) {
	if v < 1 || v > most {
		k.Add(fmt.Errorf("%s is %d; want 1 to %d", name, v, most))
	}
}

// Probability adds an error unless p is at least 0 and below 1. name is the field of config.json.
func (k *ConfigCheck) Probability(name string, p float32) {
	if !(p >= 0 && p < 1) {
		k.Add(fmt.Errorf("%s is %g; want at least 0 and below 1", name, p))
	}
}

// Eps adds an error unless v, which a norm adds to a variance, is at least 0 and below 1. name is the field of
// config.json.
func (k *ConfigCheck) Eps(name string, v float32) {
	if !(v >= 0 && v < 1) {
		k.Add(fmt.Errorf("%s is %g; want at least 0 and below 1", name, v))
	}
}

// Initializer adds an error unless v, the initializer_range, is 0 to 100.
func (k *ConfigCheck) Initializer(v float64) {
	if !(v >= 0 && v <= maxInitializer) {
		k.Add(fmt.Errorf("initializer_range is %g; want 0 to %g", v, float64(maxInitializer)))
	}
}

// Err returns the added errors as one, prefixed with prefix, or nil if there are none.
func (k *ConfigCheck) Err(prefix string) error {
	if len(k.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", prefix, errors.Join(k.errs...))
}
