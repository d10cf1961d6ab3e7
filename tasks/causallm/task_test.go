package causallm

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

func causalFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join("testdata", "causal", name))
}

// tinyGPT is a GPT-2 of random weights for the tokenizer of testdata/causal.
const tinyGPT = `{"model_type":"gpt2","vocab_size":360,"n_positions":64,"n_embd":24,"n_layer":2,"n_head":2,
	"initializer_range":0.3}`

// tinyLlama is a LLaMA of random weights for the tokenizer of testdata/causal, with two query heads to a key head.
const tinyLlama = `{"model_type":"llama","vocab_size":368,"max_position_embeddings":64,"hidden_size":24,
	"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"initializer_range":0.3}`

func causalTokenizer(t *testing.T) *tokenize.Tokenizer {
	t.Helper()
	tok, err := tokenize.Load(causalFile)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// newCausal returns a task on a fresh model of this configuration.
func newCausal(t *testing.T, config string, c Config) *Task {
	t.Helper()
	m, err := models.NewCausalLM([]byte(config), 7)
	if err != nil {
		t.Fatal(err)
	}
	if c.Template == nil {
		if c.Template, err = chat.Load(causalFile); err != nil {
			t.Fatal(err)
		}
	}
	c.Pool = op.NewPool(2)
	t.Cleanup(c.Pool.Close)
	task, err := NewTask(m, causalTokenizer(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func textDocuments(texts ...string) *document.File {
	d := document.New("texts", document.Text)
	for i, s := range texts {
		d.Append(document.Document{Text: s, Line: i + 1})
	}
	return d
}

func promptDocuments(pairs ...[2]string) *document.File {
	d := document.New("prompts", document.Prompt)
	for i, p := range pairs {
		d.Append(document.Document{Prompt: p[0], Completion: p[1], Line: i + 1})
	}
	return d
}

func TestTooLong(t *testing.T) {
	docs := promptDocuments([2]string{strings.Repeat("mill ", 20), "far"}, [2]string{"a", strings.Repeat("river ", 20)},
		[2]string{"a", "b"})
	task := newCausal(t, tinyGPT, Config{CoreConfig: tasks.CoreConfig{MaxLength: 10}})
	if err := task.Add(t.Context(), batch.Train, docs); err != nil {
		t.Fatal(err)
	}
	c := task.Counts(batch.Train)
	if c.Documents != 3 || c.Sequences != 2 || c.Cut != 2 || c.Lost == 0 || c.Unlearned != 1 || c.UnlearnedLine != 1 ||
		task.Limit() != 10 || task.Set(batch.Train).Tokens(0) != 10 {
		t.Errorf("counts %+v", c)
	}
	var e *data.Error
	err := task.Add(t.Context(), batch.Eval, document.New("p.jsonl", document.Prompt, docs.At(0)))
	if !errors.As(err, &e) || !strings.Contains(err.Error(),
		"p.jsonl: none of 1 documents has a token to learn; 1 were cut to 10 tokens") || task.Set(batch.Eval) != nil {
		t.Errorf("got %v", err)
	}
	strict := newCausal(t, tinyGPT, Config{CoreConfig: tasks.CoreConfig{MaxLength: 10}, OnTooLong: RefuseTooLong})
	if err := strict.Add(t.Context(), batch.Train, docs); !errors.As(err, &e) || e.Line != 1 ||
		!strings.Contains(err.Error(), "more than the limit of 10") {
		t.Errorf("got %v", err)
	}
	_, err = strict.Logits(t.Context(), docs, func(int, []int32, []float32) error { return nil })
	if !errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
	if n := newCausal(t, tinyGPT, Config{}).Limit(); n != 64 {
		t.Errorf("the limit is %d, the model has 64 positions", n)
	}
}

func TestCausalErrors(t *testing.T) {
	pool := op.NewPool(1)
	defer pool.Close()
	m, err := models.NewCausalLM([]byte(tinyGPT), 1)
	if err != nil {
		t.Fatal(err)
	}
	tok := causalTokenizer(t)
	for want, c := range map[string]Config{
		"`max_length` is 65":                              {CoreConfig: tasks.CoreConfig{MaxLength: 65}},
		"`max_length` is 1;":                              {CoreConfig: tasks.CoreConfig{MaxLength: 1}},
		"`block_size` is 1;":                              {BlockSize: 1},
		"`block_size` is 65":                              {BlockSize: 65},
		"2 to 10, the longest":                            {CoreConfig: tasks.CoreConfig{MaxLength: 10}, BlockSize: 11},
		"unknown value 5 for documents that are too long": {OnTooLong: 5},
		"`block_size` is -1":                              {CoreConfig: tasks.CoreConfig{MaxLength: -1}, BlockSize: -1},
	} {
		c.Pool = pool
		if _, err := NewTask(m, tok, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	small, err := models.NewCausalLM([]byte(strings.Replace(tinyGPT, "360", "300", 1)), 1)
	if err != nil {
		t.Fatal(err)
	}
	few, err := NewTask(small, tok, Config{CoreConfig: tasks.CoreConfig{Pool: pool}})
	if err != nil {
		t.Fatal(err)
	}
	last, _ := tok.Token(int32(tok.VocabSize() - 1)) // the model has no word embedding for it
	texts := document.New("t.txt", document.Text, document.Document{Text: "a" + last, Line: 7})
	if err := few.Add(t.Context(), batch.Train, texts); err == nil || !strings.Contains(err.Error(), "t.txt:7") ||
		!strings.Contains(err.Error(), "give a model with its own tokenizer") {
		t.Errorf("got %v", err)
	}
	message := document.Message{Role: "user", Content: "a"}
	chats := document.New("c", document.Chat, document.Document{Messages: []document.Message{message}, Line: 4})
	task, err := NewTask(m, tok, Config{CoreConfig: tasks.CoreConfig{Pool: pool}})
	if err != nil {
		t.Fatal(err)
	}
	if err := task.Add(t.Context(), batch.Train, chats); !errors.Is(err, chat.ErrNoTemplate) {
		t.Errorf("got %v", err)
	}
	if err := newCausal(t, tinyGPT, Config{}).Add(t.Context(), batch.Train, chats); err == nil ||
		!strings.Contains(err.Error(), "has a token to learn") {
		t.Errorf("got %v", err)
	}
	if err := newCausal(t, tinyGPT, Config{BlockSize: 8}).Add(t.Context(), batch.Train,
		promptDocuments([2]string{"a", "b"})); err == nil || !strings.Contains(err.Error(), "set it to 0") {
		t.Errorf("got %v", err)
	}
	refusing, err := chat.New("{{ raise_exception('no such role') }}", "t", nil)
	if err != nil {
		t.Fatal(err)
	}
	var e *data.Error
	err = newCausal(t, tinyGPT, Config{Template: refusing}).Add(t.Context(), batch.Train, chats)
	if !errors.As(err, &e) || e.Line != 4 || !strings.Contains(err.Error(), "no such role") {
		t.Errorf("got %v", err)
	}
	if _, err := task.Evaluate(t.Context(), batch.Test); err == nil {
		t.Error("a split that is not there is evaluated")
	}
	if task.Preview(batch.Test, 1) != nil || task.Counts(batch.Test) != (Counts{}) || task.Set(batch.Test) != nil {
		t.Error("a split that is not there has sequences")
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := task.Add(canceled, batch.Train, textDocuments("a b c")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// raggedRows are sequences of many lengths.
func raggedRows(t *testing.T, task *Task) *set {
	t.Helper()
	e := readExpected(t)
	texts := append(e.Texts, "mill", "The river ran", "a b c d e f g", "日本")
	if err := task.Add(t.Context(), batch.Eval, textDocuments(texts...)); err != nil {
		t.Fatal(err)
	}
	return task.Splits[batch.Eval]
}

func logitsOf(task *Task, b *batch.Batch) []float32 {
	tape := op.NewEvalTape(task.Pool)
	defer tape.Close()
	return slices.Clone(op.Values(task.Net.Logits(&nn.Pass{Tape: tape}, b)))
}

// Sequences in one batch do not see each other: what precedes or follows one changes no bit of its logits or loss, and
// alone its logits are the same.
func TestSequencesAreSeparate(t *testing.T) {
	for name, config := range map[string]string{"gpt2": tinyGPT, "llama": tinyLlama} {
		t.Run(name, func(t *testing.T) {
			task := newCausal(t, config, Config{})
			s, v := raggedRows(t, task), task.Net.Vocabulary()
			all := make([]int, s.Len())
			for i := range all {
				all[i] = i
			}
			b := tasktest.BatchOf(t, s, all...)
			together := logitsOf(task, b)
			largest := 0.0
			for _, x := range together {
				largest = math.Max(largest, math.Abs(float64(x)))
			}
			if len(all) < 6 || largest < 0.1 {
				t.Fatalf("%d sequences, logits up to %g", len(all), largest)
			}
			for _, i := range all {
				own := together[b.Seqs.Starts[i]*v : b.Seqs.Starts[i+1]*v]
				alone := logitsOf(task, tasktest.BatchOf(t, s, i))
				for n := range own {
					if d := math.Abs(float64(own[n] - alone[n])); d > 1e-6*largest {
						t.Fatalf("sequence %d, row %d: off by %g of %g when alone", i, n/v, d, largest)
					}
				}
				other := tasktest.BatchOf(t, s, all...)
				for n := range other.IDs {
					if n < b.Seqs.Starts[i] || n >= b.Seqs.Starts[i+1] {
						other.IDs[n] = (other.IDs[n] + 5) % 300
					}
				}
				if got := logitsOf(task, other); !slices.Equal(got[b.Seqs.Starts[i]*v:b.Seqs.Starts[i+1]*v], own) {
					t.Errorf("sequence %d changes with its neighbours", i)
				}
			}
		})
	}
}

// The metrics follow from the logits: mean −ln p of the next token over all sequences in one batch or many.
func TestCausalEvaluate(t *testing.T) {
	for name, config := range map[string]string{"gpt2": tinyGPT, "llama": tinyLlama} {
		for _, tokens := range []int{1, 40, 4096} {
			task := newCausal(t, config, Config{CoreConfig: tasks.CoreConfig{EvalTokens: tokens}})
			s, v := raggedRows(t, task), task.Net.Vocabulary()
			loss, correct, targets := 0.0, 0, 0
			for i := range s.Len() {
				b := tasktest.BatchOf(t, s, i)
				logits := logitsOf(task, b)
				best := tasks.ArgMax(logits, v)
				for n, y := range b.Labels {
					if y == batch.Ignore {
						continue
					}
					row := logits[n*v : (n+1)*v]
					loss += tasks.LogSumExp(row) - float64(row[y])
					targets++
					if best[n] == y {
						correct++
					}
				}
			}
			m, err := task.Evaluate(t.Context(), batch.Eval)
			if err != nil {
				t.Fatal(err)
			}
			loss /= float64(targets)
			for i, want := range []train.Metric{{Name: "loss", Value: loss, LowerIsBetter: true},
				{Name: "perplexity", Value: math.Exp(loss), LowerIsBetter: true},
				{Name: "accuracy", Value: float64(correct) / float64(targets)}} {
				got := m.Values[i]
				if got.Name != want.Name || got.LowerIsBetter != want.LowerIsBetter ||
					math.Abs(got.Value-want.Value) > 1e-5*want.Value || task.MetricNames()[i] != want.Name {
					t.Errorf("%s, %d tokens: got %+v, want %+v", name, tokens, got, want)
				}
			}
			if m.Main != "loss" || targets != task.Counts(batch.Eval).Targets {
				t.Errorf("%+v of %d targets", m, targets)
			}
		}
	}
}

// Logits are given for every document in order, those too of which there is nothing to learn.
func TestCausalLogits(t *testing.T) {
	task := newCausal(t, tinyGPT, Config{CoreConfig: tasks.CoreConfig{MaxLength: 12}, BlockSize: 8})
	e := readExpected(t)
	rows := 0
	cut, err := task.Logits(t.Context(), textDocuments(e.Texts...), func(i int, ids []int32, logits []float32) error {
		want := e.IDs[i][:min(12, len(e.IDs[i]))]
		if i != rows || !slices.Equal(ids, want) || len(logits) != len(ids)*task.Net.Vocabulary() {
			t.Errorf("document %d: %v, %d logits", i, ids, len(logits))
		}
		if len(ids) > 0 {
			b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, len(ids)}, Index: []int{0}}, IDs: ids}
			if !slices.Equal(logits, logitsOf(task, b)) {
				t.Errorf("document %d has other logits", i)
			}
		}
		rows++
		return nil
	})
	if err != nil || rows != 4 || cut != 2 {
		t.Errorf("%d documents, %d cut, %v", rows, cut, err)
	}
	stop := errors.New("stop")
	_, err = task.Logits(t.Context(), textDocuments("a"), func(int, []int32, []float32) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// A run on all three kinds of document learns them by heart; with any number of workers it gives the same bits.
func TestCausalTraining(t *testing.T) {
	chats := document.New("c", document.Chat, []document.Document{
		{Messages: []document.Message{{Role: "user", Content: "mill?"}, {Role: "assistant", Content: "river"}}, Line: 1},
		{Messages: []document.Message{{Role: "user", Content: "river?"}, {Role: "assistant", Content: "mill"}}, Line: 2},
	}...)
	for name, docs := range map[string]*document.File{
		"texts":   textDocuments("The river ran.", "Nobody knew."),
		"prompts": promptDocuments([2]string{"mill?", " river"}, [2]string{"river?", " mill"}), "chats": chats,
	} {
		t.Run(name, func(t *testing.T) {
			var first []float32
			for _, workers := range []int{1, 3} {
				losses, params := trainCausal(t, docs, workers)
				if last := losses[len(losses)-1]; !(last < losses[0]/4) {
					t.Errorf("losses %v", losses)
				}
				if first == nil {
					first = params
				} else if !reflect.DeepEqual(first, params) {
					t.Error("the number of workers changes the adapter")
				}
			}
		})
	}
}

func trainCausal(t *testing.T, docs *document.File, workers int) (losses []float64, params []float32) {
	t.Helper()
	m, err := models.NewCausalLM([]byte(tinyGPT), 7)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	adapter := lora.Config{R: 4, Alpha: 8, TargetModules: lora.Names("c_attn", "c_fc"), TaskType: lora.CausalLM}
	set, err := lora.Attach(m, adapter, 1)
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.Load(causalFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(workers)
	defer pool.Close()
	task, err := NewTask(m, causalTokenizer(t), Config{
		CoreConfig: tasks.CoreConfig{Pool: pool, Adapter: set}, Template: template,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []batch.Split{batch.Train, batch.Eval} {
		if err := task.Add(t.Context(), s, docs); err != nil {
			t.Fatal(err)
		}
	}
	c := train.Defaults()
	c.BatchSize, c.MaxSteps, c.LearningRate, c.Adapter, c.Pool, c.EvalSteps, c.WeightDecay = 2, 60, 2e-2, set, pool, 20, 0
	c.MetricForBestModel = "eval_perplexity"
	c.OnStep = func(s train.StepInfo) { losses = append(losses, s.Loss) }
	evaluations := 0
	c.OnEval = func(train.Evaluation) { evaluations++ }
	if _, err := train.Run(t.Context(), task, set.Params(), c); err != nil {
		t.Fatal(err)
	}
	if evaluations < 3 {
		t.Errorf("%d evaluations", evaluations)
	}
	for _, p := range set.Params() {
		params = append(params, op.Values(p.Param)...)
	}
	return losses, params
}
