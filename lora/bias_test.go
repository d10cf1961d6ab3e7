package lora_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestBiasesStayInTheSet: training the biases of one set changes neither the base nor another set.
func TestBiasesStayInTheSet(t *testing.T) {
	m := newModel(1)
	c := lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names("query"), TaskType: lora.SeqCls, Bias: lora.BiasAll}
	before, base := fingerprint(m), logitsOf(m, nil, nil, newBatch())
	s, other := attach(t, m, c), attach(t, m, c)
	if !sameBits(logitsOf(m, s, nil, newBatch()), base) {
		t.Error("a fresh set changes the logits")
	}
	train(t, m, s, nil, 2)
	if before != fingerprint(m) {
		t.Error("training changed the base")
	}
	if !sameBits(logitsOf(m, other, nil, newBatch()), base) {
		t.Error("training changed another set")
	}
	trained := 0
	for _, w := range nn.Weights(m) {
		if own := s.Replacement(w.Weight); own != nil && strings.HasSuffix(w.Name, ".bias") && !own.Same(w.Weight) {
			trained++
		}
	}
	if trained < 10 {
		t.Errorf("%d biases have changed", trained)
	}
}

// TestAbsentBiases: a file without a bias that trains uses the base model's, with a warning, as PEFT does in silence.
func TestAbsentBiases(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names("query"), Bias: lora.BiasLoRAOnly})
	shake(s, 3)
	dir := save(t, s)
	const name = "base_model.model.bert.encoder.layer.1.attention.self.query.base_layer.bias"
	rewrite(t, dir, func(list []safetensors.Tensor) []safetensors.Tensor {
		return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return x.Name == name })
	})
	back, warnings, err := lora.Load(dir, m)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], name+" is missing") {
		t.Fatal(warnings, err)
	}
	list := nn.Weights(m)
	at := slices.IndexFunc(list, func(w nn.NamedWeight) bool {
		return w.Name == "bert.encoder.layer.1.attention.self.query.bias"
	})
	bias := list[at].Weight
	if own := back.Replacement(bias); own == nil || !own.Same(bias) {
		t.Error("the bias is not the base model's")
	}
}

// TestOptionErrors: what PEFT refuses is refused by name.
func TestOptionErrors(t *testing.T) {
	m := newModel(1)
	empty := bert.NewForSequenceClassification(m.Bert.Config, 3)
	for want, c := range map[string]struct {
		model  *bert.ForSequenceClassification
		config lora.Config
	}{
		"lora_bias does not work on embeddings, but target_modules names bert.embeddings.word_embeddings": {m,
			lora.Config{R: 2, Alpha: 2, LoRABias: true, TargetModules: lora.Names("query", "word_embeddings")}},
		"query.weight has no values": {empty,
			lora.Config{R: 2, Alpha: 2, UseDoRA: true, TargetModules: lora.Names("query")}},
		"bias has no values": {empty,
			lora.Config{R: 2, Alpha: 2, Bias: lora.BiasAll, TargetModules: lora.Names("query")}},
	} {
		if _, err := lora.Attach(c.model, c.config, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestMagnitudesAct: an output's magnitude scales all that the layer gives for it but the bias.
func TestMagnitudesAct(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, lora.Config{R: 2, Alpha: 4, UseDoRA: true, TargetModules: lora.Names("classifier")})
	l := m.Classifier
	base := logitsOf(m, nil, nil, newBatch())
	for _, p := range s.Params() {
		if strings.HasSuffix(p.Name, "lora_magnitude_vector") {
			op.Values(p.Param)[1] *= 3
		}
	}
	got, bias := logitsOf(m, s, nil, newBatch()), l.Bias.Float32()
	want := slices.Clone(base)
	for i := 1; i < len(want); i += 3 {
		want[i] = 3*(base[i]-bias[1]) + bias[1]
	}
	closeTo(t, "logits", got, want, 2e-6)
}

// TestMagnitudesConcurrently: many goroutines predict with one set, whose norms the first of them compute.
func TestMagnitudesConcurrently(t *testing.T) {
	m, pool := newModel(1), op.NewPool(2)
	defer pool.Close()
	s := attach(t, m, lora.Config{R: 2, Alpha: 4, UseDoRA: true, TargetModules: lora.Names("query", "word_embeddings")})
	shake(s, 5)
	want := logitsOf(m, s, nil, newBatch())
	s, _, err := lora.Load(save(t, s), m) // without norms
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			for range 3 {
				if !sameBits(logitsOf(m, s, pool, newBatch()), want) {
					t.Error("other bits")
				}
			}
		})
	}
	wait.Wait()
}
