package generate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/nn/op"
)

type combination struct {
	LengthPenalty float64 `json:"length_penalty"`
	NoRepeat      int     `json:"no_repeat_ngram_size"`
}

type beamCase struct {
	Checkpoint string `json:"checkpoint"`
	Name       string `json:"name"`
	options
	Ends          []int32        `json:"eos_token_id"`
	NumBeams      int            `json:"num_beams"`
	Return        int            `json:"num_return_sequences"`
	LengthPenalty *float64       `json:"length_penalty"`
	EarlyStopping *EarlyStopping `json:"early_stopping"`
	Prompts       [][]int32      `json:"prompts"`
	Tokens        [][][]int32    `json:"tokens"`
	Scores        [][]float32    `json:"scores"`
}

type beamFile struct {
	Combinations []combination `json:"combinations"`
	Cases        []beamCase    `json:"cases"`
}

// sameScore allows a difference of 1e-4, and of rounding where an extreme length penalty makes scores large.
func sameScore(got, want float32) bool {
	return math.Abs(float64(got-want)) <= max(1e-4, 1e-6*math.Abs(float64(want)))
}

// TestBeamSearch: tokens and scores equal transformers', for 200 prompts of two architectures, every combination of
// length penalty and group size, and all ways of stopping.
func TestBeamSearch(t *testing.T) {
	var file beamFile
	readJSON(t, filepath.Join(fixtures, "beams.json"), &file)
	f := golden.Open(t, filepath.Join(fixtures, "beams.safetensors"))
	pool := op.NewPool(2)
	defer pool.Close()
	for _, checkpoint := range []string{"gpt2_c_attn", "llama_gqa"} {
		g := New(open(t, filepath.Join("causal", checkpoint, "base")), nil, pool)
		var list []Prompt
		for _, n := range []int{1, 3, 6, 12} {
			for ids := range slices.Chunk(f.Ints(fmt.Sprintf("%s.prompts.%d", checkpoint, n)), n) {
				list = append(list, Prompt{IDs: tokens(ids)})
			}
		}
		ends := tokens(f.Ints(checkpoint + ".ends"))
		all, scores := f.Ints(checkpoint+".tokens"), f.Float32(checkpoint+".scores")
		shape := f.Shape(checkpoint + ".tokens")
		if len(list) != 200 || shape[0] != 7 || len(file.Combinations) != 6 {
			t.Fatalf("%d prompts, %v tokens, %d combinations", len(list), shape, len(file.Combinations))
		}
		short := 0
		check := func(label string, at int, p Prompt, s Sequence) {
			t.Helper()
			want, finish := tokens(all[at*shape[2]:(at+1)*shape[2]]), Length
			if n := slices.Index(want, 255); n >= 0 {
				want = want[:n]
				short++
			}
			if slices.Contains(ends, want[len(want)-1]) {
				finish = Stop
			}
			if !slices.Equal(s.IDs, want) || s.Finish != finish || !sameScore(s.Score, scores[at]) {
				t.Errorf("%s: prompt %v\n got %v %v %s\nwant %v %v %s", label, p.IDs, s.IDs, s.Score, s.Finish, want, scores[at],
					finish)
			}
		}
		cfg := Defaults()
		cfg.EosTokenIDs, cfg.MaxNewTokens = ends, shape[2]
		for i, s := range must(t, g, list, cfg) {
			check(checkpoint+", greedy", i, list[i], s)
		}
		for c, o := range file.Combinations {
			cfg.NumBeams, cfg.LengthPenalty, cfg.NoRepeatNgramSize = 4, o.LengthPenalty, o.NoRepeat
			for e := range 3 {
				cfg.EarlyStopping = EarlyStopping(e)
				var part []Prompt
				for i := e; i < len(list); i += 3 {
					part = append(part, list[i])
				}
				for k, s := range must(t, g, part, cfg) {
					check(fmt.Sprintf("%s, %+v, %v", checkpoint, o, cfg.EarlyStopping), (c+1)*len(list)+e+3*k, part[k], s)
				}
			}
		}
		if n := 6 * len(list) / 3; short < n {
			t.Errorf("%s: %d sequences end early, want at least %d", checkpoint, short, n)
		}
	}
}

func tokens(list []int) []int32 {
	ids := make([]int32, len(list))
	for i, x := range list {
		ids[i] = int32(x)
	}
	return ids
}

func (c beamCase) config() Config {
	cfg := c.options.config()
	cfg.EosTokenIDs, cfg.NumBeams, cfg.NumReturnSequences = c.Ends, c.NumBeams, max(c.Return, 1)
	if c.LengthPenalty != nil {
		cfg.LengthPenalty = *c.LengthPenalty
	}
	if c.EarlyStopping != nil {
		cfg.EarlyStopping = *c.EarlyStopping
	}
	return cfg
}

// TestBeamSettings: all sequences that are returned equal transformers', with their scores, for settings of all kinds,
// in one batch and prompt by prompt.
func TestBeamSettings(t *testing.T) {
	var file beamFile
	readJSON(t, filepath.Join(fixtures, "beams.json"), &file)
	if len(file.Cases) < 50 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.Checkpoint+" "+c.Name, func(t *testing.T) {
			g := New(open(t, filepath.Join("causal", c.Checkpoint, "base")), nil, nil)
			cfg := c.config()
			check := func(got []Sequence, first int) {
				t.Helper()
				for k, s := range got {
					i, rank := first+k/cfg.NumReturnSequences, k%cfg.NumReturnSequences
					if !slices.Equal(s.IDs, c.Tokens[i][rank]) || s.Copy != rank ||
						!sameScore(s.Score, c.Scores[i][rank]) {
						t.Errorf("prompt %v, %d\n got %v %v\nwant %v %v", c.Prompts[i], rank, s.IDs, s.Score, c.Tokens[i][rank],
							c.Scores[i][rank])
					}
				}
			}
			check(must(t, g, prompts(c.Prompts), cfg), 0)
			for i := range c.Prompts {
				check(must(t, g, prompts(c.Prompts[i:i+1]), cfg), i)
			}
		})
	}
}

// TestBeamText: the text of a sequence is that of its tokens up to a stop string, and is streamed as one piece.
func TestBeamText(t *testing.T) {
	tok := byteTokenizer(t)
	g := New(wild(t, 200), tok, nil)
	cfg := Defaults()
	cfg.MaxNewTokens, cfg.NumBeams, cfg.NumReturnSequences = 20, 5, 3
	pieces := collect(g)
	full, err := g.Text(context.Background(), "the cat and", cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.OnText = nil
	stopped := 0
	for i, s := range full {
		if s.Text != tok.Decode(s.IDs, true) || (*pieces)[i] != s.Text || len(s.IDs) != 20 || s.Finish != Length {
			t.Errorf("got %q %s, streamed %q of %v", s.Text, s.Finish, (*pieces)[i], s.IDs)
		}
		runes := []rune(s.Text)
		one := cfg
		one.StopStrings = []string{string(runes[4:6])}
		got, err := g.Text(context.Background(), "the cat and", one)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got {
			if want, found := cutByByte(tok.Decode(s.IDs, true), one.StopStrings); s.Text != want ||
				found != (s.Finish == StopString) {
				t.Errorf("stopped by %q: got %q %s, want %q", one.StopStrings, s.Text, s.Finish, want)
			} else if found {
				stopped++
			}
		}
	}
	if stopped == 0 {
		t.Error("no sequence was stopped")
	}
}

// TestBeamsEnd: time, a context and logits that are not numbers end a search with the best sequences up to then.
func TestBeamsEnd(t *testing.T) {
	g := New(wild(t, 200), byteTokenizer(t), nil)
	list := []Prompt{{IDs: []int32{65}}, {IDs: []int32{66, 67}}}
	cfg := Defaults()
	cfg.NumBeams, cfg.NumReturnSequences, cfg.MaxTime = 3, 2, 1
	out := must(t, g, list, cfg)
	for i, s := range out {
		if s.Finish != TimeUp || len(s.IDs) != 1 || s.Prompt != i/2 || s.Copy != i%2 || s.Text != g.tok.Decode(s.IDs, true) {
			t.Errorf("time is up: got %+v", s)
		}
	}
	if out[0].Score <= out[1].Score {
		t.Errorf("the scores are %v and %v, want the best first", out[0].Score, out[1].Score)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cfg.MaxTime = 0
	out, err := g.Generate(ctx, list, cfg)
	if err == nil || len(out) != 4 || out[3].Finish != Interrupted || len(out[3].IDs) != 0 {
		t.Errorf("interrupted: got %+v, %v", out, err)
	}
	for id := range int32(261) {
		cfg.SuppressTokens = append(cfg.SuppressTokens, id)
	}
	if _, err := g.Generate(context.Background(), list, cfg); !errors.Is(err, errNoToken) {
		t.Errorf("all tokens are suppressed: %v", err)
	}
}
