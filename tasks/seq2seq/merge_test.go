package seq2seq_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seq2seq"
)

// TestMergeOfTables merges adapters of both word tables and reads the written models: their logits are those of base
// and adapter, so that config.json keeps the factor that T5 has before its head.
func TestMergeOfTables(t *testing.T) {
	pool := op.NewPool(2)
	defer pool.Close()
	bytes, err := base.Open(bytesBase(t)) // the other bases have no tokenizer, and merging reads no text
	if err != nil {
		t.Fatal(err)
	}
	defer bytes.Close()
	for _, c := range []struct {
		name  string
		table string
		scale any // scale_decoder_outputs
	}{
		{"t5", "embed_tokens", true}, {"t5_tied_unscaled", "embed_tokens", false}, {"mt5", "embed_tokens", nil},
		{"bart", "embed_tokens", nil}, {"mbart", "embed_tokens", nil}, {"marian", "embed_tokens", nil},
		{"pegasus", "embed_tokens", nil}, {"t5", "lm_head", true},
	} {
		t.Run(c.name+" "+c.table, func(t *testing.T) {
			dir := filepath.Join(testdata, "seq2seq", c.name, "base")
			b, err := base.Open(dir, base.WithTokenizer(bytes.Tokenizer))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			adapted, _, err := models.OpenSeq2SeqLM(b.Source)
			if err != nil {
				t.Fatal(err)
			}
			set, err := lora.Attach(adapted, lora.Config{
				R: 2, Alpha: 4, TargetModules: lora.Names(c.table), TaskType: lora.Seq2SeqLM}, 3)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range set.Params() {
				r := nn.NewRand(uint64(i), p.Name)
				for j := range op.Values(p.Param) {
					op.Values(p.Param)[j] = float32(r.NormFloat64()) * 0.3
				}
			}
			adapter, merged := t.TempDir(), filepath.Join(t.TempDir(), "merged")
			if out := os.Getenv("SPALORA_MERGED"); out != "" { // for reference/check_merged.py
				merged = filepath.Join(out, c.name+"_"+c.table)
			}
			if err := set.Save(adapter); err != nil {
				t.Fatal(err)
			}
			m, err := seq2seq.Kind.Merge(tasks.Opening{
				Opening: base.Opening{Base: b, Adapter: base.Adapter{Dir: adapter}, Pool: pool}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Merge(t.Context(), merged, tasks.MergeOptions{DType: "F32", Overwrite: true}, pool); err != nil {
				t.Fatal(err)
			}
			src, err := checkpoint.Open(merged)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			var config map[string]any
			if err := json.Unmarshal(src.Config(), &config); err != nil {
				t.Fatal(err)
			}
			if config["tie_word_embeddings"] != false || config["scale_decoder_outputs"] != c.scale {
				t.Errorf("config.json has %v and %v", config["tie_word_embeddings"], config["scale_decoder_outputs"])
			}
			whole, _, err := models.OpenSeq2SeqLM(src)
			if err != nil {
				t.Fatal(err)
			}
			x := tasks.Probe(adapted.Vocabulary(), 20)
			x.Target = &batch.Batch{IDs: x.IDs, Seqs: x.Seqs}
			logits := func(m models.Seq2SeqLM, a nn.AdapterSet) []float32 {
				tape := op.NewEvalTape(pool)
				defer tape.Close()
				return append([]float32(nil), op.Values(m.Logits(&nn.Pass{Tape: tape, Adapter: a}, x))...)
			}
			want, got := logits(adapted, set), logits(whole, nil)
			top, worst := 0.0, 0.0
			for i, w := range want {
				top, worst = math.Max(top, math.Abs(float64(w))), math.Max(worst, math.Abs(float64(got[i]-w)))
			}
			if !(worst <= 2e-5*top) {
				t.Errorf("the logits differ by %.2g of %.2g", worst, top)
			}
			if out := os.Getenv("SPALORA_MERGED"); out != "" {
				text, err := json.Marshal(map[string]any{"ids": x.IDs, "starts": x.Seqs.Starts, "logits": want})
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(merged, "case.json"), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
