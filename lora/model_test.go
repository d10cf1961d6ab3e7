package lora_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// newModel returns a BERT of two layers, C = 16, with three labels and weights of trained size.
func newModel(seed uint64) *bert.ForSequenceClassification { return newModelOf(seed, 16) }

// newModelOfWidth returns the same model with the given C.
func newModelOfWidth(cols int) *bert.ForSequenceClassification { return newModelOf(1, cols) }

func newModelOf(seed uint64, cols int) *bert.ForSequenceClassification {
	c := bert.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers = 30, cols, 2
	c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions = 2, 24, 20
	m := bert.NewForSequenceClassification(c, 3)
	for _, w := range nn.Weights(m) {
		r := nn.NewRand(seed, w.Name)
		v := make([]float32, w.Weight.Len())
		for i := range v {
			v[i] = float32(r.NormFloat64()) * 0.3
		}
		if err := w.Weight.SetValues(v); err != nil {
			panic(err)
		}
	}
	return m
}

func newBatch() *batch.Batch {
	return &batch.Batch{
		Seqs: op.Seqs{Starts: []int{0, 4, 5, 9}, Index: []int{3, 1, 4}}, IDs: []int32{1, 5, 29, 0, 7, 7, 2, 13, 21},
		Types: []int32{0, 0, 1, 0, 0, 1, 1, 0, 0}, Labels: []int32{2, 0, 1},
	}
}

// logitsOf returns the logits of the base (set nil) or of an adapter. It leaves Adapter nil for the base, since an
// interface that holds a nil *Set is not nil.
func logitsOf(m *bert.ForSequenceClassification, s *lora.Set, pool *op.Pool, b *batch.Batch) []float32 {
	p := &nn.Pass{Tape: op.NewEvalTape(pool)}
	defer p.Tape.Close()
	if s != nil {
		p.Adapter = s
	}
	return append([]float32(nil), op.Values(m.Logits(p, b))...)
}

// attach returns a fresh set. It ends the test on an error.
func attach(t testing.TB, m *bert.ForSequenceClassification, c lora.Config) *lora.Set {
	t.Helper()
	s, err := lora.Attach(m, c, 7)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shake gives every trained tensor random values, so that no factor is zero.
func shake(s *lora.Set, seed uint64) {
	for _, p := range s.Params() {
		r := nn.NewRand(seed, p.Name)
		for i, v := 0, op.Values(p.Param); i < len(v); i++ {
			v[i] = float32(r.NormFloat64()) * 0.3
		}
	}
}

// fingerprint is a hash of all weights of the base.
func fingerprint(m *bert.ForSequenceClassification) [32]byte {
	h := sha256.New()
	for _, w := range nn.Weights(m) {
		h.Write([]byte(w.Name))
		if err := binary.Write(h, binary.LittleEndian, w.Weight.Float32()); err != nil {
			panic(err)
		}
	}
	return [32]byte(h.Sum(nil))
}

// train takes steps of plain gradient descent with dropout and returns the losses.
func train(t testing.TB, m *bert.ForSequenceClassification, s *lora.Set, pool *op.Pool, steps int) []float32 {
	t.Helper()
	tape := op.NewTape(pool)
	defer tape.Close()
	var losses []float32
	b := newBatch()
	for step := range steps {
		p := &nn.Pass{Tape: tape, Train: true, Adapter: s, Key: op.Key{Seed: 5, Step: uint64(step)}}
		loss, _ := op.CrossEntropy(tape, m.Logits(p, b), b.Labels, op.CrossEntropyConfig{})
		losses = append(losses, op.Values(loss)[0])
		if err := tape.Backward(loss); err != nil {
			t.Fatal(err)
		}
		for _, q := range s.Params() {
			v, g := op.Values(q.Param), op.Grad(q.Param)
			for i := range g {
				v[i] -= 0.05 * g[i]
			}
			op.ZeroGrad(q.Param)
		}
		tape.Reset()
	}
	return losses
}

func sameBits(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}
