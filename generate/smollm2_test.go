package generate

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// smollm2 opens SmolLM2-135M-Instruct in the directory that SPALORA_SMOLLM2 names, or skips the test.
func smollm2(t testing.TB) (models.CausalLM, *tokenize.Tokenizer, models.Info) {
	t.Helper()
	dir := os.Getenv("SPALORA_SMOLLM2")
	if dir == "" {
		t.Skip("SPALORA_SMOLLM2 does not name a directory of SmolLM2-135M-Instruct")
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenCausalLM(src)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	info, err := models.ReadInfo(src)
	if err != nil {
		t.Fatal(err)
	}
	return m, tok, info
}

// TestSmolLM2: greedy tokens of five prompts in one batch equal transformers' for 64 tokens, and so does their text. If
// a token differs, the message reports our logits of both tokens, and the margin, the smallest difference of the two
// largest logits in the reference.
func TestSmolLM2(t *testing.T) {
	m, tok, _ := smollm2(t)
	var file struct {
		MaxNewTokens int `json:"max_new_tokens"`
		Prompts      []struct {
			Name        string
			Text        string
			IDs, Tokens []int32
			Answer      string
			Margin      float64
		}
	}
	readJSON(t, "../testdata/smollm2/greedy.json", &file)
	if len(file.Prompts) < 5 {
		t.Fatalf("%d prompts", len(file.Prompts))
	}
	pool := op.NewPool(0)
	defer pool.Close()
	cfg := Defaults()
	cfg.MaxNewTokens = file.MaxNewTokens
	var list []Prompt
	for _, p := range file.Prompts {
		e, err := tok.Encode(p.Text, tokenize.Options{NoSpecial: true})
		if err != nil || !slices.Equal(e.IDs, p.IDs) {
			t.Errorf("%s: encoded as %v, %v; want %v", p.Name, e.IDs, err, p.IDs)
		}
		list = append(list, Prompt{IDs: p.IDs})
	}
	for i, s := range must(t, New(m, tok, pool), list, cfg) {
		p, want := file.Prompts[i], file.Prompts[i].Tokens // no end token is set, there either
		same := 0
		for same < min(len(want), len(s.IDs)) && s.IDs[same] == want[same] {
			same++
		}
		if same == len(want) {
			t.Logf("%s: %d tokens are equal, margin %.1e", p.Name, same, p.Margin)
			continue
		}
		tape := op.NewEvalTape(pool)
		defer tape.Close()
		ids := slices.Concat(p.IDs, want[:same])
		b := &batch.Batch{IDs: ids, Seqs: op.Seqs{Starts: []int{0, len(ids)}}}
		x := op.Values(m.Logits(&nn.Pass{Tape: tape, Keep: nn.LastRows(b.Seqs)}, b))
		t.Errorf("%s (margin %.1e): from token %d on\n got %v\nwant %v\nwhose logits are %v and %v", p.Name, p.Margin, same,
			s.IDs[same:], want[same:], x[s.IDs[same]], x[want[same]])
	}
}

// BenchmarkSmolLM2 reports the new tokens per second of the real checkpoint, from BF16 weights.
func BenchmarkSmolLM2(b *testing.B) {
	m, tok, _ := smollm2(b)
	pool := op.NewPool(0)
	defer pool.Close()
	cfg := Defaults()
	cfg.MaxNewTokens = 64
	tokens := 0
	for b.Loop() {
		out, err := New(m, tok, pool).Text(context.Background(),
			"Once upon a time, in a small village by the sea, there lived", cfg)
		if err != nil {
			b.Fatal(err)
		}
		tokens += len(out[0].IDs)
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}
