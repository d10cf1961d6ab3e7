package generate

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTimestamps: the rule leaves the tokens that transformers' processor leaves, with their logits.
func TestTimestamps(t *testing.T) {
	var file struct {
		End, Begin int32
		Cases      []struct {
			MaxInitial int        `json:"max_initial"`
			Tokens     []int32    `json:"tokens"`
			Logits     []float32  `json:"logits"`
			Want       []*float32 `json:"want"`
		}
	}
	readJSON(t, filepath.Join(fixtures, "timestamps.json"), &file)
	if len(file.Cases) < 120 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	only := 0 // cases that leave timestamps only
	for i, c := range file.Cases {
		cfg := Defaults()
		cfg.Timestamps = &TimestampRule{Begin: file.Begin, End: file.End, MaxInitial: c.MaxInitial}
		got := slices.Clone(c.Logits)
		h := newHistory(Prompt{Start: []int32{1, 2, 3}}, 100, cfg)
		for _, id := range c.Tokens {
			h.add(id)
		}
		(&chooser{cfg: cfg}).process(got, &h)
		text := false
		for k, want := range c.Want {
			if want == nil && got[k] != none || want != nil && got[k] != *want {
				t.Errorf("case %d, tokens %v, token %d: %v, want %v", i, c.Tokens, k, got[k], want)
			}
			text = text || want != nil && int32(k) < file.Begin
		}
		if !text {
			only++
		}
	}
	if only < 20 || only > len(file.Cases)-50 {
		t.Errorf("%d of %d cases leave timestamps only", only, len(file.Cases))
	}
}

// TestTimestampsRefused: a rule whose tokens the model does not have is an error.
func TestTimestampsRefused(t *testing.T) {
	g := New(open(t, filepath.Join("causal", "gpt2_c_attn", "base")), nil, nil)
	for _, r := range []TimestampRule{
		{Begin: 0, End: 1}, {Begin: 9999, End: 1}, {Begin: 5, End: 9999}, {Begin: 5, End: -1},
	} {
		cfg := Defaults()
		cfg.Timestamps = &r
		_, err := g.Generate(t.Context(), []Prompt{{IDs: []int32{1}}}, cfg)
		if err == nil || !strings.Contains(err.Error(), "want an id below the model's") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestLogProbs: the mean log-probability of greedy choices and of single beams is that of the tokens step by step; with
// sampling it does not depend on the temperature, since that is taken out again.
func TestLogProbs(t *testing.T) {
	g := New(open(t, filepath.Join("causal", "gpt2_c_attn", "base")), nil, nil)
	cfg := Defaults()
	cfg.MaxNewTokens, cfg.LogProbs, cfg.SuppressTokens = 6, true, []int32{3, 4}
	prompt := []int32{5, 6, 7}
	stepwise := func(ids []int32, cfg Config) float64 {
		sum := 0.0
		for i, id := range ids { // every other token is suppressed, so that one step gives its probability
			one := cfg
			one.MaxNewTokens, one.NumBeams, one.NumReturnSequences = 1, 20, 20
			for _, s := range must(t, g, []Prompt{{IDs: slices.Concat(prompt, ids[:i])}}, one) {
				if s.IDs[0] == id {
					sum += float64(s.Score)
				}
			}
		}
		return sum / float64(len(ids))
	}
	greedy := must(t, g, []Prompt{{IDs: prompt}}, cfg)[0]
	for _, beams := range []int{1, 4} {
		cfg.NumBeams = beams
		s := must(t, g, []Prompt{{IDs: prompt}}, cfg)[0]
		// Scores are log-probabilities before tokens are suppressed; LogProb shares what is left among the others.
		free := cfg
		free.SuppressTokens = nil
		if want := stepwise(s.IDs, free); s.LogProb < want || s.LogProb > want+0.5 || s.LogProb >= 0 {
			t.Errorf("%d beams: %v, unsuppressed %v", beams, s.LogProb, want)
		}
		free.LogProbs = true
		u := must(t, g, []Prompt{{IDs: prompt}}, free)[0]
		if want := stepwise(u.IDs, free); math.Abs(u.LogProb-want) > 1e-5 {
			t.Errorf("%d beams: %v, want %v", beams, u.LogProb, want)
		}
	}
	cfg.NumBeams, cfg.DoSample, cfg.TopK = 1, true, 0
	cfg.Temperature = 1e-3 // takes the most probable tokens
	if s := must(t, g, []Prompt{{IDs: prompt}}, cfg)[0]; !slices.Equal(s.IDs, greedy.IDs) ||
		math.Abs(s.LogProb-greedy.LogProb) > 1e-4 {
		t.Errorf("sampled %v %v, greedy %v %v", s.IDs, s.LogProb, greedy.IDs, greedy.LogProb)
	}
	cfg.LogProbs = false
	if s := must(t, g, []Prompt{{IDs: prompt}}, cfg)[0]; s.LogProb != 0 {
		t.Errorf("LogProb is %v without log_probs", s.LogProb)
	}
}
