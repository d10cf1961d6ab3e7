package generate

import (
	"context"
	"fmt"
	"testing"

	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
)

// smollm is the configuration of SmolLM2-135M.
const smollm = `{"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
	"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192,
	"rms_norm_eps": 1e-5, "hidden_act": "silu",
	"tie_word_embeddings": true, "rope_theta": 100000}`

// BenchmarkDecode reports the new tokens per second of a model of SmolLM2's size with random weights, after a prompt of
// 32 tokens.
func BenchmarkDecode(b *testing.B) {
	m, err := models.NewCausalLM([]byte(smollm), 1)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		prompts int
		sample  bool
	}{{"one", 1, false}, {"four", 4, false}, {"one, sampled", 1, true}} {
		b.Run(c.name, func(b *testing.B) {
			pool := op.NewPool(0)
			defer pool.Close()
			g := New(m, nil, pool)
			cfg := Defaults()
			cfg.MaxNewTokens, cfg.DoSample, cfg.TopP = 32, c.sample, 0.9
			list := make([]Prompt, c.prompts)
			for i := range list {
				list[i].Number = i
				for k := range 32 {
					list[i].IDs = append(list[i].IDs, int32(1000*i+37*k))
				}
			}
			b.ReportAllocs()
			tokens := 0
			for b.Loop() {
				out, err := g.Generate(context.Background(), list, cfg)
				if err != nil {
					b.Fatal(err)
				}
				for _, s := range out {
					tokens += len(s.IDs)
				}
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// t5small is the configuration of T5-small.
const t5small = `{"model_type": "t5", "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6,
	"num_heads": 8, "relative_attention_num_buckets": 32, "feed_forward_proj": "relu", "layer_norm_epsilon": 1e-6,
	"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}`

// BenchmarkBeams reports the tokens per second of the best of 4 beams for a model of T5-small's size with random
// weights, from sources of 32 tokens.
func BenchmarkBeams(b *testing.B) {
	m, err := models.NewSeq2SeqLM([]byte(t5small), 1)
	if err != nil {
		b.Fatal(err)
	}
	for _, sources := range []int{1, 8} {
		b.Run(fmt.Sprint(sources), func(b *testing.B) {
			pool := op.NewPool(0)
			defer pool.Close()
			g := NewSeq2Seq(m, nil, pool)
			cfg := Defaults()
			cfg.MaxNewTokens, cfg.NumBeams = 64, 4
			list := make([]Prompt, sources)
			for i := range list {
				for k := range 32 {
					list[i].IDs = append(list[i].IDs, int32(2+1000*i+37*k))
				}
			}
			b.ReportAllocs()
			tokens := 0
			for b.Loop() {
				out, err := g.Generate(context.Background(), list, cfg)
				if err != nil {
					b.Fatal(err)
				}
				for _, s := range out {
					tokens += len(s.IDs)
				}
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
