package seq2seq_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/tokenize"
)

// languageTokenizer returns a tokenizer of a class with language codes.
func languageTokenizer(t *testing.T, class string) *tokenize.Tokenizer {
	t.Helper()
	f, err := os.Open("../../tokenize/testdata/sentencepiece/fairseq.model.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		switch name {
		case "sentencepiece.bpe.model":
			return pieces, nil
		case "tokenizer_config.json":
			return fmt.Appendf(nil, `{"tokenizer_class": %q, "src_lang": "en_XX"}`, class), nil
		}
		return nil, fs.ErrNotExist
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestTargetLanguage: with mBART the decoder starts with the target's language, with mBART-50 a target begins with it,
// and labels have it where the tokenizer puts it.
func TestTargetLanguage(t *testing.T) {
	for class, begins := range map[string]bool{"MBartTokenizer": false, "MBart50Tokenizer": true} {
		t.Run(class, func(t *testing.T) {
			tok := languageTokenizer(t, class)
			config := fmt.Sprintf(`{"model_type": "mbart", "vocab_size": %d, "d_model": 8, "encoder_layers": 1,
				"decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 8,
				"decoder_ffn_dim": 8, "max_position_embeddings": 40, "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0,
				"init_std": 0.5}`, tok.VocabSize())
			m, err := models.NewSeq2SeqLM([]byte(config), 3)
			if err != nil {
				t.Fatal(err)
			}
			pool := op.NewPool(1)
			defer pool.Close()
			tok, err = tok.WithLanguages("en_XX", "ro_RO")
			if err != nil {
				t.Fatal(err)
			}
			p, err := seq2seq.NewPredictor(m, tok, seq2seq.Config{
				CoreConfig: tasks.CoreConfig{Pool: pool}, TargetLanguage: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			language, _ := tok.ID("ro_RO")
			c := generate.Defaults()
			c.MaxNewTokens = 3
			_, err = p.Generate(t.Context(), []string{"Tom"}, c, func(_ int, list []generate.Sequence) error {
				if got := list[0].IDs[0] == language; got != begins {
					t.Errorf("the target is %v; begins with the language: %v, want %v", list[0].IDs, got, begins)
				}
				if !begins { // what it starts with decides what it writes
					return sameFrom(t, m, tok, []int32{language}, list[0].IDs)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			evaluatedInLanguage(t, p, tok, c)
			rows := pair.New("rows", pair.Pair{Source: "Tom", Targets: []string{"Tom"}})
			_, err = p.Logits(t.Context(), rows, func(_ int, labels []int32, _ []float32) error {
				at := len(labels) - 1
				if begins {
					at = 0
				}
				if labels[at] != language || slices.Index(labels, language) != at {
					t.Errorf("the labels are %v; want the language %d at %d", labels, language, at)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// evaluatedInLanguage: what evaluations generate is what a predictor writes for a target language.
func evaluatedInLanguage(t *testing.T, p *seq2seq.Predictor, tok *tokenize.Tokenizer, c generate.Config) {
	t.Helper()
	var rows []pair.Pair
	for _, source := range []string{"Tom", "a dog", "in the house"} {
		_, err := p.Generate(t.Context(), []string{source}, c, func(_ int, list []generate.Sequence) error {
			rows = append(rows, pair.Pair{Source: source, Targets: []string{list[0].Text}})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	task, err := seq2seq.NewTask(p.Net, tok, seq2seq.TaskConfig{
		Config:   seq2seq.Config{CoreConfig: tasks.CoreConfig{Pool: p.Pool}, TargetLanguage: true},
		Generate: &c, Main: seq2seq.MainBLEU,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	if err := task.Add(t.Context(), batch.Eval, pair.New("rows", rows...)); err != nil {
		t.Fatal(err)
	}
	m, err := task.Evaluate(t.Context(), batch.Eval)
	if err != nil {
		t.Fatal(err)
	}
	if same, _ := m.Get("exact_match"); same.Value != 100 || rows[0].Targets[0] == "" {
		t.Errorf("of %v evaluations generate %v %%", rows, same.Value)
	}
}

// sameFrom compares a target with what the model writes if its decoder starts with these tokens.
func sameFrom(t *testing.T, m models.Seq2SeqLM, tok *tokenize.Tokenizer, start, want []int32) error {
	t.Helper()
	e, err := tok.Encode("Tom", tokenize.Options{})
	if err != nil {
		return err
	}
	c := generate.Defaults()
	c.MaxNewTokens = len(want)
	list, err := generate.NewSeq2Seq(m, tok, nil).Generate(t.Context(), []generate.Prompt{{IDs: e.IDs, Start: start}}, c)
	if err == nil && !slices.Equal(list[0].IDs, want) {
		t.Errorf("the target is %v; %v if the decoder starts with the language", want, list[0].IDs)
	}
	return err
}

// TestSourceWithoutTokens: a tokenizer that puts no end token behind a text leaves nothing of an empty source.
func TestSourceWithoutTokens(t *testing.T) {
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		return os.ReadFile("../causallm/testdata/causal/" + name)
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.NewSeq2SeqLM(fmt.Appendf(nil, `{"model_type": "t5", "vocab_size": %d, "d_model": 8, "d_kv": 4,
		"d_ff": 8, "num_layers": 1, "num_heads": 2, "pad_token_id": 0}`, tok.VocabSize()), 3)
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(1)
	defer pool.Close()
	p, err := seq2seq.NewPredictor(m, tok, seq2seq.Config{CoreConfig: tasks.CoreConfig{Pool: pool}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = p.Generate(t.Context(), []string{"a", ""}, generate.Defaults(), func(int, []generate.Sequence) error {
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "texts:2: the source has no tokens") {
		t.Errorf("the error is %v", err)
	}
}
