package bench

import (
	"context"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tokenize"
)

// question is a text of 12 tokens with its special ones.
const question = "My new bank card still has not arrived here."

// BenchmarkDoor compares classifying one text through the front door with the bare forward of its tokens: on MiniLM
// with an adapter on query and value, one worker and two. Heap allocations are those of a call.
func BenchmarkDoor(b *testing.B) {
	for _, workers := range []int{1, 2} {
		name := map[int]string{1: "1", 2: "2"}[workers]
		b.Run("Forward/"+name, func(b *testing.B) { benchForward(b, workers) })
		b.Run("Classify/"+name, func(b *testing.B) { benchClassify(b, workers) })
	}
}

// writeAdapter writes an adapter for 77 classes and returns its directory, the model and the adapter's set.
func writeAdapter(b *testing.B) (dir string, src *base.Base, m models.SequenceClassifier, set *lora.Set) {
	b.Helper()
	src, err := base.FromFiles(embedded.MiniLMName, embedded.MiniLM())
	if err != nil {
		b.Fatal(err)
	}
	m, _, err = models.OpenSequenceClassifier(src.Source, 77, 1)
	if err != nil {
		b.Fatal(err)
	}
	c := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls}
	if set, err = lora.Attach(m, c, 1); err != nil {
		b.Fatal(err)
	}
	dir = b.TempDir()
	if err := set.Save(dir); err != nil {
		b.Fatal(err)
	}
	return dir, src, m, set
}

func benchForward(b *testing.B, workers int) {
	_, src, m, set := writeAdapter(b)
	defer src.Close()
	e, err := src.Tokenizer.Encode(question, tokenize.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if len(e.IDs) != 12 {
		b.Fatalf("%d tokens, want 12", len(e.IDs))
	}
	pool := op.NewPool(workers)
	defer pool.Close()
	tape := op.NewEvalTape(pool)
	defer tape.Close()
	text := &batch.Batch{IDs: e.IDs, Types: e.Types, Seqs: op.Seqs{Starts: []int{0, len(e.IDs)}, Index: []int{0}}}
	m.Logits(&nn.Pass{Tape: tape, Adapter: set}, text) // takes the memory that later calls use again
	tape.Reset()
	b.ReportAllocs()
	for b.Loop() {
		m.Logits(&nn.Pass{Tape: tape, Adapter: set}, text)
		tape.Reset()
	}
}

func benchClassify(b *testing.B, workers int) {
	dir, src, _, _ := writeAdapter(b)
	defer src.Close()
	m, err := spalora.Open(dir, spalora.WithOpenedBase(src), spalora.WithThreads(workers),
		spalora.WithTask(seqcls.Kind.Command))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	if _, err := m.Classify(ctx, question); err != nil { // takes the memory that later calls use again
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Classify(ctx, question); err != nil {
			b.Fatal(err)
		}
	}
}
