package generate

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
)

const fixtures = "../testdata/generate"

// open opens a fixture's base model.
func open(t testing.TB, dir string) models.CausalLM {
	t.Helper()
	src, err := checkpoint.Open(filepath.Join("../testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenCausalLM(src)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func readJSON(t testing.TB, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// options are the options of a fixture's case.
type options struct {
	MaxNewTokens      int      `json:"max_new_tokens"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
	Temperature       *float64 `json:"temperature"`
	TopK              *int     `json:"top_k"`
	TopP              *float64 `json:"top_p"`
	MinP              *float64 `json:"min_p"`
	Eos               *int32   `json:"eos_token_id"`
}

func (o options) config() Config {
	cfg := Defaults()
	cfg.TopK = 0
	if o.MaxNewTokens != 0 {
		cfg.MaxNewTokens = o.MaxNewTokens
	}
	set := func(to *float64, v *float64) {
		if v != nil {
			*to = *v
		}
	}
	set(&cfg.RepetitionPenalty, o.RepetitionPenalty)
	set(&cfg.Temperature, o.Temperature)
	set(&cfg.TopP, o.TopP)
	set(&cfg.MinP, o.MinP)
	if o.TopK != nil {
		cfg.TopK = *o.TopK
	}
	if o.Eos != nil {
		cfg.EosTokenIDs = []int32{*o.Eos}
	}
	return cfg
}

// TestProcessors: the remaining tokens and their probabilities equal transformers', token by token.
func TestProcessors(t *testing.T) {
	var file struct {
		Cases []struct {
			Name string `json:"name"`
			options
			Left []int `json:"left"`
		} `json:"cases"`
	}
	readJSON(t, filepath.Join(fixtures, "processors.json"), &file)
	if len(file.Cases) < 15 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	f := golden.Open(t, filepath.Join(fixtures, "processors.safetensors"))
	logits, ids := f.Float32("logits"), f.Ints("ids")
	shape := f.Shape("logits")
	rows, v := shape[0], shape[1]
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			cfg := c.config()
			cfg.DoSample = true
			want := f.Float32(c.Name)
			ch := &chooser{cfg: cfg} // one for all rows, to show that rows do not affect each other
			for r := range rows {
				seen := map[int32]bool{}
				for _, id := range ids[r*len(ids)/rows : (r+1)*len(ids)/rows] {
					seen[int32(id)] = true
				}
				var list []int32
				for id := range seen {
					list = append(list, id)
				}
				x := slices.Clone(logits[r*v : (r+1)*v])
				ch.penalise(x, list, 0)
				ch.warp(x)
				if len(ch.left) != c.Left[r] {
					t.Errorf("row %d: %d tokens left, want %d", r, len(ch.left), c.Left[r])
				}
				got := make([]float32, v)
				for i := range got {
					got[i] = float32(math.Inf(-1))
				}
				for _, k := range ch.left {
					got[k.id] = float32(math.Log(k.p))
				}
				golden.Close(t, "log-probabilities", got, want[r*v:(r+1)*v], 1e-6, 2e-6)
			}
		})
	}
}

type greedyCase struct {
	Checkpoint string `json:"checkpoint"`
	options
	Margin  float64   `json:"margin"`
	Prompts [][]int32 `json:"prompts"`
	Tokens  [][]int32 `json:"tokens"`
}

func greedyCases(t testing.TB) []greedyCase {
	t.Helper()
	var file struct {
		Cases []greedyCase `json:"cases"`
	}
	readJSON(t, filepath.Join(fixtures, "greedy.json"), &file)
	if len(file.Cases) < 20 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	return file.Cases
}

func prompts(ids [][]int32) []Prompt {
	list := make([]Prompt, len(ids))
	for i, x := range ids {
		list[i] = Prompt{IDs: x, Number: i}
	}
	return list
}

// TestGreedy: tokens equal those of transformers, for every architecture, with a penalty and an end token, one by one
// and in a batch.
func TestGreedy(t *testing.T) {
	pool := op.NewPool(2)
	defer pool.Close()
	for _, c := range greedyCases(t) {
		m := open(t, c.Checkpoint)
		cfg := c.config()
		check := func(label string, got []Sequence, err error, want [][]int32) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s %s: %v", c.Checkpoint, label, err)
			}
			for i, s := range got {
				finish := Length
				if k := len(want[i]); c.Eos != nil && want[i][k-1] == *c.Eos {
					finish = Stop
				}
				if !slices.Equal(s.IDs, want[i]) || s.Finish != finish {
					t.Errorf("%s %s (margin %g): prompt %v\n got %v %s\nwant %v %s", c.Checkpoint, label, c.Margin, c.Prompts[i],
						s.IDs, s.Finish, want[i], finish)
				}
			}
		}
		g := New(m, nil, pool)
		got, err := g.Generate(context.Background(), prompts(c.Prompts), cfg)
		check("batch", got, err, c.Tokens)
		for i := range c.Prompts {
			got, err := New(m, nil, nil).Generate(context.Background(), prompts(c.Prompts[i:i+1]), cfg)
			check("alone", got, err, c.Tokens[i:])
		}
	}
}
