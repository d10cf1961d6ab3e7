package spalora_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nlpodyssey/gotokenizers/models/wordpiecemodel"
	"github.com/nlpodyssey/gotokenizers/normalizers/bertnormalizer"
	"github.com/nlpodyssey/gotokenizers/pretokenizers/bertpretokenizer"
	"github.com/rs/zerolog"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/tokenize/gotokenizers"
)

const smallBERT = "testdata/bert/query_value/base"

// smallTokenizers returns the tokenizer of smallBERT, the same one made of parts that pass through gotokenizers' types,
// and one of gotokenizers' own parts with the same vocabulary.
func smallTokenizers(t *testing.T) (own, same, theirs *tokenize.Tokenizer) {
	t.Helper()
	b, err := base.Open(smallBERT)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	own = b.Tokenizer
	c, err := own.Custom()
	if err != nil {
		t.Fatal(err)
	}
	p, err := gotokenizers.PartsOf(own)
	if err != nil {
		t.Fatal(err)
	}
	c.Parts, c.Vocabulary, c.Name = tokenize.Parts{}, nil, "same"
	if same, err = gotokenizers.New(p, c); err != nil {
		t.Fatal(err)
	}
	c.Name = "theirs"
	p.Normalizer, p.PreTokenizer = bertnormalizer.DefaultBertNormalizer(), bertpretokenizer.New()
	p.Model = wordpiecemodel.New(p.Vocabulary, "[UNK]", "##", 100)
	if theirs, err = gotokenizers.New(p, c); err != nil {
		t.Fatal(err)
	}
	return own, same, theirs
}

// trainWith trains a small classifier with a tokenizer.
func trainWith(tok *tokenize.Tokenizer, dir string, change func(*spalora.SeqCls)) (*spalora.Results, error) {
	c := &spalora.SeqCls{Run: spalora.Run{
		Model: smallBERT, CustomTokenizer: tok, TrainFile: "testdata/bert/query_value/train.jsonl", OutputDir: dir,
		MaxSteps: 4, BatchSize: 4, Overwrite: true,
	}}
	if change != nil {
		change(c)
	}
	return spalora.Finetune(context.Background(), c)
}

// TestCustomTokenizer trains and predicts with a custom tokenizer that is equal to the checkpoint's: the results are
// equal, and the adapter is not used with another tokenizer by mistake.
func TestCustomTokenizer(t *testing.T) {
	ctx := context.Background()
	own, same, theirs := smallTokenizers(t)
	dir := t.TempDir()
	plain, custom := filepath.Join(dir, "plain"), filepath.Join(dir, "custom")
	want, err := trainWith(nil, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	have, err := trainWith(same, custom, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(have.Train.TrainLoss, want.Train.TrainLoss) {
		t.Errorf("loss %v, with the checkpoint's tokenizer %v", have.Train.TrainLoss, want.Train.TrainLoss)
	}
	results, err := os.ReadFile(filepath.Join(custom, "results.json"))
	if err != nil || !strings.Contains(string(results), `"tokenizer": "`+same.Identity()+`"`) {
		t.Errorf("results.json does not name the tokenizer: %v", err)
	}
	notes, err := lora.ReadNotes(custom)
	if err != nil || notes["tokenizer"] != same.Identity() {
		t.Errorf("notes %v, %v", notes, err)
	}
	if notes, err = lora.ReadNotes(plain); err != nil || notes["tokenizer"] != "" {
		t.Errorf("notes of the checkpoint's tokenizer: %v, %v", notes, err)
	}

	opened, err := base.Open(smallBERT)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	var classes [][]spalora.Class
	for _, c := range []struct {
		name, dir string
		options   []spalora.Option
		refused   string // part of the error
		warned    string // part of the log
	}{
		{"plain", plain, nil, "", ""},
		{"the same", custom, []spalora.Option{spalora.WithTokenizer(same)}, "", ""},
		{"the same with an opened base", custom,
			[]spalora.Option{spalora.WithTokenizer(same), spalora.WithOpenedBase(opened)}, "", ""},
		{"none", custom, nil, "not with the tokenizer of " + smallBERT, ""},
		{"none with an opened base", custom, []spalora.Option{spalora.WithOpenedBase(opened)}, "custom tokenizer same ", ""},
		{"another", custom, []spalora.Option{spalora.WithTokenizer(theirs)},
			"custom tokenizer " + same.Identity() + ", not with the custom tokenizer " + theirs.Identity(), ""},
		{"none, accepted", custom, []spalora.Option{spalora.WithOtherBase()}, "", "is used with the tokenizer of"},
		{"custom for plain", plain, []spalora.Option{spalora.WithTokenizer(same)}, "", "with the tokenizer of a checkpoint"},
	} {
		var log bytes.Buffer
		m, err := spalora.Open(c.dir, append(c.options, spalora.WithLogger(zerolog.New(&log)))...)
		if c.refused != "" {
			if err == nil || !errors.Is(err, spalora.ErrInput) || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %s", c.name, err, c.refused)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if warned := strings.Contains(log.String(), `"level":"warn"`); warned != (c.warned != "") ||
			!strings.Contains(log.String(), c.warned) {
			t.Errorf("%s: log %s", c.name, log.String())
		}
		got, err := m.ClassifyAll(ctx, spalora.Texts("good one", "bad and long text", ""))
		if err != nil {
			t.Fatal(err)
		}
		classes = append(classes, got)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range classes {
		if !reflect.DeepEqual(c, classes[0]) {
			t.Errorf("prediction %d differs: %v, want %v", i, c, classes[0])
		}
	}
	if opened.Tokenizer.Identity() != "" || own.Identity() != "" {
		t.Error("the opened base was changed")
	}
}

// TestCustomTokenizerRuns checks runs that continue others, checkpoints without tokenizer files, and texts that a part
// fails for.
func TestCustomTokenizerRuns(t *testing.T) {
	_, same, theirs := smallTokenizers(t)
	dir := t.TempDir()
	first, next := filepath.Join(dir, "first"), filepath.Join(dir, "next")
	if _, err := trainWith(same, first, func(c *spalora.SeqCls) { c.SaveSteps = 2 }); err != nil {
		t.Fatal(err)
	}
	_, err := trainWith(theirs, first, func(c *spalora.SeqCls) {
		c.ResumeFromCheckpoint, c.MaxSteps, c.Overwrite = first, 6, false
		c.AllowChanged = []string{"max_steps"}
	})
	if err == nil || !strings.Contains(err.Error(), "tokenizer") {
		t.Errorf("resumed with another tokenizer: %v", err)
	}
	start := func(c *spalora.SeqCls) { c.Adapter = first }
	if _, err := trainWith(theirs, next, start); err == nil || !strings.Contains(err.Error(), "custom tokenizer same") {
		t.Errorf("started from an adapter with another tokenizer: %v", err)
	}
	if _, err := trainWith(same, next, start); err != nil {
		t.Error(err)
	}
	accept := func(c *spalora.SeqCls) { c.Adapter, c.AllowOtherBase = first, true }
	if _, err = trainWith(theirs, next, accept); err != nil {
		t.Error(err)
	}
	if notes, err := lora.ReadNotes(next); err != nil || notes["tokenizer"] != theirs.Identity() {
		t.Errorf("notes %v, %v", notes, err)
	}

	files := map[string][]byte{}
	for _, name := range []string{"config.json", "model.safetensors"} {
		if files[name], err = os.ReadFile(filepath.Join(smallBERT, name)); err != nil {
			t.Fatal(err)
		}
	}
	bare := func(c *spalora.SeqCls) { c.ModelFiles = files }
	if _, err := trainWith(nil, next, bare); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("no tokenizer files: %v", err)
	}
	if _, err := trainWith(same, next, bare); err != nil {
		t.Error(err)
	}
	m, err := spalora.Open(next, spalora.WithBaseFiles("bare", files), spalora.WithTokenizer(same))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}

	rows := filepath.Join(dir, "rows.csv")
	text := "text,label\ngood,mixed\nx,negative\n\"\u00ad日本語\",positive\n"
	if err := os.WriteFile(rows, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = trainWith(theirs, next, func(c *spalora.SeqCls) { c.TrainFile = rows })
	at := new(data.Error)
	if !errors.As(err, &at) || at.Line != 4 || !strings.Contains(err.Error(), "loses the alignment") {
		t.Errorf("%v does not name line 4 and the reason", err)
	}
}

// TestCustomTokenizerWholeModel checks that a whole model that was trained with a custom tokenizer is written without
// tokenizer files, so that it opens with that tokenizer only.
func TestCustomTokenizerWholeModel(t *testing.T) {
	_, same, _ := smallTokenizers(t)
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte("good one bad one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "model")
	_, err := spalora.Finetune(context.Background(), &spalora.CausalLM{
		Run:        spalora.Run{OutputDir: out, TrainFile: text, MaxSteps: 1, BatchSize: 1, CustomTokenizer: same},
		AllWeights: spalora.AllWeights{Full: true, FromScratch: "testdata/causal/gpt2_c_attn/base/config.json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spalora.Open(out); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("opened without its tokenizer: %v", err)
	}
	m, err := spalora.Open(out, spalora.WithTokenizer(same))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Generate(context.Background(), "good one"); err != nil {
		t.Error(err)
	}
}
