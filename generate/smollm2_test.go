package generate

import (
	"context"
	"os"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models"
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

// BenchmarkSmolLM2 tells the new tokens per second of the real checkpoint, from BF16 weights.
func BenchmarkSmolLM2(b *testing.B) {
	m, tok, _ := smollm2(b)
	pool := op.NewPool(0)
	defer pool.Close()
	cfg := Defaults()
	cfg.MaxNewTokens = 64
	tokens := 0
	for b.Loop() {
		out, err := New(m, tok, pool).Text(context.Background(), "Once upon a time, in a small village by the sea, there lived", cfg)
		if err != nil {
			b.Fatal(err)
		}
		tokens += len(out[0].IDs)
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}
