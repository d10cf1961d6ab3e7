package qa

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// The fixtures of this file are written by reference/qa_fixtures.py.

func readQA(t *testing.T, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

// fakeQA is a question answerer whose logits a function gives.
type fakeQA struct {
	spago.Module
	nn.Limits
	logits func(b *batch.Batch, row int) (start, end float32)
}

func (m *fakeQA) String() string { return "fake" }

func (m *fakeQA) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	v := make([]float32, 0, 2*len(b.IDs))
	for row := range b.IDs {
		s, e := m.logits(b, row)
		v = append(v, s, e)
	}
	return mat.NewDense[float32](mat.WithShape(len(b.IDs), 2), mat.WithBacking(v))
}

func miniLMTokenizer(t *testing.T) *tokenize.Tokenizer {
	t.Helper()
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func fakeTask(t *testing.T, c Config) (*Task, *fakeQA) {
	t.Helper()
	m := &fakeQA{
		Limits: nn.Limits{Positions: 512, Words: 30522, Types: 2},
		logits: func(*batch.Batch, int) (float32, float32) { return 0, 0 },
	}
	task, err := NewTask(m, miniLMTokenizer(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return task, m
}

func policyQA(t *testing.T) *question.File {
	t.Helper()
	train, _ := embedded.PolicyQA()
	q, err := question.ReadBytes(train, "policyqa.json", question.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestQALabels compares the windows of PolicyQA's questions and where the answers lie in them with transformers'.
func TestQALabels(t *testing.T) {
	var f struct {
		Questions int
		Settings  []struct {
			Length, Stride, Windows, Answered int
			Hashes                            string
		}
	}
	readQA(t, "labels.json", &f)
	q := policyQA(t)
	if q.Len() != f.Questions {
		t.Fatalf("%d questions, the fixture has %d", q.Len(), f.Questions)
	}
	const block = 16
	for _, s := range f.Settings {
		task, _ := fakeTask(t, Config{CoreConfig: tasks.CoreConfig{MaxLength: s.Length}, DocStride: &s.Stride})
		if err := task.Add(t.Context(), batch.Train, q); err != nil {
			t.Fatal(err)
		}
		set := task.Splits[batch.Train]
		if c := task.Counts(batch.Train); c.Windows != s.Windows || c.Answered != s.Answered || set.Len() != s.Windows {
			t.Errorf("length %d: %+v, want %d windows, %d with the answer", s.Length, c, s.Windows, s.Answered)
		}
		for lo := 0; lo < q.Len(); lo += block {
			var b []byte
			put := func(v int32) { b = binary.LittleEndian.AppendUint32(b, uint32(v)) }
			for w := set.first[lo]; w < set.first[min(lo+block, q.Len())]; w++ {
				window := tasktest.BatchOf(t, set, w)
				put(int32(len(window.IDs)))
				for _, list := range [][]int32{window.IDs, window.Types, window.Labels} {
					for _, v := range list {
						put(v)
					}
				}
			}
			sum := sha256.Sum256(b)
			if have, want := hex.EncodeToString(sum[:4]), s.Hashes[lo/block*8:lo/block*8+8]; have != want {
				t.Errorf("length %d, stride %d: the windows of questions %d … %d differ", s.Length, s.Stride, lo, lo+block-1)
			}
		}
	}
}

// draws are the numbers that qa_fixtures.py draws.
type draws uint64

func (d *draws) below(n uint64) int {
	*d = *d*6364136223846793005 + 1442695040888963407
	return int(uint64(*d) >> 33 % n)
}

func (d *draws) logit() float32 { return float32(d.below(1024)-512) / 64 }

// drawnCase returns case n of answers.json.
func drawnCase(n int) (c Config, context string, offsets [][][2]int32, logits [][]float32) {
	d := draws(n)
	c = Config{
		NBest: []int{20, 3, 1, 7}[n%4], MaxAnswer: []int{30, 4, 1}[n/4%3],
		NullAnswers: n/12%2 == 1, NullThreshold: []float64{0, 1.5, -2}[n/24%3],
	}
	words := 2 + d.below(30)
	var spans [][2]int32
	at := int32(0)
	var lengths []int
	for range words {
		lengths = append(lengths, 1+d.below(5))
	}
	for _, n := range lengths {
		spans = append(spans, [2]int32{at, at + int32(n)})
		context += string([]rune("é😀xyz")[:n]) + " "
		at += int32(n) + 1
	}
	for lo := 0; ; {
		hi := min(words, lo+3+d.below(20))
		var o [][2]int32
		for range 2 + d.below(4) {
			o = append(o, notContext)
		}
		o = append(append(o, spans[lo:hi]...), notContext)
		var v []float32
		for i := range o {
			if n%50 == 49 {
				o[i] = notContext
			}
			v = append(v, d.logit(), d.logit())
		}
		offsets, logits = append(offsets, o), append(logits, v)
		if hi == words {
			return c, context, offsets, logits
		}
		lo += 1 + d.below(uint64(hi-lo))
	}
}

// TestQAAnswers compares answers, n-best lists and score differences of 600 cases with those of the reference:
// several windows, scores that tie, answers that are too long, no answers, windows that offer nothing.
func TestQAAnswers(t *testing.T) {
	var want [][4]json.RawMessage
	readQA(t, "answers.json", &want)
	if len(want) != 600 {
		t.Fatalf("%d cases", len(want))
	}
	none := 0
	for i, w := range want {
		var place [2]int
		var diff float64
		var list [][5]float64
		var kept int
		for k, to := range []any{&place, &diff, &list, &kept} {
			if err := json.Unmarshal(w[k], to); err != nil {
				t.Fatal(err)
			}
		}
		c, context, offsets, logits := drawnCase(i)
		var found candidates
		for k := range offsets {
			found.window(offsets[k], logits[k], c.NBest, c.MaxAnswer)
		}
		have := found.choose(context, c)
		if have.Start != place[0] || have.End != place[1] || have.NullDiff != diff || len(have.NBest) != kept {
			t.Fatalf("case %d: %d to %d, difference %v, %d kept; want %v, %v, %d",
				i, have.Start, have.End, have.NullDiff, len(have.NBest), place, diff, kept)
		}
		for k, a := range list {
			got := have.NBest[k]
			if float64(got.Start) != a[0] || float64(got.End) != a[1] || float64(got.StartLogit) != a[2] ||
				float64(got.EndLogit) != a[3] || math.Abs(got.Score-a[4]) > 1e-6 {
				t.Fatalf("case %d, answer %d: %+v, want %v", i, k, got, a)
			}
		}
		if have.Null() {
			none++
			if have.Text != "" {
				t.Errorf("case %d: no answer, but the text %q", i, have.Text)
			}
		} else if text := string([]rune(context)[have.Start:have.End]); have.Text != text || text == "" {
			t.Errorf("case %d: text %q, the context has %q", i, have.Text, text)
		}
	}
	if none < 100 || none > 300 {
		t.Errorf("%d of 600 cases have no answer", none)
	}
}

// TestQABlankAnswers has candidates that are white space alone, or no character at all, as tokens of RoBERTa and
// XLM-RoBERTa in a blank context are: none of them is an answer, whatever its score, and only what has a text has a
// place.
func TestQABlankAnswers(t *testing.T) {
	const context = " \u3000 a "
	offsets := [][2]int32{notContext, {0, 1}, {1, 3}, {2, 2}, {3, 4}, notContext}
	at := func(best int) []float32 { // a token whose start and end have the highest logits
		logits := make([]float32, 2*len(offsets))
		logits[2*best], logits[2*best+1] = 5, 5
		return logits
	}
	for _, x := range []struct {
		best, tokens int // tokens of the context that the window has
		null         bool
		text         string // of the answer
		diff         float64
	}{
		{best: 1, tokens: 4}, {best: 2, tokens: 4}, {best: 3, tokens: 4}, {best: 4, tokens: 4, text: "a"},
		{best: 1, tokens: 3}, {best: 1, tokens: 4, null: true, diff: -10},
		{best: 4, tokens: 4, null: true, text: "a", diff: -10}, {best: 0, tokens: 4, null: true, diff: 10},
		// No character at all: the next best is taken, as in the reference, which here is white space.
		{best: 3, tokens: 3, null: true, diff: -5},
	} {
		c := Config{NBest: 10, MaxAnswer: 2, NullAnswers: x.null}
		var found candidates
		found.window(offsets[:x.tokens+1], at(x.best)[:2*x.tokens+2], c.NBest, c.MaxAnswer)
		have := found.choose(context, c)
		if have.Text != x.text || have.NullDiff != x.diff || have.Null() != (x.text == "") {
			t.Errorf("%+v: answer %+v, difference %v", x, have.Span, have.NullDiff)
		}
		if x.null && have.Null() && have.StartLogit != found.null.StartLogit {
			t.Errorf("%+v: no answer has the score %v of a blank one", x, have.StartLogit)
		}
		for _, a := range append(have.NBest, have.Span) {
			if blank := a.Text == ""; blank != (a.Start == -1) || blank != (a.End == -1) ||
				!blank && string([]rune(context)[a.Start:a.End]) != a.Text {
				t.Errorf("%+v: %+v", x, a)
			}
		}
	}
}

// asked returns questions about one context with the answers given.
func asked(context string, answers ...question.Answer) *question.File {
	q := question.New("q.json")
	for i, a := range answers {
		q.Append(question.Question{
			ID: string(rune('a' + i)), Question: " what is it?", Context: context,
			Answers: []question.Answer{a}, Labelled: true, Line: i + 1,
		})
	}
	return q
}

// TestQAWindows checks labels by hand: answers at the borders of a context, in code points behind characters of
// several bytes, cut by a window, without a place, with white space around them, and questions without an answer.
func TestQAWindows(t *testing.T) {
	task, _ := fakeTask(t, Config{CoreConfig: tasks.CoreConfig{MaxLength: 16}, DocStride: new(4)})
	context := "Zürich 😀 lies on the river Limmat, and the lake is to the south of the old town."
	at := func(text string) question.Answer {
		return question.Answer{Text: text, Start: len([]rune(context[:strings.Index(context, text)]))}
	}
	q := asked(context, at("Zürich"), at("town."), at(" Limmat "[:7]), at("river Limmat, and the lake is to the south"),
		question.Answer{Text: "elsewhere", Start: -1})
	q.Append(question.Question{ID: "z", Question: "who?", Context: context, Impossible: true, Labelled: true},
		question.Question{ID: "y", Question: "who?", Context: ""})
	set, err := task.encode(t.Context(), q, true)
	if err != nil {
		t.Fatal(err)
	}
	texts := func(i int) []string {
		var out []string
		for w := set.first[i]; w < set.first[i+1]; w++ {
			s := set.spans[w]
			switch s {
			case [2]int32{}:
				out = append(out, "")
			case [2]int32{batch.Ignore, batch.Ignore}:
				out = append(out, "?")
			default:
				from, to := set.offsets.At(set.Start(w)+int(s[0])), set.offsets.At(set.Start(w)+int(s[1]))
				out = append(out, string([]rune(context)[from[0]:to[1]]))
			}
		}
		return out
	}
	for i, want := range [][]string{
		{"Zürich", "", "", ""}, {"", "", "", "town."}, {"Limmat", "Limmat", "", ""}, {"", "", "", ""},
		{"?", "?", "?", "?"}, {"", "", ""}, {"?"},
	} {
		if have := texts(i); !slices.Equal(have, want) {
			t.Errorf("question %d: %q, want %q", i, have, want)
		}
	}
	if want := (Counts{Questions: 7, Windows: 24, Split: 6, Answered: 4, Lost: 1}); set.counts != want {
		t.Errorf("%+v, want %+v", set.counts, want)
	}
	for w := range set.Len() {
		if n := set.Tokens(w); n > 16 {
			t.Errorf("window %d has %d tokens", w, n)
		}
	}
}

// TestQAStride checks that the default stride never fails, and that one that was asked for does, with numbers (C7).
func TestQAStride(t *testing.T) {
	q := asked(strings.Repeat("some words about it and more. ", 20), question.Answer{Text: "some", Start: 0})
	for _, length := range []int{9, 10, 16, 60, 130, 140, 384} {
		task, _ := fakeTask(t, Config{CoreConfig: tasks.CoreConfig{MaxLength: length}})
		set, err := task.encode(t.Context(), q, true)
		if err != nil {
			t.Fatalf("length %d: %v", length, err)
		}
		if room := length - 7; (set.counts.Shrunk == 1) != (room <= 128) {
			t.Errorf("length %d: %+v", length, set.counts)
		}
	}
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{
			CoreConfig: tasks.CoreConfig{MaxLength: 7},
		}, []string{"q.json:1:", "text has 4 tokens", "max length 7", "`max_query_length`"}},
		{Config{
			CoreConfig: tasks.CoreConfig{MaxLength: 20}, DocStride: new(13),
		}, []string{"q.json:1:", "room for 13 tokens", "stride is 13"}},
	} {
		task, _ := fakeTask(t, c.cfg)
		_, err := task.encode(t.Context(), q, true)
		if err == nil {
			t.Errorf("%+v: no error", c.cfg)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %q lacks %q", c.cfg, err, want)
			}
		}
		var bad *data.Error
		if !errors.As(err, &bad) {
			t.Errorf("%+v: %T", c.cfg, err)
		}
	}
	task, _ := fakeTask(t, Config{CoreConfig: tasks.CoreConfig{MaxLength: 8}, MaxQueryLength: 2, DocStride: new(0)})
	set, err := task.encode(t.Context(), q, true)
	if err != nil || set.counts.Shortened != 1 || set.counts.Shrunk != 0 {
		t.Errorf("%+v, %v", set.counts, err)
	}
}

// TestQAConfig checks what NewTask refuses.
func TestQAConfig(t *testing.T) {
	_, m := fakeTask(t, Config{})
	tok := miniLMTokenizer(t)
	_, err := NewTask(m, tok, Config{
		CoreConfig: tasks.CoreConfig{MaxLength: 513}, DocStride: new(-2), MaxQueryLength: -1, NBest: -3, MaxAnswer: -4,
		NullThreshold: 1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"`max_length` is 513; want 1 to 512, the positions", "`doc_stride` is -2", "`max_query_length` is -1",
		"`n_best_size` is -3", "`max_answer_length` is -4", "`null_score_diff_threshold` needs",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if _, err := NewTask(m, tok, Config{NullAnswers: true, NullThreshold: math.NaN()}); err == nil {
		t.Error("a threshold that is NaN is accepted")
	}
	for types, zero := range map[int]bool{1: false, 2: true} {
		task, m := fakeTask(t, Config{ZeroTypes: zero})
		m.Types = types
		set, err := task.encode(t.Context(), asked("a b c", question.Answer{Text: "b", Start: 2}), true)
		if err != nil || tasktest.BatchOf(t, set, 0).Types != nil {
			t.Errorf("%d types, zero %t: types %v, %v", types, zero, tasktest.BatchOf(t, set, 0).Types, err)
		}
	}
}

// TestQAEvaluate has a model that knows the answers, one that knows none, and one that is broken.
func TestQAEvaluate(t *testing.T) {
	q := policyQA(t).Limit(60)
	q.Append(question.Question{
		ID: "none", Question: "who are you?", Context: q.At(0).Context, Impossible: true, Labelled: true,
	})
	for _, null := range []bool{false, true} {
		task, m := fakeTask(t, Config{
			CoreConfig: tasks.CoreConfig{MaxLength: 96, Pool: op.NewPool(2), EvalTokens: 500}, MaxAnswer: 96, NullAnswers: null,
		})
		if err := task.Add(t.Context(), batch.Eval, q); err != nil {
			t.Fatal(err)
		}
		set := task.Splits[batch.Eval]
		at := func(b *batch.Batch, row int) (span [2]int32, n int) {
			i, found := slices.BinarySearch(b.Seqs.Starts, row)
			if !found {
				i--
			}
			return set.spans[b.Seqs.Index[i]], row - b.Seqs.Starts[i]
		}
		m.logits = func(b *batch.Batch, row int) (s, e float32) {
			span, n := at(b, row)
			if int(span[0]) == n {
				s = 9
			}
			if int(span[1]) == n {
				e = 9
			}
			if n > 0 {
				s, e = s+4, e+4
			}
			return s, e
		}
		got, err := task.Evaluate(t.Context(), batch.Eval)
		if err != nil {
			t.Fatal(err)
		}
		f1, _ := got.Get("f1")
		exact, _ := got.Get("exact_match")
		if got.Main != "f1" || f1.Value < 97 || exact.Value > f1.Value {
			t.Errorf("null %t: %v", null, got)
		}
		if len(got.Values) != len(task.MetricNames()) {
			t.Fatalf("%v, want %v", got, task.MetricNames())
		}
		for i, v := range got.Values {
			if v.Name != task.MetricNames()[i] || math.IsNaN(v.Value) {
				t.Errorf("metric %d is %+v", i, v)
			}
		}
		if hard, _ := got.Get("NoAns_exact"); null && hard.Value != 100 {
			t.Errorf("the question without an answer: %v", got)
		}
		m.logits = func(b *batch.Batch, row int) (s, e float32) { return 0, 0 }
		if bad, err := task.Evaluate(t.Context(), batch.Eval); err != nil || bad.Values[0].Value > 30 {
			t.Errorf("constant logits: %v, %v", bad, err)
		}
		m.logits = func(b *batch.Batch, row int) (s, e float32) {
			if i, found := slices.BinarySearch(b.Seqs.Starts, row); found && b.Seqs.Index[i] == set.first[7] {
				return float32(math.NaN()), 0
			}
			return 0, 0
		}
		if _, err := task.Evaluate(t.Context(), batch.Eval); err == nil || !strings.Contains(err.Error(), "is NaN") {
			t.Errorf("NaN: %v", err)
		} else {
			want := (&data.Error{File: q.Name, Line: q.At(7).Line}).Error()
			if !strings.HasPrefix(err.Error(), strings.TrimSuffix(want, " ")) {
				t.Errorf("NaN: %v, want one of %s", err, want)
			}
		}
	}
}

// TestQAUnlabelled checks what cannot be scored, and stopping.
func TestQAUnlabelled(t *testing.T) {
	task, _ := fakeTask(t, Config{})
	q := question.New("q", []question.Question{{ID: "1", Question: "who?", Context: "me and you"}}...)
	if err := task.Add(t.Context(), batch.Eval, q); err != nil {
		t.Fatal(err)
	}
	if _, err := task.Evaluate(t.Context(), batch.Eval); err == nil {
		t.Error("questions without answers are scored")
	}
	if _, err := task.Evaluate(t.Context(), batch.Test); err == nil {
		t.Error("a split without questions is scored")
	}
	if err := task.Add(t.Context(), batch.Train, q); err != nil {
		t.Fatal(err)
	}
	if _, err := task.Evaluate(t.Context(), batch.Train); err == nil || task.Splits[batch.Train].offsets.Len() > 0 {
		t.Error("the questions to train on, or their offsets, are kept")
	}
	list, counts, err := task.Predict(t.Context(), q)
	if err != nil || len(list) != 1 || counts.Questions != 1 || list[0].Null() {
		t.Errorf("%v, %v, %v", list, counts, err)
	}
	if m, err := task.Score(q, list); err != nil || len(m.Values) > 0 {
		t.Errorf("%v, %v", m, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := task.Predict(ctx, q); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	var _ models.QuestionAnswerer = &fakeQA{}
}
