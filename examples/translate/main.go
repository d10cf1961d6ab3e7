// Translate is a notebook in a program: a small T5 that translates short English sentences into Swedish learns longer
// ones with a LoRA adapter (Hu et al. 2021, arXiv:2106.09685). Each cell prints what it does.
//
//	go run ./examples/translate
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/train"
)

func main() {
	log.SetFlags(0)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// prefix tells the base model what to do, as T5 is told.
const prefix = "Swedish: "

// sentences are translated before and after training.
var sentences = []string{
	"I don't know.", "Do you know what time the train leaves?", "She has been waiting here for more than an hour.",
}

func notebook(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "translate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	adapter, merged := filepath.Join(dir, "adapter"), filepath.Join(dir, "merged")
	b, err := base.FromFiles(embedded.T5Name, embedded.T5()) // base.Open("directory") for your own
	if err != nil {
		return err
	}
	defer b.Close()
	trainTSV, testTSV := embedded.Tatoeba()
	// Columns en and sv; quotes are part of the sentences. Other data: JSON Lines with source and target, CSV, or a file
	// for each language.
	columns := pair.Options{Format: data.TSV, NoQuotes: true, SourceLang: "en", TargetLang: "sv"}
	pairs, err := pair.ReadBytes(trainTSV, "tatoeba train", columns)
	if err != nil {
		return err
	}
	columns.GroupSources = true // a sentence with several translations is one row
	others, err := pair.ReadBytes(testTSV, "tatoeba test", columns)
	if err != nil {
		return err
	}

	cell(1, "Load a pretrained encoder–decoder and let it translate. BLEU and chrF compare what it writes for other\n"+
		"sentences with the translations of people.")
	if _, err := translate(ctx, others, "", spalora.WithOpenedBase(b)); err != nil {
		return err
	}
	if err := finetune(ctx, pairs, adapter); err != nil {
		return err
	}
	cell(5, "Open the adapter on the base model: the same sentences again.")
	attached, err := translate(ctx, others, adapter, spalora.WithOpenedBase(b))
	if err != nil {
		return err
	}
	cell(6, "Merge: add (α/r)·B·A to the weights once. The result is a model like any other and needs no adapter.")
	if err := merge(ctx, b, adapter, merged); err != nil {
		return err
	}
	again, err := translate(ctx, others, merged)
	if err != nil {
		return err
	}
	same := 0
	for i := range attached {
		if again[i].Text == attached[i].Text {
			same++
		}
	}
	fmt.Printf("%d of %d translations are the same as before\n", same, len(attached))
	return nil
}

// finetune trains an adapter on pairs of sentences and writes it to dir.
func finetune(ctx context.Context, pairs *pair.File, dir string) error {
	run := &spalora.Translation{}
	run.Train = pairs
	run.Model, run.ModelFiles = embedded.T5Name, embedded.T5() // run.Model = "directory" for your own
	run.SourcePrefix = new(prefix)                             // the adapter remembers it
	run.TargetModules = []string{"all-linear"}
	run.LoraR, run.LoraAlpha = 16, new(32.0)
	run.TokensPerBatch, run.NumTrainEpochs, run.LearningRate, run.WarmupRatio = 1024, 4, new(2e-3), new(0.1)
	run.OutputDir = dir
	run.Logger = zerolog.New(zerolog.ConsoleWriter{
		Out: os.Stdout, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName, zerolog.LevelFieldName},
	})
	run.OnModel = func(_, adapted string) {
		cell(2, "Attach: W′ = W + (α/r)·B·A for every linear layer of encoder and decoder. W is frozen;\n"+
			"lora_A and lora_B train.")
		fmt.Println(adapted)
	}
	run.OnStart = func(train.Plan) { cell(3, "Train. A batch has 1,024 tokens, those of both languages counted.") }
	run.OnStep = func(s train.StepInfo) {
		if s.Step%25 == 0 || s.Step == s.Steps {
			fmt.Printf("step %3d/%d  loss %.3f  %.0f tokens/s\n", s.Step, s.Steps, s.Loss, s.TokensPerSecond)
		}
	}
	if _, err := spalora.Finetune(ctx, run); err != nil {
		return err
	}

	cell(4, "Look at what was written. PEFT reads the first two files, as an adapter for SEQ_2_SEQ_LM.")
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

// translate opens a model, prints what it writes for the sentences and its scores on pairs, and returns the
// translations of the pairs.
func translate(
	ctx context.Context, pairs *pair.File, dir string, options ...spalora.Option,
) ([]spalora.Generated, error) {
	settings := &seq2seq.Settings{Generation: generation.Settings{NumBeams: 4, MaxNewTokens: 48}}
	settings.SourcePrefix = new(prefix)
	m, err := spalora.Open(dir, append(options, spalora.WithSettings(settings), spalora.WithTask("translation"))...)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	list, err := m.TranslateAll(ctx, spalora.Texts(sentences...))
	if err != nil {
		return nil, err
	}
	for i, g := range list {
		fmt.Printf("%s → %s\n", sentences[i], g.Text)
	}
	var sources []string
	for p := range pairs.Values() {
		sources = append(sources, p.Source)
	}
	if list, err = m.TranslateAll(ctx, spalora.Texts(sources...)); err != nil {
		return nil, err
	}
	scores := seq2seq.NewMeasures(true)
	for i, p := range pairs.All() {
		scores.Add(list[i].Text, p.Targets)
	}
	fmt.Printf("\n%d other sentences:", pairs.Len())
	for _, s := range scores.Metrics(seq2seq.MainBLEU) {
		if s.Name == "bleu" || s.Name == "chrf" {
			fmt.Printf(" %s %.1f", s.Name, s.Value)
		}
	}
	fmt.Println()
	return list, nil
}

// merge merges the adapter into the base and writes a whole model to dir.
func merge(ctx context.Context, b *base.Base, adapter, dir string) error {
	pool := op.NewPool(0)
	defer pool.Close()
	m, err := seq2seq.TranslationKind.Merge(tasks.Opening{
		Opening: base.Opening{Base: b, Adapter: base.Adapter{Dir: adapter}, Pool: pool},
	})
	if err != nil {
		return err
	}
	_, err = m.Merge(ctx, dir, tasks.MergeOptions{DType: safetensors.F32}, pool)
	return err
}

func cell(n int, what string) { fmt.Printf("\n── %d ── %s\n\n", n, what) }
