package lora_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// servedConfigs are adapters that change every kind of layer: linear layers, tables, norms, biases, heads.
func servedConfigs(linear, table, norm string) map[string]lora.Config {
	of := func(change func(c *lora.Config)) lora.Config {
		c := lora.DefaultConfig()
		c.R, c.Alpha, c.TargetModules = 3, 7, lora.Names(linear)
		change(&c)
		return c
	}
	return map[string]lora.Config{
		"plain":  of(func(*lora.Config) {}),
		"rank":   of(func(c *lora.Config) { c.R, c.UseRSLoRA = 2, true }),
		"dora":   of(func(c *lora.Config) { c.UseDoRA = true }),
		"bias":   of(func(c *lora.Config) { c.LoRABias, c.Bias = true, lora.BiasAll }),
		"table":  of(func(c *lora.Config) { c.TargetModules = lora.Names(table) }),
		"doras":  of(func(c *lora.Config) { c.UseDoRA, c.TargetModules = true, lora.Names(table, linear) }),
		"norms":  of(func(c *lora.Config) { c.ModulesToSave = []string{norm, table} }),
		"tokens": of(func(c *lora.Config) { c.TrainableTokenIndices = lora.TokenRows{{Indices: []int32{1, 7, 13}}} }),
	}
}

// mixed returns the sequences of b, each served by an adapter of its own, in an order in which adapters come again.
func mixed(sets []nn.AdapterSet) []nn.AdapterSet {
	var list []nn.AdapterSet
	for i, s := range sets {
		list = append(list, s)
		if i%3 == 0 {
			list = append(list, s, sets[(i+2)%len(sets)])
		}
	}
	return list
}

// TestServedSequences: a batch in which each sequence has its own adapter gives bit for bit what one sequence at a time
// gives, and the base model takes no notice of its neighbours.
func TestServedSequences(t *testing.T) {
	m := newModel(1)
	sets := []nn.AdapterSet{nil}
	configs := servedConfigs("query", "word_embeddings", "LayerNorm")
	for i, name := range slices.Sorted(maps.Keys(configs)) {
		c := configs[name]
		c.ModulesToSave = append(c.ModulesToSave, "classifier")
		s := attach(t, m, c)
		shake(s, uint64(i))
		sets = append(sets, s)
	}
	served := mixed(sets)
	pool := op.NewPool(2)
	defer pool.Close()
	logits := func(b *batch.Batch, few bool, serve func(p *nn.Pass)) []float32 {
		p := &nn.Pass{Tape: op.NewEvalTape(pool)}
		defer p.Tape.Close()
		p.Tape.FewRows(few)
		serve(p)
		return slices.Clone(op.Values(m.Logits(p, b)))
	}
	one := newBatch()
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	var parts []*batch.Batch
	for i := range served {
		lo, hi := one.Seqs.Starts[i%3], one.Seqs.Starts[i%3+1]
		q := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, hi - lo}}, IDs: one.IDs[lo:hi], Types: one.Types[lo:hi]}
		parts = append(parts, q)
		b.IDs, b.Types = append(b.IDs, q.IDs...), append(b.Types, q.Types...)
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
	}
	for _, few := range []bool{false, true} {
		got := logits(b, few, func(p *nn.Pass) { p.Serve(served) })
		distinct := map[string]bool{}
		for i, s := range served {
			want := logits(parts[i], few, func(p *nn.Pass) { p.Adapter = s })
			if !sameBits(got[i*3:(i+1)*3], want) {
				t.Errorf("few %v, sequence %d: got %v, alone %v", few, i, got[i*3:(i+1)*3], want)
			}
			distinct[fmt.Sprint(i%3, want)] = true
		}
		if len(distinct) < len(sets) {
			t.Errorf("the adapters give %d different results, want %d at least", len(distinct), len(sets))
		}
	}
}

// TestServedPrompts: prompts with adapters of their own, generated in one call with a cache, give the tokens of one
// call for each, and so do their beams.
func TestServedPrompts(t *testing.T) {
	for _, name := range []string{"gpt2_all_linear", "llama_bias", "llama_embed_tied", "qwen3"} {
		x := openCausal(t, "../testdata/causal/"+name)
		linear, table, norm := "q_proj", "embed_tokens", "norm"
		if strings.HasPrefix(name, "gpt2") {
			linear, table, norm = "c_attn", "wte", "ln_f"
		}
		servePrompts(t, name, x.model, generate.New(x.model, nil, x.pool), servedConfigs(linear, table, norm))
	}
}

// TestServedSources: the same of sources that an encoder reads, also with adapters that differ in the table of relative
// positions or in the embeddings of both sides.
func TestServedSources(t *testing.T) {
	for _, name := range []string{"t5", "t5_gated_untied", "bart", "mbart", "pegasus"} {
		x := openSeq2Seq(t, "../testdata/seq2seq/"+name)
		linear, norm := "q_proj", "final_layer_norm"
		if strings.HasPrefix(name, "t5") {
			linear = "q"
		}
		configs := servedConfigs(linear, "embed_tokens", norm)
		delete(configs, "tokens") // which a shared table does not take
		if strings.HasPrefix(name, "t5") {
			c := configs["plain"]
			c.TargetModules = lora.Names("relative_attention_bias")
			configs["positions"] = c
			c.TargetModules, c.ModulesToSave = lora.Names("v"), []string{"relative_attention_bias"}
			configs["saved positions"] = c
		}
		servePrompts(t, name, x.model, generate.NewSeq2Seq(x.model, nil, x.pool), configs)
	}
}

func servePrompts(t *testing.T, name string, m spago.Model, g *generate.Generator, configs map[string]lora.Config) {
	t.Helper()
	sets := []nn.AdapterSet{nil}
	for i, config := range slices.Sorted(maps.Keys(configs)) {
		s, err := lora.Attach(m, configs[config], 7)
		if err != nil {
			t.Fatalf("%s, %s: %v", name, config, err)
		}
		shake(s, uint64(i))
		sets = append(sets, s)
	}
	var prompts []generate.Prompt
	for i, s := range mixed(sets) {
		ids := []int32{int32(3 + i), 1, int32(i % 5)}
		prompts = append(prompts, generate.Prompt{IDs: ids[:1+i%3], Number: i, Adapter: s})
	}
	for _, c := range []struct{ n, beams int }{{8, 1}, {len(prompts), 1}, {len(prompts), 3}} { // FewRows in the first
		n, cfg := c.n, generate.Defaults()
		cfg.MaxNewTokens, cfg.NumReturnSequences, cfg.NumBeams = 6, 1, c.beams
		together, err := g.Generate(context.Background(), prompts[:n], cfg)
		if err != nil {
			t.Fatal(err)
		}
		distinct := map[string]bool{}
		for i, p := range prompts[:n] {
			distinct[fmt.Sprint(together[i].IDs)] = true
			same := make([]generate.Prompt, n) // as many, so that both sum in the same order
			for k := range same {
				same[k] = p
			}
			alone, err := g.Generate(context.Background(), same, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(together[i].IDs, alone[0].IDs) || together[i].Score != alone[0].Score {
				t.Errorf("%s, %d prompts, %d beams, prompt %d: got %v %v, alone %v %v", name, n, c.beams, i, together[i].IDs,
					together[i].Score, alone[0].IDs, alone[0].Score)
			}
		}
		if len(distinct) < n/2 {
			t.Errorf("%s: %d prompts with adapters of their own have %d continuations", name, n, len(distinct))
		}
	}
}
