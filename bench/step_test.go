package bench

import (
	"context"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tokenize"
)

// BenchmarkStep is the forward and backward of one batch of 32 banking77 questions on MiniLM with LoRA on query and
// value.
func BenchmarkStep(b *testing.B) {
	attention := lora.Names("query", "value")
	embeddings := lora.Names("query", "value", "word_embeddings")
	linear := lora.Names(lora.AllLinear)
	for _, c := range []struct {
		name    string
		config  lora.Config
		workers int
	}{
		{"query_value/1", lora.Config{TargetModules: attention}, 1},
		{"query_value/2", lora.Config{TargetModules: attention}, 2},
		{"embeddings_dropout/2", lora.Config{Dropout: 0.1, TargetModules: embeddings}, 2},
		{"all_linear/2", lora.Config{TargetModules: linear}, 2},
	} {
		c.config.R, c.config.Alpha, c.config.TaskType = 8, 16, lora.SeqCls
		b.Run(c.name, func(b *testing.B) { benchStep(b, c.config, c.workers) })
	}
}

func benchStep(b *testing.B, c lora.Config, workers int) {
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	tok, err := tokenize.Load(src.File)
	if err != nil {
		b.Fatal(err)
	}
	content, _ := embedded.Banking77()
	columns := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
	table, err := text.ReadBytes(content, "banking77", columns)
	if err != nil {
		b.Fatal(err)
	}
	labels, err := text.FindLabels(data.SingleLabel, data.LabelSource{}, table)
	if err != nil {
		b.Fatal(err)
	}
	m, _, err := models.OpenSequenceClassifier(src, len(labels.Names), 1)
	if err != nil {
		b.Fatal(err)
	}
	set, err := lora.Attach(m, c, 1)
	if err != nil {
		b.Fatal(err)
	}
	pool := op.NewPool(workers)
	defer pool.Close()
	task, err := seqcls.NewTask(m, tok, seqcls.TaskConfig{Config: seqcls.Config{
		CoreConfig: tasks.CoreConfig{Pool: pool, Adapter: set}, Labels: labels,
	}})
	if err != nil {
		b.Fatal(err)
	}
	if err := task.Add(context.Background(), batch.Train, table); err != nil {
		b.Fatal(err)
	}
	rows := make([]int, 32)
	for i := range rows {
		rows[i] = i * 311
	}
	first, err := task.Set(batch.Train).Batch(b.Context(), rows, op.Key{})
	if err != nil {
		b.Fatal(err)
	}
	tape := op.NewTape(pool)
	defer tape.Close()
	tokens := 0
	for b.Loop() {
		sum, _, err := task.Loss(&nn.Pass{Tape: tape, Train: true, Key: op.Key{Seed: 1}, Adapter: set}, first)
		if err != nil {
			b.Fatal(err)
		}
		if err := tape.Backward(sum); err != nil {
			b.Fatal(err)
		}
		tape.Reset()
		tokens += len(first.IDs)
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}
