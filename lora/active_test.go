package lora_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// activeCase is several active adapters of PEFT with their scales, of testdata/active/cases.json.
type activeCase struct {
	Base     string
	Adapters []string
	Scales   []float64
	IDs      [][]int32
}

// loadParts loads the adapters of a case for a model.
func (c activeCase) loadParts(t *testing.T, m scorer) []lora.Part {
	t.Helper()
	var parts []lora.Part
	for i, dir := range c.Adapters {
		s, warnings, err := lora.Load(filepath.Join("../testdata", dir), m)
		if err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
		parts = append(parts, lora.Part{Name: filepath.Base(dir), Set: s, Scale: c.Scales[i]})
	}
	return parts
}

// logits returns the logits of the sequences of the case.
func (c activeCase) logits(m scorer, a nn.AdapterSet) []float32 {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for i, ids := range c.IDs {
		b.IDs, b.Types = append(b.IDs, ids...), append(b.Types, make([]int32, len(ids))...)
		b.Seqs.Index, b.Seqs.Starts = append(b.Seqs.Index, i), append(b.Seqs.Starts, len(b.IDs))
	}
	p := &nn.Pass{Tape: op.NewEvalTape(nil), Adapter: a}
	defer p.Tape.Close()
	return slices.Clone(op.Values(m.Logits(p, b)))
}

func eachActiveCase(t *testing.T, f func(t *testing.T, i int, c activeCase)) {
	const dir = "../testdata/active"
	var all struct {
		IDs   [][]int32
		Cases []activeCase
	}
	if err := json.Unmarshal(read(t, dir, "cases.json"), &all); err != nil || len(all.Cases) < 10 {
		t.Fatalf("%d cases: %v", len(all.Cases), err)
	}
	for i, c := range all.Cases {
		c.IDs = all.IDs
		t.Run(strings.Join(c.Adapters, "+"), func(t *testing.T) { f(t, i, c) })
	}
}

// TestActiveEqualsPEFT compares the logits of several active adapters with scales, plain ones and DoRA in both orders,
// with PEFT's set_adapter and set_scale (reference/active_fixtures.py).
func TestActiveEqualsPEFT(t *testing.T) {
	want := golden.Open(t, "../testdata/active/expected.safetensors")
	eachActiveCase(t, func(t *testing.T, i int, c activeCase) {
		m := openScorer(t, c.Base)
		sum, err := lora.NewActive(c.loadParts(t, m)...)
		if err != nil {
			t.Fatal(err)
		}
		closeTo(t, "logits", c.logits(m, sum), want.Float32(fmt.Sprintf("%d.logits", i)), 2e-5)
	})
}

// TestActiveLaws: one adapter with the factor 1 is the adapter, one with B = 0 changes no bit, and a sum of plain
// adapters equals their combination of the type cat within rounding.
func TestActiveLaws(t *testing.T) {
	eachActiveCase(t, func(t *testing.T, i int, c activeCase) {
		m := openScorer(t, c.Base)
		parts := c.loadParts(t, m)
		logits := func(parts ...lora.Part) []float32 {
			sum, err := lora.NewActive(parts...)
			if err != nil {
				t.Fatal(err)
			}
			return c.logits(m, sum)
		}
		one := parts[0]
		one.Scale = 1
		alone := c.logits(m, one.Set)
		if !sameBits(logits(one), alone) {
			t.Error("an adapter with the factor 1 differs from the adapter")
		}
		config := one.Set.Config()
		config.UseDoRA, config.LoRABias = false, false
		fresh, err := lora.Attach(m, config, 1) // its B is 0, but for tables, whose A is
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits(logits(one, lora.Part{Set: fresh, Scale: 3}), alone) {
			t.Error("an adapter with B = 0 changes logits")
		}
		if !strings.Contains(strings.Join(c.Adapters, ""), "active") { // plain ones
			var list []*lora.Detached
			for _, dir := range c.Adapters {
				list = append(list, detached(t, filepath.Base(filepath.Dir(dir)), filepath.Base(dir)))
			}
			d, err := lora.Combine(list, lora.Combination{Type: "cat", Weights: c.Scales})
			if err != nil {
				t.Fatal(err)
			}
			cat, _, err := d.Attach(m)
			if err != nil {
				t.Fatal(err)
			}
			closeTo(t, "cat", logits(parts...), c.logits(m, cat), 3e-6)
		}
	})
}

// TestActiveErrors adds what cannot be added: the error names the adapters and the weight.
func TestActiveErrors(t *testing.T) {
	m := newModel(1)
	head := attach(t, m, lora.Config{R: 2, Alpha: 3, TargetModules: lora.Names("query"), TaskType: lora.SeqCls})
	plain := attach(t, m, lora.Config{R: 2, Alpha: 3, TargetModules: lora.Names("query")})
	for want, parts := range map[string][]lora.Part{
		"no adapters": nil,
		`"a" and "b" both replace classifier.bias`: {{Name: "a", Set: head, Scale: 1}, {Name: "b", Set: head, Scale: 1}},
		`"a" is NaN`: {{Name: "a", Set: plain, Scale: math.NaN()}},
	} {
		if _, err := lora.NewActive(parts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := lora.NewActive(lora.Part{Set: head, Scale: 1}, lora.Part{Set: plain, Scale: 1}); err != nil {
		t.Errorf("one head and a plain adapter: %v", err)
	}
}
