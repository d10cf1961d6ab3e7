// Intents is a notebook in a program: it follows the LoRA article (Hu et al. 2021, arXiv:2106.09685) step by step, on
// the embedded model and questions. Each cell prints what it does.
//
//	go run ./examples/intents
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/train"
)

func main() {
	log.SetFlags(0)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// questions are classified after training.
var questions = []string{
	"My card still has not arrived.", "Why was I charged a fee for a cash withdrawal?", "How do I change my PIN?",
}

func notebook(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "intents-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	adapter, merged := filepath.Join(dir, "adapter"), filepath.Join(dir, "merged")
	if err := finetune(ctx, adapter); err != nil {
		return err
	}
	b, err := base.FromFiles(embedded.MiniLMName, embedded.MiniLM()) // base.Open("directory") for your own
	if err != nil {
		return err
	}
	defer b.Close()
	cell(7, "Open the adapter on the base model and classify.")
	adapted, err := classify(ctx, adapter, spalora.WithOpenedBase(b))
	if err != nil {
		return err
	}
	cell(8, "Merge: add (α/r)·B·A to the weights once. The result is a model like any other and needs no adapter.")
	if err := merge(ctx, b, adapter, merged); err != nil {
		return err
	}
	whole, err := classify(ctx, merged)
	if err != nil {
		return err
	}
	worst := 0.0
	for i, c := range whole {
		for k, v := range c.Logits {
			worst = math.Max(worst, math.Abs(float64(v-adapted[i].Logits[k])))
		}
	}
	fmt.Printf("largest difference between merged and adapted logits: %.2g\n", worst)
	return nil
}

// finetune trains an adapter and writes it to dir.
func finetune(ctx context.Context, dir string) error {
	cell(1, "Read the data: questions to a bank, each with one of 77 intents.")
	trainCSV, testCSV := embedded.Banking77() // text.Read("file", …) for your own
	columns := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
	run := &spalora.SeqCls{}
	var err error
	if run.Train, err = text.ReadBytes(trainCSV, "banking77 train", columns); err != nil {
		return err
	}
	if run.Test, err = text.ReadBytes(testCSV, "banking77 test", columns); err != nil {
		return err
	}
	for i := range 3 {
		e := run.Train.At(i)
		fmt.Printf("%-70q %s\n", e.Text, e.Label)
	}

	cell(2, "Load a pretrained model. Its weights stay as they are on disk (float16) and are never changed.")
	run.Model, run.ModelFiles = embedded.MiniLMName, embedded.MiniLM() // run.Model = "directory" for your own
	run.TargetModules, run.ModulesToSave = []string{"query", "value"}, []string{"pooler"}
	run.BatchSize, run.NumTrainEpochs = 32, 1
	run.LearningRate, run.WarmupRatio = new(3e-3), new(0.1)
	run.OutputDir = dir
	run.Logger = zerolog.New(zerolog.ConsoleWriter{
		Out: os.Stdout, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName, zerolog.LevelFieldName},
	})
	run.OnModel = func(bare, adapted string) {
		cell(3, "Print its modules. TargetModules takes their names.")
		fmt.Println(bare)
		cell(4, "Attach: W′ = W + (α/r)·B·A for every query and value projection. W is frozen;\n"+
			"lora_A and lora_B train, and so do the head and the pooler, which this checkpoint has never used.")
		fmt.Println(adapted)
	}
	run.OnStart = func(train.Plan) {
		cell(5, "Train one epoch with AdamW. B starts at zero, so the first step sees the base model.")
	}
	run.OnStep = func(s train.StepInfo) {
		if s.Step%50 == 0 || s.Step == s.Steps {
			fmt.Printf("step %3d/%d  loss %.3f  %.0f tokens/s\n", s.Step, s.Steps, s.Loss, s.TokensPerSecond)
		}
	}
	results, err := spalora.Finetune(ctx, run)
	if err != nil {
		return err
	}
	accuracy, _ := results.Test.Get("accuracy")
	fmt.Printf("accuracy on %d test questions: %.1f %%\n", results.TestRows, 100*accuracy.Value)

	cell(6, "Look at what was written. PEFT reads the first two files.")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !e.IsDir() {
			fmt.Printf("%8d bytes  %s\n", info.Size(), e.Name())
		}
	}
	return nil
}

// classify opens an adapter or a model and prints the class of each question.
func classify(ctx context.Context, dir string, options ...spalora.Option) ([]spalora.Class, error) {
	m, err := spalora.Open(dir, options...)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	classes, err := m.ClassifyAll(ctx, spalora.Texts(questions...))
	for i, c := range classes {
		fmt.Printf("%-48s %-28s %5.1f %%\n", questions[i], c.Label, 100*c.Score)
	}
	return classes, err
}

// merge merges the adapter into the base and writes a whole model to dir.
func merge(ctx context.Context, b *base.Base, adapter, dir string) error {
	pool := op.NewPool(0)
	defer pool.Close()
	m, err := seqcls.Kind.Merge(tasks.Opening{
		Opening: base.Opening{Base: b, Adapter: base.Adapter{Dir: adapter}, Pool: pool},
	})
	if err != nil {
		return err
	}
	_, err = m.Merge(ctx, dir, tasks.MergeOptions{DType: safetensors.F32}, pool)
	return err
}

func cell(n int, what string) { fmt.Printf("\n── %d ── %s\n\n", n, what) }
