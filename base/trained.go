package base

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Opening holds what a trained model is opened with.
type Opening struct {
	Base    *Base
	Adapter Adapter
	Log     zerolog.Logger
	Pool    *op.Pool
}

// Trained is a base model with the adapter that it is used with.
type Trained[M models.TextModel] struct {
	*Model[M]
	Set *lora.Set // nil: none
}

// AdapterSet returns Set for a [nn.Pass]: a nil interface, not a nil pointer in one, if there is no adapter.
func (t *Trained[M]) AdapterSet() nn.AdapterSet {
	if t.Set == nil {
		return nil
	}
	return t.Set
}

// OpenTrained opens a model with open and the adapter for it; t returns the task type of a model. It returns an error
// if neither the checkpoint nor the adapter has a weight, since predictions would be random; harmless reports whether
// no prediction reads a weight.
func OpenTrained[M models.TextModel](
	o Opening, t func(models.TextModel) TaskType, open Opener[M], harmless func(weight string) bool,
) (*Trained[M], error) {
	m, err := OpenModel(o.Base, o.Log.Level(max(o.Log.GetLevel(), zerolog.WarnLevel)), 0, open)
	if err != nil {
		return nil, err
	}
	trained := &Trained[M]{Model: m}
	var own []string
	if o.Adapter.Dir != "" {
		if trained.Set, err = m.LoadAdapter(o.Adapter, t(m.Net), o.Log, o.Pool); err != nil {
			return nil, err
		}
		own = trained.Set.Saved()
	}
	random := slices.DeleteFunc(slices.Clone(m.Report.Fresh), func(name string) bool {
		return slices.Contains(own, name) || harmless != nil && harmless(name)
	})
	switch {
	case len(random) == 0:
		return trained, nil
	case o.Adapter.Dir == "":
		return nil, Input(fmt.Errorf("%s: %s are not in the checkpoint, so predictions would be random; "+
			"give a trained adapter with `adapter`", o.Base.Name, strings.Join(random, ", ")))
	}
	return nil, Input(fmt.Errorf("%s are neither in the checkpoint %s nor in the adapter, so predictions would be "+
		"random; give an adapter that was trained for this task", strings.Join(random, ", "), o.Base.Name))
}
