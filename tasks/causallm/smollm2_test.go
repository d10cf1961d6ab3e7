package causallm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

const smollm2 = "../../testdata/smollm2" // reference/smollm2_fixtures.py

// smollm2Base returns the model directory of SmolLM2-135M-Instruct (269 MB; docs/parity.md says how to make it). It
// skips the test if there is none.
func smollm2Base(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SPALORA_SMOLLM2")
	if dir == "" {
		t.Skip("SPALORA_SMOLLM2 does not name the directory of SmolLM2-135M-Instruct (docs/parity.md says how to make one)")
	}
	return dir
}

// fingerprint compares the logits of one row of text with those that the fixture keeps: the eight largest of each
// position, their places, and every 192nd. It returns the largest difference, relative to the largest logit.
func fingerprint(t *testing.T, logits []float32, g *golden.Fixture, prefix string) float64 {
	t.Helper()
	rows, vocabulary := g.Shape(prefix + "top")[0], 49152
	if len(logits) != rows*vocabulary {
		t.Fatalf("%d logits, want %d×%d", len(logits), rows, vocabulary)
	}
	ids := g.Ints(prefix + "top_ids")
	var top, sample []float32
	for row := range rows {
		x := logits[row*vocabulary : (row+1)*vocabulary]
		for _, id := range ids[row*8 : row*8+8] {
			top = append(top, x[id])
		}
		if best := int(tasks.ArgMax(x, vocabulary)[0]); best != ids[row*8] {
			t.Errorf("position %d: the largest logit is token %d's, transformers' %d's", row, best, ids[row*8])
		}
		for i := 0; i < vocabulary; i += 192 {
			sample = append(sample, x[i])
		}
	}
	return golden.MaxRel(append(top, sample...), append(g.Float32(prefix+"top"), g.Float32(prefix+"every192")...))
}

// TestSmolLM2Training repeats ten steps of PEFT with the real model on real text: tokens, logits, losses, norms,
// adapter.
func TestSmolLM2Training(t *testing.T) {
	r, out := openCausalRun(t, smollm2, smollm2Base(t)), t.TempDir()
	expected := golden.Open(t, filepath.Join(smollm2, "expected.safetensors"))
	src, err := checkpoint.Open(r.Base)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(smollm2, "text.txt"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := tok.Encode(string(text), tokenize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if ids := allIDs(r.Splits[batch.Train]); len(e.IDs) < len(ids) || !slices.Equal(e.IDs[:len(ids)], ids) {
		t.Error("the tokens of text.txt are not those that PEFT trained on")
	}
	base := golden.Open(t, filepath.Join(smollm2, "base.safetensors"))
	if d := fingerprint(t, r.logitsWith(t, nil), base, "base."); !(d <= 2e-5) {
		t.Errorf("logits of the base: off by %.2g of the largest", d)
	} else {
		t.Logf("logits of the base: off by %.1e of the largest", d)
	}
	d := tasktest.Deviations{Initial: fingerprint(t, r.logits(t), expected, "init.")}
	d.Steps(r.train(t, out), r.Exact)
	d.Adapter, d.Tensor = r.Adapter(t, out, tasktest.None)
	d.Final = fingerprint(t, r.logits(t), expected, "final.")
	d.Check(t, "smollm2", r.MaxSteps)
}

// TestSmolLM2Greedy: 64 greedy tokens of five prompts are transformers', one by one and as one batch.
func TestSmolLM2Greedy(t *testing.T) {
	r := openCausalRun(t, smollm2, smollm2Base(t))
	src, err := checkpoint.Open(r.Base)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		MaxNewTokens int `json:"max_new_tokens"`
		Prompts      []struct {
			Name, Text, Answer string
			IDs, Tokens        []int32
			Margin             float64
		}
	}
	content, err := os.ReadFile(filepath.Join(smollm2, "greedy.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &file); err != nil || len(file.Prompts) != 5 {
		t.Fatalf("%d prompts, %v", len(file.Prompts), err)
	}
	cfg := generate.Defaults()
	cfg.MaxNewTokens = file.MaxNewTokens
	var prompts []generate.Prompt
	for i, p := range file.Prompts {
		e, err := tok.Encode(p.Text, tokenize.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.IDs, p.IDs) {
			t.Errorf("%s: ids %v, transformers' %v", p.Name, e.IDs, p.IDs)
		}
		prompts = append(prompts, generate.Prompt{IDs: p.IDs, Number: i})
	}
	g := generate.New(r.Net, tok, r.Pool)
	check := func(how string, got []generate.Sequence, err error, first int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range got {
			if want := file.Prompts[first+i]; !slices.Equal(s.IDs, want.Tokens) {
				t.Errorf("%s, %s (margin %g):\n got %v\nwant %v", want.Name, how, want.Margin, s.IDs, want.Tokens)
			}
		}
	}
	got, err := g.Generate(t.Context(), prompts, cfg)
	check("batch", got, err, 0)
	for i := range prompts {
		got, err := g.Generate(t.Context(), prompts[i:i+1], cfg)
		check("alone", got, err, i)
	}
}
