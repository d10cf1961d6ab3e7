package bench

import (
	"fmt"
	"testing"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// BenchmarkServed compares a batch of 16 questions on 1, 2, 4, 8 and 16 adapters (r = 8 on query and value, heads of
// their own), on MiniLM with all processors.
func BenchmarkServed(b *testing.B) {
	src, err := base.FromFiles(embedded.MiniLMName, embedded.MiniLM())
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	m, _, err := models.OpenSequenceClassifier(src.Source, 77, 1)
	if err != nil {
		b.Fatal(err)
	}
	const texts = 16
	train, _ := embedded.Banking77()
	o := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
	f, err := text.ReadBytes(train, embedded.Banking77Name, o)
	if err != nil {
		b.Fatal(err)
	}
	in := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	var sets []nn.AdapterSet
	for i := range texts {
		e, err := src.Tokenizer.Encode(f.At(i*97).Text, tokenize.Options{})
		if err != nil {
			b.Fatal(err)
		}
		in.IDs, in.Types = append(in.IDs, e.IDs...), append(in.Types, e.Types...)
		in.Seqs.Starts = append(in.Seqs.Starts, len(in.IDs))
		c := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls}
		set, err := lora.Attach(m, c, uint64(i))
		if err != nil {
			b.Fatal(err)
		}
		sets = append(sets, set)
	}
	pool := op.NewPool(0)
	defer pool.Close()
	for _, adapters := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint(adapters), func(b *testing.B) {
			tape := op.NewEvalTape(pool)
			defer tape.Close()
			served := make([]nn.AdapterSet, texts)
			for i := range served {
				served[i] = sets[i*adapters/texts]
			}
			for b.Loop() {
				p := &nn.Pass{Tape: tape}
				p.Serve(served)
				m.Logits(p, in)
				tape.Reset()
			}
		})
	}
}
