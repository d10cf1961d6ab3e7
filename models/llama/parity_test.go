package llama_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/llama"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestHiddenStates compares every layer's output with transformers' (reference/causallm_fixtures.py), without and
// with an adapter. The project's bar is 1e-4; a wrong rotation or eps shows below that, so tests hold 2e-5.
func TestHiddenStates(t *testing.T) {
	dirs, err := filepath.Glob("../../testdata/causal/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	compared := 0
	for _, dir := range dirs {
		src, err := checkpoint.Open(filepath.Join(dir, "base"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { src.Close() })
		opened, _, err := models.OpenCausalLM(src)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := opened.(*llama.ForCausalLM)
		if !ok {
			continue
		}
		compared++
		t.Run(filepath.Base(dir), func(t *testing.T) { compareLayers(t, dir, m) })
	}
	if compared < 15 {
		t.Errorf("only %d fixtures of this family", compared)
	}
}

func compareLayers(t *testing.T, dir string, m *llama.ForCausalLM) {
	expected, batches := golden.Open(t, filepath.Join(dir, "expected.safetensors")),
		golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	set, _, err := lora.Load(filepath.Join(dir, "adapter_init"), m)
	if err != nil {
		t.Fatal(err)
	}
	rows := expected.Shape("base.hidden.0")[0]
	seqs := op.Seqs{}
	for _, s := range batches.Ints("starts") {
		if s <= rows {
			seqs.Starts = append(seqs.Starts, s)
		}
	}
	var ids []int32
	for _, id := range batches.Ints("ids")[:rows] {
		ids = append(ids, int32(id))
	}
	for state, adapter := range map[string]nn.AdapterSet{"base": nil, "init": set} {
		tape := op.NewEvalTape(nil)
		p := &nn.Pass{Tape: tape, Seqs: seqs, Adapter: adapter}
		p.Rotary = m.Model.Angles(p)
		h := m.Model.Words.Forward(p, ids)
		for i := range len(m.Model.Layers) + 1 {
			if i == len(m.Model.Layers) {
				h = m.Model.Norm.Forward(p, h)
			}
			name := fmt.Sprintf("%s.hidden.%d", state, i)
			if d := golden.MaxRel(op.Values(h), expected.Float32(name)); !(d <= 2e-5) {
				t.Errorf("%s: off by %.2g of the largest value", name, d)
			}
			if i < len(m.Model.Layers) {
				h = m.Model.Layers[i].Forward(p, h)
			}
		}
		tape.Close()
	}
}
