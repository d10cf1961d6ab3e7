// Package messages has the data and the scores of the examples with custom heads: messages to restaurants, and how many
// of their details (day, hour, guests, names) each gives: none, one, or more.
package messages

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

// Open returns the embedded encoder, and the messages of RESTAURANTS-8K with two answers for each: is the number of
// details more than 0, and is it more than 1? It ends the program if there is an error, as all functions here do.
func Open(ctx context.Context) (models.Encoder, *List) {
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	Check(err)
	tok, err := tokenize.Load(src.File)
	Check(err)
	encoder, _, err := models.OpenEncoder(src, 42)
	Check(err)
	trainJSON, testJSON := embedded.Restaurant8k()
	list := &List{sets: map[batch.Split]batch.Set{}, Pool: op.NewPool(0)}
	for split, content := range map[batch.Split][]byte{batch.Train: trainJSON, batch.Test: testJSON} {
		table, err := tagged.ReadBytes(content, embedded.Restaurant8kName, tagged.Options{Format: data.JSONLines})
		Check(err)
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
		list.sets[split], err = tasks.EncodeTexts(ctx, encoder, tok, inputs, tasks.Targets{Values: answers}, list.Pool)
		Check(err)
	}
	return encoder, list
}

func yes(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// List holds the messages by split, and scores a model on them.
type List struct {
	Pool    *op.Pool
	Adapter *lora.Set // of the model to score
	sets    map[batch.Split]batch.Set
}

// Set returns the messages of a split, or nil.
func (m *List) Set(s batch.Split) batch.Set { return m.sets[s] }

// Score returns the share of messages of a split whose number of details (0, 1, 2 for more) is right, and the mean
// absolute error. logits returns the B×2 logits of the answers.
func (m *List) Score(
	ctx context.Context, s batch.Split, logits func(*nn.Pass, *batch.Batch) (mat.Tensor, error),
) (train.Metrics, error) {
	right, off, n := 0, 0, m.sets[s].Len()
	err := tasks.Infer(ctx, m.sets[s], m.Pool, m.Adapter, logits, func(b *batch.Batch, y mat.Tensor) {
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

// Task is a train.Task for a model with two logits for each message.
type Task struct {
	*List
	Logits func(p *nn.Pass, b *batch.Batch) (mat.Tensor, error) // B×2
}

// Loss returns the summed cross-entropy of the two answers to each message, and the number of answers.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	y, err := t.Logits(p, b)
	if err != nil {
		return nil, 0, err
	}
	return op.BCEWithLogits(p.Tape, y, b.Values), float64(len(b.Values)), nil
}

// Evaluate scores the messages of a split.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	return t.Score(ctx, s, t.Logits)
}

// Train trains the adapter's parameters for an epoch, prints the scores of the test messages, writes the adapter with
// the head into a temporary directory and prints its configuration.
func (m *List) Train(ctx context.Context, t train.Task, set *lora.Set, learningRate float64) {
	cfg := train.Defaults()
	cfg.BatchSize, cfg.NumTrainEpochs, cfg.LearningRate, cfg.WarmupRatio = 32, 1, learningRate, 0.1
	cfg.Pool, cfg.Adapter, m.Adapter = m.Pool, set, set
	report, err := train.Run(ctx, t, set.Params(), cfg)
	Check(err)
	score, err := t.Evaluate(ctx, batch.Test)
	Check(err)
	fmt.Printf("%d steps, mean loss %.3f; test: accuracy %.3f, off by %.3f\n",
		report.Steps, report.TrainLoss, score.Values[0].Value, score.Values[1].Value)
	dir, err := os.MkdirTemp("", "custom-head-")
	Check(err)
	defer os.RemoveAll(dir)
	Check(set.Save(dir))
	config, err := os.ReadFile(dir + "/adapter_config.json")
	Check(err)
	fmt.Printf("saved; PEFT reads this configuration:\n%s\n", config)
}

// Check ends the program if err is not nil.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
