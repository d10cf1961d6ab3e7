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
	Shared  *Shared // the model that several adapters share; nil: a model of its own
}

// Shared is a model that several adapters share, each opened by an [Opening] of its own: the first opening opens the
// model, later ones load their adapter for it. Adapters may have heads with another number of outputs than the model.
// Openings must follow one another; what was opened before is not changed and stays in use.
type Shared struct {
	// Headless lets the first opening, without an adapter, open a checkpoint whose head is missing or for another task.
	Headless bool
	// Untrained is the error that Headless accepted; predictions without an adapter would be random then.
	Untrained error

	model any // *Model[M] of the task's type of model; nil: not open
}

// open reports whether the model is open.
func (s *Shared) open() bool { return s != nil && s.model != nil }

// accepts reports whether an error about a head may be left to predictions without an adapter.
func (s *Shared) accepts(err error) bool {
	if s == nil || !s.Headless {
		return false
	}
	if s.Untrained == nil {
		s.Untrained = err
	}
	return true
}

// Reshaped returns s with another model in place of the one that is open: what f makes of it, with the same weights
// below the head. s may be nil.
func Reshaped[M models.Model](s *Shared, f func(net M) M) *Shared {
	if !s.open() {
		return s
	}
	m, ok := s.model.(*Model[M])
	if !ok {
		return s
	}
	again := &Model[M]{Net: f(m.Net), Base: m.Base, Report: m.Report, open: m.open, whole: m}
	return &Shared{s.Headless, s.Untrained, again}
}

// openShared returns the model of an opening, which it opens if it is the first.
func openShared[M models.Model](o Opening, open Opener[M]) (*Model[M], error) {
	if o.Shared.open() {
		m, ok := o.Shared.model.(*Model[M])
		if !ok {
			return nil, fmt.Errorf("base: the shared model is %T, not %T; share models of one task", o.Shared.model, m)
		}
		return m, nil
	}
	m, err := OpenModel(o.Base, o.Log.Level(max(o.Log.GetLevel(), zerolog.WarnLevel)), 0, open)
	if err == nil && o.Shared != nil {
		o.Shared.model = m
	}
	return m, err
}

// Trained is a base model with the adapter that it is used with.
type Trained[M models.Model] struct {
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
// no prediction reads a weight. If o shares a model, see [Shared].
func OpenTrained[M models.Model](
	o Opening, t func(models.Model) TaskType, open Opener[M], harmless func(weight string) bool,
) (*Trained[M], error) {
	beside := o.Shared.open()
	m, err := openShared(o, open)
	if err != nil {
		return nil, err
	}
	trained := &Trained[M]{Model: m}
	var own []string
	if o.Adapter.Dir != "" {
		var options []lora.LoadOption
		if beside && m.outputs() > 0 { // a classifier, whose head may be another
			n, err := HeadOutputs(o.Adapter.Dir)
			if err != nil {
				return nil, err
			}
			options = append(options, lora.Shaped(withOutputs(n)))
		}
		if trained.Set, err = m.loadAdapter(o.Adapter, t(m.Net), o.Log, o.Pool, options...); err != nil {
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
		err := Input(fmt.Errorf("%s: %s are not in the checkpoint, so predictions would be random; "+
			"give a trained adapter with `adapter`", o.Base.Name, strings.Join(random, ", ")))
		if o.Shared.accepts(err) {
			return trained, nil
		}
		return nil, err
	}
	return nil, Input(fmt.Errorf("%s are neither in the checkpoint %s nor in the adapter, so predictions would be "+
		"random; give an adapter that was trained for this task", strings.Join(random, ", "), o.Base.Name))
}

// withOutputs returns the function for [lora.Shaped] that accepts heads of n outputs.
func withOutputs(n int) func(weight string, got, want []int) bool {
	return func(weight string, got, want []int) bool {
		name, bias := strings.CutSuffix(weight, ".bias")
		if bias {
			name += ".weight"
		} else {
			name = weight
		}
		return slices.Contains(models.OutputWeights(), name) && got[0] == n && slices.Equal(got[1:], want[1:])
	}
}
