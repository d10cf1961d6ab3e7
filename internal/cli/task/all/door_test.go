package all_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/tasks/seq2seq"
)

// rows encodes values as JSON Lines.
func rows[T any](t *testing.T, list ...T) string {
	t.Helper()
	var b strings.Builder
	for _, v := range list {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return b.String()
}

// predicted returns what a command predicts for rows with an adapter, and the model of the front door for the same.
func predicted[T any](t *testing.T, task, adapter, in string, flags ...string) ([]T, *spalora.Model) {
	t.Helper()
	adapter = filepath.Join(clitest.Testdata, adapter)
	args := append([]string{task, "--quiet", "--adapter", adapter, "--input", "-"}, flags...)
	r := clitest.RunWith(t, t.Context(), in, predict.Command, args...)
	if r.Code != 0 {
		t.Fatal(r.Err)
	}
	m, err := spalora.Open(adapter, spalora.WithBaseFiles(embedded.MiniLMName, embedded.MiniLM()), spalora.WithTask(task))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return clitest.Lines[T](t, r.Out), m
}

// equal compares what the front door gives with what a command has written.
func equal(t *testing.T, got any, err error, want any) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the front door has %+v, %v\nthe command %+v", got, err, want)
	}
}

var texts = []string{"My card still has not arrived.",
	"Book a table for 4 people at 7:30 pm, I'm Anna Featherston 😀", "why?"}

// TestDoorClassifies, and the tests below, hold the calls of the front door to the commands, with adapters that PEFT
// made.
func TestDoorClassifies(t *testing.T) {
	type row struct {
		Label  string             `json:"label"`
		Score  float32            `json:"score"`
		Logits []float32          `json:"logits"`
		Scores map[string]float32 `json:"scores"`
	}
	type input struct {
		Text string `json:"text"`
		Pair string `json:"text_pair,omitempty"`
	}
	list, m := predicted[row](t, "seq-cls", "minilm/adapter_final",
		rows(t, input{texts[0], ""}, input{texts[1], ""}, input{texts[2], ""}),
		"--logits", "--all-scores")
	classes, err := m.ClassifyAll(t.Context(), spalora.Texts(texts...))
	same := func(classes []spalora.Class, err error, list []row) {
		t.Helper()
		var got []row
		for _, c := range classes {
			r := row{c.Label, c.Score, c.Logits, map[string]float32{}}
			for i, score := range c.Scores {
				r.Scores[fmt.Sprintf("LABEL_%d", i)] = score
			}
			got = append(got, r)
		}
		equal(t, got, err, list)
	}
	same(classes, err, list)
	pairs, _ := predicted[row](t, "seq-cls", "minilm/adapter_final",
		rows(t, input{texts[0], texts[1]}, input{texts[2], texts[0]}),
		"--logits", "--all-scores")
	classes, err = m.ClassifyPairs(t.Context(), []spalora.Pair{{First: texts[0], Second: texts[1]},
		{First: texts[2], Second: texts[0]}})
	same(classes, err, pairs)
}

func TestDoorTags(t *testing.T) {
	type entity struct {
		Group      string  `json:"entity_group"`
		Score      float32 `json:"score"`
		Word       string  `json:"word"`
		Start, End int
	}
	type row struct {
		Entities []entity  `json:"entities"`
		Tags     []string  `json:"tags"`
		Scores   []float32 `json:"scores"`
	}
	type sentence struct {
		Tokens []string `json:"tokens"`
	}
	var sentences []sentence
	var words []spalora.Sentence
	for _, text := range texts[:2] {
		words = append(words, spalora.Sentence{Words: strings.Fields(text)})
		sentences = append(sentences, sentence{strings.Fields(text)})
	}
	list, m := predicted[row](t, "token-cls", "minilm_tokens/adapter_init", rows(t, sentences...))
	tags, err := m.TagWords(t.Context(), words)
	if err != nil {
		t.Fatal(err)
	}
	for i, of := range tags {
		var want []spalora.Tag
		for j, tag := range list[i].Tags {
			want = append(want, spalora.Tag{Label: tag, Score: list[i].Scores[j]})
		}
		equal(t, of, nil, want)
	}
	list, _ = predicted[row](t, "token-cls", "minilm_tokens/adapter_init", strings.Join(texts[:2], "\n"))
	found, err := m.TagAll(t.Context(), spalora.Texts(texts[:2]...))
	if err != nil {
		t.Fatal(err)
	}
	for i, of := range found {
		var got []entity
		for _, e := range of {
			got = append(got, entity{e.Type, float32(e.Score), e.Text, e.From, e.To})
		}
		equal(t, got, nil, list[i].Entities)
	}
}

func TestDoorAnswers(t *testing.T) {
	type span struct {
		Answer     string
		Start, End int
		Score      float64
		StartLogit float32 `json:"start_logit"`
		EndLogit   float32 `json:"end_logit"`
	}
	type row struct {
		Answers []span
	}
	in := clitest.Read(t, filepath.Join(clitest.Testdata, "question", "test.jsonl"))
	var questions []spalora.Question
	for i, q := range clitest.Lines[spalora.Question](t, in) {
		if i < 4 {
			questions = append(questions, q)
		}
	}
	list, m := predicted[row](t, "question-answering", "question/adapter_final", rows(t, questions...), "--all-answers")
	answers, err := m.AnswerAll(t.Context(), questions)
	var got []row
	for _, a := range answers {
		var r row
		for _, s := range a.NBest {
			r.Answers = append(r.Answers, span{s.Text, s.Start, s.End, s.Score, s.StartLogit, s.EndLogit})
		}
		if a.Span != a.NBest[0] {
			t.Errorf("answer %+v, the best is %+v", a.Span, a.NBest[0])
		}
		got = append(got, r)
	}
	equal(t, got, err, list)
	for i, q := range questions[:2] {
		a, err := m.Answer(t.Context(), q.Question, q.Context)
		equal(t, a, err, answers[i])
	}
}

func TestDoorChooses(t *testing.T) {
	type row struct {
		Choice int
		Text   string
		Score  float32
		Logits []float32
		Scores []float32
	}
	in := clitest.Read(t, filepath.Join(clitest.Testdata, "choice", "test.jsonl"))
	list, m := predicted[row](t, "multiple-choice", "choice/adapter_final", in, "--logits", "--all-scores")
	choices, err := m.ChooseAll(t.Context(), clitest.Lines[spalora.ChoiceQuestion](t, in))
	var got []row
	for _, c := range choices {
		got = append(got, row{c.Index, c.Text, c.Score, c.Logits, c.Scores})
	}
	equal(t, got, err, list)
}

func TestDoorEmbeds(t *testing.T) {
	type row struct{ Embedding []float32 }
	for _, adapter := range []string{"embedding/cosine/adapter_final", "embedding/multiple_negatives/adapter_final"} {
		list, m := predicted[row](t, "embed", adapter, strings.Join(texts, "\n"))
		vectors, err := m.EmbedAll(t.Context(), spalora.Texts(texts...))
		var got []row
		for _, v := range vectors {
			got = append(got, row{v})
		}
		equal(t, got, err, list)
	}
}

func TestDoorGenerates(t *testing.T) {
	type row struct {
		Text   string
		Finish string `json:"finish_reason"`
		Tokens []int32
	}
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	adapter := c.Path("adapter_final")
	prompts := []string{"abc", "b!"}
	args := []string{"causal-lm", "--quiet", "--model", c.Base, "--adapter", adapter, "--max-new-tokens=6"}
	for _, p := range prompts {
		args = append(args, "--prompt", p)
	}
	list := clitest.Lines[row](t, clitest.OK(t, predict.Command, args...).Out)
	settings := &causallm.Settings{Generation: generation.Settings{MaxNewTokens: 6}}
	m, err := spalora.Open(adapter, spalora.WithBase(c.Base), spalora.WithSettings(settings))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	texts, err := m.GenerateAll(t.Context(), spalora.Texts(prompts...))
	var got []row
	for _, g := range texts {
		got = append(got, row{g.Text, string(g.Finish), g.IDs})
	}
	equal(t, got, err, list)
	var pieces strings.Builder
	one, err := m.Stream(t.Context(), prompts[0], func(text string) { pieces.WriteString(text) })
	equal(t, one, err, texts[0])
	if pieces.String() != one.Text {
		t.Errorf("streamed %q, the text is %q", pieces.String(), one.Text)
	}
	pieces.Reset()
	in := `{"messages": [{"role": "user", "content": "ab"}]}`
	file := clitest.Write(t, filepath.Join(t.TempDir(), "chat.jsonl"), in)
	args = append(args[:len(args)-2*len(prompts)], "--chat", "--input", file)
	answers := clitest.Lines[row](t, clitest.OK(t, predict.Command, args...).Out)
	answer, err := m.Chat(t.Context(), []spalora.Message{{Role: "user", Content: "ab"}},
		func(text string) { pieces.WriteString(text) })
	equal(t, row{answer.Text, string(answer.Finish), answer.IDs}, err, answers[0])
	if pieces.String() != answer.Text {
		t.Errorf("streamed %q, the answer is %q", pieces.String(), answer.Text)
	}
	settings = &causallm.Settings{Generation: generation.Settings{DoSample: new(false), TopK: new(3)}}
	_, err = spalora.Open(adapter, spalora.WithBase(c.Base), spalora.WithSettings(settings))
	if !errors.Is(err, spalora.ErrSettings) || !strings.Contains(err.Error(), "`top_k` has no effect") {
		t.Errorf("settings that contradict each other: %v", err)
	}
	if _, err := m.Chat(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "no messages") {
		t.Errorf("a chat without messages: %v", err)
	}
}

func TestDoorWritesTargets(t *testing.T) {
	type row struct {
		Text   string
		Finish string `json:"finish_reason"`
		Tokens []int32
		Score  float32
	}
	base, adapter := clitest.Bytes(t), filepath.Join(clitest.Testdata, "seq2seq", "byt5", "adapter_final")
	args := []string{"seq2seq-lm", "--quiet", "--model", base, "--adapter", adapter, "--allow-other-base",
		"--source-prefix=to: ", "--num-beams=3", "--num-return-sequences=2", "--no-repeat-ngram-size=1", "--max-new-tokens=5"}
	for _, text := range texts {
		args = append(args, "--text", text)
	}
	list := clitest.Lines[row](t, clitest.OK(t, predict.Command, args...).Out)
	settings := &seq2seq.Settings{Generation: generation.Settings{
		NumBeams: 3, NumReturnSequences: 2, NoRepeatNgramSize: new(1), MaxNewTokens: 5}}
	settings.SourcePrefix = new("to: ")
	m, err := spalora.Open(adapter, spalora.WithBase(base), spalora.WithOtherBase(), spalora.WithSettings(settings))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Task() != "seq2seq-lm" {
		t.Errorf("PEFT's adapter is opened for %s", m.Task())
	}
	written, err := m.RewriteAll(t.Context(), spalora.Texts(texts...))
	var got []row
	for _, g := range written {
		got = append(got, row{g.Text, string(g.Finish), g.IDs, g.Score})
	}
	equal(t, got, err, list)
	translated, err := m.TranslateAll(t.Context(), spalora.Texts(texts...))
	equal(t, translated, err, written)
	var many []spalora.Text // more than are written at once
	for i := range 130 {
		many = append(many, spalora.Text{Text: texts[i%len(texts)]})
	}
	all, err := m.RewriteAll(t.Context(), many)
	if err != nil || len(all) != 2*len(many) {
		t.Fatalf("%d texts for %d sources: %v", len(all), len(many), err)
	}
	for i, g := range all {
		if g.Prompt != i/2 || g.Copy != i%2 {
			t.Fatalf("text %d is text %d of source %d", i, g.Copy, g.Prompt)
		}
	}
	one, err := m.Rewrite(t.Context(), texts[0])
	equal(t, len(one), err, 2)
}

// TestDoorOpensMerged opens a merged model, which names its task and its classes itself.
func TestDoorOpensMerged(t *testing.T) {
	c := clitest.Small(t)
	out := filepath.Join(t.TempDir(), "merged")
	clitest.OK(t, adapter.Command, "merge", "--quiet", "--model", c.Path("base"), "--adapter", c.Path("adapter_final"),
		"--output-dir", out)
	list := make([][]spalora.Class, 2)
	for i, open := range []func() (*spalora.Model, error){
		func() (*spalora.Model, error) { return spalora.Open(out) },
		func() (*spalora.Model, error) {
			return spalora.Open(c.Path("adapter_final"), spalora.WithBase(c.Path("base")))
		},
	} {
		m, err := open()
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if list[i], err = m.ClassifyAll(t.Context(), spalora.Texts("we will send money .", "they lost it .")); err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range list[0] {
		want := list[1][i]
		if d := golden.MaxRel(got.Logits, want.Logits); got.Label != want.Label || !(d <= 1e-5) {
			t.Errorf("merged %+v, attached %+v", got, want)
		}
	}
}
