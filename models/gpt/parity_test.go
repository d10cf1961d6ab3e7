package gpt_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/gpt"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestHiddenStates compares every block's output with transformers' (reference/causallm_fixtures.py), without and
// with an adapter. The project's bar is 1e-4; the wrong form of GELU shows below that, so tests hold 2e-5.
func TestHiddenStates(t *testing.T) {
	dirs, err := filepath.Glob("../../testdata/causal/gpt2_*")
	if err != nil || len(dirs) < 7 {
		t.Fatalf("fixtures: %v, %v", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			src, err := checkpoint.Open(filepath.Join(dir, "base"))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			m, _, err := models.OpenCausalLM(src)
			if err != nil {
				t.Fatal(err)
			}
			set, _, err := lora.Load(filepath.Join(dir, "adapter_init"), m)
			if err != nil {
				t.Fatal(err)
			}
			for state, adapter := range map[string]nn.AdapterSet{"base": nil, "init": set} {
				compareBlocks(t, dir, state, m.(*gpt.ForCausalLM).Transformer, adapter)
			}
		})
	}
}

func compareBlocks(t *testing.T, dir, state string, m *gpt.Model, adapter nn.AdapterSet) {
	t.Helper()
	expected, batches := golden.Open(t, filepath.Join(dir, "expected.safetensors")),
		golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	rows := expected.Shape("base.hidden.0")[0]
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	p := &nn.Pass{Tape: tape, Adapter: adapter}
	for _, s := range batches.Ints("starts") {
		if s <= rows {
			p.Seqs.Starts = append(p.Seqs.Starts, s)
		}
	}
	var ids []int32
	for _, id := range batches.Ints("ids")[:rows] {
		ids = append(ids, int32(id))
	}
	h := op.Add(tape, m.Words.Forward(p, ids), m.Positions.Forward(p, p.Positions()))
	for i := range len(m.Blocks) + 1 {
		if i == len(m.Blocks) {
			h = m.Norm.Forward(p, h)
		}
		name := fmt.Sprintf("%s.hidden.%d", state, i)
		if d := golden.MaxRel(op.Values(h), expected.Float32(name)); !(d <= 2e-5) {
			t.Errorf("%s: off by %.2g of the largest value", name, d)
		}
		if i < len(m.Blocks) {
			h = m.Blocks[i].Forward(p, h)
		}
	}
}
