package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// byteTokenizer returns a tokenizer with a token for every byte, a few longer ones, and as the last <|endoftext|>, id
// 260.
func byteTokenizer(t testing.TB) *tokenize.Tokenizer {
	t.Helper()
	vocab := map[string]int{}
	extra := rune(256)
	char := func(b int) string {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			return string(rune(b))
		}
		extra++
		return string(extra - 1)
	}
	for b := range 256 {
		vocab[char(b)] = b
	}
	merges := []string{"t h", "th e", "a n", "an d"}
	for i, m := range merges {
		vocab[strings.ReplaceAll(m, " ", "")] = 256 + i
	}
	vocab["<|endoftext|>"] = 260
	text, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"vocab.json": string(text), "merges.txt": strings.Join(merges, "\n"),
		"tokenizer_config.json": `{"tokenizer_class": "GPT2Tokenizer"}`}
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// wild returns a small model for byteTokenizer whose weights are large enough for varied texts.
func wild(t testing.TB, positions int) models.CausalLM {
	t.Helper()
	m, err := models.NewCausalLM(fmt.Appendf(nil, `{"model_type": "gpt2", "vocab_size": 261, "n_positions": %d,
		"n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.4}`, positions), 5)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sampling(tokens int) Config {
	cfg := Defaults()
	cfg.MaxNewTokens, cfg.DoSample, cfg.TopK, cfg.Temperature, cfg.Seed = tokens, true, 0, 1.2, 11
	return cfg
}

func must(t testing.TB, g *Generator, list []Prompt, cfg Config) []Sequence {
	t.Helper()
	out, err := g.Generate(context.Background(), list, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBatch: the sequences of a prompt, sampled or not, do not depend on the other prompts, their order or the workers.
func TestBatch(t *testing.T) {
	pool := op.NewPool(3)
	defer pool.Close()
	for _, dir := range []string{"causal/gpt2_old/base", "causal/llama_gqa/base", "causal/mistral_window/base",
		"causal/qwen3/base"} {
		m := open(t, dir)
		var list []Prompt
		for i, n := range []int{5, 1, 3, 9, 2} {
			p := Prompt{Number: 70 + i}
			for k := range n {
				p.IDs = append(p.IDs, int32((7*i+13*k+1)%m.Vocabulary()))
			}
			list = append(list, p)
		}
		cfg := sampling(12)
		cfg.NumReturnSequences, cfg.RepetitionPenalty, cfg.TopP = 3, 1.1, 0.95
		for id := range int32(8) { // some end early
			cfg.EosTokenIDs = append(cfg.EosTokenIDs, 11*id)
		}
		batch := must(t, New(m, nil, pool), list, cfg)
		if len(batch) != len(list)*3 {
			t.Fatalf("%d sequences", len(batch))
		}
		reasons, seen := map[Finish]int{}, map[string]bool{}
		for i, p := range list {
			alone := must(t, New(m, nil, nil), []Prompt{p}, cfg)
			for k := range alone {
				alone[k].Prompt = i
			}
			if got := batch[3*i : 3*i+3]; !reflect.DeepEqual(got, alone) {
				t.Errorf("%s: prompt %d:\nbatch %v\nalone %v", dir, i, got, alone)
			}
			for _, s := range alone {
				reasons[s.Finish]++
				seen[fmt.Sprint(s.IDs)] = true
			}
		}
		if reasons[Stop] == 0 || reasons[Length] == 0 || len(seen) < 12 {
			t.Errorf("%s: the sequences vary too little: %v, %d different sequences", dir, reasons, len(seen))
		}
		other := cfg
		other.Seed++
		if reflect.DeepEqual(batch, must(t, New(m, nil, pool), list, other)) {
			t.Errorf("%s: the seed has no effect", dir)
		}
	}
}

// TestCopies: the copies of a prompt share one pass over it, and a copy does not depend on the number of copies.
func TestCopies(t *testing.T) {
	g := New(wild(t, 60), nil, nil)
	list := []Prompt{{IDs: []int32{65, 66, 67}}, {IDs: []int32{68}, Number: 1}}
	cfg := sampling(30)
	cfg.NumReturnSequences, cfg.RepetitionPenalty = 4, 1.2
	for id := range int32(6) {
		cfg.EosTokenIDs = append(cfg.EosTokenIDs, 40*id)
	}
	all := must(t, g, list, cfg)
	for n := 1; n < 4; n++ {
		cfg.NumReturnSequences = n
		for i, s := range must(t, g, list, cfg) {
			if want := all[i/n*4+i%n]; !reflect.DeepEqual(s, want) {
				t.Errorf("%d copies: got %v\nwant %v", n, s, want)
			}
		}
	}
	if slices.Equal(all[0].IDs, all[1].IDs) {
		t.Error("copies are equal")
	}
}

// TestCache: greedy tokens equal those of a model without a cache, also with an adapter.
func TestCache(t *testing.T) {
	for _, dir := range []string{"gpt2_wte", "gpt2_c_attn", "llama_gqa", "llama_all_linear", "mistral_window", "qwen3"} {
		m := open(t, "causal/"+dir+"/base")
		set, _, err := lora.Load("../testdata/causal/"+dir+"/adapter_final", m)
		if err != nil {
			t.Fatal(err)
		}
		var lists [2][]int32
		for i, adapter := range []nn.AdapterSet{nil, set} {
			g := New(m, nil, nil)
			g.Adapter = adapter
			cfg := Defaults()
			cfg.MaxNewTokens = 15
			ids := []int32{4, 20, 33}
			lists[i] = must(t, g, []Prompt{{IDs: ids}}, cfg)[0].IDs
			tape := op.NewEvalTape(nil)
			for n, got := range lists[i] {
				x := op.Values(m.Logits(&nn.Pass{Tape: tape, Adapter: adapter},
					&batch.Batch{IDs: ids, Seqs: op.Seqs{Starts: []int{0, len(ids)}}}))
				x = x[len(x)-m.Vocabulary():]
				if want := int32(argmax(x)); got != want {
					t.Errorf("%s: token %d is %d, without a cache %d (logits %v and %v)", dir, n, got, want, x[got], x[want])
				}
				ids = append(ids, got)
				tape.Reset()
			}
			tape.Close()
		}
		if slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: the adapter has no effect", dir)
		}
	}
}

// collect makes g collect the text that it streams, by sequence.
func collect(g *Generator) *[]string {
	var list []string
	g.OnText = func(seq int, text string) {
		for len(list) <= seq {
			list = append(list, "")
		}
		list[seq] += text
		if text == "" || !utf8.ValidString(text) {
			list[seq] += fmt.Sprintf("[bad piece %q]", text)
		}
	}
	return &list
}

// TestText: the text, whole and streamed, is the tokenizer's text of the ids, and ends at a stop string, also across
// tokens.
func TestText(t *testing.T) {
	tok := byteTokenizer(t)
	g := New(wild(t, 200), tok, nil)
	cfg := sampling(60)
	cfg.NumReturnSequences = 8
	pieces := collect(g)
	full, err := g.Text(context.Background(), "the cat and", cfg)
	if err != nil {
		t.Fatal(err)
	}
	stopped := 0
	for i, s := range full {
		if want := tok.Decode(s.IDs, true); s.Text != want || (*pieces)[i] != want || len(s.IDs) != 60 || s.Finish != Length {
			t.Errorf("got %q %s, streamed %q, want %q", s.Text, s.Finish, (*pieces)[i], want)
		}
		runes := []rune(s.Text)
		for _, stops := range [][]string{{string(runes[5:8])}, {string(runes[20:21]), string(runes[7:12])}, {"nowhere"},
			{string(runes[len(runes)-1:])}} {
			one := cfg
			one.StopStrings = stops
			pieces := collect(g)
			got, err := g.Text(context.Background(), "the cat and", one)
			if err != nil {
				t.Fatal(err)
			}
			want, found := cutByByte(s.Text, stops)
			finish := Length
			if found {
				finish = StopString
				stopped++
			}
			if got[i].Text != want || got[i].Finish != finish ||
				!strings.HasPrefix(fmt.Sprint(s.IDs), strings.TrimSuffix(fmt.Sprint(got[i].IDs), "]")) {
				t.Errorf("stopped by %q: got %q %s, want %q %s", stops, got[i].Text, got[i].Finish, want, finish)
			}
			if want != "" && (*pieces)[i] != want || want == "" && len(*pieces) > i && (*pieces)[i] != "" {
				t.Errorf("stopped by %q: streamed %q, want %q", stops, *pieces, want)
			}
			if found && len(got[i].IDs) == 60 && len([]rune(want)) < 10 {
				t.Errorf("stopped by %q: it continued to %d tokens", stops, len(got[i].IDs))
			}
		}
	}
	if stopped < 20 {
		t.Errorf("only %d stops", stopped)
	}
}

// TestEnds: end tokens and special tokens as stop strings end a sequence, but not before the minimum number of tokens.
func TestEnds(t *testing.T) {
	g := New(wild(t, 200), byteTokenizer(t), nil)
	cfg := sampling(40)
	full := must(t, g, []Prompt{{IDs: []int32{65}}}, cfg)[0]
	eos := full.IDs[9]
	first := slices.Index(full.IDs, eos)
	cfg.EosTokenIDs = []int32{3, eos}
	if got := must(t, g, []Prompt{{IDs: []int32{65}}}, cfg)[0]; got.Finish != Stop ||
		!slices.Equal(got.IDs, full.IDs[:first+1]) || got.Text != g.tok.Decode(full.IDs[:first], true) {
		t.Errorf("got %+v, want it to end at %d of %v", got, first, full.IDs)
	}
	cfg.MinNewTokens = first + 4
	if got := must(t, g, []Prompt{{IDs: []int32{65}}}, cfg)[0]; len(got.IDs) < first+4 ||
		slices.Contains(got.IDs[:first+4], eos) || slices.Contains(got.IDs[:first+4], 3) {
		t.Errorf("with at least %d tokens got %v", cfg.MinNewTokens, got.IDs)
	}
	cfg = sampling(190)
	cfg.StopStrings, cfg.NumReturnSequences = []string{"<|endoftext|>"}, 20
	found := 0
	for _, s := range must(t, g, []Prompt{{IDs: []int32{65}}}, cfg) {
		if at := slices.Index(s.IDs, 260); at >= 0 {
			found++
			if s.Finish != StopString || at != len(s.IDs)-1 || s.Text != g.tok.Decode(s.IDs, true) {
				t.Errorf("got %s and %v", s.Finish, s.IDs)
			}
		}
	}
	if found == 0 {
		t.Error("no sequence reached the special token")
	}
}

// TestPositions: a sequence ends at the model's last position, and the other one continues.
func TestPositions(t *testing.T) {
	g := New(wild(t, 16), nil, nil)
	cfg := sampling(14)
	out := must(t, g, []Prompt{{IDs: make([]int32, 15)}, {IDs: make([]int32, 2)}, {IDs: make([]int32, 10)}}, cfg)
	for i, want := range []int{1, 14, 6} {
		if s := out[i]; len(s.IDs) != want || s.Finish != Length {
			t.Errorf("prompt %d: %d tokens, %s; want %d", i, len(s.IDs), s.Finish, want)
		}
	}
	if out := must(t, g, nil, cfg); len(out) != 0 {
		t.Errorf("no prompts give %v", out)
	}
}

// TestMaxLength: MaxLength counts the prompt, and has no effect beside MaxNewTokens.
func TestMaxLength(t *testing.T) {
	g := New(wild(t, 16), nil, nil)
	cfg := sampling(0)
	cfg.MaxLength = 12
	list := []Prompt{{IDs: make([]int32, 11)}, {IDs: make([]int32, 2)}}
	for want, n := range map[int][2]int{0: {1, 10}, 3: {3, 3}} {
		cfg.MaxNewTokens = want
		for i, s := range must(t, g, list, cfg) {
			if len(s.IDs) != n[i] || s.Finish != Length {
				t.Errorf("at most %d new tokens, prompt %d: %d tokens, %s; want %d", want, i, len(s.IDs), s.Finish, n[i])
			}
		}
	}
	cfg.MaxNewTokens, cfg.MaxLength = 0, 100
	if s := must(t, g, list[1:], cfg)[0]; len(s.IDs) != 14 {
		t.Errorf("%d tokens beyond the model's positions", len(s.IDs))
	}
}

// TestMaxTime: when the time is up, all sequences end after the same step, and their texts are whole.
func TestMaxTime(t *testing.T) {
	g := New(wild(t, 200), byteTokenizer(t), nil)
	list := []Prompt{{IDs: []int32{65}}, {IDs: []int32{66}}}
	cfg := sampling(50)
	full := must(t, g, list, cfg)
	cfg.MaxTime, cfg.StopStrings = 1, []string{"nowhere"}
	pieces := collect(g)
	for i, s := range must(t, g, list, cfg) {
		if s.Finish != TimeUp || !slices.Equal(s.IDs, full[i].IDs[:1]) || s.Text != g.tok.Decode(s.IDs, true) ||
			s.Text != "" && (*pieces)[i] != s.Text {
			t.Errorf("got %+v; the whole sequence is %v", s, full[i].IDs)
		}
	}
	cfg.MaxTime = 1 << 62
	if s := must(t, g, list, cfg)[0]; s.Finish != Length {
		t.Errorf("got %+v", s)
	}
}

// TestInterrupted: when the context ends, Generate returns the sequences up to then with the context's error.
func TestInterrupted(t *testing.T) {
	g := New(wild(t, 200), byteTokenizer(t), nil)
	full := must(t, g, []Prompt{{IDs: []int32{65}}, {IDs: []int32{66}}}, sampling(50))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pieces := collect(g)
	inner := g.OnText
	g.OnText = func(seq int, text string) {
		inner(seq, text)
		if len((*pieces)[0]) > 10 {
			cancel()
		}
	}
	out, err := g.Generate(ctx, []Prompt{{IDs: []int32{65}}, {IDs: []int32{66}}}, sampling(50))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	for i, s := range out {
		n := len(s.IDs)
		if n == 0 || n >= 50 || s.Finish != Interrupted || !slices.Equal(s.IDs, full[i].IDs[:n]) ||
			s.Text != g.tok.Decode(s.IDs, true) || (*pieces)[i] != s.Text {
			t.Errorf("got %+v, streamed %q; the whole sequence is %v", s, (*pieces)[i], full[i].IDs)
		}
	}
	if out, err := g.Generate(ctx, []Prompt{{IDs: []int32{65}}}, sampling(50)); !errors.Is(err, context.Canceled) ||
		len(out) != 1 || len(out[0].IDs) != 0 || out[0].Finish != Interrupted {
		t.Errorf("got %v, %v", out, err)
	}
}

// TestErrors: options and prompts that do not fit are errors before anything is computed, all options in one error.
func TestErrors(t *testing.T) {
	m, tok := wild(t, 16), byteTokenizer(t)
	for _, c := range []struct {
		name   string
		change func(*Config)
		prompt []int32
		tok    *tokenize.Tokenizer
		want   []string
		config bool
	}{
		{"zero", func(c *Config) { *c = Config{} }, []int32{1}, nil, []string{"`max_new_tokens` is 0",
			"`repetition_penalty` is 0", "`temperature` is 0", "`num_return_sequences` is 0"}, true},
		{"ranges", func(c *Config) {
			c.TopK, c.TopP, c.MinP, c.MinNewTokens = -1, 1.5, -0.1, -1
		}, []int32{1}, nil, []string{"`top_k` is -1", "`top_p` is 1.5", "`min_p` is -0.1", "`min_new_tokens` is -1"}, true},
		{"not numbers", func(c *Config) {
			c.TopP, c.MinP, c.Temperature, c.RepetitionPenalty = math.NaN(), math.NaN(), math.Inf(1), math.NaN()
		}, []int32{1}, nil,
			[]string{"`top_p` is NaN", "`min_p` is NaN", "`temperature` is +Inf", "`repetition_penalty` is NaN"}, true},
		{"too small for float32", func(c *Config) { c.Temperature = 1e-60 }, []int32{1}, nil,
			[]string{"`temperature` is 1e-60"}, true},
		{"more at least than at most", func(c *Config) { c.MinNewTokens = 21 }, []int32{1}, nil,
			[]string{"`min_new_tokens` is 21; want at most `max_new_tokens`, 20"}, true},
		{"beams", func(c *Config) {
			c.NumBeams, c.DoSample, c.LengthPenalty, c.EarlyStopping, c.NumReturnSequences = 3, true, math.Inf(1), 7, 4
		}, []int32{1}, nil, []string{"`num_beams` is 3 with `do_sample`", "`length_penalty` is +Inf",
			"`early_stopping` is EarlyStopping(7)", "`num_return_sequences` is 4; want at most `num_beams`, 3"}, true},
		{"negative beams", func(c *Config) { c.NumBeams = -1 }, []int32{1}, nil, []string{"`num_beams` is -1"}, true},
		{"copies of greedy", func(c *Config) { c.NumReturnSequences = 2 }, []int32{1}, nil,
			[]string{"`num_return_sequences` is 2, but without `do_sample`"}, true},
		{"stop strings", func(c *Config) { c.StopStrings = []string{"", "a\xff"} }, []int32{1}, tok,
			[]string{"`stop_strings` has an empty string", "`stop_strings` has \"a\\xff\", which is not valid UTF-8"}, true},
		{"no tokenizer", func(c *Config) { c.StopStrings = []string{"a"} }, []int32{1}, nil,
			[]string{"`stop_strings` need a tokenizer"}, true},
		{"eos", func(c *Config) { c.EosTokenIDs = []int32{-2} }, []int32{1}, nil, []string{"`eos_token_id` is -2"}, true},
		{"eos of another model", func(c *Config) { c.EosTokenIDs = []int32{261} }, []int32{1}, nil,
			[]string{"`eos_token_id` is 261; want an id below the model's 261 tokens"}, true},
		{"new ranges", func(c *Config) {
			c.MinLength, c.NoRepeatNgramSize, c.EncoderNoRepeatNgramSize, c.MaxTime, c.MaxLength = -1, -2, -3, -4, -5
			c.EncoderRepetitionPenalty, c.TopH, c.TypicalP, c.EpsilonCutoff, c.EtaCutoff = -6, 7, -8, 1, -9
		}, []int32{1}, nil, []string{"`min_length` is -1", "`no_repeat_ngram_size` is -2",
			"`encoder_no_repeat_ngram_size` is -3", "`max_time` is -4ns", "max_length is -5",
			"`encoder_repetition_penalty` is -6", "`top_h` is 7", "`typical_p` is -8", "`epsilon_cutoff` is 1",
			"`eta_cutoff` is -9"}, true},
		{"length penalty", func(c *Config) { c.ExponentialDecayLengthPenalty = &LengthPenalty{-1, 2} }, []int32{1}, nil,
			[]string{"`exponential_decay_length_penalty` is [-1, 2]", "needs an `eos_token_id`"}, true},
		{"biases", func(c *Config) { c.SequenceBias = []Bias{{}, {[]int32{2}, math.NaN()}} }, []int32{1}, nil,
			[]string{"`sequence_bias` has a bias without tokens", "`sequence_bias` of [2] is not a number"}, true},
		{"tokens of another model", func(c *Config) {
			c.BadWordsIDs, c.SequenceBias = [][]int32{{1, 261}}, []Bias{{[]int32{-1, 2}, 1}}
			c.ForcedBosTokenID, c.ForcedEosTokenIDs = new(int32(262)), []int32{263}
		}, []int32{1}, nil, []string{"`bad_words_ids` is 261", "`sequence_bias` is -1", "`forced_bos_token_id` is 262",
			"`forced_eos_token_id` is 263"}, true},
		{"length with the prompt", func(c *Config) { c.MaxNewTokens, c.MaxLength = 0, 3 }, []int32{1, 2, 3}, nil,
			[]string{"prompt 1 has 3 tokens", "max_length is 3 with the prompt counted; set `max_new_tokens`"}, true},
		{"empty prompt", func(*Config) {}, nil, nil, []string{"prompt 1 is empty"}, false},
		{"long prompt", func(*Config) {}, make([]int32, 16), nil,
			[]string{"prompt 1 has 16 tokens, which leave no position for a new one; want at most 15"}, false},
		{"unknown token", func(*Config) {}, []int32{1, 261}, nil,
			[]string{"prompt 1: token 1 is 261; want an id below the model's 261 tokens"}, false},
		{"negative token", func(*Config) {}, []int32{-1}, nil, []string{"prompt 1: token 0 is -1"}, false},
	} {
		cfg := Defaults()
		c.change(&cfg)
		out, err := New(m, c.tok, nil).Generate(context.Background(), []Prompt{{IDs: []int32{1}}, {IDs: c.prompt}}, cfg)
		if err == nil || out != nil || errors.Is(err, ErrConfig) != c.config {
			t.Errorf("%s: got %v, %v", c.name, out, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v\nwant %q in it, in one line", c.name, err, w)
			}
		}
	}
	cfg := Defaults()
	for id := range int32(261) {
		cfg.SuppressTokens = append(cfg.SuppressTokens, id)
	}
	if _, err := New(m, nil, nil).Generate(context.Background(), []Prompt{{IDs: []int32{1}}}, cfg); !errors.Is(err,
		ErrConfig) || !strings.Contains(err.Error(), "they forbid every token; remove some of `suppress_tokens`") {
		t.Errorf("all tokens are suppressed: %v", err)
	}
	if _, err := New(m, nil, nil).Text(context.Background(), "a", Defaults()); err == nil ||
		!strings.Contains(err.Error(), "without a tokenizer") {
		t.Errorf("a text without a tokenizer: %v", err)
	}
	if p, err := New(m, tok, nil).Encode(""); err != nil || !slices.Equal(p.IDs, []int32{260}) {
		t.Errorf("an empty text is %v, %v; want bos_token", p, err)
	}
}

// TestNotNumbers: a model whose logits are not numbers gives an error that says so, not a token.
func TestNotNumbers(t *testing.T) {
	m := wild(t, 16)
	for _, w := range nn.Weights(m) {
		if strings.HasSuffix(w.Name, "ln_f.weight") {
			v := w.Weight.Float32()
			v[3] = float32(math.NaN())
			if err := w.Weight.SetValues(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, cfg := range []Config{Defaults(), sampling(5)} {
		out, err := New(m, nil, nil).Generate(context.Background(), []Prompt{{IDs: []int32{1}}}, cfg)
		if err == nil || !strings.Contains(err.Error(), "prompt 0, new token 0") || !strings.Contains(err.Error(), "NaN") ||
			len(out) != 1 || out[0].Finish != Interrupted {
			t.Errorf("got %v, %v", out, err)
		}
	}
}

// TestConcurrent: one generator serves several goroutines.
func TestConcurrent(t *testing.T) {
	pool := op.NewPool(2)
	defer pool.Close()
	g := New(wild(t, 100), byteTokenizer(t), pool)
	want := must(t, g, []Prompt{{IDs: []int32{70, 71}}}, sampling(30))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got, err := g.Generate(context.Background(), []Prompt{{IDs: []int32{70, 71}}}, sampling(30)); err != nil ||
				!reflect.DeepEqual(got, want) {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
	wg.Wait()
}

// TestMemory: another token allocates far less on the Go heap than a row of logits.
func TestMemory(t *testing.T) {
	const vocabulary = 20000
	m, err := models.NewCausalLM(fmt.Appendf(nil, `{"model_type": "gpt2", "vocab_size": %d, "n_positions": 512,
		"n_embd": 8, "n_layer": 1, "n_head": 2}`, vocabulary), 1)
	if err != nil {
		t.Fatal(err)
	}
	used := func(cfg Config) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		must(t, New(m, nil, nil), []Prompt{{IDs: []int32{1}}}, cfg)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, cfg := range []Config{Defaults(), sampling(1)} {
		cfg.MaxNewTokens, cfg.TopP = 10, 0.5
		few := used(cfg)
		cfg.MaxNewTokens = 30
		if each := (float64(used(cfg)) - float64(few)) / 20; each > vocabulary {
			t.Errorf("sampling %t: a token costs %.0f bytes; a row of logits has %d", cfg.DoSample, each, 4*vocabulary)
		}
	}
}
