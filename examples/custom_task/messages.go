package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// open returns the embedded encoder, and the messages of RESTAURANTS-8K with their numbers of details.
func open(ctx context.Context) (models.Encoder, *messages) {
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	check(err)
	tok, err := tokenize.Load(src.File)
	check(err)
	encoder, _, err := models.OpenEncoder(src, 42)
	check(err)
	trainJSON, testJSON := embedded.Restaurant8k()
	list := &messages{sets: map[batch.Split]batch.Set{}, pool: op.NewPool(0)}
	for split, content := range map[batch.Split][]byte{batch.Train: trainJSON, batch.Test: testJSON} {
		table, err := tagged.ReadBytes(content, embedded.Restaurant8kName, tagged.Options{Format: data.JSONLines})
		check(err)
		var inputs []tokenize.Input
		var answers []float32
		for e := range table.Values() {
			details := map[string]bool{}
			for _, x := range tagged.Entities(e.Tags) {
				details[x.Type] = true
			}
			inputs = append(inputs, tokenize.Input{Text: e.Text})
			answers = append(answers, yes(len(details) > 0), yes(len(details) > 1))
		}
		list.sets[split], err = tasks.EncodeTexts(ctx, encoder, tok, inputs, tasks.Targets{Values: answers}, list.pool)
		check(err)
	}
	return encoder, list
}

func yes(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// messages are the examples of a counter, and its scores.
type messages struct {
	sets    map[batch.Split]batch.Set
	pool    *op.Pool
	adapter *lora.Set
}

// Set returns the messages of a split, or nil.
func (m *messages) Set(s batch.Split) batch.Set { return m.sets[s] }

// score returns the share of messages whose number of details (0, 1, 2 for more) is right, and the mean absolute error.
func (m *messages) score(
	ctx context.Context, s batch.Split, logits func(*nn.Pass, *batch.Batch) mat.Tensor,
) (train.Metrics, error) {
	right, off, n := 0, 0, m.sets[s].Len()
	err := tasks.Infer(ctx, m.sets[s], m.pool, m.adapter, logits, func(b *batch.Batch, y mat.Tensor) {
		x := op.Values(y)
		for i := 0; i < len(x); i += 2 {
			is, want := above(x[i:i+2], 0), above(b.Values[i:i+2], 0.5)
			if is == want {
				right++
			}
			off += max(is-want, want-is)
		}
	})
	return train.Metrics{Main: "accuracy", Values: []train.Metric{
		{Name: "accuracy", Value: float64(right) / float64(n)},
		{Name: "mean_absolute_error", Value: float64(off) / float64(n), LowerIsBetter: true},
	}}, err
}

// above counts the values above a limit.
func above(values []float32, limit float32) int {
	n := 0
	for _, x := range values {
		if x > limit {
			n++
		}
	}
	return n
}

// finish scores the test messages and writes the adapter with the head into a temporary directory.
func finish(ctx context.Context, c *counter, report train.Report, set *lora.Set) error {
	score, err := c.Evaluate(ctx, batch.Test)
	if err != nil {
		return err
	}
	fmt.Printf("%d steps, mean loss %.3f; test: accuracy %.3f, off by %.3f\n",
		report.Steps, report.TrainLoss, score.Values[0].Value, score.Values[1].Value)
	dir, err := os.MkdirTemp("", "custom-task-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := set.Save(dir); err != nil {
		return err
	}
	config, err := os.ReadFile(dir + "/adapter_config.json")
	fmt.Printf("saved; PEFT reads this configuration:\n%s\n", config)
	return err
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
