// Storyteller is a notebook in a program: a small language model that has read Shakespeare learns to write as people
// write to their bank, with a LoRA adapter (Hu et al. 2021, arXiv:2106.09685). Each cell prints what it does.
//
//	go run ./examples/storyteller
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/train"
)

func main() {
	log.SetFlags(0)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// beginnings are what the model continues, before and after training.
var beginnings = []string{"How do I", "My card", "Why"}

func notebook(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "storyteller-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	adapter, merged := filepath.Join(dir, "adapter"), filepath.Join(dir, "merged")
	b, err := base.FromFiles(embedded.GPTName, embedded.GPT()) // base.Open("directory or file.gguf") for your own
	if err != nil {
		return err
	}
	defer b.Close()
	trainCSV, testCSV := embedded.Banking77()
	columns := document.Options{Format: data.CSV, TextColumn: "text"}
	questions, err := document.ReadBytes(trainCSV, "banking77 train", columns)
	if err != nil {
		return err
	}
	others, err := document.ReadBytes(testCSV, "banking77 test", columns)
	if err != nil {
		return err
	}
	others = others.Limit(500)

	cell(1, "Load a pretrained language model and let it continue a few words.\n"+
		"Perplexity is how many tokens it hesitates between, here in questions to a bank.")
	if _, err := continueAll(ctx, others, "", spalora.WithOpenedBase(b)); err != nil {
		return err
	}
	if err := finetune(ctx, questions, adapter); err != nil {
		return err
	}
	cell(6, "Open the adapter on the base model: the same words and the same questions again.")
	attached, err := continueAll(ctx, others, adapter, spalora.WithOpenedBase(b))
	if err != nil {
		return err
	}
	cell(7, "Merge: add (α/r)·B·A to the weights once. The result is a model like any other and needs no adapter.")
	if err := merge(ctx, b, adapter, merged); err != nil {
		return err
	}
	again, err := continueAll(ctx, others, merged)
	if err != nil {
		return err
	}
	same := 0
	for i := range attached {
		if again[i].Text == attached[i].Text {
			same++
		}
	}
	fmt.Printf("%d of %d texts are the same as before\n", same, len(attached))
	return nil
}

// finetune trains an adapter on questions for one epoch and writes it to dir.
func finetune(ctx context.Context, questions *document.File, dir string) error {
	run := &spalora.CausalLM{Train: questions}
	run.Model, run.ModelFiles = embedded.GPTName, embedded.GPT() // run.Model = "directory or file.gguf" for your own
	// Windows of 128 tokens over all questions, one after another with the token that ends a text between them.
	run.BlockSize = new(128)
	run.TargetModules = []string{"all-linear"}
	run.BatchSize, run.LearningRate, run.WarmupRatio = 4, new(1e-2), new(0.1)
	run.OutputDir = dir
	run.Logger = zerolog.New(zerolog.ConsoleWriter{
		Out: os.Stdout, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName, zerolog.LevelFieldName},
	})
	run.OnModel = func(bare, adapted string) {
		cell(2, "Print its modules. TargetModules takes their names.")
		fmt.Println(bare)
		cell(3, "Attach: W′ = W + (α/r)·B·A for every linear layer. W is frozen, stored in float16;\n"+
			"lora_A and lora_B train.")
		fmt.Println(adapted)
	}
	run.OnStart = func(train.Plan) {
		cell(4, "Train on questions to a bank, one epoch.")
	}
	run.OnStep = func(s train.StepInfo) {
		if s.Step%50 == 0 || s.Step == s.Steps {
			fmt.Printf("step %3d/%d  loss %.3f  perplexity %6.1f  %.0f tokens/s\n",
				s.Step, s.Steps, s.Loss, math.Exp(s.Loss), s.TokensPerSecond)
		}
	}
	if _, err := spalora.Finetune(ctx, run); err != nil {
		return err
	}

	cell(5, "Look at what was written. PEFT reads the first two files.")
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

// continueAll opens a model, prints the texts that it generates after the beginnings and its scores on questions, and
// returns the texts. The same seed draws the same tokens from the same probabilities.
func continueAll(
	ctx context.Context, questions *document.File, dir string, options ...spalora.Option,
) ([]spalora.Generated, error) {
	settings := &causallm.Settings{Generation: generation.Settings{
		MaxNewTokens: 32, Temperature: new(0.8), TopP: new(0.95), Seed: new(uint64(42)),
	}}
	m, err := spalora.Open(dir, append(options, spalora.WithSettings(settings))...)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	list, err := m.GenerateAll(ctx, spalora.Texts(beginnings...))
	if err != nil {
		return nil, err
	}
	for i, g := range list {
		fmt.Printf("%s │%s\n", beginnings[i], strings.ReplaceAll(strings.TrimRight(g.Text, "\n"), "\n", " / "))
	}
	p, err := spalora.Predictor[*causallm.Opened](m)
	if err != nil {
		return nil, err
	}
	scorer, err := p.Scorer(128)
	if err != nil {
		return nil, err
	}
	defer scorer.Close()
	if err := scorer.Add(ctx, batch.Test, questions); err != nil {
		return nil, err
	}
	scores, err := scorer.Evaluate(ctx, batch.Test)
	perplexity, _ := scores.Get("perplexity")
	fmt.Printf("\nperplexity of %d questions: %.1f\n", questions.Len(), perplexity.Value)
	return list, err
}

// merge merges the adapter into the base and writes a whole model to dir.
func merge(ctx context.Context, b *base.Base, adapter, dir string) error {
	pool := op.NewPool(0)
	defer pool.Close()
	m, err := causallm.Kind.Merge(tasks.Opening{
		Opening: base.Opening{Base: b, Adapter: base.Adapter{Dir: adapter}, Pool: pool},
	})
	if err != nil {
		return err
	}
	_, err = m.Merge(ctx, dir, tasks.MergeOptions{DType: safetensors.F32}, pool)
	return err
}

func cell(n int, what string) { fmt.Printf("\n── %d ── %s\n\n", n, what) }
