package tasks

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
)

// Kind describes a task type to the code that opens, recognises and merges its models. Each package below this one has
// one.
type Kind struct {
	base.TaskType
	// Head is what the head of its models computes.
	Head arch.Kind
	// Open opens a trained model for prediction. The predictor must be closed before the base.
	Open func(o Opening) (Predictor, error)
	// Merge opens a base with an adapter to be merged into it.
	Merge func(o Opening) (*Merging, error)
	// Fits reports whether an adapter whose saved head has the given number of outputs (0: no head) can be for this task
	// if its base was made for it; nil: only one without a head can.
	Fits func(outputs int) bool
	// Fallback reports that an adapter is for this task if nothing shows another one.
	Fallback bool
	// Files are the names of the files that adapters for this task have beside those of package lora.
	Files []string
}

// Predictor is a trained model with everything that predictions need. It is safe for concurrent use until it is closed.
type Predictor interface {
	// Close releases the memory that is kept for further predictions.
	Close() error
}

// Settings are the settings of a task's predictions: a pointer to a struct of the task's package.
type Settings interface {
	// Options lists the settings that adapters remember.
	Options() []base.Option
}

// Opening holds what a trained model is opened with, and the settings of predictions. Predictors that are opened with
// the same Shared and the same Tapes have one model and its memory in common, and a function of the task's package
// (PredictEach, EmbedEach, …) predicts for rows that several of them serve.
type Opening struct {
	base.Opening
	Settings Settings // nil: those that the adapter remembers, else the defaults
	Tapes    *Tapes   // whoever made them closes them; nil: tapes of the predictor's own
}

// Adaptable is a predictor that can use another adapter in place of its own.
type Adaptable interface {
	Predictor
	// AdapterSet returns the adapter in use; nil: the base model.
	AdapterSet() nn.AdapterSet
	// With returns a predictor with another adapter, in which everything else is the same. It shares the memory of the
	// predictor, which alone must be closed.
	With(a nn.AdapterSet) Predictor
}

// Core returns the settings that the predictors of all task types share. maxLength nil is 0, and so is evalTokens for
// the default.
func (o Opening) Core(adapter nn.AdapterSet, maxLength *int, evalTokens int) CoreConfig {
	return CoreConfig{
		MaxLength: Value(maxLength), EvalTokens: evalTokens, Pool: o.Pool, Adapter: adapter, Tapes: o.Tapes,
	}
}

// SettingsOf returns the settings of an opening, which must be of the type S (a pointer's base type), with what its
// adapter remembers in place of those that are not given.
func SettingsOf[S any, P interface {
	*S
	Settings
}](o Opening) (P, error) {
	s, err := GivenSettings[S, P](o)
	if err != nil {
		return nil, err
	}
	what, err := base.Recall(o.Adapter.Dir, s.Options())
	if what != "" {
		o.Log.Info().Msgf("%s was trained with %s; the same is used here", o.Adapter.Dir, what)
	}
	return s, err
}

// GivenSettings returns the settings of an opening, which must be of the type S (a pointer's base type), without what
// its adapter remembers.
func GivenSettings[S any, P interface {
	*S
	Settings
}](o Opening) (P, error) {
	s := P(new(S))
	if o.Settings != nil {
		given, ok := o.Settings.(P)
		if !ok {
			return nil, base.Settings(fmt.Errorf("the settings are %T, but the task takes %T", o.Settings, s))
		}
		*s = *given
	}
	return s, nil
}

// Find returns the kind with a command.
func Find(kinds []Kind, command string) (Kind, error) {
	if k, ok := first(kinds, func(k Kind) bool { return k.Command == command }); ok {
		return k, nil
	}
	return Kind{}, base.Settings(fmt.Errorf("`task` is %q; want one of %s", command, strings.Join(Commands(kinds), ", ")))
}

// Commands lists the commands of task types.
func Commands(kinds []Kind) []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Command)
	}
	return names
}

// ofClass returns the kind whose models transformers gives a class name like this, the one with the longest ending.
func ofClass(kinds []Kind, class string) (found Kind, ok bool) {
	longest := 0
	for _, k := range kinds {
		for _, ending := range k.Classes {
			if strings.HasSuffix(class, ending) && len(ending) > longest {
				found, ok, longest = k, true, len(ending)
			}
		}
	}
	return found, ok
}

// ofBase returns the kind that a checkpoint's own class is for.
func ofBase(kinds []Kind, b *base.Base) (Kind, bool) {
	for _, class := range b.Info.Classes {
		if k, ok := ofClass(kinds, class); ok {
			return k, true
		}
	}
	return Kind{}, false
}
