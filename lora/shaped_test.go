package lora_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
)

// TestLoadAnotherHead loads an adapter for 5 labels on a model whose head has 3: with Shaped its logits are those on a
// model of 5 labels, bit for bit; without it, the head is an error.
func TestLoadAnotherHead(t *testing.T) {
	m := newModel(1)
	wide := widened(t, m, 5)
	set := attach(t, wide, lora.Config{R: 2, Alpha: 3, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls})
	shake(set, 5)
	dir := t.TempDir()
	if err := set.Save(dir); err != nil {
		t.Fatal(err)
	}
	fits := func(n int) lora.LoadOption {
		return lora.Shaped(func(weight string, got, want []int) bool {
			return strings.HasPrefix(weight, "classifier.") && got[0] == n && slices.Equal(got[1:], want[1:])
		})
	}
	got, warnings, err := lora.Load(dir, m, fits(5))
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	b := newBatch()
	if !sameBits(logitsOf(m, got, nil, b), logitsOf(wide, set, nil, b)) {
		t.Error("logits differ from those on a model with the adapter's head")
	}
	again := t.TempDir()
	if err := got.Save(again); err != nil {
		t.Fatal(err)
	}
	if _, _, err := lora.Load(again, wide); err != nil {
		t.Errorf("saved again: %v", err)
	}
	for name, options := range map[string][]lora.LoadOption{"without": nil, "another number": {fits(4)}} {
		if _, _, err := lora.Load(dir, m, options...); err == nil ||
			!strings.Contains(err.Error(), "classifier.weight is [5 16], want [3 16]") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// widened returns a model with the weights of m and a head for n labels.
func widened(t *testing.T, m *bert.ForSequenceClassification, n int) *bert.ForSequenceClassification {
	t.Helper()
	wide := bert.NewForSequenceClassification(m.Bert.Config, n)
	from := nn.Weights(m)
	for i, w := range nn.Weights(wide) {
		v := from[i].Weight.Float32()
		if w.Weight.Len() != len(v) {
			v = make([]float32, w.Weight.Len())
		}
		if err := w.Weight.SetValues(v); err != nil {
			t.Fatal(err)
		}
	}
	return wide
}
