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
	Tensors    int     // number of tensors written
	Difference float64 // largest absolute difference of the logits of the merged model from those of base and adapter
	Logit      float64 // largest absolute logit of the latter
}

// Merge adds the corrections of the adapter to the weights of its base model and writes a Hugging Face directory
// whose weights have the given type. The merged values are checked to be finite, and the outputs of the merged model
// are compared with those of base and adapter on a few token sequences: in float32 a difference above [MergeBound] is
// an error. The directory appears complete or not at all; overwrite replaces one that exists with all its content.
func (m *Merging) Merge(
	ctx context.Context, dir string, t safetensors.DType, overwrite bool, pool *op.Pool,
) (Merged, error) {
	weights, err := lora.Merge(m.attached.TextModel, m.Set, pool)
	if err != nil {
		return Merged{}, err
	}
	tensors, err := base.StoreWeights(weights, t, "dtype")
	if err != nil {
		return Merged{}, fmt.Errorf("merge: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return Merged{}, err
	}
	d, err := m.compare(tensors, pool)
	if err != nil {
		return d, err
	}
	if math.IsNaN(d.Difference) || t == safetensors.F32 && d.Difference > MergeBound*d.Logit {
		return d, fmt.Errorf("merge: the logits of the merged model differ from those of base and adapter by "+
			"%.3g (largest logit %.3g); nothing is written", d.Difference, d.Logit)
	}
	config, err := base.EditConfig(m.Base, m.attached.TextModel, t, m.Config)
	if err != nil {
		return d, fmt.Errorf("merge: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return d, err
	}
	return d, files.WriteDir(dir, overwrite, func(dir *files.Dir) error {
		for _, name := range slices.Sorted(maps.Keys(m.Beside)) {
			if err := dir.WriteFile(name, files.Bytes(m.Beside[name])); err != nil {
				return err
			}
		}
		return base.ModelFiles{Base: m.Base, Config: config, Tensors: tensors}.Write(dir.WriteFile)
	})
}

// compare runs the attached model and the merged one, as its tensors will be stored, over a few token sequences.
func (m *Merging) compare(tensors []safetensors.Tensor, pool *op.Pool) (Merged, error) {
	d := Merged{Tensors: len(tensors)}
	whole, err := m.reopen()
	if err != nil {
		return d, err
	}
	if err := fill(whole.TextModel, tensors); err != nil {
		return d, err
	}
	b := probe(whole.Vocabulary(), whole.MaxLength())
	run := func(c computing, p *nn.Pass) ([]float32, error) {
		p.Tape = op.NewEvalTape(pool)
		logits := append([]float32(nil), op.Values(c.outputs(p, b))...)
		return logits, p.Tape.Close()
	}
	want, err := run(m.attached, &nn.Pass{Adapter: m.Set})
	if err != nil {
		return d, err
	}
	got, err := run(whole, &nn.Pass{})
	if err != nil {
		return d, err
	}
	for i, w := range want {
		diff := math.Abs(float64(got[i]) - float64(w))
		if !(diff <= d.Difference) { // NaN stays
			d.Difference = diff
		}
		d.Logit = math.Max(d.Logit, math.Abs(float64(w)))
	}
	return d, nil
}

// fill makes tensors the weights of m. A tied head that has a tensor of its own is untied.
func fill(m models.TextModel, tensors []safetensors.Tensor) error {
	byName := map[string]safetensors.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	for _, h := range nn.TiedHeads(m) {
		if _, own := byName[h.Path+".weight"]; own {
			h.Linear.Untie(op.NewMatrix(h.Linear.Weight.Rows, h.Linear.Weight.Cols))
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

// probe returns sequences of several lengths whose ids wander over the whole vocabulary.
func probe(vocabulary, most int) *batch.Batch {
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
