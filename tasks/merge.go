package tasks

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// MergeBound is the share of the largest logit by which merged and attached logits may differ in float32. Rounding
// alone causes about 1e-6.
const MergeBound = 1e-4

// Merged is the outcome of a merge.
type Merged struct {
	Tensors int               // number of tensors written
	DType   safetensors.DType // in which most values are stored
	// Difference is the largest absolute difference of the logits of the merged model from those of base and adapter,
	// Logit the largest absolute logit of the latter.
	Difference, Logit float64
}

// MergeOptions say how a merged model is stored.
type MergeOptions struct {
	DType        safetensors.DType // of the weights; "": as the base model stores each, quantised ones as F32
	Overwrite    bool              // replace a directory that exists with all its content
	KeepOriginal bool              // write what [base.Unmerge] needs to restore the base model
}

// Merge adds the corrections of the adapters to the weights of their base model, one after another, and writes a
// Hugging Face directory. The merged values are checked to be finite, and the outputs of the merged model are compared
// with those of base and adapter on a few token sequences: if weights are stored as float32, a difference above
// [MergeBound] is an error. The directory appears complete or not at all.
func (m *Merging) Merge(ctx context.Context, dir string, o MergeOptions, pool *op.Pool) (Merged, error) {
	last, d, err := m.mergeAll(ctx, pool)
	if err != nil {
		return d, err
	}
	types, common := base.StoredTypes(m.Base, last.weights)
	if o.DType != "" {
		types, common = func(string) safetensors.DType { return o.DType }, o.DType
	}
	tensors, err := base.StoreWeights(last.weights, types, "dtype")
	if err != nil {
		return d, fmt.Errorf("merge: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return d, err
	}
	d.Tensors = len(tensors)
	rounded := slices.ContainsFunc(tensors, func(t safetensors.Tensor) bool { return t.DType != safetensors.F32 })
	whole, err := m.reopen()
	if err == nil {
		err = fill(whole.Model, tensors)
	}
	if err == nil {
		err = d.compare(last.model, last.set, whole, pool)
	}
	if err != nil {
		return d, err
	}
	if math.IsNaN(d.Difference) || !rounded && d.Difference > MergeBound*d.Logit {
		return d, fmt.Errorf("merge: the logits of the merged model differ from those of base and adapter by "+
			"%.3g (largest logit %.3g); nothing is written", d.Difference, d.Logit)
	}
	keys := maps.Clone(m.Config)
	if n := vocabulary(whole); n != vocabulary(m.attached) {
		if keys == nil {
			keys = map[string]any{}
		}
		keys["vocab_size"] = n
	}
	config, err := base.EditConfig(m.Base, m.attached.Model, common, keys)
	if err != nil {
		return d, fmt.Errorf("merge: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return d, err
	}
	d.DType = common
	return d, files.WriteDir(dir, o.Overwrite, func(dir *files.Dir) error {
		if o.KeepOriginal {
			if err := base.KeepOriginal(m.Base, tensors, dir.WriteFile); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m.Beside)) {
			if err := dir.WriteFile(name, files.Bytes(m.Beside[name])); err != nil {
				return err
			}
		}
		return base.ModelFiles{Base: m.Base, Config: config, Tensors: tensors}.Write(dir.WriteFile)
	})
}

// step is a model with the adapter that was merged into it last.
type step struct {
	model   computing
	set     *lora.Set
	weights []lora.MergedWeight
}

// mergeAll merges the adapters one after another, as PEFT does, and compares outputs before and after each step but the
// last.
func (m *Merging) mergeAll(ctx context.Context, pool *op.Pool) (last step, d Merged, err error) {
	last = step{model: m.attached, set: m.Set}
	for i := 0; ; i++ {
		if last.weights, err = lora.Merge(last.model.Model, last.set, pool); err != nil || i == len(m.further) {
			return last, d, err
		}
		if err := ctx.Err(); err != nil {
			return last, d, err
		}
		next, err := m.reopen()
		if err != nil {
			return last, d, err
		}
		if err := lora.Assign(next.Model, last.weights); err != nil {
			return last, d, err
		}
		if err := d.compare(last.model, last.set, next, pool); err != nil {
			return last, d, err
		}
		set, err := m.further[i].For(next.Model)
		if err != nil {
			return last, d, fmt.Errorf("merge: %w", err)
		}
		if set.Unties(next.Model) {
			if m.Config == nil {
				m.Config = map[string]any{}
			}
			maps.Copy(m.Config, models.Untied(next.Model))
		}
		last = step{model: next, set: set}
	}
}

// compare runs the attached model and the merged one over a few token sequences, and takes up their difference.
func (d *Merged) compare(attached computing, set *lora.Set, merged computing, pool *op.Pool) error {
	b := merged.inputs(nil)
	run := func(c computing, p *nn.Pass) ([]float32, error) {
		p.Tape = op.NewEvalTape(pool)
		logits := append([]float32(nil), op.Values(c.outputs(p, b))...)
		return logits, p.Tape.Close()
	}
	want, err := run(attached, &nn.Pass{Adapter: set})
	if err != nil {
		return err
	}
	got, err := run(merged, &nn.Pass{})
	if err != nil {
		return err
	}
	for i, w := range want {
		diff := math.Abs(float64(got[i]) - float64(w))
		if !(diff <= d.Difference) { // NaN stays
			d.Difference = diff
		}
		d.Logit = math.Max(d.Logit, math.Abs(float64(w)))
	}
	return nil
}

// vocabulary returns the number of token ids of a model, 0 if it reads none.
func vocabulary(c computing) int {
	if text, ok := c.Model.(models.TextModel); ok {
		return text.Vocabulary()
	}
	return 0
}

// fill makes tensors the weights of m. A tied layer that has a tensor of its own is untied.
func fill(m models.Model, tensors []safetensors.Tensor) error {
	byName := map[string]safetensors.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	lora.Fit(m, func(name string) int {
		n := 0
		if t, ok := byName[name]; ok {
			n = t.Shape[0] * t.Shape[1]
		}
		return n
	})
	for _, h := range nn.TiedLayers(m) {
		if _, own := byName[h.Path+".weight"]; own {
			h.Layer.Untie(op.NewMatrix(h.Layer.Table().Rows, h.Layer.Table().Cols))
		}
	}
	for _, w := range nn.Weights(m) {
		t, ok := byName[w.Name]
		if !ok {
			return fmt.Errorf("merge: %s is missing", w.Name)
		}
		if err := w.Weight.SetStored(string(t.DType), t.Data); err != nil {
			return fmt.Errorf("merge: %s: %w", w.Name, err)
		}
	}
	return nil
}

// Probe returns sequences of at most the given number of tokens, of several lengths, whose ids wander over the whole
// vocabulary, to compare the outputs of two models.
func Probe(vocabulary, most int) *batch.Batch {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	id := uint64(1)
	for i, n := range []int{1, 2, 7, 16, 33} {
		for range min(n, most) {
			id = id*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
			b.IDs = append(b.IDs, int32((id>>33)%uint64(vocabulary)))
			b.Types = append(b.Types, 0)
		}
		b.Seqs.Index = append(b.Seqs.Index, i)
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
	}
	return b
}
