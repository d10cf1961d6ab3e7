package adapter

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// float32Bound is the share of the largest logit by which merged and attached logits may differ in float32. Rounding
// alone makes about 1e-6.
const float32Bound = 1e-4

// deviation tells how merged logits differ from attached ones.
type deviation struct {
	difference float64 // the largest, absolute
	logit      float64 // the largest of the attached model, absolute
}

func (d deviation) check(t safetensors.DType) error {
	if math.IsNaN(d.difference) || t == safetensors.F32 && d.difference > float32Bound*d.logit {
		return fmt.Errorf("merge: the logits of the merged model differ from those of base and adapter by %.3g (largest logit %.3g); nothing is written", d.difference, d.logit)
	}
	return nil
}

// compare runs the attached model and the merged one, as its tensors will be stored, over a few token sequences.
func (j *merging) compare(tensors []safetensors.Tensor, pool *op.Pool) (deviation, error) {
	whole, err := j.fresh()
	if err != nil {
		return deviation{}, cli.InputError(err)
	}
	if err := fill(whole.TextModel, tensors); err != nil {
		return deviation{}, err
	}
	b := probe(whole.Vocabulary(), whole.MaxLength())
	run := func(m subject, p *nn.Pass) ([]float32, error) {
		p.Tape = op.NewEvalTape(pool)
		logits := append([]float32(nil), op.Values(m.outputs(p, b))...)
		return logits, p.Tape.Close()
	}
	want, err := run(j.model, &nn.Pass{Adapter: j.set})
	if err != nil {
		return deviation{}, err
	}
	got, err := run(whole, &nn.Pass{})
	if err != nil {
		return deviation{}, err
	}
	var d deviation
	for i, w := range want {
		diff := math.Abs(float64(got[i]) - float64(w))
		if !(diff <= d.difference) { // NaN stays
			d.difference = diff
		}
		d.logit = math.Max(d.logit, math.Abs(float64(w)))
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
