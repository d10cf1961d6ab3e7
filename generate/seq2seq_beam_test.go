package generate

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// seq2seqCase is a case of testdata/generate/seq2seq (reference/seq2seq_beam_fixture.py).
type seq2seqCase struct {
	Family string `json:"family"`
	Start  *int32 `json:"decoder_start_token_id"`
	beamCase
	Sources [][]int32 `json:"sources"`
}

type seq2seqFile struct {
	Combinations []combination              `json:"combinations"`
	Families     map[string]json.RawMessage `json:"families"`
	Cases        []seq2seqCase              `json:"cases"`
}

func openSeq2Seq(t testing.TB, dir string) models.Seq2SeqLM {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenSeq2SeqLM(src)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// started returns prompts with the case's start of the target.
func (c seq2seqCase) started(sources [][]int32) []Prompt {
	list := prompts(sources)
	for i := range list {
		if c.Start != nil {
			list[i].Start = []int32{*c.Start}
		}
	}
	return list
}

func slice(ids, lengths []int) [][]int32 {
	var rows [][]int32
	for _, n := range lengths {
		rows = append(rows, tokens(ids[:n]))
		ids = ids[n:]
	}
	return rows
}

// TestSeq2SeqBeamSearch: tokens and scores equal transformers', for 200 sources of each family, greedy and with 4
// beams, every combination of length penalty and group size, and all ways of stopping. transformers pads the sources.
func TestSeq2SeqBeamSearch(t *testing.T) {
	var file seq2seqFile
	dir := filepath.Join(fixtures, "seq2seq")
	readJSON(t, filepath.Join(dir, "cases.json"), &file)
	if len(file.Families) != 8 || len(file.Combinations) != 9 {
		t.Fatalf("%d families, %d combinations", len(file.Families), len(file.Combinations))
	}
	for family, own := range file.Families {
		t.Run(family, func(t *testing.T) {
			var c seq2seqCase
			if err := json.Unmarshal(own, &c); err != nil {
				t.Fatal(err)
			}
			f := golden.Open(t, filepath.Join(dir, family, "beams.safetensors"))
			g := NewSeq2Seq(openSeq2Seq(t, filepath.Join(dir, family)), nil, nil)
			sources := slice(f.Ints("sources"), f.Ints("source_lengths"))
			want := slice(f.Ints("tokens"), f.Ints("lengths"))
			scores, margins := f.Float32("scores"), f.Float32("margins")
			if n := len(sources); n != 200 || len(want) != n*(1+len(file.Combinations)) || len(scores) != len(want) {
				t.Fatalf("%d sources, %d targets, %d scores", n, len(want), len(scores))
			}
			check := func(setting, first, last int, cfg Config) {
				t.Helper()
				var part []int
				for i := first; i < last; i += promptStep {
					part = append(part, i)
				}
				var list [][]int32
				for _, i := range part {
					list = append(list, sources[i])
				}
				for k, s := range must(t, g, c.started(list), cfg) {
					at, finish := setting*len(sources)+part[k], Length
					if slices.Contains(cfg.EosTokenIDs, want[at][len(want[at])-1]) {
						finish = Stop
					}
					if !slices.Equal(s.IDs, want[at]) || s.Finish != finish || !sameScore(s.Score, scores[at]) {
						t.Errorf("%d beams, penalty %v, groups %d, %v: source %v\n got %v %v %s\nwant %v %v %s, margin %v",
							cfg.NumBeams, cfg.LengthPenalty, cfg.NoRepeatNgramSize, cfg.EarlyStopping, list[k], s.IDs, s.Score,
							s.Finish, want[at], scores[at], finish, margins[at])
					}
				}
			}
			cfg := c.config()
			cfg.MaxNewTokens = 16
			check(0, 0, len(sources), cfg)
			for k, o := range file.Combinations {
				cfg.NumBeams, cfg.LengthPenalty, cfg.NoRepeatNgramSize = 4, o.LengthPenalty, o.NoRepeat
				for e := range 3 {
					cfg.EarlyStopping = EarlyStopping(e)
					check(k+1, len(sources)*e/3, len(sources)*(e+1)/3, cfg)
				}
			}
		})
	}
}

// TestSeq2SeqSettings: all sequences that are returned equal transformers', with their scores, for settings of all
// kinds and each family, in one batch and source by source.
func TestSeq2SeqSettings(t *testing.T) {
	var file seq2seqFile
	dir := filepath.Join(fixtures, "seq2seq")
	readJSON(t, filepath.Join(dir, "cases.json"), &file)
	if len(file.Cases) < 8*25 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	generators := map[string]*Generator{}
	for i := 0; i < len(file.Cases); i += promptStep {
		c := file.Cases[i]
		if generators[c.Family] == nil {
			generators[c.Family] = NewSeq2Seq(openSeq2Seq(t, filepath.Join(dir, c.Family)), nil, nil)
		}
		t.Run(c.Family+" "+c.Name, func(t *testing.T) {
			cfg := c.config()
			check := func(got []Sequence, first int) {
				t.Helper()
				for k, s := range got {
					i, rank := first+k/cfg.NumReturnSequences, k%cfg.NumReturnSequences
					if !slices.Equal(s.IDs, c.Tokens[i][rank]) || s.Copy != rank || !sameScore(s.Score, c.Scores[i][rank]) {
						t.Errorf("source %v, %d\n got %v %v\nwant %v %v", c.Sources[i], rank, s.IDs, s.Score, c.Tokens[i][rank],
							c.Scores[i][rank])
					}
				}
			}
			check(must(t, generators[c.Family], c.started(c.Sources), cfg), 0)
			for i := range c.Sources {
				check(must(t, generators[c.Family], c.started(c.Sources[i:i+1]), cfg), i)
			}
		})
	}
}

// TestStartRefused: starts of targets that no model can begin with are errors.
func TestStartRefused(t *testing.T) {
	dir := filepath.Join(fixtures, "seq2seq")
	encdec := NewSeq2Seq(openSeq2Seq(t, filepath.Join(dir, "bart")), nil, nil)
	causal := New(open(t, filepath.Join("causal", "gpt2_c_attn", "base")), nil, nil)
	long := make([]int32, 24)
	for _, c := range []struct {
		name  string
		g     *Generator
		start []int32
		want  string
	}{
		{"empty", encdec, []int32{}, "prompt 0 has a start without tokens"},
		{"unknown", encdec, []int32{2, 52}, "start token 1 is 52; want an id below the model's 52 tokens"},
		{"long", encdec, long, "leave no position for a new one"},
		{"causal", causal, []int32{2}, "the model has no encoder"},
	} {
		_, err := c.g.Generate(t.Context(), []Prompt{{IDs: []int32{3, 4}, Start: c.start}}, Defaults())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	var list []string
	for n := 1; n <= 3; n++ { // starts of several tokens: the last one only predicts
		out := must(t, encdec, []Prompt{{IDs: []int32{3, 4}, Start: []int32{2, 9, 11}[:n]}}, Defaults())
		list = append(list, fmt.Sprint(out[0].IDs))
	}
	if list[0] == list[1] || list[1] == list[2] {
		t.Errorf("starts of one to three tokens give %v", list)
	}
}

// counted counts the rows that the encoder computes, and the largest number of sequences of a step.
type counted struct {
	seq2seq
	encoded, widest int
}

func (c *counted) Read(p *nn.Pass, prompts *batch.Batch) *nn.Memory {
	c.encoded += len(prompts.IDs)
	return c.seq2seq.Read(p, prompts)
}

func (c *counted) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	c.widest = max(c.widest, p.Cache.Sequences())
	return c.seq2seq.Logits(p, b)
}

// TestBeamsShareSources: the encoder reads a source once for all beams, and beams share its keys and values: what a
// longer source needs does not depend on their number.
func TestBeamsShareSources(t *testing.T) {
	m := openSeq2Seq(t, filepath.Join(fixtures, "seq2seq", "t5"))
	cfg := Defaults()
	cfg.MaxNewTokens, cfg.EarlyStopping = 6, UntilImpossible
	once := func(beams, length int) int {
		c := &counted{seq2seq: seq2seq{m}}
		list := make([]Prompt, 2)
		for i := range list {
			for k := range length {
				list[i].IDs = append(list[i].IDs, int32(2+(i+7*k)%50))
			}
		}
		cfg.NumBeams = beams
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		must(t, NewOf(c, nil, nil), list, cfg)
		runtime.ReadMemStats(&after)
		if c.encoded != 2*length || c.widest != 2*beams {
			t.Errorf("%d beams, sources of %d tokens: %d rows encoded for %d sequences", beams, length, c.encoded, c.widest)
		}
		return int(after.TotalAlloc - before.TotalAlloc)
	}
	bytes := func(beams, length int) int { // the least of some: pools may have lost what they kept
		least := once(beams, length)
		for range 7 {
			least = min(least, once(beams, length))
		}
		return least
	}
	few, many := bytes(2, 400)-bytes(2, 4), bytes(16, 400)-bytes(16, 4)
	keys := 2 * 396 * 18 * 2 * 2 * 4 // sources × tokens × width × keys and values × layers × bytes
	if few < keys || many > few+keys/2 {
		t.Errorf("longer sources take %d bytes with 2 beams, %d with 16; their keys and values have %d", few, many, keys)
	}
}

// TestSeq2SeqSamples: targets that are drawn do not depend on the other sources of a call, and the copies of a source
// differ.
func TestSeq2SeqSamples(t *testing.T) {
	for _, family := range []string{"t5", "mbart"} {
		g := NewSeq2Seq(openSeq2Seq(t, filepath.Join(fixtures, "seq2seq", family)), nil, nil)
		cfg := Defaults()
		cfg.DoSample, cfg.Temperature, cfg.NumReturnSequences, cfg.MaxNewTokens = true, 2, 3, 12
		cfg.RepetitionPenalty, cfg.EncoderNoRepeatNgramSize = 1.3, 2
		list := []Prompt{{IDs: []int32{5, 9, 20, 31, 2}, Number: 4}, {IDs: []int32{7, 2}, Number: 9}}
		distinct := map[string]bool{}
		for i, s := range must(t, g, list, cfg) {
			alone := must(t, g, list[i/3:i/3+1], cfg)[i%3]
			if !slices.Equal(s.IDs, alone.IDs) {
				t.Errorf("%s: source %d, copy %d is %v, alone %v", family, i/3, i%3, s.IDs, alone.IDs)
			}
			distinct[fmt.Sprint(s.IDs)] = true
		}
		if len(distinct) != 6 {
			t.Errorf("%s: %d different targets of 6", family, len(distinct))
		}
	}
}
