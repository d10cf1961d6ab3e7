package embed_test

import (
	"github.com/spalora/spalora/tasks"

	"errors"
	"math"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks/embed"
)

const smallBase = "../../testdata/bert/query_value/base"

// smallEmbedding is a task on a small model of random weights.
func smallEmbedding(t *testing.T, c embed.TaskConfig) (*embed.Task, error) {
	t.Helper()
	src, tok := tasktest.Open(t, smallBase)
	m, _, err := models.OpenEncoder(src, 1)
	if err != nil {
		t.Fatal(err)
	}
	return embed.NewTask(m, tok, c)
}

func pairTable(t *testing.T, content string) *text.File {
	t.Helper()
	table, err := text.ReadBytes([]byte(content), "pairs.csv", text.Options{OptionalLabels: true})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func mustEmbedding(t *testing.T, c embed.TaskConfig) *embed.Task {
	t.Helper()
	task, err := smallEmbedding(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// The vector of a text does not depend on what else is computed with it, nor on the number of workers.
func TestEmbedAlone(t *testing.T) {
	table := pairTable(t, "text,text_pair\na b c,d\ne f g h i j k l,m n\no,p q r\ns,t\n")
	for _, pooling := range []embed.Pooling{embed.Mean, embed.First} {
		pool := op.NewPool(3)
		defer pool.Close()
		together := mustEmbedding(t, embed.TaskConfig{Config: embed.Config{
			CoreConfig: tasks.CoreConfig{Pool: pool}, Pooling: pooling,
		}})
		all, _, err := together.Embed(t.Context(), table)
		if err != nil || len(all) != 8*together.Width() {
			t.Fatalf("%d values, %v", len(all), err)
		}
		alone := mustEmbedding(t, embed.TaskConfig{Config: embed.Config{
			CoreConfig: tasks.CoreConfig{EvalTokens: 1}, Pooling: pooling,
		}})
		for i, e := range table.All() {
			for k, s := range []string{e.Text, e.Pair} {
				v, _, err := alone.Embed(t.Context(), text.New("alone", text.Example{Text: s, Line: 1}))
				if err != nil {
					t.Fatal(err)
				}
				for j, x := range v {
					if all[(2*i+k)*len(v)+j] != x {
						t.Fatalf("%v: value %d of text %q is %g, alone %g", pooling, j, s, all[(2*i+k)*len(v)+j], x)
					}
				}
			}
		}
	}
}

func TestEmbeddingBatch(t *testing.T) {
	task := mustEmbedding(t, embed.TaskConfig{Config: embed.Config{MaxScore: 5}})
	if err := task.Add(t.Context(), batch.Train,
		pairTable(t, "text,text_pair,score\na,b c,5\nd e,f,1\ng,h,0\n")); err != nil {
		t.Fatal(err)
	}
	set := task.Set(batch.Train)
	b := tasktest.BatchOf(t, set, 2, 1)
	if set.Len() != 3 || len(b.Seqs.Starts) != 5 || b.Seqs.Starts[4] != set.Tokens(2)+set.Tokens(1) {
		t.Errorf("%d pairs, starts %v", set.Len(), b.Seqs.Starts)
	}
	if got := b.Seqs.Index; len(got) != 4 || got[0] != 4 || got[1] != 5 || got[2] != 2 || got[3] != 3 {
		t.Errorf("rows %v", got)
	}
	if got := b.Values; len(got) != 2 || got[0] != 0 || got[1] != 0.2 {
		t.Errorf("scores %v", got)
	}
}

// The loss of multiple negatives depends on the batch, which the documentation says; that of cosines does not.
func TestNegativesAreTheBatch(t *testing.T) {
	table := pairTable(t, "text,text_pair,score\na b,c d,1\ne f,g h,0.5\ni j,k l,0\nm,n o,0.2\n")
	for _, loss := range []embed.Loss{embed.Cosine, embed.MultipleNegatives} {
		task := mustEmbedding(t, embed.TaskConfig{Loss: loss})
		if err := task.Add(t.Context(), batch.Train, table); err != nil {
			t.Fatal(err)
		}
		sum := func(batches ...[]int) float64 {
			total := 0.0
			for _, rows := range batches {
				tape := op.NewEvalTape(nil)
				defer tape.Close()
				x, n, err := task.Loss(&nn.Pass{Tape: tape}, tasktest.BatchOf(t, task.Set(batch.Train), rows...))
				if err != nil || n != float64(len(rows)) {
					t.Fatalf("%v targets, %v", n, err)
				}
				total += float64(op.Values(x)[0])
			}
			return total
		}
		whole, parts, single := sum([]int{0, 1, 2, 3}), sum([]int{0, 1}, []int{2, 3}), sum([]int{2})
		if same := math.Abs(whole-parts) < 1e-5; same != (loss == embed.Cosine) {
			t.Errorf("%v: %g as a whole, %g in parts", loss, whole, parts)
		}
		if loss == embed.MultipleNegatives && single != 0 {
			t.Errorf("a pair alone has the loss %g", single)
		}
	}
}

func TestEmbeddingErrors(t *testing.T) {
	scored, bare := "text,text_pair,score\na,b,1\nc,d,0\n", "text,text_pair\na,b\nc,d\n"
	for _, tt := range []struct {
		name, content string
		loss          embed.Loss
		split         batch.Split
		line          int
		want          string
	}{
		{"no scores", bare, embed.Cosine, batch.Train, 0, "the pairs have no scores, which the loss cosine needs"},
		{"single texts", "text\na\n", embed.MultipleNegatives, batch.Train, 2, "the row is a single text"},
		{
			"a score is missing", "text,text_pair,score\na,b,1\nc,d,\n", embed.Cosine, batch.Train, 3,
			"the pair has no score, but others have",
		},
		{"a name as score", "text,text_pair,label\na,b,same\n", embed.Cosine, batch.Train, 2, `"same"`},
		{
			"too large", "text,text_pair,score\na,b,1\nc,d,4.2\n", embed.Cosine, batch.Train, 3,
			"the score 4.2 is above 1, that of texts that mean the same; say with `max_score`",
		},
		{"too small", "text,text_pair,score\na,b,1\nc,d,-1.5\n", embed.Cosine, batch.Train, 3, "the score -1.5 is below -1"},
		{
			"too large to evaluate", "text,text_pair,score\na,b,1\nc,d,4.2\n", embed.MultipleNegatives, batch.Eval, 3,
			"`max_score`",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			task := mustEmbedding(t, embed.TaskConfig{Loss: tt.loss})
			err := task.Add(t.Context(), tt.split, pairTable(t, tt.content))
			var e *data.Error
			if !errors.As(err, &e) || e.Line != tt.line || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want line %d and %q", err, tt.line, tt.want)
			}
		})
	}
	for _, c := range []embed.TaskConfig{
		{Scale: -1}, {Config: embed.Config{MaxScore: math.NaN()}}, {Config: embed.Config{MaxScore: -2}},
		{Config: embed.Config{CoreConfig: tasks.CoreConfig{MaxLength: 1000}}}, {Scale: float32(math.Inf(1))},
	} {
		if _, err := smallEmbedding(t, c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	// Scores are no hindrance where all pairs belong together.
	if err := mustEmbedding(t, embed.TaskConfig{Loss: embed.MultipleNegatives}).Add(t.Context(), batch.Train,
		pairTable(t, strings.Replace(scored, "1", "9", 1))); err != nil {
		t.Error(err)
	}
}

func TestEmbeddingMetrics(t *testing.T) {
	task := mustEmbedding(t, embed.TaskConfig{Loss: embed.MultipleNegatives})
	if got := task.MetricNames(); got[0] != "spearman" {
		t.Errorf("metrics %v", got)
	}
	// Each text is its own pair: nothing is nearer.
	if err := task.Add(t.Context(), batch.Eval, pairTable(t, "text,text_pair\na b,a b\nc d e,c d e\nf,f\n")); err != nil {
		t.Fatal(err)
	}
	m, err := task.Evaluate(t.Context(), batch.Eval)
	if err != nil || m.Main != "accuracy" || task.MetricNames()[0] != "accuracy" || m.Values[0].Value != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	// Turned by one, none is the nearest.
	if err := task.Add(t.Context(), batch.Eval, pairTable(t, "text,text_pair\na b,c d e\nc d e,f\nf,a b\n")); err != nil {
		t.Fatal(err)
	}
	if m, err = task.Evaluate(t.Context(), batch.Eval); err != nil || m.Values[0].Value != 0 || !(m.Values[1].Value > 0) {
		t.Errorf("%+v, %v", m, err)
	}
	// If all texts are the same, so are all vectors, and none is nearer than another.
	if err := task.Add(t.Context(), batch.Eval, pairTable(t, "text,text_pair\na b,a b\na b,a b\na b,a b\n")); err != nil {
		t.Fatal(err)
	}
	if m, err = task.Evaluate(t.Context(), batch.Eval); err != nil || m.Values[0].Value != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	table := pairTable(t, "text,text_pair,score\na b,a b,1\nc d e,f,0.1\ng,h i,0.4\n")
	if err := task.Add(t.Context(), batch.Test, table); err != nil {
		t.Fatal(err)
	}
	want, err := task.Evaluate(t.Context(), batch.Test)
	if err != nil {
		t.Fatal(err)
	}
	vectors, _, err := task.Embed(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	got, err := task.Score(table, embed.Cosines(vectors, task.Width()))
	if err != nil || len(got.Values) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, v := range want.Values {
		if got.Values[i] != v {
			t.Errorf("%+v, from the vectors %+v", v, got.Values[i])
		}
	}
}

// A correlation that is undefined is NaN and has a reason.
func TestUndefinedCorrelation(t *testing.T) {
	task := mustEmbedding(t, embed.TaskConfig{})
	got, err := task.Score(pairTable(t, "text,text_pair,score\na,b,1\nc,d,1\n"), []float32{0.1, 0.2})
	if err != nil || !got.Values[0].Undefined() || got.Values[1].Reason != "all targets are equal" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCosinesAndNormalize(t *testing.T) {
	v := []float32{3, 4, 4, 3, 0, 0, 1, 0, 1, 0, -2, 0}
	if got := embed.Cosines(v, 2); len(got) != 3 || math.Abs(float64(got[0])-0.96) > 1e-6 || got[1] != 0 || got[2] != -1 {
		t.Errorf("cosines %v", got)
	}
	if err := embed.Normalize(v, 2); err != nil || math.Abs(float64(v[0])-0.6) > 1e-7 || v[4] != 0 || v[10] != -1 {
		t.Errorf("normalised %v, %v", v, err)
	}
	if err := embed.Normalize([]float32{float32(math.Inf(1)), 1}, 2); err == nil {
		t.Error("an infinite vector is normalised")
	}
}
