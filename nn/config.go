package nn

import (
	"errors"
	"fmt"
)

// Sizes beyond these are refused before anything is allocated: no model comes near, a damaged config.json easily does.
const (
	MaxLayers     = 1000
	MaxWidth      = 1 << 20
	MaxVocabulary = 1 << 24
)

// maxInitializer bounds initializer_range: fresh weights must be finite.
const maxInitializer = 100

// ConfigCheck collects everything that is wrong with a model's configuration, so that all of it can be told at once.
type ConfigCheck struct{ errs []error }

// Add notes an error; nil is none.
func (k *ConfigCheck) Add(err error) {
	if err != nil {
		k.errs = append(k.errs, err)
	}
}

// Size notes an error unless v is 1 to most.
func (k *ConfigCheck) Size(name string, v, most int) {
	if v < 1 || v > most {
		k.Add(fmt.Errorf("%s is %d; want 1 to %d", name, v, most))
	}
}

// Probability notes an error unless p is at least 0 and below 1.
func (k *ConfigCheck) Probability(name string, p float32) {
	if !(p >= 0 && p < 1) {
		k.Add(fmt.Errorf("%s is %g; want at least 0 and below 1", name, p))
	}
}

// Eps notes an error unless v can be added to a variance.
func (k *ConfigCheck) Eps(name string, v float32) {
	if !(v >= 0 && v < 1) {
		k.Add(fmt.Errorf("%s is %g; want at least 0 and below 1", name, v))
	}
}

// Initializer notes an error unless initializer_range makes finite weights.
func (k *ConfigCheck) Initializer(v float64) {
	if !(v >= 0 && v <= maxInitializer) {
		k.Add(fmt.Errorf("initializer_range is %g; want 0 to %g", v, float64(maxInitializer)))
	}
}

// Err returns what was noted as one error, nil if nothing was.
func (k *ConfigCheck) Err(prefix string) error {
	if len(k.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", prefix, errors.Join(k.errs...))
}
