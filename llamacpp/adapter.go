package llamacpp

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// WriteAdapter writes the adapter of a language model to path as a GGUF file for llama.cpp (--lora), with the values
// stored as kind: f32, f16 or bf16. llama.cpp scales all layers by alpha/rank with one alpha; where a layer has another
// scale (rsLoRA, alpha_pattern), B is multiplied by the quotient. It returns an error if the adapter has more than
// low-rank pairs, or pairs that llama.cpp cannot apply.
func WriteAdapter(t *base.Trained[models.CausalLM], path, kind string, pool *op.Pool) error {
	d, err := t.Set.Detach()
	if err != nil {
		return err
	}
	if err := plain(t, d); err != nil {
		return base.Input(fmt.Errorf("%w; merge the adapter and export the model", err))
	}
	config, err := models.FullConfig(t.Base.Source)
	if err != nil {
		return base.Input(err)
	}
	a := checkpoint.GGUFAdapter{Name: nameOf(cmp.Or(d.Name, t.Base.Name)), Alpha: float32(d.Config.Alpha)}
	for _, l := range d.Layers {
		if by := float32(l.Scale * float64(l.Rank) / d.Config.Alpha); math.Abs(float64(by)-1) > 1e-6 {
			l.B = slices.Clone(l.B)
			for i := range l.B {
				l.B[i] *= by
			}
		}
		a.Layers = append(a.Layers, checkpoint.GGUFLayer{
			Module: l.Path, Table: l.Table, Rank: l.Rank, In: l.In, Out: l.Out, A: l.A, B: l.B,
		})
	}
	tied := len(nn.TiedHeads(t.Net)) > 0
	return base.Input(checkpoint.WriteGGUFAdapter(path, a, config, kind, tied, encoder(pool)))
}

// plain returns an error unless the adapter consists of low-rank pairs alone.
func plain(t *base.Trained[models.CausalLM], d *lora.Detached) error {
	of := map[string]bool{}
	for _, l := range d.Layers {
		of["base_model.model."+l.Path] = true
	}
	for _, p := range t.Set.Params() {
		path, _, pair := strings.Cut(p.Name, ".lora_")
		if !pair || !of[path] || strings.HasSuffix(p.Name, ".bias") || strings.Contains(p.Name, "magnitude") {
			return fmt.Errorf("llama.cpp's adapters cannot hold %s", p.Name)
		}
	}
	for _, w := range nn.Weights(t.Net) {
		if t.Set.Replacement(w.Weight) != nil {
			return fmt.Errorf("llama.cpp's adapters cannot hold %s, which the adapter replaces", w.Name)
		}
	}
	return nil
}

// ReadAdapter reads the adapter in the GGUF file at path for a language model. Its target modules are the paths of all
// layers; see [Targets].
func ReadAdapter(path string, b *base.Base) (*lora.Detached, error) {
	config, err := models.FullConfig(b.Source)
	if err != nil {
		return nil, base.Input(err)
	}
	a, err := checkpoint.ReadGGUFAdapter(path, config, decode)
	if err != nil {
		return nil, base.Input(err)
	}
	ranks := map[int]int{}
	for _, l := range a.Layers {
		ranks[l.Rank]++
	}
	c := lora.DefaultConfig()
	for r, n := range ranks {
		if n > ranks[c.R] || n == ranks[c.R] && r < c.R {
			c.R = r
		}
	}
	if c.Alpha = float64(a.Alpha); c.Alpha == 0 { // no scaling
		c.Alpha = float64(c.R)
	}
	c.TaskType, c.BaseModel = lora.CausalLM, b.Name
	d := &lora.Detached{Name: path}
	var names []string
	for _, l := range a.Layers {
		names = append(names, l.Module)
		if l.Rank != c.R {
			c.RankPattern = append(c.RankPattern, lora.Override[int]{Pattern: l.Module, Value: l.Rank})
			if a.Alpha == 0 {
				c.AlphaPattern = append(c.AlphaPattern, lora.Override[float64]{Pattern: l.Module, Value: float64(l.Rank)})
			}
		}
		d.Layers = append(d.Layers, lora.Layer{
			Path: l.Module, Table: l.Table, Rank: l.Rank, In: l.In, Out: l.Out, A: l.A, B: l.B,
			Scale: cmp.Or(float64(a.Alpha), float64(l.Rank)) / float64(l.Rank),
		})
	}
	c.TargetModules = lora.Names(names...)
	d.Config = c
	return d, nil
}

// Targets checks that an adapter fits a model and shortens its target modules, the paths of all layers, to the last
// parts of their names where these match the same layers. It returns an error if the adapter does not fit.
func Targets(d *lora.Detached, m models.CausalLM) error {
	if _, _, err := d.Attach(m); err != nil {
		return base.Input(err)
	}
	var names []string
	for _, l := range d.Layers {
		if name := l.Path[strings.LastIndexByte(l.Path, '.')+1:]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	whole := d.Config.TargetModules
	d.Config.TargetModules = lora.Names(names...)
	if _, _, err := d.Attach(m); err != nil { // they match layers that the adapter does not have
		d.Config.TargetModules = whole
	}
	return nil
}
