package lora_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// assigned returns a fresh model with the merged weights.
func assigned(t testing.TB, m *bert.ForSequenceClassification, s *lora.Set) *bert.ForSequenceClassification {
	t.Helper()
	merged, err := lora.Merge(m, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh := bert.NewForSequenceClassification(m.Bert.Config, m.Labels())
	if err := lora.Assign(fresh, merged); err != nil {
		t.Fatal(err)
	}
	return fresh
}

// TestMergedEqualsAttached: the merged model has the logits of the attached one, with alpha ≠ r and B ≠ 0, for
// linear layers, tables, saved modules and half-precision weights.
func TestMergedEqualsAttached(t *testing.T) {
	b := newBatch()
	for _, half := range []op.DType{op.F32, op.F16, op.BF16} {
		m := newModel(1)
		if half != op.F32 {
			for _, w := range nn.Weights(m) {
				if !w.Weight.Vector {
					if err := w.Weight.SetBytes(half, halves(w.Weight, half)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, c := range []lora.Config{
			{R: 3, Alpha: 7, TargetModules: lora.Names("query", "value")},
			{R: 2, Alpha: 1, TargetModules: lora.Names("word_embeddings", "token_type_embeddings")},
			{R: 5, Alpha: 3, UseRSLoRA: true, TargetModules: lora.Names("dense", "position_embeddings"), TaskType: lora.SeqCls},
			{R: 3, Alpha: 7, UseDoRA: true, TargetModules: lora.Names("query", "dense", "word_embeddings")},
			{R: 2, Alpha: 5, UseDoRA: true, UseRSLoRA: true, Bias: lora.BiasAll, TargetModules: lora.Names("value"),
				TaskType: lora.SeqCls, ModulesToSave: []string{"pooler"}},
			{R: 2, Alpha: 3, LoRABias: true, Bias: lora.BiasLoRAOnly, TargetModules: lora.Names("key", "output.dense")},
			{R: 1, Alpha: 4, Dropout: 0.5, TargetModules: lora.Names(lora.AllLinear), TaskType: lora.SeqCls,
				ModulesToSave: []string{"pooler", "LayerNorm"}},
		} {
			s := attach(t, m, c)
			shake(s, 9)
			attached := logitsOf(m, s, nil, b)
			closeTo(t, c.TargetModules.String(), logitsOf(assigned(t, m, s), nil, nil, b), attached, 5e-6)
			if base := logitsOf(m, nil, nil, b); slices.Equal(base, attached) {
				t.Error("the set has no effect")
			}
		}
	}
}

// halves returns the bytes of random numbers of size 1/4 to 1/2 in a half-precision type.
func halves(w *op.Weight, t op.DType) []byte {
	high := byte(0x34) // sign and exponent, and the upper bits of the fraction, which stay 0
	if t == op.BF16 {
		high = 0x3e
	}
	r := nn.NewRand(1, "halves")
	b := make([]byte, 2*w.Len())
	for i := 0; i < len(b); i += 2 {
		b[i], b[i+1] = byte(r.Uint32())|0x80, high|byte(r.IntN(2))<<7
	}
	return b
}

// TestMergeTwice: merging does not change the base or the set, so that merging again gives the same bits, and a set
// that is saved afterwards has the same bytes.
func TestMergeTwice(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, lora.Config{R: 3, Alpha: 7, TargetModules: lora.Names("dense", "word_embeddings"),
		TaskType: lora.SeqCls})
	shake(s, 9)
	before := read(t, save(t, s), "adapter_model.safetensors")
	first, err := lora.Merge(m, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(3)
	defer pool.Close()
	second, err := lora.Merge(m, s, pool)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, save(t, s), "adapter_model.safetensors"), before) {
		t.Error("a set that is saved after merging has other bytes")
	}
	if len(first) != len(nn.Weights(m)) {
		t.Errorf("%d weights", len(first))
	}
	for i, w := range nn.Weights(m) {
		a, b := first[i], second[i]
		if a.Name != w.Name || !slices.Equal(a.Shape, w.Weight.Shape()) || !sameBits(a.Values, b.Values) {
			t.Errorf("%s has other values after the second merge", w.Name)
		}
		adapted := strings.Contains(w.Name, "dense.weight") || w.Name == "bert.embeddings.word_embeddings.weight" ||
			strings.HasPrefix(w.Name, "classifier")
		if sameBits(a.Values, w.Weight.Float32()) == adapted {
			t.Errorf("%s is adapted: %v, but its merged values changed: %v", w.Name, adapted, !adapted)
		}
		for j := range a.Values {
			a.Values[j] = 0 // the caller owns the values
		}
	}
	third, err := lora.Merge(m, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range third {
		if !sameBits(third[i].Values, second[i].Values) {
			t.Errorf("%s shares memory with an earlier result", third[i].Name)
		}
	}
}

// inOut is a model with a weight stored in×out, as in GPT-2.
type inOut struct {
	spago.Module
	Conv *nn.Linear `hf:"c_attn"`
}

// TestMergeInOut: the merged values of a weight stored in×out are in×out.
func TestMergeInOut(t *testing.T) {
	build := func() *inOut {
		m := &inOut{Conv: nn.NewLinear(4, 6, true)}
		m.Conv.Weight.InOut = true
		return m
	}
	m := build()
	for _, w := range nn.Weights(m) {
		v := make([]float32, w.Weight.Len())
		nn.KaimingUniform(v, 4, 1, nn.NewRand(1, w.Name))
		if err := w.Weight.SetValues(v); err != nil {
			t.Fatal(err)
		}
	}
	s, err := lora.Attach(m, lora.Config{R: 2, Alpha: 5, TargetModules: lora.Names("c_attn")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	shake(s, 4)
	merged, err := lora.Merge(m, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(merged[0].Shape, []int{4, 6}) {
		t.Errorf("shape %v", merged[0].Shape)
	}
	other := build()
	if err := lora.Assign(other, merged); err != nil {
		t.Fatal(err)
	}
	x := mat.NewDense[float32](mat.WithShape(2, 4), mat.WithBacking([]float32{1, -2, 3, 0.5, 0, 1, -1, 2}))
	forward := func(l *nn.Linear, p nn.Pass) []float32 {
		p.Tape = op.NewEvalTape(nil)
		defer p.Tape.Close()
		return append([]float32(nil), op.Values(l.Forward(&p, x))...)
	}
	closeTo(t, "in×out", forward(other.Conv, nn.Pass{}), forward(m.Conv, nn.Pass{Adapter: s}), 1e-6)
}

func TestMergeErrors(t *testing.T) {
	m := newModel(1)
	c := lora.Config{R: 3, Alpha: 7, TargetModules: lora.Names("query")}
	s := attach(t, m, c)
	empty := bert.NewForSequenceClassification(m.Bert.Config, 3)
	if _, err := lora.Merge(empty, attach(t, empty, c), nil); err == nil ||
		!strings.Contains(err.Error(), "word_embeddings.weight has no values") {
		t.Errorf("a model without values: %v", err)
	}
	merged, err := lora.Merge(m, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := lora.Assign(empty, merged[1:]); err == nil || !strings.Contains(err.Error(), merged[0].Name) {
		t.Errorf("one weight too few: %v", err)
	}
	merged[0].Values = merged[0].Values[1:]
	if err := lora.Assign(empty, merged); err == nil || !strings.Contains(err.Error(), merged[0].Name) {
		t.Errorf("one value too few: %v", err)
	}
	// A set belongs to the model that it was made for: merged into another model it would change nothing.
	if _, err := lora.Merge(newModel(1), s, nil); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another model's set: %v", err)
	}
}
