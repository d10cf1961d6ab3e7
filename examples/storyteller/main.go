// Storyteller is a notebook in a program: a small language model that has read Shakespeare learns to write as people write to their
// bank, with a LoRA adapter (Hu et al. 2021, arXiv:2106.09685). Each cell prints what it does.
//
//	go run ./examples/storyteller
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
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

func main() {
	log.SetFlags(0)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// beginnings are what the model goes on with, before and after training.
var beginnings = []string{"How do I", "My card", "Why"}

func notebook(ctx context.Context) error {
	cell(1, "Load a pretrained language model and let it go on with a few words.")
	src, err := checkpoint.FromBytes(embedded.GPT()) // checkpoint.Open("directory or file.gguf") for your own
	if err != nil {
		return err
	}
	defer src.Close()
	tok, err := tokenize.Load(src.File)
	if err != nil {
		return err
	}
	model, report, err := models.OpenCausalLM(src)
	if err != nil {
		return err
	}
	fmt.Println(report)
	pool := op.NewPool(0)
	defer pool.Close()
	teller := &storyteller{tok: tok, pool: pool}
	if _, err := teller.tell(ctx, model, nil); err != nil {
		return err
	}

	cell(2, "Print its modules. Their names are what target_modules may say.")
	fmt.Println(model)

	cell(3, "Attach: W′ = W + (α/r)·B·A for every linear layer. W is frozen, stored in float16; A and B train.")
	config := lora.DefaultConfig()
	config.Alpha, config.TaskType = 16, lora.CausalLM
	config.TargetModules, config.BaseModel = lora.Names(lora.AllLinear), embedded.GPTName
	set, err := lora.Attach(model, config, 42)
	if err != nil {
		return err
	}
	fmt.Println(set.Tree(model))
	fmt.Println(set.Summary(model))

	cell(4, "Train on questions to a bank, one epoch. Perplexity is how many tokens the model hesitates between.")
	if err := teach(ctx, model, tok, set, pool); err != nil {
		return err
	}

	cell(5, "The same words again.")
	told, err := teller.tell(ctx, model, set)
	if err != nil {
		return err
	}
	return keep(ctx, src, model, set, teller, told)
}

// teach trains the adapter and scores it on other questions.
func teach(ctx context.Context, model models.CausalLM, tok *tokenize.Tokenizer, set *lora.Set, pool *op.Pool) error {
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
	// Windows of 128 tokens over all questions, one after another with the token that ends a text between them.
	task, err := causallm.NewTask(model, tok, causallm.Config{BlockSize: 128, Pool: pool, Adapter: set})
	if err != nil {
		return err
	}
	defer task.Close()
	if err := task.Add(ctx, batch.Train, questions); err != nil {
		return err
	}
	if err := task.Add(ctx, batch.Test, others.Limit(500)); err != nil {
		return err
	}
	perplexity := func(when string) error {
		scores, err := task.Evaluate(ctx, batch.Test)
		if err != nil {
			return err
		}
		value, _ := scores.Get("perplexity")
		fmt.Printf("perplexity of other questions %s training: %.1f\n", when, value.Value)
		return nil
	}
	if err := perplexity("before"); err != nil {
		return err
	}
	settings := train.Defaults()
	settings.BatchSize, settings.NumTrainEpochs, settings.LearningRate, settings.WarmupRatio = 4, 1, 1e-2, 0.1
	settings.Pool, settings.Adapter = pool, set
	settings.OnStep = func(s train.StepInfo) {
		if s.Step%50 == 0 || s.Step == s.Steps {
			fmt.Printf("step %3d/%d  loss %.3f  perplexity %6.1f  %.0f tokens/s\n", s.Step, s.Steps, s.Loss, math.Exp(s.Loss),
				s.TokensPerSecond)
		}
	}
	if _, err := train.Run(ctx, task, set.Params(), settings); err != nil {
		return err
	}
	return perplexity("after")
}

// keep is the second half: save, load into a fresh base, merge, and hear the same.
func keep(ctx context.Context, src *checkpoint.Source, model models.CausalLM, set *lora.Set, teller *storyteller,
	told []string) error {
	cell(6, "Save the adapter alone. PEFT reads these two files.")
	dir, err := os.MkdirTemp("", "storyteller-")
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

	cell(7, "Load it into a fresh base: the same text.")
	fresh, _, err := models.OpenCausalLM(src)
	if err != nil {
		return err
	}
	loaded, _, err := lora.Load(dir, fresh)
	if err != nil {
		return err
	}
	if err := teller.repeat(ctx, fresh, loaded, told); err != nil {
		return err
	}

	cell(8, "Merge: add (α/r)·B·A to the weights once. The merged model needs no adapter.")
	merged, err := lora.Merge(model, set, teller.pool)
	if err != nil {
		return err
	}
	whole, _, err := models.OpenCausalLM(src)
	if err != nil {
		return err
	}
	if err := lora.Assign(whole, merged); err != nil {
		return err
	}
	return teller.repeat(ctx, whole, nil, told)
}

// storyteller goes on with the beginnings.
type storyteller struct {
	tok  *tokenize.Tokenizer
	pool *op.Pool
}

// tell prints what the model writes, with an adapter or without (nil), and returns it. The same seed draws the same tokens from the same
// probabilities.
func (s *storyteller) tell(ctx context.Context, m models.CausalLM, set *lora.Set) ([]string, error) {
	g := generate.New(m, s.tok, s.pool)
	if set != nil {
		g.Adapter = set
	}
	c := generate.Defaults()
	c.MaxNewTokens, c.EosTokenIDs = 32, []int32{s.tok.EosID()}
	c.DoSample, c.Temperature, c.TopP, c.Seed = true, 0.8, 0.95, 42
	var list []string
	for _, text := range beginnings {
		out, err := g.Text(ctx, text, c)
		if err != nil {
			return nil, err
		}
		list = append(list, out[0].Text)
		fmt.Printf("%s │%s\n", text, strings.ReplaceAll(strings.TrimRight(out[0].Text, "\n"), "\n", " / "))
	}
	return list, nil
}

// repeat tells again and says whether it is what was told before.
func (s *storyteller) repeat(ctx context.Context, m models.CausalLM, set *lora.Set, told []string) error {
	again, err := s.tell(ctx, m, set)
	if err != nil {
		return err
	}
	same := 0
	for i := range told {
		if again[i] == told[i] {
			same++
		}
	}
	fmt.Printf("%d of %d texts are the same as before\n", same, len(told))
	return nil
}

func cell(n int, what string) { fmt.Printf("\n── %d ── %s\n\n", n, what) }
