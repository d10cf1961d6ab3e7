package generate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
)

// TestSeq2SeqTokens compares greedily generated tokens of encoder–decoders with transformers', without an adapter and
// with one, several sources at once (reference/seq2seq_fixtures.py).
func TestSeq2SeqTokens(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/seq2seq/*/base")
	if err != nil || len(dirs) < 11 {
		t.Fatalf("%d fixtures: %v", len(dirs), err)
	}
	for _, base := range dirs {
		dir := filepath.Dir(base)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			src, err := checkpoint.Open(base)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { src.Close() })
			m, _, err := models.OpenSeq2SeqLM(src)
			if err != nil {
				t.Fatal(err)
			}
			set, _, err := lora.Load(filepath.Join(dir, "adapter_final"), m)
			if err != nil {
				t.Fatal(err)
			}
			var c struct {
				Observed int   `json:"observed_rows"`
				End      int32 `json:"eos_token_id"`
			}
			for _, file := range []string{filepath.Join(dir, "case.json"), filepath.Join(base, "config.json")} {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(text, &c); err != nil {
					t.Fatal(err)
				}
			}
			rows, want := golden.Open(t, filepath.Join(dir, "batches.safetensors")),
				golden.Open(t, filepath.Join(dir, "expected.safetensors"))
			ids, at := rows.Ints("sources"), rows.Ints("source_starts")
			var prompts []generate.Prompt
			for i := range c.Observed {
				var p generate.Prompt
				for _, id := range ids[at[i]:at[i+1]] {
					p.IDs = append(p.IDs, int32(id))
				}
				prompts = append(prompts, p)
			}
			cfg := generate.Defaults()
			cfg.MaxNewTokens, cfg.EosTokenIDs = 12, []int32{c.End}
			for state, g := range map[string]*generate.Generator{
				"base": generate.NewSeq2Seq(m, nil, nil), "final": generate.NewSeq2Seq(m, nil, nil),
			} {
				if state == "final" {
					g.Adapter = set
				}
				out, err := g.Generate(t.Context(), prompts, cfg)
				if err != nil {
					t.Fatal(err)
				}
				tokens, starts := want.Ints(state+".tokens"), want.Ints(state+".starts")
				for i, s := range out {
					var got []int
					for _, id := range s.IDs {
						got = append(got, int(id))
					}
					if w := tokens[starts[i]:starts[i+1]]; !slices.Equal(got, w) {
						t.Errorf("%s, source %d: %v, want %v", state, i, got, w)
					}
				}
			}
		})
	}
}
