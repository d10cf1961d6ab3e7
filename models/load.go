package models

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// loading says how a model is filled. Names of modules end in a dot.
type loading struct {
	prefix string            // of the names below the head; files with and without it are read
	heads  []string          // modules that may be missing or have another size: parts of the head
	inner  []string          // modules that may be missing, but not have another size: poolers
	skip   []*regexp.Regexp  // tensors that need not be used
	tied   map[string]string // names of weights that repeat another one
	own    bool              // a head that does not repeat it is expected, and not reported
	std    float64           // of fresh weights
	seed   uint64
}

// loadingOf returns how the model with a head is filled.
func loadingOf(list catalogue, a arch.Arch, h arch.Head, f arch.Facts) loading {
	l := loading{prefix: a.Prefix, skip: list.otherParts(), std: f.Std, tied: map[string]string{}}
	inner := a.Prefix
	if h.Bare || h.Kind == arch.Features {
		inner = ""
	}
	for _, module := range h.Without {
		l.skip = append(l.skip, regexp.MustCompile(`^`+regexp.QuoteMeta(module)+`\.`))
	}
	for _, repeat := range a.Copies {
		if !slices.ContainsFunc(h.Without, func(module string) bool { return strings.HasPrefix(repeat, module+".") }) {
			l.tied[inner+repeat+".weight"] = inner + a.Words
		}
	}
	if !h.Kind.Trained() { // nothing may be missing
		for _, part := range h.Parts {
			if name := part + ".weight"; f.Tied {
				l.tied[name] = inner + a.Words
				l.own = f.OwnHead
			}
		}
		return l
	}
	for _, part := range h.Parts {
		l.heads = append(l.heads, part+".")
	}
	for _, part := range h.Inner {
		l.inner = append(l.inner, part+".", a.Prefix+part+".")
	}
	return l
}

// load fills m, whose weights become views of src, and reports what differs.
func load(src *checkpoint.Source, m spago.Model, l loading) (checkpoint.Report, error) {
	weights := nn.Weights(m)
	skip := l.skip
	misfits := l.misfits(src, weights)
	for _, h := range misfits {
		head := regexp.QuoteMeta(h)
		skip = append(skip, regexp.MustCompile(`^`+head), regexp.MustCompile(`^`+regexp.QuoteMeta(l.prefix)+head))
	}
	wants := make([]checkpoint.Want, 0, len(weights))
	for _, w := range weights {
		if head := within(w.Name, l.heads); !slices.Contains(misfits, head) {
			fresh := head != "" || within(w.Name, l.inner) != "" || w.Weight.Buffer
			wants = append(wants, checkpoint.Want{Name: w.Name, Shape: w.Weight.Shape(), Fresh: fresh})
		}
	}
	options := checkpoint.LoadOptions{Prefix: l.prefix, Skip: skip, Tied: l.tied}
	if renames := nn.RenamesOf(m); renames != nil {
		options.Rename = renames.Module
	}
	found, report, err := src.Load(wants, options)
	if err != nil {
		return report, err
	}
	weights = append(weights, untie(m, report.Untied)...)
	if l.own {
		report.Untied = slices.DeleteFunc(report.Untied, func(name string) bool { return name == "lm_head.weight" })
	}
	for _, w := range weights {
		if t, ok := found[w.Name]; ok {
			set := w.Weight.SetStored
			if src.Transposed(t.Name) {
				set = w.Weight.SetTransposed
			}
			if err := set(string(t.DType), t.Data); err != nil {
				return report, fmt.Errorf("models: %s: %w", w.Name, err)
			}
			continue
		}
		if err := nn.Normal(w.Weight, l.std, nn.NewRand(l.seed, w.Name)); err != nil {
			return report, err
		}
		if slices.Contains(misfits, within(w.Name, l.heads)) { // src.Load was not asked for it
			report.Fresh = append(report.Fresh, w.Name)
		}
	}
	return report, nil
}

// untie gives tied layers of m whose weights are named weights of their own, and returns these.
func untie(m spago.Model, named []string) (weights []nn.NamedWeight) {
	for _, h := range nn.TiedLayers(m) {
		if name := h.Path + ".weight"; slices.Contains(named, name) {
			h.Layer.Untie(op.NewMatrix(h.Layer.Table().Rows, h.Layer.Table().Cols))
			weights = append(weights, nn.NamedWeight{Name: name, Weight: h.Layer.Table()})
		}
	}
	return weights
}

// misfits returns the parts of the head that the checkpoint has in another size than the model.
func (l loading) misfits(src *checkpoint.Source, weights []nn.NamedWeight) (heads []string) {
	for _, w := range weights {
		head := within(w.Name, l.heads)
		if head == "" || slices.Contains(heads, head) {
			continue
		}
		if t, ok := src.Tensor(w.Name); ok && fmt.Sprint(t.Shape) != fmt.Sprint(w.Weight.Shape()) {
			heads = append(heads, head)
		}
	}
	return heads
}

// within returns the module that a weight belongs to, "" if it is none of them.
func within(weight string, modules []string) string {
	for _, module := range modules {
		if strings.HasPrefix(weight, module) {
			return module
		}
	}
	return ""
}
