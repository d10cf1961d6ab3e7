//go:build !race

// The race detector makes sync.Pool, which the products' scratch memory comes from, forget values at random.

package bert_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestHeapInSteadyState: once warm, a forward and backward puts nothing on the Go heap that grows with the number of
// tokens.
func TestHeapInSteadyState(t *testing.T) {
	c := bert.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions =
		40, 32, 2, 4, 48, 1024
	m := filled(bert.NewForSequenceClassification(c, 5), 1)
	set, err := lora.Attach(m, lora.Config{R: 4, Alpha: 8, Dropout: 0.1,
		TargetModules: lora.Names("query", "value", "dense", "word_embeddings"), TaskType: lora.SeqCls}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties sync.Pool too
	for _, workers := range []int{1, 2} {
		pool := op.NewPool(workers)
		tape := op.NewTape(pool)
		step := func(b *batch.Batch) {
			p := &nn.Pass{Tape: tape, Train: true, Key: op.Key{Seed: 1}, Adapter: set}
			loss, _ := op.CrossEntropy(tape, m.Logits(p, b), b.Labels, op.CrossEntropyConfig{})
			if err := tape.Backward(loss); err != nil {
				t.Fatal(err)
			}
			tape.Reset()
		}
		short, long := sized(6, 50), sized(6, 400)
		heap := func(b *batch.Batch) uint64 {
			least := ^uint64(0) // others than the step may allocate now and then
			for range 8 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				step(b)
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
			return least
		}
		step(long)
		step(long)
		a, b := heap(short), heap(long)
		t.Logf("%d workers: %d bytes for 300 tokens, %d for 2400", workers, a, b)
		if b > a+1024 {
			t.Errorf("%d workers: a step of 300 tokens puts %d bytes on the heap, one of 2400 tokens %d", workers, a, b)
		}
		tape.Close()
		pool.Close()
	}
}
