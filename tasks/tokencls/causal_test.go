package tokencls

import (
	"encoding/json"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// TestTokensOfCausalModels trains heads on small GPT-2 and LLaMA checkpoints through the task, and checks that only
// labelled rows in the last block give the same loss.
func TestTokensOfCausalModels(t *testing.T) {
	for _, name := range []string{"gpt2_token_cls", "llama_token_cls"} {
		t.Run(name, func(t *testing.T) {
			src, err := checkpoint.Open("../../testdata/causal_heads/" + name + "/base")
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			tok := letters(t)
			table := taggedFile(t, "Anna/B-P went/O to/O Rome/B-P today/O", "we/O saw/O it/O", "Bob/B-P ran/O", "no/O")
			labels, err := tagged.FindLabels(data.LabelSource{}, table)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := models.OpenTokenClassifier(src, len(labels.Names), 1)
			if err != nil {
				t.Fatal(err)
			}
			nn.SetDropout(m, 0)
			targets, err := models.DefaultTargets(strings.TrimSuffix(name, "_token_cls"))
			if err != nil {
				t.Fatal(err)
			}
			c := lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names(targets...), TaskType: lora.TokenCls}
			set, err := lora.Attach(m, c, 1)
			if err != nil {
				t.Fatal(err)
			}
			pool := op.NewPool(2)
			defer pool.Close()
			config := Config{CoreConfig: tasks.CoreConfig{Pool: pool, Adapter: set}, Labels: labels, Scheme: tagged.IOB2}
			task, err := NewTask(m, tok, TaskConfig{Config: config})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []batch.Split{batch.Train, batch.Test} {
				if err := task.Add(t.Context(), s, table); err != nil {
					t.Fatal(err)
				}
			}
			compareKept(t, task)
			before, err := task.Evaluate(t.Context(), batch.Test)
			if err != nil {
				t.Fatal(err)
			}
			cfg := train.Defaults()
			cfg.MaxSteps, cfg.BatchSize, cfg.LearningRate, cfg.Pool, cfg.Adapter = 40, 2, 1e-2, pool, set
			if _, err := train.Run(t.Context(), task, set.Params(), cfg); err != nil {
				t.Fatal(err)
			}
			after, err := task.Evaluate(t.Context(), batch.Test)
			if err != nil {
				t.Fatal(err)
			}
			a, _ := before.Get("loss")
			b, _ := after.Get("loss")
			if !(b.Value < 0.6*a.Value) {
				t.Errorf("loss %g before, %g after training", a.Value, b.Value)
			}
		})
	}
}

// compareKept checks that leaving rows without a label out of the last block changes no bit of the loss.
func compareKept(t *testing.T, task *Task) {
	t.Helper()
	b := tasktest.BatchOf(t, task.Splits[batch.Train], 0, 1, 2)
	loss := func(f func(p *nn.Pass) float64) float64 {
		tape := op.NewEvalTape(task.Pool)
		defer tape.Close()
		return f(&nn.Pass{Tape: tape, Adapter: task.Adapter})
	}
	kept := loss(func(p *nn.Pass) float64 {
		sum, _, err := task.Loss(p, b)
		if err != nil {
			t.Fatal(err)
		}
		return float64(op.Values(sum)[0])
	})
	all := loss(func(p *nn.Pass) float64 {
		sum, _ := task.loss(p.Tape, task.Net.Logits(p, b), nil, b)
		return float64(op.Values(sum)[0])
	})
	if math.Abs(kept-all) > 1e-6*all {
		t.Errorf("loss of the rows with labels %g, of all rows %g", kept, all)
	}
}

// letters returns a tokenizer of single letters and a blank.
func letters(t *testing.T) *tokenize.Tokenizer {
	t.Helper()
	vocab := map[string]int{"Ġ": 0}
	for _, c := range "abcdefghijklmnopqrstuvwxyzABR" {
		vocab[string(c)] = len(vocab)
	}
	text, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": []any{}, "normalizer": nil,
		"post_processor": nil, "decoder": nil, "pre_tokenizer": map[string]any{
			"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
		},
		"model": map[string]any{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []any{},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		if name != "tokenizer.json" {
			return nil, fs.ErrNotExist
		}
		return text, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
