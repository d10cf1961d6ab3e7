package causallm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/internal/tasktest"
)

// expected is testdata/causal/expected.json, which transformers wrote.
type expected struct {
	Texts   []string
	IDs     [][]int32
	Windows []struct {
		Size    int `json:"block_size"`
		Windows [][]int32
		Rest    []int32
	}
	Chats []struct {
		Messages    []document.Message
		IDs, Labels []int32
	}
}

func readExpected(t *testing.T) expected {
	t.Helper()
	content, err := causalFile("expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(content, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// shifted returns labels where row n has what transformers has in row n+1.
func shifted(labels []int32) []int32 {
	return append(slices.Clone(labels[1:]), batch.Ignore)
}

// allIDs returns the ids of all sequences, one after another.
func allIDs(s *set) (ids []int32) {
	for i := range s.Len() {
		ids = s.IDs(ids, i)
	}
	return ids
}

// allLabels returns the labels of all sequences, one after another.
func allLabels(s *set) []int32 { return s.TokenLabels.AppendTo(nil, 0, s.TokenLabels.Len()) }

func checkSequence(t *testing.T, what string, s *set, i int, ids, labels []int32) {
	t.Helper()
	if i >= s.Len() {
		t.Errorf("%s: there is no sequence %d", what, i)
		return
	}
	b := tasktest.BatchOf(t, s, i)
	if !slices.Equal(b.IDs, ids) || !slices.Equal(b.Labels, labels) {
		t.Errorf("%s, sequence %d:\ngot  %v %v\nwant %v %v", what, i, b.IDs, b.Labels, ids, labels)
	}
}

// Windows are those of transformers' run_clm example and the rest that it drops.
func TestWindowsEqualRunCLM(t *testing.T) {
	e := readExpected(t)
	for _, w := range e.Windows {
		task := newCausal(t, strings.Replace(tinyGPT, `"n_positions":64`, `"n_positions":1024`, 1), Config{BlockSize: w.Size})
		if err := task.Add(t.Context(), batch.Train, textDocuments(e.Texts[0])); err != nil {
			t.Fatal(err)
		}
		s := task.Splits[batch.Train]
		want := w.Windows
		if len(w.Rest) > 0 {
			want = append(want, w.Rest)
		}
		if s.Len() != len(want) {
			t.Fatalf("%d windows of %d, want %d", s.Len(), w.Size, len(want))
		}
		for i, ids := range want {
			checkSequence(t, fmt.Sprint("block size ", w.Size), s, i, ids, shifted(ids))
		}
	}
}

// Rows of text are the ids of the tokenizer, nothing added; windows have the eos token between texts, none behind the
// last, and lose no token.
func TestTexts(t *testing.T) {
	e := readExpected(t)
	task := newCausal(t, tinyGPT, Config{})
	docs := textDocuments(e.Texts...)
	if err := task.Add(t.Context(), batch.Train, docs); err != nil {
		t.Fatal(err)
	}
	s := task.Splits[batch.Train]
	for i, n := range []int{0, 1, 3} { // the third text is empty
		checkSequence(t, "rows", s, i, e.IDs[n], shifted(e.IDs[n]))
	}
	n := len(e.IDs[0]) + len(e.IDs[1]) + len(e.IDs[3])
	want := Counts{Documents: 4, Sequences: 3, Tokens: n, Targets: n - 3, Unlearned: 1, UnlearnedLine: 3}
	if s.counts != want {
		t.Errorf("counts %+v, want %+v", s.counts, want)
	}

	blocks := newCausal(t, tinyGPT, Config{BlockSize: 7})
	if err := blocks.Add(t.Context(), batch.Eval, docs); err != nil {
		t.Fatal(err)
	}
	eos := blocks.Tok.EosID()
	ids := slices.Concat(e.IDs[0], []int32{eos}, e.IDs[1], []int32{eos}, e.IDs[3])
	if got := allIDs(blocks.Splits[batch.Eval]); !slices.Equal(got, ids) {
		t.Errorf("got  %v\nwant %v", got, ids)
	}
	one := newCausal(t, tinyGPT, Config{BlockSize: len(e.IDs[0]) - 1}) // a single token is left
	if err := one.Add(t.Context(), batch.Train, textDocuments(e.Texts[0])); err != nil {
		t.Fatal(err)
	}
	if c := one.Counts(batch.Train); c.Sequences != 1 || c.Unlearned != 1 || c.UnlearnedLine != 0 ||
		c.Tokens != len(e.IDs[0])-1 {
		t.Errorf("counts %+v", c)
	}
}

// Chats are the ids of apply_chat_template, learned where its assistant mask is set, whether the template marks the
// turns or they are found by its prefixes.
func TestChatsEqualTransformers(t *testing.T) {
	e := readExpected(t)
	docs := document.New("chats", document.Chat)
	for i, c := range e.Chats {
		docs.Append(document.Document{Messages: c.Messages, Line: i + 1})
	}
	marked, err := chat.Load(causalFile)
	if err != nil {
		t.Fatal(err)
	}
	config, err := causalFile("tokenizer_config.json")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Template string `json:"chat_template"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	plain, err := chat.New(strings.NewReplacer("{% generation %}", "", "{% endgeneration %}", "").Replace(c.Template),
		"plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, template := range []*chat.Template{marked, plain} {
		task := newCausal(t, strings.Replace(tinyGPT, `"n_positions":64`, `"n_positions":256`, 1), Config{Template: template})
		if err := task.Add(t.Context(), batch.Train, docs); err != nil {
			t.Fatal(err)
		}
		for i, c := range e.Chats {
			checkSequence(t, "chats", task.Splits[batch.Train], i, c.IDs, shifted(c.Labels))
		}
		all := newCausal(t, strings.Replace(tinyGPT, `"n_positions":64`, `"n_positions":256`, 1),
			Config{Template: template, TrainOnPrompt: true})
		if err := all.Add(t.Context(), batch.Train, docs); err != nil {
			t.Fatal(err)
		}
		for i, c := range e.Chats {
			checkSequence(t, "whole chats", all.Splits[batch.Train], i, c.IDs, shifted(c.IDs))
		}
	}
}

// learnedText returns the text of the learned tokens of each sequence, as the preview shows it, and the whole.
func learnedText(tokens []PreviewToken) (learned, whole string) {
	for _, p := range tokens {
		whole += p.Text
		if p.Trained {
			learned += p.Text
		}
	}
	return learned, whole
}

// The place in the text decides which tokens of a prompt and its completion are learned, never the ids: also where the
// padding token is the eos token, the prompt spells special tokens, or a token straddles the border. The eos token is
// always learned.
func TestPromptMasks(t *testing.T) {
	const end = "<|endoftext|>"
	for _, tt := range []struct{ prompt, completion, learned string }{
		{"How far? ", "Two miles.", "Two miles." + end},
		{"", "Two.", "." + end}, // "Two" is one token, and nothing precedes the first token
		{"Q: ", "", end},
		{"Q" + end + "a" + end, "b" + end, "b" + end}, // the completion's own eos token is not doubled
		{"Grüße 漢", "字も😀", "字も😀" + end},               // several tokens to a character
		{"Grüße 日本", "語も😀", "日本語も😀" + end},            // a token over the border
		{"The ri", "ver ran", " river ran" + end},     // " river" is one token
		{end, end, end},
		{"同じ", "同じ", "同じ" + end},
	} {
		task := newCausal(t, tinyGPT, Config{})
		prompt := tt.prompt
		if err := task.Add(t.Context(), batch.Train, promptDocuments([2]string{prompt, tt.completion})); err != nil {
			t.Fatal(err)
		}
		learned, whole := learnedText(task.Preview(batch.Train, 1)[0])
		want := prompt + tt.completion
		if !strings.HasSuffix(want, end) || tt.completion == "" {
			want += end
		}
		if whole != want {
			t.Errorf("%q + %q is %q, want %q", prompt, tt.completion, whole, want)
		}
		if learned != tt.learned {
			t.Errorf("%q + %q: learned %q, want %q", prompt, tt.completion, learned, tt.learned)
		}
		s := task.Splits[batch.Train]
		if eos, last := task.Tok.EosID(), s.TokenLabels.At(s.TokenLabels.Len()-2); last != eos {
			t.Errorf("%q + %q: the last label is %d, not eos", prompt, tt.completion, last)
		}
		all := newCausal(t, tinyGPT, Config{TrainOnPrompt: true})
		if err := all.Add(t.Context(), batch.Train, promptDocuments([2]string{prompt, tt.completion})); err != nil {
			t.Fatal(err)
		}
		got, ids := all.Splits[batch.Train], allIDs(s)
		if labels := allLabels(got); !slices.Equal(allIDs(got), ids) || !slices.Equal(labels, shifted(ids)) {
			t.Errorf("%q + %q, all learned: %v %v", prompt, tt.completion, allIDs(got), labels)
		}
	}
}

// The prompt of a chat that has one is not learned, though the assistant speaks in it.
func TestGivenMessages(t *testing.T) {
	task := newCausal(t, strings.Replace(tinyGPT, `"n_positions":64`, `"n_positions":256`, 1), Config{})
	messages := []document.Message{{Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Grüße"},
		{Role: "user", Content: "And?"}, {Role: "assistant", Content: "Nobody"}}
	docs := document.New("c", document.Chat, document.Document{Messages: messages, Line: 1},
		document.Document{Messages: messages, Given: 3, Line: 2})
	if err := task.Add(t.Context(), batch.Train, docs); err != nil {
		t.Fatal(err)
	}
	preview := task.Preview(batch.Train, 5)
	if len(preview) != 2 {
		t.Fatalf("%d sequences", len(preview))
	}
	for i, want := range []string{"Grüße<|im_end|>Nobody<|im_end|>", "Nobody<|im_end|>"} {
		if learned, _ := learnedText(preview[i]); learned != want {
			t.Errorf("chat %d: learned %q, want %q", i, learned, want)
		}
	}
}

func TestPreview(t *testing.T) {
	task := newCausal(t, tinyGPT, Config{BlockSize: 5})
	if err := task.Add(t.Context(), batch.Train, textDocuments("日本語 mill")); err != nil {
		t.Fatal(err)
	}
	whole := ""
	for i, tokens := range task.Preview(batch.Train, 99) {
		if tokens[0].Trained || len(tokens) > 1 && !tokens[1].Trained {
			t.Errorf("window %d: %+v", i, tokens)
		}
		_, text := learnedText(tokens)
		whole += text
	}
	if !strings.HasSuffix(whole, "mill") || len(task.Preview(batch.Train, 1)) != 1 ||
		len(task.Preview(batch.Train, 0)) != 0 {
		t.Errorf("got %q", whole)
	}
}
