// Ner is a notebook in a program: it teaches a model to find times, dates, names and numbers of people in what guests
// say to a restaurant, step by step in library calls, on the embedded model and sentences. Each cell prints what it
// does.
//
//	go run ./examples/ner
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/tokencls"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

func main() {
	log.SetFlags(0)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// sentences are read before and after training.
var sentences = []string{
	"Hi, a table for five people at 7:30 pm tomorrow, please.",
	"This is Anna Featherstonehaugh, can I move my booking to next Friday?",
	"We'll be three adults and two kids on the 4th of July around noon.",
	"Do you have vegan dishes?",
}

func notebook(ctx context.Context) error {
	cell(1,
		"Read the data: texts with spans of characters. Each word gets a tag: B-… begins an entity, I-… continues\n"+
			"it, O is in none.")
	trainJSON, testJSON := embedded.Restaurant8k() // tagged.Read("train.conll", …) for your own
	o := tagged.Options{Format: data.JSONLines}
	examples, err := tagged.ReadBytes(trainJSON, "restaurant8k train", o)
	if err != nil {
		return err
	}
	test, err := tagged.ReadBytes(testJSON, "restaurant8k test", o)
	if err != nil {
		return err
	}
	labels, err := tagged.FindLabels(data.LabelSource{}, examples, test)
	if err != nil {
		return err
	}
	fmt.Printf("%d sentences to train on, %d to test on; tags %s\n\n",
		examples.Len(), test.Len(), strings.Join(labels.Names, " "))
	show(examples, 3)

	cell(2, "Load a pretrained model and put a fresh head on it, which gives every token a number for each tag.")
	src, err := checkpoint.FromBytes(embedded.MiniLM()) // checkpoint.Open("directory") for your own
	if err != nil {
		return err
	}
	defer src.Close()
	tok, err := tokenize.Load(src.File)
	if err != nil {
		return err
	}
	model, report, err := models.OpenTokenClassifier(src, len(labels.Names), 42)
	if err != nil {
		return err
	}
	fmt.Println(report)

	cell(3, "Words become tokens. The first token of a word has the word's tag; the others have none.")
	text := "Featherstonehaugh at 7:30"
	e, err := tok.Encode(text, tokenize.Options{Offsets: true})
	if err != nil {
		return err
	}
	for i, id := range e.IDs {
		token, _ := tok.Token(id)
		fmt.Printf("%-10s %q\n", token, text[e.Offsets[i][0]:e.Offsets[i][1]]) // ASCII: code points are bytes
	}

	cell(4, "Attach an adapter: W′ = W + (α/r)·B·A for every query and value projection. W is frozen; A, B and the\n"+
		"head train.")
	config := lora.DefaultConfig()
	config.R, config.Alpha, config.TaskType = 16, 16, lora.TokenCls
	config.TargetModules, config.BaseModel = lora.Names("query", "value"), embedded.MiniLMName
	set, err := lora.Attach(model, config, 42)
	if err != nil {
		return err
	}
	fmt.Println(set.Summary(model))

	pool := op.NewPool(0)
	defer pool.Close()
	return learn(ctx, lesson{tok, model, set, labels, pool, examples, test})
}

// lesson holds the model, the adapter and the data that the first half has opened.
type lesson struct {
	tok            *tokenize.Tokenizer
	model          models.TokenClassifier
	set            *lora.Set
	labels         *data.Labels
	pool           *op.Pool
	examples, test *tagged.File
}

// learn is the second half: train, score, find entities, save.
func learn(ctx context.Context, l lesson) error {
	cell(5, "Before training the head is random, and so is what it finds.")
	var scores *tokencls.Scores
	task, err := tokencls.NewTask(l.model, l.tok, tokencls.TaskConfig{
		Config: tokencls.Config{
			CoreConfig: tasks.CoreConfig{Pool: l.pool, Adapter: l.set}, Labels: l.labels, Scheme: tagged.IOB2,
		},
		OnScores: func(_ batch.Split, s *tokencls.Scores) { scores = s },
	})
	if err != nil {
		return err
	}
	defer task.Close()
	if err := find(ctx, task, sentences[:1]); err != nil {
		return err
	}

	cell(6, "Train three epochs with AdamW. The loss is the mean over the tokens that have a tag.")
	if err := task.Add(ctx, batch.Train, l.examples); err != nil {
		return err
	}
	if err := task.Add(ctx, batch.Test, l.test); err != nil {
		return err
	}
	settings := train.Defaults()
	settings.BatchSize, settings.NumTrainEpochs, settings.LearningRate = 16, 3, 1e-3
	settings.Pool, settings.Adapter = l.pool, l.set
	settings.OnStep = func(s train.StepInfo) {
		if s.Step%50 == 0 || s.Step == s.Steps {
			fmt.Printf("step %3d/%d  loss %.3f  %.0f tokens/s\n", s.Step, s.Steps, s.Loss, s.TokensPerSecond)
		}
	}
	if _, err := train.Run(ctx, task, l.set.Params(), settings); err != nil {
		return err
	}

	cell(7, "Score on sentences that it has never seen. An entity counts only if its type and all its words are right.\n"+
		"Accuracy flatters: most words are O.")
	if _, err := task.Evaluate(ctx, batch.Test); err != nil {
		return err
	}
	fmt.Printf("%-12s %9s %9s %9s %9s\n", "", "precision", "recall", "F1", "entities")
	for _, t := range scores.Entities.PerType {
		fmt.Printf("%-12s %9.3f %9.3f %9.3f %9d\n", t.Type, t.Precision, t.Recall, t.F1, t.Targets)
	}
	all := scores.Entities.Micro
	fmt.Printf("%-12s %9.3f %9.3f %9.3f\nall %d words: accuracy %.3f\n", "together",
		all.Precision.Value, all.Recall.Value, all.F1.Value, scores.Words, scores.Tags.Accuracy.Value)

	cell(8, "Find entities in other sentences, with the probability of each.")
	if err := find(ctx, task, sentences); err != nil {
		return err
	}
	return keep(ctx, l)
}

// keep saves the adapter and opens it again.
func keep(ctx context.Context, l lesson) error {
	cell(9, "Save the adapter, which PEFT reads, with the names of the tags. Open it on a fresh base: it finds the same.")
	dir, err := os.MkdirTemp("", "ner-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	names := filepath.Join(dir, base.LabelsName)
	if err := errors.Join(l.set.Save(dir), os.WriteFile(names, l.labels.Encode(), 0o666)); err != nil {
		return err
	}
	// spalora.WithBase("directory") for your own
	model, err := spalora.Open(dir, spalora.WithBaseFiles(embedded.MiniLMName, embedded.MiniLM()))
	if err != nil {
		return err
	}
	defer model.Close()
	found, err := model.Tag(ctx, sentences[0])
	if err != nil {
		return err
	}
	list(sentences[0], found[0])
	return nil
}

// show prints the first tagged sentences that have entities.
func show(t *tagged.File, n int) {
	for e := range t.Values() {
		if n == 0 {
			return
		}
		if len(tagged.Entities(e.Tags)) == 0 {
			continue
		}
		n--
		for i, word := range e.WordTexts() {
			fmt.Printf("%s/%s ", word, e.Tags[i])
		}
		fmt.Println()
	}
}

// find prints the entities of texts.
func find(ctx context.Context, task *tokencls.Task, texts []string) error {
	found, err := task.Tag(ctx, texts, tokencls.AggregateFirst)
	if err != nil {
		return err
	}
	for i, text := range texts {
		list(text, found[i])
	}
	return nil
}

// list prints a text with its entities.
func list(text string, entities []tokencls.Entity) {
	fmt.Println(text)
	for _, e := range entities {
		fmt.Printf("    %-12s %5.1f %%  %s\n", e.Type, 100*e.Score, e.Text)
	}
}

func cell(n int, what string) { fmt.Printf("\n── %d ── %s\n\n", n, what) }
