package models

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/models/bart"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/models/distilbert"
	"github.com/spalora/spalora/models/electra"
	"github.com/spalora/spalora/models/gpt"
	"github.com/spalora/spalora/models/llama"
	"github.com/spalora/spalora/models/roberta"
	"github.com/spalora/spalora/models/t5"
	"github.com/spalora/spalora/models/vit"
	"github.com/spalora/spalora/models/whisper"
)

// architectures lists the architectures that this package opens. A new one adds its line.
var architectures = catalogue{
	bert.Arch,
	roberta.Arch,
	distilbert.Arch,
	electra.Arch,
	gpt.Arch,
	llama.Arch,
	t5.Arch,
	bart.Arch,
	bart.ArchMarian,
	whisper.Arch,
	vit.Arch,
	vit.ArchDeiT,
}

// catalogue is a list of architectures; each model type occurs once.
type catalogue []arch.Arch

// ArchOf returns the architecture of config.json's model_type, and whether there is one.
func ArchOf(modelType string) (arch.Arch, bool) { return architectures.find(modelType) }

// ReadsTokens reports whether models of config.json's model_type read or write token ids, so that they need a
// tokenizer. Those of an unknown type are taken to.
func ReadsTokens(modelType string) bool {
	a, ok := architectures.find(modelType)
	return !ok || a.Words != ""
}

// DefaultTargets returns the names of the modules that LoRA adapts by default, by config.json's model_type. They are
// PEFT's where PEFT has a default. An architecture without a default is an error.
func DefaultTargets(modelType string) ([]string, error) {
	a, _ := architectures.find(modelType)
	if len(a.Targets) == 0 {
		return nil, fmt.Errorf("models: model_type %q has no default target_modules; "+
			"name them (the printed model shows the names)", modelType)
	}
	return slices.Clone(a.Targets), nil
}

// InHead reports whether a weight, named by its path in a model, belongs to a head that a task trains. The head of a
// causal language model does not count: it is part of the base model.
func InHead(weight string) bool {
	return slices.ContainsFunc(HeadsWith(weight), arch.Kind.Trained)
}

// HeadsWith returns the kinds of heads of any architecture that have a weight of this name, in ascending order.
func HeadsWith(weight string) []arch.Kind {
	var kinds []arch.Kind
	for h := range architectures.heads {
		if h.Has(weight) && !slices.Contains(kinds, h.Kind) {
			kinds = append(kinds, h.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// OutputWeights returns the names of the weights that have a row for each output of a head, for all architectures.
func OutputWeights() []string {
	var names []string
	for h := range architectures.heads {
		if h.Outputs != "" && !slices.Contains(names, h.Outputs) {
			names = append(names, h.Outputs)
		}
	}
	return names
}

// heads yields the heads of all architectures.
func (l catalogue) heads(yield func(arch.Head) bool) {
	for _, a := range l {
		for _, h := range a.Heads {
			if !yield(h) {
				return
			}
		}
	}
	yield(crfHead) // of every architecture that classifies tokens
}

// find returns the architecture of a model type, and whether there is one.
func (l catalogue) find(modelType string) (arch.Arch, bool) {
	i := slices.IndexFunc(l, func(a arch.Arch) bool { return slices.Contains(a.Types, modelType) })
	if i < 0 {
		return arch.Arch{}, false
	}
	return l[i], true
}

// types lists the model types of the architectures for which has returns true, for messages.
func (l catalogue) types(has func(arch.Arch) bool) string {
	var names []string
	for _, a := range l {
		if has(a) {
			names = append(names, a.Types...)
		}
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// with lists the model types that have a kind of head, for messages.
func (l catalogue) with(kind arch.Kind) string {
	return l.types(func(a arch.Arch) bool { _, ok := a.Head(kind); return ok })
}

// read returns the model type of src with its architecture and its configuration, which is checked.
func (l catalogue) read(src *checkpoint.Source) (string, arch.Arch, arch.Config, error) {
	info, err := ReadInfo(src)
	if err != nil {
		return "", arch.Arch{}, nil, err
	}
	a, ok := l.find(info.ModelType)
	switch {
	case info.ModelType == "":
		return "", arch.Arch{}, nil, fmt.Errorf("models: %s: config.json has no model_type", src.Name())
	case !ok:
		return "", arch.Arch{}, nil, fmt.Errorf("models: %s: model_type %q is not supported; want %s",
			src.Name(), info.ModelType, l.types(func(arch.Arch) bool { return true }))
	}
	c, err := a.Config(info.ModelType, src.DecodeConfig)
	if err != nil {
		return "", arch.Arch{}, nil, err
	}
	if err := c.Check(); err != nil {
		return "", arch.Arch{}, nil, fmt.Errorf("models: %s: %w", src.Name(), err)
	}
	return info.ModelType, a, c, checkTable(src, a, c.Facts())
}

// checkTable compares the sizes in config.json with the word table before anything of those sizes is allocated.
func checkTable(src *checkpoint.Source, a arch.Arch, f arch.Facts) error {
	if a.Words == "" {
		return nil
	}
	for _, name := range []string{a.Prefix + a.Words, a.Words} {
		t, ok := src.Tensor(name)
		if ok && len(t.Shape) == 2 && (t.Shape[0] != f.Vocabulary || t.Shape[1] != f.Width) {
			return fmt.Errorf("models: %s: config.json says vocab_size %d and %s %d, but %s is %d×%d; give a config.json "+
				"and weights of one checkpoint", src.Name(), f.Vocabulary, f.WidthField, f.Width, name, t.Shape[0], t.Shape[1])
		}
	}
	return nil
}

// otherParts match tensors of checkpoints that a model need not use: heads of other tasks, poolers and buffers, of all
// architectures. Names are without the architecture's prefix.
func (l catalogue) otherParts() []*regexp.Regexp {
	var list []*regexp.Regexp
	add := func(before, after string, names []string) {
		for _, name := range names {
			list = append(list, regexp.MustCompile(before+regexp.QuoteMeta(name)+after))
		}
	}
	const anyDepth = `(^|\.)`
	for _, a := range l {
		add(`^`, `\.`, a.Unused)
		add(anyDepth, `$`, a.Buffers)
	}
	for h := range l.heads {
		add(`^`, `\.`, h.Parts)
		add(anyDepth, `\.`, h.Inner)
	}
	return list
}
