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

// speechConfig is a small encoder–decoder for speech.
const speechConfig = `{"model_type":"whisper","vocab_size":40,"d_model":24,"num_mel_bins":5,"encoder_layers":2,
	"decoder_layers":3,"encoder_attention_heads":3,"decoder_attention_heads":4,"encoder_ffn_dim":36,
	"decoder_ffn_dim":30,"max_source_positions":32,"max_target_positions":20,"init_std":0.2,"dropout":0.1,
	"attention_dropout":0.1,"activation_dropout":0.1,"pad_token_id":38,"decoder_start_token_id":39}`

// seq2seqConfigs are small encoder–decoders of text of every family.
var seq2seqConfigs = map[string]string{
	"t5": `{"model_type":"t5","vocab_size":40,"d_model":24,"d_kv":6,"d_ff":36,"num_layers":3,"num_heads":3,
		"relative_attention_num_buckets":8,"relative_attention_max_distance":12}`,
	"t5 gated": `{"model_type":"t5","vocab_size":40,"d_model":24,"d_kv":8,"d_ff":36,"num_layers":2,"num_decoder_layers":3,
		"num_heads":2,"feed_forward_proj":"gated-gelu","tie_word_embeddings":false}`,
	"bart": `{"model_type":"bart","vocab_size":40,"d_model":24,"encoder_layers":2,"decoder_layers":3,
		"encoder_attention_heads":3,"decoder_attention_heads":4,"encoder_ffn_dim":36,"decoder_ffn_dim":30,
		"max_position_embeddings":48,"init_std":0.2,"attention_dropout":0.1,"activation_dropout":0.1}`,
	"mbart": `{"model_type":"mbart","vocab_size":40,"d_model":24,"encoder_layers":2,"decoder_layers":2,
		"encoder_attention_heads":3,"decoder_attention_heads":4,"encoder_ffn_dim":36,"decoder_ffn_dim":30,
		"max_position_embeddings":48,"init_std":0.2,"scale_embedding":true}`,
	"marian": `{"model_type":"marian","vocab_size":40,"d_model":24,"encoder_layers":2,"decoder_layers":2,
		"encoder_attention_heads":3,"decoder_attention_heads":4,"encoder_ffn_dim":36,"decoder_ffn_dim":30,
		"max_position_embeddings":48,"init_std":0.2,"pad_token_id":39,"decoder_start_token_id":39}`,
	"pegasus": `{"model_type":"pegasus","vocab_size":40,"d_model":24,"encoder_layers":3,"decoder_layers":2,
		"encoder_attention_heads":3,"decoder_attention_heads":4,"encoder_ffn_dim":36,"decoder_ffn_dim":30,
		"max_position_embeddings":48,"init_std":0.2,"tie_word_embeddings":false}`,
	"mt5": `{"model_type":"mt5","vocab_size":40,"d_model":24,"d_kv":8,"d_ff":36,"num_layers":2,"num_heads":2}`,
}

func eachSeq2Seq(t *testing.T, f func(t *testing.T, m models.Seq2SeqLM)) {
	for name := range seq2seqConfigs {
		t.Run(name, func(t *testing.T) { f(t, newSeq2Seq(t, name, 5)) })
	}
	t.Run("whisper", func(t *testing.T) {
		m, err := models.NewSpeechSeq2SeqLM([]byte(speechConfig), 5)
		if err != nil {
			t.Fatal(err)
		}
		f(t, m)
	})
}

func newSeq2Seq(t *testing.T, name string, seed uint64) models.Seq2SeqLM {
	t.Helper()
	m, err := models.NewSeq2SeqLM([]byte(seq2seqConfigs[name]), seed)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// pairs has sources and targets of these lengths, some labels left out. The length of sound is in pairs of frames.
func pairs(m models.Seq2SeqLM, lengths ...[2]int) *batch.Batch {
	b := causalBatch()
	b.Target = causalBatch()
	for i, n := range lengths {
		r := nn.NewRand(uint64(i), fmt.Sprint(n))
		if s, ok := m.(models.SpeechSeq2SeqLM); ok {
			for range 2 * n[0] * s.Bins() {
				b.Features = append(b.Features, float32(r.NormFloat64()))
			}
			b.Seqs.Starts = append(b.Seqs.Starts, len(b.Features)/s.Bins())
		} else {
			for range n[0] {
				b.IDs = append(b.IDs, int32(r.IntN(40)))
			}
			b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
		}
		var labels []int32
		for j := range n[1] {
			label := int32(r.IntN(40))
			if j == 1 && n[1] > 3 {
				label = batch.Ignore
			}
			labels = append(labels, label)
		}
		t := b.Target
		t.Labels, t.IDs = append(t.Labels, labels...), append(t.IDs, m.Shift(labels)...)
		t.Seqs.Starts = append(t.Seqs.Starts, len(t.IDs))
		b.Seqs.Index, t.Seqs.Index = append(b.Seqs.Index, 7*i+3), append(t.Seqs.Index, 7*i+3)
	}
	return b
}

func seq2seqLogits(m models.Seq2SeqLM, p nn.Pass, b *batch.Batch) []float32 {
	p.Tape = op.NewEvalTape(nil)
	defer p.Tape.Close()
	return slices.Clone(op.Values(m.Logits(&p, b)))
}

// TestPairsDoNotSeeEachOther: a target has the same logits, and with dropout the same masks, alone and in any batch.
func TestPairsDoNotSeeEachOther(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, m models.Seq2SeqLM) {
		b := pairs(m, [2]int{7, 3}, [2]int{1, 9}, [2]int{20, 1}, [2]int{31, 12})
		for _, p := range []nn.Pass{{}, {Train: true, Key: op.Key{Seed: 4, Step: 9}}} {
			whole := seq2seqLogits(m, p, b)
			for i := range b.Seqs.Index {
				one := part(b, i)
				one.Target = part(b.Target, i)
				near(t, fmt.Sprintf("train %v, pair %d", p.Train, i), seq2seqLogits(m, p, one),
					whole[40*b.Target.Seqs.Starts[i]:40*b.Target.Seqs.Starts[i+1]], 3e-6)
			}
		}
	})
}

// TestSeq2SeqCache: decoding targets in pieces, the first of which alone reads the encoder's rows, gives the logits of
// decoding them at once; sequences may be copied, reordered and cut in between.
func TestSeq2SeqCache(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, m models.Seq2SeqLM) {
		b := pairs(m, [2]int{9, 9}, [2]int{2, 14}, [2]int{13, 11})
		want := seq2seqLogits(m, nn.Pass{}, b)
		tape := op.NewEvalTape(nil)
		defer tape.Close()
		memory := m.Encode(&nn.Pass{Tape: tape}, b)
		cache := m.NewCache(3, 4)
		decode := func(memory *nn.Memory, of []int, from []int, counts ...int) []float32 {
			piece := causalBatch()
			for i, n := range counts {
				at := b.Target.Seqs.Starts[of[i]] + from[i]
				piece.IDs = append(piece.IDs, b.Target.IDs[at:at+n]...)
				piece.Seqs.Starts = append(piece.Seqs.Starts, len(piece.IDs))
			}
			return op.Values(m.Decode(&nn.Pass{Tape: tape, Memory: memory, Cache: cache}, piece))
		}
		check := func(what string, got []float32, of []int, from []int, counts ...int) {
			for i, n := range counts {
				at := 40 * (b.Target.Seqs.Starts[of[i]] + from[i])
				near(t, fmt.Sprintf("%s, rows %d to %d of target %d", what, from[i], from[i]+n, of[i]), got[:40*n],
					want[at:at+40*n], 5e-6)
				got = got[40*n:]
			}
		}
		all := []int{0, 1, 2}
		check("first", decode(memory, all, []int{0, 0, 0}, 1, 3, 2), all, []int{0, 0, 0}, 1, 3, 2)
		check("step", decode(nil, all, []int{1, 3, 2}, 1, 1, 1), all, []int{1, 3, 2}, 1, 1, 1)
		check("several rows", decode(nil, all, []int{2, 4, 3}, 3, 1, 2), all, []int{2, 4, 3}, 3, 1, 2)
		cache.Keep([]int{2, 0, 0, 2})
		cache.Truncate(3, 2)
		of, from := []int{2, 0, 0, 2}, []int{5, 5, 5, 2}
		check("after Keep", decode(nil, of, from, 1, 2, 1, 3), of, from, 1, 2, 1, 3)
	})
}

// seq2seqGradients returns the loss of a batch and all gradients of an adapter.
func seq2seqGradients(t *testing.T, m models.Seq2SeqLM, set *lora.Set, p nn.Pass, workers int,
	b *batch.Batch,
) []float32 {
	t.Helper()
	pool := op.NewPool(workers)
	defer pool.Close()
	p.Tape, p.Adapter, p.Train, p.Key = op.NewTape(pool), set, true, op.Key{Seed: 3, Step: 2}
	defer p.Tape.Close()
	sum, _ := m.Loss(&p, b)
	out := slices.Clone(op.Values(sum))
	if err := p.Tape.Backward(sum); err != nil {
		t.Fatal(err)
	}
	for _, q := range set.Params() {
		g := op.Grad(q.Param)
		if !slices.ContainsFunc(g, func(v float32) bool { return v != 0 }) {
			t.Errorf("%s has no gradient", q.Name)
		}
		out = append(out, g...)
		op.ZeroGrad(q.Param)
	}
	p.Tape.Reset()
	if now, _ := p.Tape.Memory(); now != 0 {
		t.Errorf("%d bytes left in the arena", now)
	}
	return out
}

func seq2seqAdapter(t *testing.T, m models.Seq2SeqLM, targets ...string) *lora.Set {
	t.Helper()
	set, err := lora.Attach(m, lora.Config{R: 2, Alpha: 5, Dropout: 0.1, TargetModules: lora.Names(targets...),
		TaskType: lora.Seq2SeqLM}, 8)
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

// adapted lists targets whose gradients go through every seam: the encoder's rows, word tables and relative positions.
func adapted(m models.Seq2SeqLM) []string {
	targets := []string{"embed_tokens"}
	nn.Walk(m, func(path string, module any) {
		if _, ok := module.(*nn.Linear); ok && !nn.IsOutputLayer(path) {
			targets = append(targets, path)
		}
		if e, ok := module.(*nn.Embedding); ok && !e.Tied() {
			targets = append(targets, path)
		}
	})
	return targets
}

// TestSeq2SeqCheckpointing: loss and gradients have the same bits with and without checkpoints, and for any number of
// workers.
func TestSeq2SeqCheckpointing(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, m models.Seq2SeqLM) {
		set := seq2seqAdapter(t, m, adapted(m)...)
		b := pairs(m, [2]int{7, 3}, [2]int{3, 9}, [2]int{20, 5}, [2]int{30, 12})
		want := seq2seqGradients(t, m, set, nn.Pass{}, 1, b)
		for _, workers := range []int{1, 2, 5} {
			for _, checkpoint := range []bool{false, true} {
				got := seq2seqGradients(t, m, set, nn.Pass{Checkpoint: checkpoint}, workers, b)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("checkpointing %v, %d workers: value %d is %g, want %g", checkpoint, workers, i, got[i], want[i])
					}
				}
			}
		}
	})
}

// TestSeq2SeqLossOfLogits: the loss is the cross-entropy of the logits, with the same gradients.
func TestSeq2SeqLossOfLogits(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, m models.Seq2SeqLM) {
		set := seq2seqAdapter(t, m, lora.AllLinear)
		b := pairs(m, [2]int{7, 3}, [2]int{20, 9}, [2]int{3, 1})
		got := seq2seqGradients(t, m, set, nn.Pass{}, 2, b)
		p := &nn.Pass{Tape: op.NewTape(nil), Adapter: set, Train: true, Key: op.Key{Seed: 3, Step: 2}}
		defer p.Tape.Close()
		sum, _ := op.CrossEntropy(p.Tape, m.Logits(p, b), b.Target.Labels, op.CrossEntropyConfig{})
		want := slices.Clone(op.Values(sum))
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

// TestSeq2SeqFullTraining: all parameters get a gradient, the shared table once for all its uses.
func TestSeq2SeqFullTraining(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, m models.Seq2SeqLM) {
		params := nn.Train(m)
		tape := op.NewTape(nil)
		defer tape.Close()
		sum, stats := m.Loss(&nn.Pass{Tape: tape, Train: true}, pairs(m, [2]int{7, 5}, [2]int{20, 3}))
		if stats.Targets != 7 {
			t.Errorf("%d targets, want 7", stats.Targets)
		}
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

// TestSharedTable: an adapter of one side's table acts on that side only, and merged the tables come apart.
func TestSharedTable(t *testing.T) {
	for name := range seq2seqConfigs {
		m := newSeq2Seq(t, name, 5)
		b := pairs(m, [2]int{5, 4}, [2]int{9, 7})
		base := seq2seqLogits(m, nn.Pass{}, b)
		for _, table := range []string{"encoder.embed_tokens", "decoder.embed_tokens", "embed_tokens", "lm_head"} {
			set := seq2seqAdapter(t, m, table)
			if got := len(set.Params()); (table == "embed_tokens") != (got == 4) {
				t.Fatalf("%s, %s: %d parameters", name, table, got)
			}
			attached := seq2seqLogits(m, nn.Pass{Adapter: set}, b)
			if slices.Equal(attached, base) {
				t.Errorf("%s, %s: the adapter does nothing", name, table)
			}
			encoder := func(p nn.Pass) []float32 {
				p.Tape = op.NewEvalTape(nil)
				defer p.Tape.Close()
				return slices.Clone(op.Values(m.Encode(&p, b).X))
			}
			same := slices.Equal(encoder(nn.Pass{}), encoder(nn.Pass{Adapter: set}))
			if same != (table == "decoder.embed_tokens" || table == "lm_head") {
				t.Errorf("%s, %s: the encoder's rows stay: %v", name, table, same)
			}
			if apart := table == "lm_head" && len(nn.TiedHeads(m)) == 0; set.Unties(m) == apart {
				t.Errorf("%s, %s: merging unties a table: %v", name, table, set.Unties(m))
			}
			merged, err := lora.Merge(m, set, nil)
			if err != nil {
				t.Fatal(err)
			}
			whole := newSeq2Seq(t, name, 6)
			if err := lora.Assign(whole, merged); err != nil {
				t.Fatal(err)
			}
			near(t, name+", "+table+" merged", seq2seqLogits(whole, nn.Pass{}, b), attached, 1e-5)
		}
	}
}
