package tokencls

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// The fixture of these tests is written by reference/minilm_tokens_fixtures.py.
const tokenFixture = "../../testdata/minilm_tokens"

// tokenRun is the fixture's model with its first adapter.
type tokenRun struct {
	c    tasktest.Case
	set  *lora.Set
	task *Task
}

func readTokens(t *testing.T, path string) *tagged.File {
	t.Helper()
	table, err := tagged.Read(path, tagged.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// openTokens opens the fixture's model. change may change the configuration.
func openTokens(t *testing.T, change func(*TaskConfig)) *tokenRun {
	t.Helper()
	r := &tokenRun{c: tasktest.Case{Dir: tokenFixture}}
	text, err := os.ReadFile(filepath.Join(tokenFixture, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r.c); err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.Open("../../embedded/minilm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := models.OpenTokenClassifier(src, r.c.NumLabels, 1)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	if r.set, _, err = lora.Load(filepath.Join(tokenFixture, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(tokenFixture, "adapter_init", "labels.json"))
	if err != nil {
		t.Fatal(err)
	}
	labels, err := data.DecodeLabels(content, "labels.json")
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	c := TaskConfig{Config: Config{
		CoreConfig: tasks.CoreConfig{Pool: pool, Adapter: r.set}, Labels: labels, Scheme: tagged.IOB2,
	}}
	if change != nil {
		change(&c)
	}
	if r.task, err = NewTask(m, tok, c); err != nil {
		t.Fatal(err)
	}
	return r
}

// logits returns those of the first n sequences of a set, all tokens.
func (r *tokenRun) logits(t *testing.T, s *set, n int) []float32 {
	t.Helper()
	part := tasks.NewTextSet(r.task.Net.TokenTypes() > 1)
	for i := range n {
		part.Append(s.IDs(nil, i), nil)
	}
	k := r.task.Net.Labels()
	out := make([]float32, k*part.Start(n))
	err := r.task.forward(t.Context(), part, func(seqs []int, _ *op.Tape, x mat.Tensor, _ []int, b *batch.Batch) {
		for i, q := range seqs {
			copy(out[k*part.Start(q):], op.Values(x)[k*b.Seqs.Starts[i]:k*b.Seqs.Starts[i+1]])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func int32s(list []int) []int32 {
	out := make([]int32, len(list))
	for i, v := range list {
		out[i] = int32(v)
	}
	return out
}

// TestTokensEqualPEFT repeats PEFT's training run on words, from the file to the saved adapter: ids, labels, losses,
// norms, adapter and logits.
func TestTokensEqualPEFT(t *testing.T) {
	r := openTokens(t, nil)
	for s, name := range map[batch.Split]string{batch.Train: "train.jsonl", batch.Test: "test.jsonl"} {
		if err := r.task.Add(t.Context(), s, readTokens(t, filepath.Join(tokenFixture, name))); err != nil {
			t.Fatal(err)
		}
	}
	g := golden.Open(t, filepath.Join(tokenFixture, "batches.safetensors"))
	for prefix, s := range map[string]*set{"": r.task.Splits[batch.Train], "test_": r.task.Splits[batch.Test]} {
		starts, ids := []int{0}, []int32(nil)
		for i := range s.Len() {
			ids = s.IDs(ids, i)
			starts = append(starts, s.Start(i+1))
		}
		labels := s.TokenLabels.AppendTo(nil, 0, s.TokenLabels.Len())
		if !slices.Equal(ids, int32s(g.Ints(prefix+"ids"))) || !slices.Equal(starts, g.Ints(prefix+"starts")) ||
			!slices.Equal(labels, int32s(g.Ints(prefix+"labels"))) {
			t.Fatalf("%sids or labels are not those that PEFT trained on", prefix)
		}
	}
	expected, dir := golden.Open(t, filepath.Join(tokenFixture, "expected.safetensors")), t.TempDir()
	d := tasktest.Deviations{
		Initial: golden.MaxRel(r.logits(t, r.task.Splits[batch.Train], r.c.BatchSize), expected.Float32("init.logits")),
	}
	d.Steps(r.c.Repeat(t, r.task, r.set, r.set.Params(), r.task.Pool, dir), r.c.Log)
	d.Adapter, d.Tensor = r.c.Adapter(t, dir, tasktest.None)
	test := r.task.Splits[batch.Test]
	d.Final = golden.MaxRel(r.logits(t, test, test.Len()), expected.Float32("final.logits"))
	d.Check(t, "minilm_tokens", r.c.MaxSteps)
}

// TestPipeline compares entities with those of transformers' pipeline, by all strategies: raw texts and words. The
// pipeline finds words by their tokens: words that it would divide are compared by the strategies without words only.
func TestPipeline(t *testing.T) {
	type results struct {
		Texts, Words [][][]any
	}
	var f struct {
		Texts      []string
		Words      [][]string
		Strategies map[Aggregation]results
	}
	raw, err := os.ReadFile(filepath.Join(tokenFixture, "pipeline.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Strategies) != len(Aggregations) {
		t.Fatalf("%d strategies", len(f.Strategies))
	}
	texts, words := tagged.New("texts"), tagged.New("words")
	for _, text := range f.Texts {
		texts.Append(tagged.Sentence{Text: text, Words: tagged.SplitWords(text)})
	}
	for _, list := range f.Words {
		e := tagged.Sentence{Split: true}
		for i, w := range list {
			if i > 0 {
				e.Text += " "
			}
			from := len([]rune(e.Text))
			e.Text += w
			e.Words = append(e.Words, tagged.Word{From: from, To: len([]rune(e.Text))})
		}
		words.Append(e)
	}
	r := openTokens(t, nil)
	compared := 0
	check := func(table *tagged.File, of func(results) [][][]any) {
		predictions, _, err := r.task.Predict(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		for how, want := range f.Strategies {
			for i, p := range predictions {
				if e := table.At(i); e.Split && how != AggregateNone && how != AggregateSimple &&
					slices.ContainsFunc(e.WordTexts(), func(w string) bool { return len(tagged.SplitWords(w)) > 1 }) {
					continue
				}
				have, want := r.task.Entities(table.At(i), p, how), of(want)[i]
				if len(have) != len(want) {
					t.Errorf("%s %q: %d entities %+v, the pipeline's %d: %v", how, table.At(i).Text, len(have), have, len(want), want)
					continue
				}
				for j, e := range have {
					w := want[j]
					compared++
					same := e.Type == w[0] && e.From == int(w[2].(float64)) && e.To == int(w[3].(float64)) &&
						(how != AggregateNone || e.Index == int(w[4].(float64)))
					if !same || math.Abs(e.Score-w[1].(float64)) > 2e-6 {
						t.Errorf("%s %q: entity %d is %+v, the pipeline's %v", how, table.At(i).Text, j, e, w)
					}
				}
			}
		}
	}
	check(texts, func(r results) [][][]any { return r.Texts })
	check(words, func(r results) [][][]any { return r.Words })
	if compared < 1000 {
		t.Errorf("only %d entities compared", compared)
	}
}
