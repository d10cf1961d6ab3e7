package generate

import (
	"cmp"
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
	MaxNewTokens        int            `json:"max_new_tokens"`
	MaxLength           int            `json:"max_length"`
	MinNewTokens        int            `json:"min_new_tokens"`
	MinLength           int            `json:"min_length"`
	SequenceBias        []Bias         `json:"sequence_bias"`
	EncoderPenalty      float64        `json:"encoder_repetition_penalty"`
	RepetitionPenalty   *float64       `json:"repetition_penalty"`
	NoRepeat            int            `json:"no_repeat_ngram_size"`
	EncoderNoRepeat     int            `json:"encoder_no_repeat_ngram_size"`
	BadWords            [][]int32      `json:"bad_words_ids"`
	ForcedBos           *int32         `json:"forced_bos_token_id"`
	ForcedEos           any            `json:"forced_eos_token_id"` // a number or a list
	RemoveInvalidValues bool           `json:"remove_invalid_values"`
	Decay               *LengthPenalty `json:"exponential_decay_length_penalty"`
	Suppress            []int32        `json:"suppress_tokens"`
	BeginSuppress       []int32        `json:"begin_suppress_tokens"`
	Temperature         *float64       `json:"temperature"`
	TopH                float64        `json:"top_h"`
	TopK                int            `json:"top_k"`
	TopP                *float64       `json:"top_p"`
	MinP                float64        `json:"min_p"`
	TypicalP            float64        `json:"typical_p"`
	EpsilonCutoff       float64        `json:"epsilon_cutoff"`
	EtaCutoff           float64        `json:"eta_cutoff"`
	Eos                 *int32         `json:"eos_token_id"`
}

func (o options) config() Config {
	cfg := Defaults()
	if o.MaxLength != 0 {
		cfg.MaxNewTokens = 0
	}
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
	if o.Eos != nil {
		cfg.EosTokenIDs = []int32{*o.Eos}
	}
	cfg.MaxLength, cfg.MinNewTokens, cfg.MinLength = o.MaxLength, o.MinNewTokens, o.MinLength
	cfg.SequenceBias, cfg.EncoderRepetitionPenalty = o.SequenceBias, o.EncoderPenalty
	cfg.NoRepeatNgramSize, cfg.EncoderNoRepeatNgramSize, cfg.BadWordsIDs = o.NoRepeat, o.EncoderNoRepeat, o.BadWords
	cfg.ForcedBosTokenID, cfg.RemoveInvalidValues = o.ForcedBos, o.RemoveInvalidValues
	cfg.ExponentialDecayLengthPenalty = o.Decay
	cfg.SuppressTokens, cfg.BeginSuppressTokens = o.Suppress, o.BeginSuppress
	cfg.TopH, cfg.TopK, cfg.MinP, cfg.TypicalP = o.TopH, o.TopK, o.MinP, o.TypicalP
	cfg.EpsilonCutoff, cfg.EtaCutoff = o.EpsilonCutoff, o.EtaCutoff
	switch v := o.ForcedEos.(type) {
	case float64:
		cfg.ForcedEosTokenIDs = []int32{int32(v)}
	case []any:
		for _, id := range v {
			cfg.ForcedEosTokenIDs = append(cfg.ForcedEosTokenIDs, int32(id.(float64)))
		}
	}
	return cfg
}

// TestProcessors: the remaining tokens and their probabilities equal transformers', token by token, and so do the
// scores after the processors that also act without sampling.
func TestProcessors(t *testing.T) {
	var file struct {
		Cases []struct {
			Name string `json:"name"`
			options
			Left    []int `json:"left"`    // tokens that may be drawn
			Changed *bool `json:"changed"` // of a case without sampling: whether the scores are others
			Prompt  int   `json:"prompt"`  // number of ids that are the prompt's; 0: 5
			Length  int   `json:"length"`  // number of ids; 0: all
			Invalid bool  `json:"invalid"` // NaN and infinite logits
		} `json:"cases"`
	}
	readJSON(t, filepath.Join(fixtures, "processors.json"), &file)
	if len(file.Cases) < 65 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	f := golden.Open(t, filepath.Join(fixtures, "processors.safetensors"))
	shape := f.Shape("logits")
	rows, v := shape[0], shape[1]
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			cfg := c.config()
			cfg.EosTokenIDs = []int32{7, 20, 7} // a duplicate counts once
			logits, ids := f.Float32("logits"), f.Ints("ids")
			if c.Invalid {
				logits = f.Float32("logits_invalid")
			}
			if cfg.DoSample = c.Changed == nil; !cfg.DoSample {
				ids = f.Ints("ids_again")
			}
			want := f.Float32(c.Name)
			ch := &chooser{cfg: cfg} // one for all rows, to show that rows do not affect each other
			changed := false
			for r := range rows {
				var list []int32
				for _, id := range ids[r*len(ids)/rows : (r+1)*len(ids)/rows] {
					list = append(list, int32(id))
				}
				prompt := cmp.Or(c.Prompt, 5)
				h := newHistory(Prompt{IDs: list[:prompt], Start: list[:prompt]}, 100, cfg)
				for _, id := range list[prompt:cmp.Or(c.Length, len(list))] {
					h.add(id)
				}
				x := slices.Clone(logits[r*v : (r+1)*v])
				ch.process(x, &h)
				if !cfg.DoSample {
					golden.Close(t, "scores", x, want[r*v:(r+1)*v], 0, 1e-7)
					changed = changed || !slices.Equal(x, logits[r*v:(r+1)*v])
					continue
				}
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
			if c.Changed != nil && changed != *c.Changed {
				t.Errorf("the scores change: %t, want %t", changed, *c.Changed)
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
