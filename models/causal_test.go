package models_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// causalConfigs are small models of every kind of causal block.
var causalConfigs = map[string]string{
	"gpt2": `{"model_type":"gpt2","vocab_size":40,"n_positions":48,"n_embd":24,"n_layer":3,"n_head":3}`,
	"gpt2 untied": `{"model_type":"gpt2","vocab_size":40,"n_positions":48,"n_embd":24,"n_layer":2,"n_head":3,
		"n_inner":40,
		"tie_word_embeddings":false,"scale_attn_by_inverse_layer_idx":true,"initializer_range":0.2}`,
	"llama": `{"model_type":"llama","vocab_size":40,"max_position_embeddings":48,"hidden_size":24,
		"intermediate_size":36,"num_hidden_layers":3,
		"num_attention_heads":4,"num_key_value_heads":2,"initializer_range":0.2,"attention_dropout":0.1}`,
	"llama tied": `{"model_type":"llama","vocab_size":40,"max_position_embeddings":48,"hidden_size":24,
		"intermediate_size":36,"num_hidden_layers":2,
		"num_attention_heads":4,"num_key_value_heads":1,"head_dim":8,"tie_word_embeddings":true,"mlp_bias":true,
		"attention_bias":true,"initializer_range":0.2}`,
	"mistral": `{"model_type":"mistral","vocab_size":40,"max_position_embeddings":48,"hidden_size":24,
		"intermediate_size":36,"num_hidden_layers":2,
		"num_attention_heads":4,"num_key_value_heads":2,"sliding_window":5,"initializer_range":0.2}`,
	"qwen2": `{"model_type":"qwen2","vocab_size":40,"max_position_embeddings":48,"hidden_size":24,
		"intermediate_size":36,"num_hidden_layers":3,
		"num_attention_heads":4,"num_key_value_heads":2,"use_sliding_window":true,"sliding_window":6,
		"max_window_layers":1,"initializer_range":0.2}`,
	"qwen3": `{"model_type":"qwen3","vocab_size":40,"max_position_embeddings":48,"hidden_size":24,
		"intermediate_size":36,"num_hidden_layers":2,
		"num_attention_heads":4,"num_key_value_heads":2,"head_dim":6,"tie_word_embeddings":true,"initializer_range":0.2}`,
}

func eachCausal(t *testing.T, f func(t *testing.T, m models.CausalLM)) {
	for name, config := range causalConfigs {
		t.Run(name, func(t *testing.T) {
			m, err := models.NewCausalLM([]byte(config), 5)
			if err != nil {
				t.Fatal(err)
			}
			f(t, m)
		})
	}
}

// causalBatch has sequences of these lengths; labels are the ids that follow, some left out.
func causalBatch(lengths ...int) *batch.Batch {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for i, n := range lengths {
		r := nn.NewRand(uint64(i), fmt.Sprint(n))
		for j := range n {
			b.IDs = append(b.IDs, int32(r.IntN(40)))
			label := int32(r.IntN(40))
			if j < n/3 || j == n-1 {
				label = batch.Ignore
			}
			b.Labels = append(b.Labels, label)
		}
		b.Seqs.Index, b.Seqs.Starts = append(b.Seqs.Index, 7*i+3), append(b.Seqs.Starts, len(b.IDs))
	}
	return b
}

// part is sequence i of a batch by itself.
func part(b *batch.Batch, i int) *batch.Batch {
	lo, hi := b.Seqs.Starts[i], b.Seqs.Starts[i+1]
	one := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, hi - lo}, Index: b.Seqs.Index[i : i+1]}}
	if b.Features != nil {
		bins := len(b.Features) / b.Seqs.Rows()
		one.Features = b.Features[lo*bins : hi*bins]
	} else {
		one.IDs = b.IDs[lo:hi]
	}
	if b.Labels != nil {
		one.Labels = b.Labels[lo:hi]
	}
	return one
}

func causalLogits(m models.CausalLM, p nn.Pass, b *batch.Batch) []float32 {
	p.Tape = op.NewEvalTape(nil)
	defer p.Tape.Close()
	return append([]float32(nil), op.Values(m.Logits(&p, b))...)
}

func near(t *testing.T, what string, got, want []float32, bar float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, top := 0.0, 0.0
	for i := range got {
		worst, top = math.Max(worst, math.Abs(float64(got[i]-want[i]))), math.Max(top, math.Abs(float64(want[i])))
	}
	if !(worst <= bar*top) {
		t.Errorf("%s: off by %.2g of %.2g", what, worst, top)
	}
}

// TestSequencesDoNotSeeEachOther: a sequence has the same logits, and with dropout the same masks, alone and in any
// batch.
func TestSequencesDoNotSeeEachOther(t *testing.T) {
	eachCausal(t, func(t *testing.T, m models.CausalLM) {
		b := causalBatch(7, 1, 20, 48)
		for _, p := range []nn.Pass{{}, {Train: true, Key: op.Key{Seed: 4, Step: 9}}} {
			whole := causalLogits(m, p, b)
			for i := range b.Seqs.Index {
				near(t, fmt.Sprintf("train %v, sequence %d", p.Train, i), causalLogits(m, p, part(b, i)),
					whole[40*b.Seqs.Starts[i]:40*b.Seqs.Starts[i+1]], 2e-6)
			}
		}
	})
}

// TestCache: computing a sequence in pieces, each after what is remembered, gives the logits of computing it at once.
func TestCache(t *testing.T) {
	eachCausal(t, func(t *testing.T, m models.CausalLM) {
		b := causalBatch(9, 14, 11)
		want := causalLogits(m, nn.Pass{}, b)
		cache := m.NewCache(3, 4)
		done := []int{0, 0, 0}
		for _, step := range [][]int{{4, 9, 3}, {1, 1, 1}, {1, 1, 2}, {3, 3, 5}} {
			piece := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
			for i, n := range step {
				at := b.Seqs.Starts[i] + done[i]
				piece.IDs = append(piece.IDs, b.IDs[at:at+n]...)
				piece.Seqs.Starts = append(piece.Seqs.Starts, len(piece.IDs))
			}
			got := causalLogits(m, nn.Pass{Cache: cache}, piece)
			for i, n := range step {
				at := 40 * (b.Seqs.Starts[i] + done[i])
				near(t, fmt.Sprintf("rows %d to %d of sequence %d", done[i], done[i]+n, i),
					got[40*piece.Seqs.Starts[i]:40*piece.Seqs.Starts[i+1]], want[at:at+40*n], 3e-6)
				done[i] += n
			}
		}
		// One sequence goes on, from an earlier place.
		cache.Keep([]int{1})
		cache.Truncate(0, 6)
		tail := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, 2}}, IDs: b.IDs[b.Seqs.Starts[1]+6 : b.Seqs.Starts[1]+8]}
		near(t, "after Keep and Truncate", causalLogits(m, nn.Pass{Cache: cache}, tail),
			want[40*(b.Seqs.Starts[1]+6):40*(b.Seqs.Starts[1]+8)], 3e-6)
		// Two go on from it, without touching each other.
		cache.Keep([]int{0, 0})
		cache.Truncate(1, 7)
		fork := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, 2, 4}},
			IDs: append(slices.Clone(b.IDs[b.Seqs.Starts[1]+8:b.Seqs.Starts[1]+10]),
				b.IDs[b.Seqs.Starts[1]+7:b.Seqs.Starts[1]+9]...)}
		got := causalLogits(m, nn.Pass{Cache: cache}, fork)
		near(t, "the first of two copies", got[:80], want[40*(b.Seqs.Starts[1]+8):40*(b.Seqs.Starts[1]+10)], 3e-6)
		near(t, "the second of two copies", got[80:], want[40*(b.Seqs.Starts[1]+7):40*(b.Seqs.Starts[1]+9)], 3e-6)
		if cache.Len(0) != 10 || cache.Len(1) != 9 {
			t.Errorf("the copies have %d and %d rows", cache.Len(0), cache.Len(1))
		}
		cache.Keep([]int{0})
		cache.Truncate(0, 8)
		if cache.Len(0) != 8 || cache.Sequences() != 1 {
			t.Errorf("the cache has %d rows of %d sequences", cache.Len(0), cache.Sequences())
		}
	})
}

// lossAndGradients trains nothing: it returns the loss of a batch and all gradients of an adapter.
func lossAndGradients(t *testing.T, m models.CausalLM, set *lora.Set, p nn.Pass, workers int,
	b *batch.Batch,
) []float32 {
	t.Helper()
	pool := op.NewPool(workers)
	defer pool.Close()
	p.Tape, p.Adapter, p.Train, p.Key = op.NewTape(pool), set, true, op.Key{Seed: 3, Step: 2}
	defer p.Tape.Close()
	sum, stats := m.Loss(&p, b)
	targets := 0
	for _, l := range b.Labels {
		if l != batch.Ignore {
			targets++
		}
	}
	if stats.Targets != targets {
		t.Errorf("%d targets, want %d", stats.Targets, targets)
	}
	out := append([]float32(nil), op.Values(sum)...)
	if err := p.Tape.Backward(sum); err != nil {
		t.Fatal(err)
	}
	for _, q := range set.Params() {
		out = append(out, op.Grad(q.Param)...)
		op.ZeroGrad(q.Param)
	}
	p.Tape.Reset()
	if now, _ := p.Tape.Memory(); now != 0 {
		t.Errorf("%d bytes left in the arena", now)
	}
	return out
}

func adapter(t *testing.T, m models.CausalLM, targets lora.Targets) *lora.Set {
	t.Helper()
	set, err := lora.Attach(m, lora.Config{R: 3, Alpha: 5, Dropout: 0.1, TargetModules: targets,
		TaskType: lora.CausalLM}, 8)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range set.Params() {
		r := nn.NewRand(uint64(i), p.Name)
		for j := range op.Values(p.Param) {
			op.Values(p.Param)[j] = float32(r.NormFloat64()) * 0.2
		}
	}
	return set
}

// TestGradientCheckpointing: loss and gradients have the same bits with and without, and for any number of workers.
func TestGradientCheckpointing(t *testing.T) {
	eachCausal(t, func(t *testing.T, m models.CausalLM) {
		set := adapter(t, m, lora.Names(lora.AllLinear))
		b := causalBatch(7, 3, 20, 30)
		want := lossAndGradients(t, m, set, nn.Pass{}, 1, b)
		for _, workers := range []int{1, 2, 5} {
			for _, checkpoint := range []bool{false, true} {
				got := lossAndGradients(t, m, set, nn.Pass{Checkpoint: checkpoint}, workers, b)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("checkpointing %v, %d workers: value %d is %g, want %g", checkpoint, workers, i, got[i], want[i])
					}
				}
			}
		}
	})
}

// TestLossIsCrossEntropyOfLogits: rows that only serve as keys and values, and the chunks of the head, change nothing.
func TestLossIsCrossEntropyOfLogits(t *testing.T) {
	eachCausal(t, func(t *testing.T, m models.CausalLM) {
		set := adapter(t, m, lora.Names(lora.AllLinear))
		b := causalBatch(7, 3, 20, 30, 1)
		got := lossAndGradients(t, m, set, nn.Pass{}, 2, b)
		p := &nn.Pass{Tape: op.NewTape(nil), Adapter: set, Train: true, Key: op.Key{Seed: 3, Step: 2}}
		defer p.Tape.Close()
		sum, _ := op.CrossEntropy(p.Tape, m.Logits(p, b), b.Labels, op.CrossEntropyConfig{})
		want := append([]float32(nil), op.Values(sum)...)
		if err := p.Tape.Backward(sum); err != nil {
			t.Fatal(err)
		}
		for _, q := range set.Params() {
			want = append(want, op.Grad(q.Param)...)
			op.ZeroGrad(q.Param)
		}
		near(t, "loss", got[:1], want[:1], 1e-6)
		near(t, "gradients", got[1:], want[1:], 5e-6)
	})
}

// TestBatchWithoutTargets: a loss of nothing is 0 and has zero gradients.
func TestBatchWithoutTargets(t *testing.T) {
	eachCausal(t, func(t *testing.T, m models.CausalLM) {
		set := adapter(t, m, lora.Names(lora.AllLinear))
		b := causalBatch(5, 2)
		for i := range b.Labels {
			b.Labels[i] = batch.Ignore
		}
		for i, v := range lossAndGradients(t, m, set, nn.Pass{}, 1, b) {
			if v != 0 {
				t.Fatalf("value %d is %g", i, v)
			}
		}
	})
}

// TestTiedHead: an adapter of the table acts on the input only, one of the head on the output only; merged, both come
// apart.
func TestTiedHead(t *testing.T) {
	for name, table := range map[string]string{"gpt2": "wte", "llama tied": "embed_tokens"} {
		m, err := models.NewCausalLM([]byte(causalConfigs[name]), 5)
		if err != nil {
			t.Fatal(err)
		}
		b := causalBatch(5, 9)
		base := causalLogits(m, nn.Pass{}, b)
		for _, targets := range [][]string{{table}, {"lm_head"}, {table, "lm_head"}} {
			t.Run(fmt.Sprint(name, targets), func(t *testing.T) {
				set := adapter(t, m, lora.Names(targets...))
				attached := causalLogits(m, nn.Pass{Adapter: set}, b)
				if fmt.Sprint(attached) == fmt.Sprint(base) {
					t.Error("the adapter does nothing")
				}
				if !set.Unties(m) {
					t.Error("merging would leave the head tied")
				}
				merged, err := lora.Merge(m, set, nil)
				if err != nil {
					t.Fatal(err)
				}
				whole, err := models.NewCausalLM([]byte(causalConfigs[name]), 6)
				if err != nil {
					t.Fatal(err)
				}
				if err := lora.Assign(whole, merged); err != nil {
					t.Fatal(err)
				}
				near(t, "merged", causalLogits(whole, nn.Pass{}, b), attached, 1e-5)
			})
		}
	}
}

// TestFullTraining: all parameters get a gradient, a tied table once for both its uses.
func TestFullTraining(t *testing.T) {
	eachCausal(t, func(t *testing.T, m models.CausalLM) {
		params := nn.Train(m)
		tape := op.NewTape(nil)
		defer tape.Close()
		sum, _ := m.Loss(&nn.Pass{Tape: tape, Train: true}, causalBatch(7, 20))
		if err := tape.Backward(sum); err != nil {
			t.Fatal(err)
		}
		for _, p := range params {
			if op.Grad(p.Param) == nil {
				t.Errorf("%s has no gradient", p.Name)
			}
		}
	})
}
