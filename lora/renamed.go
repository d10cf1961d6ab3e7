package lora

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/nn"
)

// withModuleNames returns the configuration and the tensors of an adapter with the names that the modules of m have, if
// the adapter has those of checkpoints (see [nn.Renamed]), as adapters of older versions of transformers do. An adapter
// with other names is returned as it is.
func withModuleNames(m spago.Model, c Config, f *safetensors.File) (Config, *safetensors.File, error) {
	renames := nn.RenamesOf(m)
	stored := func(name string) bool { return renames.Module(name) != name }
	if !slices.ContainsFunc(f.Names(), stored) {
		return c, f, nil
	}
	if len(c.RankPattern)+len(c.AlphaPattern)+len(c.LayersPattern) > 0 {
		return c, f, errors.New("rank_pattern, alpha_pattern and layers_pattern are not translated for adapters with the " +
			"module names of transformers 4; load it with PEFT and transformers 5 and save it again")
	}
	var err error
	if c.TargetModules, err = translated(m, renames, c.TargetModules, "target_modules"); err != nil {
		return c, f, err
	}
	if c.ExcludeModules, err = translated(m, renames, c.ExcludeModules, "exclude_modules"); err != nil {
		return c, f, err
	}
	c.ModulesToSave = slices.Clone(c.ModulesToSave)
	for i, name := range c.ModulesToSave {
		c.ModulesToSave[i] = renames.Module(name)
	}
	tensors := make([]safetensors.Tensor, 0, len(f.Names()))
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		t.Name = renames.Module(name)
		tensors = append(tensors, t)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, f.Metadata()); err != nil {
		return c, f, fmt.Errorf("the tensors have the names of both transformers 4 and 5: %w", err)
	}
	f, err = safetensors.Parse(b.Bytes())
	return c, f, err
}

// translated returns targets that select by the names of modules what t selects by the names in checkpoints.
func translated(m spago.Model, renames nn.Renames, t Targets, field string) (Targets, error) {
	if t.empty() || t.pattern == AllLinear {
		return t, nil
	}
	match, err := t.matcher(field)
	if err != nil {
		return t, err
	}
	var all, hits, ends []string
	nn.Walk(m, func(path string, module any) {
		switch module.(type) {
		case *nn.Linear, *nn.Embedding:
		default:
			return
		}
		all = append(all, path)
		found, e := match(renames.Stored(path))
		if err = errors.Join(err, e); len(found) == 0 {
			return
		}
		hits = append(hits, path)
		if end := path[strings.LastIndexByte(path, '.')+1:]; !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	})
	if err != nil || len(hits) == 0 {
		return t, err
	}
	short := Names(ends...)
	byEnd := func(path string) bool {
		return slices.ContainsFunc(ends, func(end string) bool { return endsIn(path, end) })
	}
	if slices.Equal(hits, slices.DeleteFunc(all, func(path string) bool { return !byEnd(path) })) {
		return short, nil
	}
	return Names(hits...), nil
}
