package adapter

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// dtypes are the values of --dtype.
var dtypes = map[string]safetensors.DType{"float32": safetensors.F32, "float16": safetensors.F16, "bfloat16": safetensors.BF16}

// store turns weights into tensors of a type. A value that the type cannot hold is an error naming the tensor.
func store(weights []lora.MergedWeight, t safetensors.DType) ([]safetensors.Tensor, error) {
	list := make([]safetensors.Tensor, 0, len(weights))
	for i, w := range weights {
		x := safetensors.Tensor{Name: w.Name, DType: t, Shape: w.Shape}
		if t == safetensors.F32 {
			x.Data = safetensors.Bytes(w.Values)
		} else {
			words := make([]uint16, len(w.Values))
			half, err := op.ParseDType(string(t))
			if err != nil {
				return nil, fmt.Errorf("merge: %w", err)
			}
			kernel.Narrow(words, w.Values, half)
			x.Data = make([]byte, 0, 2*len(words))
			for _, word := range words {
				x.Data = binary.LittleEndian.AppendUint16(x.Data, word)
			}
			weights[i].Values = nil // the memory is needed
		}
		if n := safetensors.NonFinite(x); n > 0 {
			return nil, fmt.Errorf("merge: %d values of %s are too large for %s; choose --dtype float32 or bfloat16", n, w.Name, t)
		}
		list = append(list, x)
	}
	return list, nil
}

// fill makes tensors the weights of m.
func fill(m models.SequenceClassifier, tensors []safetensors.Tensor) error {
	byName := map[string]safetensors.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	for _, w := range nn.Weights(m) {
		t := byName[w.Name]
		if err := w.Weight.SetStored(string(t.DType), t.Data); err != nil {
			return fmt.Errorf("merge: %s: %w", w.Name, err)
		}
	}
	return nil
}

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

// compare runs both models over a few token sequences.
func compare(m models.SequenceClassifier, set *lora.Set, whole models.SequenceClassifier, pool *op.Pool) (deviation, error) {
	b := probe(m.Vocabulary(), m.MaxLength())
	run := func(m models.SequenceClassifier, p *nn.Pass) ([]float32, error) {
		p.Tape = op.NewEvalTape(pool)
		logits := append([]float32(nil), op.Values(m.Logits(p, b))...)
		return logits, p.Tape.Close()
	}
	want, err := run(m, &nn.Pass{Adapter: set})
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

// probe returns sequences of several lengths whose ids wander over the whole vocabulary.
func probe(vocabulary, most int) *data.Batch {
	b := &data.Batch{Starts: []int{0}}
	id := uint64(1)
	for i, n := range []int{1, 2, 7, 16, 33} {
		for range min(n, most) {
			id = id*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
			b.IDs = append(b.IDs, int32((id>>33)%uint64(vocabulary)))
			b.Types = append(b.Types, 0)
		}
		b.Rows = append(b.Rows, i)
		b.Starts = append(b.Starts, len(b.IDs))
	}
	return b
}
