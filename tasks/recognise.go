package tasks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
)

// Explicit returns the kind that an adapter names, or the kind of the given command. It returns an error if the
// adapter contradicts the command or names a task that is not among kinds, and the zero Kind if nothing names a task.
// sure is false if the base can still show that another kind is right; call [Recognise] then.
func Explicit(kinds []Kind, adapter, command string) (k Kind, sure bool, err error) {
	if err := base.CheckAdapterDir(adapter); err != nil {
		return k, false, err
	}
	class, err := lora.BaseClass(adapter)
	if err != nil {
		return k, false, base.Input(err)
	}
	made, known := ofClass(kinds, class)
	if command != "" {
		if k, err = Find(kinds, command); err != nil {
			return k, false, err
		}
		if err = k.Check(adapter); err == nil && known && !k.Serves(made.Name) {
			err = fmt.Errorf("%s: the adapter was made for %s, not for %s", adapter, made.Name, k.Name)
		}
		if err != nil {
			return k, false, base.Settings(fmt.Errorf("`task %s`: %w", command, err))
		}
		return k, true, nil
	}
	c, _, err := lora.ReadConfig(adapter)
	if err != nil {
		return k, false, base.Input(err)
	}
	notes, err := lora.ReadNotes(adapter)
	if err != nil {
		return k, false, base.Input(err)
	}
	use := notes[base.UseNote]
	if k, ok := first(kinds, func(k Kind) bool { return use == k.Name }); ok {
		return k, true, nil
	}
	if use != "" {
		return k, false, base.Input(fmt.Errorf("%s: the adapter was trained for %s, which is none of the tasks here (%s); "+
			"use it with the program that trained it", adapter, use, strings.Join(Commands(kinds), ", ")))
	}
	if k, ok := first(kinds, func(k Kind) bool { return c.TaskType != lora.NoTask && c.TaskType == k.PEFT }); ok {
		_, other := first(kinds, func(k Kind) bool { return slices.Contains(k.Accepts, c.TaskType) })
		return k, !other, nil
	}
	return made, known, nil
}

// Recognise returns the kind of an adapter that does not name its task for sure, by its tensors, its base and the
// base's own class. named is the kind that [Explicit] returned.
func Recognise(kinds []Kind, adapter string, b *base.Base, named Kind) (Kind, error) {
	tensors, err := lora.Tensors(adapter)
	if err != nil {
		return named, base.Input(err)
	}
	outputs, err := base.HeadOutputs(adapter)
	if err != nil {
		return named, err
	}
	if k, ok := ofTensors(kinds, b, tensors, named); ok {
		return k, nil
	}
	if named.Name != "" {
		return named, nil
	}
	if k, ok := ofBase(kinds, b); ok && (outputs == 0 || k.Fits != nil && k.Fits(outputs)) {
		return k, nil
	}
	if k, ok := first(kinds, func(k Kind) bool { return k.Fallback }); ok {
		return k, nil
	}
	return named, base.Input(fmt.Errorf("%s: the adapter does not say which task it is for; give `task`", adapter))
}

// ofTensors returns the kind whose head an adapter has saved, if no other kind has the same: of the kinds that accept
// the task type that the adapter has, or of all if it has none.
func ofTensors(kinds []Kind, b *base.Base, tensors []lora.TensorInfo, named Kind) (Kind, bool) {
	a, _ := models.ArchOf(b.Info.ModelType)
	var heads []arch.Kind // of the architecture, with these outputs
	outputs := 0
	open := func(k Kind) bool { return named.Name == "" || slices.Contains(k.Accepts, named.PEFT) }
	for _, t := range tensors {
		if of := models.HeadsWith(t.Path); len(of) == 1 {
			if k, ok := first(kinds, func(k Kind) bool { return k.Head == of[0] && open(k) }); ok {
				return k, true
			}
		}
		if of := a.HeadsWith(t.Path); len(of) > 0 && len(t.Shape) == 2 {
			outputs, heads = t.Shape[0], of
		}
	}
	if slices.Contains(heads, arch.Sequence) { // otherwise the head for sequences has its outputs behind another layer
		return Kind{}, false
	}
	can := func(k Kind) bool { return slices.Contains(heads, k.Head) && open(k) }
	if k, ok := first(kinds, func(k Kind) bool { return can(k) && k.Fits != nil && k.Fits(outputs) }); ok {
		return k, true
	}
	return first(kinds, can)
}

// first returns the first of kinds that satisfies is.
func first(kinds []Kind, is func(Kind) bool) (Kind, bool) {
	if i := slices.IndexFunc(kinds, is); i >= 0 {
		return kinds[i], true
	}
	return Kind{}, false
}

// OfBase returns the kind that a checkpoint was made for, by the class in its config.json.
func OfBase(kinds []Kind, b *base.Base) (Kind, error) {
	if k, ok := ofBase(kinds, b); ok {
		return k, nil
	}
	return Kind{}, base.Input(fmt.Errorf("%s: config.json names no class of a task (architectures: %s); give `task`",
		b.Name, strings.Join(b.Info.Classes, ", ")))
}
