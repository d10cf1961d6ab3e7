package seqcls_test

import (
	"context"
	"fmt"
	"log"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// The README shows the body of this example; readme_test.go checks that both are equal.
func Example() {
	ctx := context.Background()
	// README begins
	src, err := checkpoint.FromBytes(embedded.MiniLM()) // or checkpoint.Open("bert-base-uncased")
	check(err)
	tok, err := tokenize.Load(src.File)
	check(err)
	reviews := []byte("text,label\nlovely,good\nawful,bad\n")
	rows, err := text.ReadBytes(reviews, "reviews.csv", text.Options{}) // or text.Read
	check(err)
	labels, err := text.FindLabels(data.SingleLabel, data.LabelSource{}, rows)
	check(err)
	model, _, err := models.OpenSequenceClassifier(src, len(labels.Names), 42)
	check(err)
	config := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls}
	set, err := lora.Attach(model, config, 42)
	check(err)
	task, err := seqcls.NewTask(model, tok, seqcls.TaskConfig{
		Config: seqcls.Config{CoreConfig: tasks.CoreConfig{Pool: op.NewPool(0), Adapter: set}, Labels: labels},
	})
	check(err)
	check(task.Add(ctx, batch.Train, rows))
	cfg := train.Defaults()
	cfg.MaxSteps, cfg.LearningRate, cfg.Adapter = 3, 1e-3, set
	report, err := train.Run(ctx, task, set.Params(), cfg)
	check(err)
	fmt.Println(report.Steps, "steps;", set.Summary(model)) // set.Save(dir) writes what PEFT reads
	// README ends

	// Output:
	// 3 steps; trainable params: 74,498 || all params: 22,788,484 || trainable%: 0.3269
}
