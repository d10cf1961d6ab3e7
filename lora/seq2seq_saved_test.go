package lora_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// seq2seqTargets are the layers that adapters of each encoder–decoder have. The word tables of encoder and decoder
// are two layers of one name.
func seq2seqTargets(t5 bool) map[string]lora.Config {
	attention := []string{"q_proj", "v_proj"}
	if t5 {
		attention = []string{"q", "v"}
	}
	return map[string]lora.Config{
		"attention":  {TargetModules: lora.Names(attention...)},
		"all_linear": {TargetModules: lora.Names(lora.AllLinear)},
		"embeddings": {TargetModules: lora.Names(append(attention, "embed_tokens")...)},
		"dora":       {TargetModules: lora.Names(attention...), UseDoRA: true},
	}
}

// savedPairs is what reference/check_saved.py reads beside an adapter of an encoder–decoder.
type savedPairs struct {
	Base string `json:"base"` // below testdata
	Task string `json:"task"` // seq2seq_lm or speech
	// IDs are the sources, or Features their frames, and Labels the targets, one after another; Starts and LabelStarts are
	// where each starts, and the end of the last.
	IDs         []int32   `json:"ids"`
	Features    []float32 `json:"features"`
	Starts      []int     `json:"starts"`
	Labels      []int32   `json:"labels"`
	LabelStarts []int     `json:"label_starts"`
	Merges      bool      `json:"merges"` // PEFT merges it with the same result: no table that encoder and decoder share
	Logits      []float32 `json:"logits"`
}

// TestSeq2SeqSaved saves adapters of each encoder–decoder on each choice of layers and loads them, to the same bits.
// With SPALORA_ADAPTERS set, the adapters stay there for reference/check_saved.py, which opens them with PEFT.
func TestSeq2SeqSaved(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		name := filepath.Base(x.Dir)
		for option, c := range seq2seqTargets(strings.Contains(name, "t5")) {
			c.R, c.Alpha = 2, 5
			task, family := "speech", "speech"
			if !x.speech() {
				c.TaskType, task, family = lora.Seq2SeqLM, "seq2seq_lm", "seq2seq"
			}
			s, err := lora.Attach(x.model, c, 3)
			if err != nil {
				t.Fatalf("%s: %v", option, err)
			}
			shakePairs(s)
			dir := tasktest.OutputDir(t, family+"_"+name+"_"+option)
			if err := s.Save(dir); err != nil {
				t.Fatal(err)
			}
			back, _, err := lora.Load(dir, x.model)
			if err != nil {
				t.Fatal(err)
			}
			logits := x.logits(x.model, s)
			if !sameBits(logits, x.logits(x.model, back)) {
				t.Errorf("%s: the loaded adapter gives other logits", option)
			}
			if sameBits(logits, x.logits(x.model, nil)) {
				t.Errorf("%s: the adapter changes nothing", option)
			}
			b := x.observed()
			text, err := json.Marshal(savedPairs{
				filepath.Join(family, name, "base"), task, b.IDs, b.Features, b.Seqs.Starts, b.Target.Labels,
				b.Target.Seqs.Starts, option != "embeddings" || !s.Unties(x.model), logits,
			})
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "case.json"), text, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// shakePairs changes every trained tensor, so that no pair is without effect and the norms of DoRA stay near their own.
func shakePairs(s *lora.Set) {
	for _, p := range s.Params() {
		r := nn.NewRand(11, p.Name)
		for i, v := 0, op.Values(p.Param); i < len(v); i++ {
			v[i] += float32(r.NormFloat64()) * 0.2
		}
	}
}

// TestSeq2SeqCheckpointing: with gradient checkpointing the loss and the gradients of every pair have the same bits,
// with dropout.
func TestSeq2SeqCheckpointing(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		c := lora.Config{R: 2, Alpha: 5, Dropout: 0.2, TargetModules: lora.Names(lora.AllLinear), TaskType: lora.Seq2SeqLM}
		s, err := lora.Attach(x.model, c, 3)
		if err != nil {
			t.Fatal(err)
		}
		shakePairs(s)
		nn.SetDropout(x.model, 0.1)
		gradients := func(checkpoint bool) (list [][]float32) {
			tape := op.NewTape(x.pool)
			defer tape.Close()
			p := pass(tape, s)
			p.Train, p.Key, p.Checkpoint = true, op.Key{Seed: 7, Step: 2}, checkpoint
			sum, _ := x.model.Loss(p, x.observed())
			list = append(list, slices.Clone(op.Values(sum)))
			if err := tape.Backward(sum); err != nil {
				t.Fatal(err)
			}
			for _, p := range s.Params() {
				list = append(list, slices.Clone(op.Grad(p.Param)))
				p.Param.ZeroGrad()
			}
			return list
		}
		want := gradients(false)
		for i, g := range gradients(true) {
			if !sameBits(g, want[i]) {
				t.Errorf("tensor %d of the loss and the gradients has other bits", i)
			}
		}
	})
}
