// Intents is a notebook in a program: it follows the LoRA article (Hu et al. 2021, arXiv:2106.09685) step by step in
// library calls, on the embedded model and questions. Each cell prints what it does.
//
//	go run ./examples/intents
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"strings"

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

func main() {
	log.SetFlags(0)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// questions are tried before and after training.
var questions = []string{
	"My card still has not arrived.", "Why was I charged a fee for a cash withdrawal?", "How do I change my PIN?",
}

func notebook(ctx context.Context) error {
	cell(1, "Load a pretrained model. Its weights stay as they are on disk (float16) and are never changed.")
	src, err := checkpoint.FromBytes(embedded.MiniLM()) // checkpoint.Open("directory") for your own
	if err != nil {
		return err
	}
	defer src.Close()
	tok, err := tokenize.Load(src.File)
	if err != nil {
		return err
	}
	trainCSV, testCSV := embedded.Banking77()
	columns := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
	questionsTrain, err := text.ReadBytes(trainCSV, "banking77 train", columns)
	if err != nil {
		return err
	}
	questionsTest, err := text.ReadBytes(testCSV, "banking77 test", columns)
	if err != nil {
		return err
	}
	labels, err := text.FindLabels(data.SingleLabel, data.LabelSource{}, questionsTrain, questionsTest)
	if err != nil {
		return err
	}
	model, report, err := models.OpenSequenceClassifier(src, len(labels.Names), 42)
	if err != nil {
		return err
	}
	fmt.Println(report)

	cell(2, "Print its modules. target_modules takes their names.")
	fmt.Println(model)

	cell(3, "Attach: W′ = W + (α/r)·B·A for every query and value projection. W is frozen; A and B train,\n"+
		"and so do the head and the pooler, which this checkpoint has never used.")
	config := lora.DefaultConfig()
	config.Alpha, config.TaskType = 16, lora.SeqCls
	config.TargetModules, config.ModulesToSave = lora.Names("query", "value"), []string{"pooler"}
	config.BaseModel = embedded.MiniLMName
	set, err := lora.Attach(model, config, 42)
	if err != nil {
		return err
	}
	fmt.Println(set.Summary(model))

	cell(4, "Print again: lora_A and lora_B are beside the frozen layers.")
	fmt.Println(set.Tree(model))

	cell(5, "Train one epoch with AdamW. B starts at zero, so the first step sees the base model.")
	pool := op.NewPool(0)
	defer pool.Close()
	task, err := seqcls.NewTask(model, tok, seqcls.TaskConfig{
		Config: seqcls.Config{Labels: labels, Pool: pool, Adapter: set},
	})
	if err != nil {
		return err
	}
	defer task.Close()
	if err := task.Add(ctx, batch.Train, questionsTrain); err != nil {
		return err
	}
	if err := task.Add(ctx, batch.Test, questionsTest); err != nil {
		return err
	}
	settings := train.Defaults()
	settings.BatchSize, settings.NumTrainEpochs, settings.LearningRate, settings.WarmupRatio = 32, 1, 3e-3, 0.1
	settings.Pool, settings.Adapter = pool, set
	settings.OnStep = func(s train.StepInfo) {
		if s.Step%50 == 0 || s.Step == s.Steps {
			fmt.Printf("step %3d/%d  loss %.3f  %.0f tokens/s\n", s.Step, s.Steps, s.Loss, s.TokensPerSecond)
		}
	}
	if _, err := train.Run(ctx, task, set.Params(), settings); err != nil {
		return err
	}
	scores, err := task.Evaluate(ctx, batch.Test)
	if err != nil {
		return err
	}
	accuracy, _ := scores.Get("accuracy")
	fmt.Printf("accuracy on %d test questions: %.1f %%\n", questionsTest.Len(), 100*accuracy.Value)

	return useAdapter(ctx, src, tok, set, labels, pool)
}

// useAdapter is the second half: save, load into a fresh base, predict, merge, compare.
func useAdapter(
	ctx context.Context, src *checkpoint.Source, tok *tokenize.Tokenizer, set *lora.Set, labels *data.Labels,
	pool *op.Pool,
) error {
	cell(6, "Save the adapter alone. PEFT reads these two files.")
	dir, err := os.MkdirTemp("", "intents-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := set.Save(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			fmt.Printf("%8d bytes  %s\n", info.Size(), e.Name())
		}
	}

	cell(7, "Load it into a fresh base and predict. Without the adapter the head is random.")
	fresh, _, err := models.OpenSequenceClassifier(src, len(labels.Names), 7)
	if err != nil {
		return err
	}
	loaded, _, err := lora.Load(dir, fresh)
	if err != nil {
		return err
	}
	o := text.Options{Format: data.PlainText, NoLabels: true}
	table, err := text.ReadBytes([]byte(strings.Join(questions, "\n")), "questions", o)
	if err != nil {
		return err
	}
	predict := func(m models.SequenceClassifier, s *lora.Set) ([]float32, error) {
		c := seqcls.Config{Labels: labels, Pool: pool}
		if s != nil {
			c.Adapter = s
		}
		p, err := seqcls.NewPredictor(m, tok, c)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		logits, _, err := p.Predict(ctx, table)
		return logits, err
	}
	base, err := predict(fresh, nil)
	if err != nil {
		return err
	}
	adapted, err := predict(fresh, loaded)
	if err != nil {
		return err
	}
	for i, q := range questions {
		k := len(labels.Names)
		before, after := tasks.Largest(base[i*k:(i+1)*k]), tasks.Largest(adapted[i*k:(i+1)*k])
		fmt.Printf("%-48s base: %-28s adapted: %s\n", q, labels.Names[before], labels.Names[after])
	}

	cell(8, "Merge: add (α/r)·B·A to the weights once, and compare. The merged model needs no adapter.")
	merged, err := lora.Merge(fresh, loaded, pool)
	if err != nil {
		return err
	}
	whole, _, err := models.OpenSequenceClassifier(src, len(labels.Names), 0)
	if err != nil {
		return err
	}
	if err := lora.Assign(whole, merged); err != nil {
		return err
	}
	logits, err := predict(whole, nil)
	if err != nil {
		return err
	}
	worst := 0.0
	for i, v := range logits {
		worst = math.Max(worst, math.Abs(float64(v-adapted[i])))
	}
	fmt.Printf("largest difference between merged and adapted logits: %.2g\n", worst)
	return nil
}

func cell(n int, what string) { fmt.Printf("\n── %d ── %s\n\n", n, what) }
