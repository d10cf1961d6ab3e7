package clitest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// endOfText is token 0 of the tokenizers that [Characters] writes.
const endOfText = "<|endoftext|>"

// Characters writes the files of a tokenizer of n tokens, at most 96, into a directory: token 0 ends a text, the others
// are the printable characters of ASCII in their order, so that a text determines the ids that a model is given. Its
// chat template writes u:…; for a user's message, s:…; for the system's, and a:… with token 0 at the end for the
// assistant's.
func Characters(t testing.TB, dir string, n int) {
	t.Helper()
	vocabulary := map[string]int{endOfText: 0}
	for id := 1; id < n; id++ {
		vocabulary[string(rune(' '+id-1))] = id
	}
	write := func(name string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		Write(t, filepath.Join(dir, name), string(text))
	}
	special := map[string]any{"id": 0, "content": endOfText, "single_word": false, "lstrip": false, "rstrip": false,
		"normalized": false, "special": true}
	write("tokenizer.json", map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": []any{special}, "normalizer": nil,
		"pre_tokenizer": nil, "post_processor": nil, "decoder": map[string]any{"type": "Fuse"},
		"model": map[string]any{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": []any{},
		},
	})
	write("tokenizer_config.json", map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": endOfText, "eos_token": endOfText,
		"chat_template": "{% for m in messages %}{% if m.role == 'assistant' %}a:{{ m.content }}{{ eos_token }}" +
			"{% else %}{{ m.role[0] }}:{{ m.content }};{% endif %}{% endfor %}{% if add_generation_prompt %}a:{% endif %}",
	})
}

// Text returns the text that tokenizers of [Characters] turn into these ids.
func Text(ids []int) string {
	var b strings.Builder
	for _, id := range ids {
		if id == 0 {
			b.WriteString(endOfText)
		} else {
			b.WriteRune(rune(' ' + id - 1))
		}
	}
	return b.String()
}

// CausalCase is a fixture of reference/causal_fixtures.py or reference/causal_heads_fixtures.py, or a classifier of
// reference/seq2seq_heads_fixtures.py, with a copy of its base that has a tokenizer of characters.
type CausalCase struct {
	Case
	Base   string
	Vocab  int      // tokens
	Rows   []string // the sequences that were trained on
	Labels []int    // of their tokens or, for classifiers, of the sequences
	Values []float32
	// Whole says that every token of every row is a label, and has one.
	Whole bool
}

// ReadCausal reads the fixture in testdata/<name>.
func ReadCausal(t testing.TB, name string) CausalCase {
	t.Helper()
	c := CausalCase{Case: ReadCase(t, filepath.Join(Testdata, name))}
	c.Base = CopyDir(t, c.Path("base"))
	var config struct {
		Vocab int `json:"vocab_size"`
	}
	if err := json.Unmarshal([]byte(Read(t, filepath.Join(c.Base, "config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	c.Vocab = config.Vocab
	Characters(t, c.Base, c.Vocab)
	g := golden.Open(t, c.Path("batches.safetensors"))
	ids, starts := g.Ints("ids"), g.Ints("starts")
	c.Whole = true
	if c.Problem == "regression" || c.Problem == "multi_label_classification" {
		c.Values = g.Float32("labels")
	} else {
		c.Labels = g.Ints("labels")
	}
	for i := range len(starts) - 1 {
		row := ids[starts[i]:starts[i+1]]
		c.Rows = append(c.Rows, Text(row))
		c.Whole = c.Whole && len(row) > 1
	}
	for i, l := range c.Labels {
		c.Whole = c.Whole && len(c.Labels) == len(ids) && l == ids[i]
	}
	return c
}

// File writes the rows as JSON Lines and returns the path.
func (c CausalCase) File(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, row := range c.Rows {
		text, err := json.Marshal(map[string]string{"text": row})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return Write(t, filepath.Join(t.TempDir(), "train.jsonl"), b.String())
}

// LabelledFile writes the rows of a classifier with their labels as JSON Lines and returns the path.
func (c CausalCase) LabelledFile(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for i, row := range c.Rows {
		line := map[string]any{"text": row}
		switch {
		case c.Labels != nil:
			line["label"] = c.Labels[i]
		case c.NumLabels == 1:
			line["label"] = json.RawMessage(fmt.Sprintf("%.9e", c.Values[i]))
		default:
			line["label"] = c.Values[i*c.NumLabels : (i+1)*c.NumLabels]
		}
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return Write(t, filepath.Join(t.TempDir(), "train.jsonl"), b.String())
}

// Story is a text that a small model can learn by heart.
var Story = strings.Repeat("The cat sat on the mat. The dog lay by the log. ", 30)

// StoryArgs returns the flags of "finetune causal-lm" that train the fixture of a small GPT-2 on the story for a few
// steps.
func StoryArgs(t testing.TB, args ...string) []string {
	t.Helper()
	c := ReadCausal(t, "causal/gpt2_c_attn")
	file := Write(t, filepath.Join(t.TempDir(), "story.txt"), Story)
	flags := []string{"causal-lm", "--quiet", "--model", c.Base, "--train-file", file, "--max-steps=3",
		"--sample-max-new-tokens=6"}
	return append(flags, args...)
}
