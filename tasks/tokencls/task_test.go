package tokencls

import (
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// taggedFile returns a file of sentences: words with their tags behind a slash, separated by blanks.
func taggedFile(t *testing.T, sentences ...string) *tagged.File {
	t.Helper()
	var b strings.Builder
	for _, s := range sentences {
		for _, w := range strings.Fields(s) {
			i := strings.LastIndexByte(w, '/')
			fmt.Fprintf(&b, "%s\t%s\n", w[:i], w[i+1:])
		}
		b.WriteByte('\n')
	}
	table, err := tagged.ReadBytes([]byte(b.String()), "test.conll", tagged.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// labelTexts returns the tokens of sequence i with the tags of those that have one.
func (r *tokenRun) labelTexts(s *set, i int) string {
	var parts []string
	for k, id := range s.IDs(nil, i) {
		text, _ := r.task.Tok.Token(id)
		if l := s.TokenLabels.At(s.Start(i) + k); l != batch.Ignore {
			text += "/" + r.task.cfg.Labels.Names[l]
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func TestTokenLabels(t *testing.T) {
	table := taggedFile(t, "Anna/B-date Featherston/B-people at/O 7:30/B-time pm/I-time")
	for _, c := range []struct {
		name   string
		change func(*TaskConfig)
		want   []string
	}{
		{"first", nil, []string{"[CLS] anna/B-date feathers/B-people ##ton at/O 7/B-time : 30 pm/I-time [SEP]"}},
		{"all", func(c *TaskConfig) { c.LabelAllTokens = true },
			[]string{"[CLS] anna/B-date feathers/B-people ##ton/I-people at/O 7/B-time :/I-time 30/I-time pm/I-time [SEP]"}},
		{"cut", func(c *TaskConfig) { c.MaxLength, c.Stride = 6, -1 }, []string{
			"[CLS] anna/B-date feathers/B-people ##ton at/O [SEP]"}},
		{"windows", func(c *TaskConfig) { c.MaxLength, c.Stride = 7, 2 }, []string{
			"[CLS] anna/B-date feathers/B-people ##ton at/O 7 [SEP]", "[CLS] at 7/B-time : 30 pm/I-time [SEP]"}},
		{"no overlap", func(c *TaskConfig) { c.MaxLength = 5 }, []string{
			"[CLS] anna/B-date feathers/B-people ##ton [SEP]", "[CLS] at/O 7/B-time : [SEP]", "[CLS] 30 pm/I-time [SEP]"}},
		{"stride too long", func(c *TaskConfig) { c.MaxLength, c.Stride = 6, 99 }, []string{
			"[CLS] anna/B-date feathers/B-people ##ton at [SEP]", "[CLS] ##ton at/O 7 : [SEP]",
			"[CLS] 7/B-time : 30 pm/I-time [SEP]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := openTokens(t, c.change)
			if err := r.task.Add(t.Context(), batch.Train, table); err != nil {
				t.Fatal(err)
			}
			s := r.task.Splits[batch.Train]
			for i := range max(s.Len(), len(c.want)) {
				have, want := "", ""
				if i < s.Len() {
					have = r.labelTexts(s, i)
				}
				if i < len(c.want) {
					want = c.want[i]
				}
				if have != want {
					t.Errorf("sequence %d is\n%s, want\n%s", i, have, want)
				}
			}
		})
	}
}

// TestRawTextLabels checks that tokens of a raw text belong to the words that contain them.
func TestRawTextLabels(t *testing.T) {
	table, err := tagged.ReadBytes([]byte(`{"text": "Dinner for Łukasz-Ivan,  at 8pm...", "spans": [`+
		`{"start": 11, "end": 22, "label": "date"}, {"start": 28, "end": 31, "label": "time"}]}`),
		"x.jsonl", tagged.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := openTokens(t, nil)
	if err := r.task.Add(t.Context(), batch.Train, table); err != nil {
		t.Fatal(err)
	}
	want := "[CLS] dinner/O for/O ł/B-date ##uka ##sz -/I-date ivan/I-date ,/O at/O 8/B-time ##pm ./O ./O ./O [SEP]"
	if have := r.labelTexts(r.task.Splits[batch.Train], 0); have != want {
		t.Errorf("%s, want\n%s", have, want)
	}
}

// TestRawTextBlanks has a tokenizer that makes tokens of blanks alone (▁): words have the same first tokens, and the
// same prediction, in a raw text as in a list of words; their entities begin without the blank.
func TestRawTextBlanks(t *testing.T) {
	r := openTokens(t, nil)
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		if name != "tokenizer.json" {
			return nil, fs.ErrNotExist
		}
		return os.ReadFile("../../tokenize/testdata/bpe_marks.json")
	})
	if err != nil {
		t.Fatal(err)
	}
	c := r.task.cfg
	if r.task, err = NewTask(r.task.Net, tok, c); err != nil {
		t.Fatal(err)
	}
	const text = "Zvonimir at 8 zebra"
	words := taggedFile(t, strings.Join(strings.Fields(text), "/O ")+"/O")
	raw := tagged.New("raw", []tagged.Sentence{{Text: text, Words: tagged.SplitWords(text)}}...)
	predict := func(table *tagged.File) ([]string, []float32, Prediction) {
		t.Helper()
		list, _, err := r.task.Predict(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		tags, scores := r.task.Tags(table.At(0), list[0])
		return tags, scores, list[0]
	}
	tags, scores, list := predict(words)
	rawTags, rawScores, rawList := predict(raw)
	if !slices.Equal(tags, rawTags) || !slices.Equal(scores, rawScores) {
		t.Errorf("words %v %v\nraw text %v %v", tags, scores, rawTags, rawScores)
	}
	alone := 0
	for i, k := range rawList.Tokens {
		if text[k.From:k.To] == " " {
			alone++
		}
		if k.Begin != words.At(0).Words[k.Word].From || k.Word != list.Tokens[i].Word {
			t.Errorf("token %d, %+v, is of another word", i, k)
		}
		rawList.Tokens[i].Scores = oneHot(len(k.Scores), slices.Index(c.Labels.Names, "B-time"))
	}
	if alone == 0 {
		t.Error("no token is a blank alone, so nothing was tested")
	}
	for _, e := range r.task.Entities(raw.At(0), rawList, AggregateFirst) {
		if text[e.From] == ' ' {
			t.Errorf("%q begins with a blank", text[e.From:e.To])
		}
	}
}

// oneHot is 1 at one place of n.
func oneHot(n, at int) []float32 {
	v := make([]float32, n)
	v[at] = 1
	return v
}

// TestCutLeft checks that sentences are cut on the side that the tokenizer's settings name.
func TestCutLeft(t *testing.T) {
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		if name == "tokenizer_config.json" {
			return []byte(`{"tokenizer_class": "BertTokenizer", "truncation_side": "left"}`), nil
		}
		return os.ReadFile("../../embedded/minilm/" + name)
	})
	if err != nil {
		t.Fatal(err)
	}
	table := taggedFile(t, "Anna/B-date Featherston/B-people at/O 7:30/B-time pm/I-time")
	for _, c := range []struct {
		length, stride, cut int
		want                []string
	}{
		{6, -1, 3, []string{"[CLS] 7/B-time : 30 pm/I-time [SEP]"}},
		{5, -1, 3, []string{"[CLS] :/B-time 30 pm/I-time [SEP]"}},
		{5, 0, 0, []string{
			"[CLS] anna/B-date feathers/B-people [SEP]", "[CLS] ##ton at/O 7/B-time [SEP]", "[CLS] : 30 pm/I-time [SEP]"}},
	} {
		r := openTokens(t, func(x *TaskConfig) { x.MaxLength, x.Stride = c.length, c.stride })
		if r.task, err = NewTask(r.task.Net, tok, r.task.cfg); err != nil {
			t.Fatal(err)
		}
		if err := r.task.Add(t.Context(), batch.Train, table); err != nil {
			t.Fatal(err)
		}
		var have []string
		for i := range r.task.Splits[batch.Train].Len() {
			have = append(have, r.labelTexts(r.task.Splits[batch.Train], i))
		}
		if !slices.Equal(have, c.want) {
			t.Errorf("length %d, stride %d: %q, want %q", c.length, c.stride, have, c.want)
		}
		list, counts, err := r.task.Predict(t.Context(), table)
		if err != nil || list[0].Cut != c.cut || counts.CutWords != c.cut || counts.WithoutTokens != 0 {
			t.Errorf("length %d, stride %d: %d words cut, counts %+v, %v; want %d", c.length, c.stride, list[0].Cut, counts,
				err, c.cut)
		}
	}
}

func TestTokenCounts(t *testing.T) {
	r := openTokens(t, func(c *TaskConfig) { c.MaxLength, c.Stride = 6, -1 })
	table := taggedFile(t, "\u200b/O a/O \u200b/B-time", "one/O two/O three/O four/O five/O six/B-time", "\u200b/O", "a/O")
	if err := r.task.Add(t.Context(), batch.Eval, table); err != nil {
		t.Fatal(err)
	}
	want := Counts{
		Sentences: 4, Sequences: 3, Words: 11, Targets: 6, Cut: 1, CutWords: 2,
		WithoutTokens: 3, WithoutTokensTagged: 1, Empty: 1,
	}
	if have := r.task.Counts(batch.Eval); have != want {
		t.Errorf("%+v, want %+v", have, want)
	}
	_, counts, err := r.task.Predict(t.Context(), table)
	if err != nil || counts.Cut != 1 || counts.WithoutTokens != 3 || counts.Sequences != 3 {
		t.Errorf("%+v, %v", counts, err)
	}
	for text, want := range map[string]string{
		"\u200b/O": "no word of 1 sentences has a tag and a token", "a/B-drink": `"B-drink"`,
	} {
		err := r.task.Add(t.Context(), batch.Train, taggedFile(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

// TestHome compares the choice of a window with a search through all of them.
func TestHome(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		n, room := 1+r.IntN(60), 1+r.IntN(20)
		step := 1 + r.IntN(room)
		var starts, ends []int
		for from := 0; ; from += step {
			starts, ends = append(starts, from), append(ends, min(from+room, n))
			if ends[len(ends)-1] == n {
				break
			}
		}
		from := r.IntN(n)
		to := min(from+1+r.IntN(4), n)
		best, most := -1, math.MinInt
		for k := range starts {
			if from < starts[k] || from >= ends[k] {
				continue
			}
			left, right := from-starts[k], ends[k]-to
			if k == 0 {
				left = math.MaxInt
			}
			if ends[k] == n {
				right = math.MaxInt
			}
			if c := min(left, right); c > most {
				best, most = k, c
			}
		}
		if have := home(starts, ends, from, to); have != best {
			t.Fatalf("windows %v to %v of %d, tokens %d to %d: %d, want %d", starts, ends, n, from, to, have, best)
		}
	}
}

// TestWindowsPredictAll checks that every word of a long text is predicted once, in order, with the tokens of the whole
// text.
func TestWindowsPredictAll(t *testing.T) {
	text := strings.Repeat("Table for Anna Featherstonehaugh at 7:30 pm, please. ", 8)
	table := tagged.New("text", []tagged.Sentence{{Text: text, Words: tagged.SplitWords(text)}}...)
	whole, _, err := openTokens(t, nil).task.Predict(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	for _, stride := range []int{0, 1, 10, 40} {
		r := openTokens(t, func(c *TaskConfig) { c.MaxLength, c.Stride = 24, stride })
		parts, counts, err := r.task.Predict(t.Context(), table)
		if err != nil || counts.Windowed != 1 || counts.Sequences < 6 {
			t.Fatalf("%+v, %v", counts, err)
		}
		strip := func(p Prediction) (list []Token) {
			for _, k := range p.Tokens {
				k.Scores, k.Label = nil, 0
				list = append(list, k)
			}
			return list
		}
		if have, want := strip(parts[0]), strip(whole[0]); !reflect.DeepEqual(have, want) {
			t.Errorf("stride %d: tokens %v, want %v", stride, have, want)
		}
		tags, scores := r.task.Tags(table.At(0), parts[0])
		if slices.Contains(tags, "") || slices.Contains(scores, 0) {
			t.Errorf("stride %d: words without prediction: %v", stride, tags)
		}
	}
}

// TestTokenEvaluate compares an evaluation with the scores of the same predictions, and with a loss computed from all
// logits.
func TestTokenEvaluate(t *testing.T) {
	table := readTokens(t, tokenFixture+"/test.jsonl")
	for name, change := range map[string]func(*TaskConfig){
		"plain": nil, "windows": func(c *TaskConfig) { c.MaxLength, c.Stride, c.EvalTokens = 9, 3, 64 },
		"strict": func(c *TaskConfig) { c.Strict = true }, "cut": func(c *TaskConfig) { c.MaxLength, c.Stride = 8, -1 },
		"tags":       func(c *TaskConfig) { c.Scheme = tagged.Plain },
		"all tokens": func(c *TaskConfig) { c.LabelAllTokens = true },
	} {
		t.Run(name, func(t *testing.T) {
			var full *Scores
			r := openTokens(t, func(c *TaskConfig) {
				if change != nil {
					change(c)
				}
				c.OnScores = func(_ batch.Split, s *Scores) { full = s }
			})
			if err := r.task.Add(t.Context(), batch.Eval, table); err != nil {
				t.Fatal(err)
			}
			m, err := r.task.Evaluate(t.Context(), batch.Eval)
			if err != nil {
				t.Fatal(err)
			}
			predictions, _, err := r.task.Predict(t.Context(), table)
			if err != nil {
				t.Fatal(err)
			}
			scores, err := r.task.Score(table, predictions)
			if err != nil {
				t.Fatal(err)
			}
			if name != "all tokens" && math.Abs(scores.Loss-full.Loss) > 1e-5 { // of which predictions have the first ones
				t.Errorf("loss %g, of the probabilities %g", full.Loss, scores.Loss)
			}
			scores.Loss = full.Loss
			if !reflect.DeepEqual(scores, full) || !reflect.DeepEqual(m, full.Metrics()) {
				t.Errorf("%+v, of the predictions %+v", full, scores)
			}
			var names []string
			for _, v := range m.Values {
				names = append(names, v.Name)
			}
			if !slices.Equal(names, r.task.MetricNames()) || m.Main != names[0] {
				t.Errorf("metrics %v, main %s; want %v", names, m.Main, r.task.MetricNames())
			}
		})
	}
}

// TestNothingFound checks scores of texts without entities and of a model that predicts none.
func TestNothingFound(t *testing.T) {
	var s *Scores
	r := openTokens(t, func(c *TaskConfig) { c.OnScores = func(_ batch.Split, x *Scores) { s = x } })
	for _, p := range r.set.Params() { // a head that always says O
		if strings.Contains(p.Name, "classifier.weight") {
			clear(op.Values(p.Param))
		}
		if strings.Contains(p.Name, "classifier.bias") {
			v := op.Values(p.Param)
			clear(v)
			v[slices.Index(r.task.cfg.Labels.Names, "O")] = 9
		}
	}
	for split, table := range map[batch.Split]*tagged.File{
		batch.Eval: taggedFile(t, "at/O 7/B-time"), batch.Test: taggedFile(t, "at/O home/O"),
	} {
		if err := r.task.Add(t.Context(), split, table); err != nil {
			t.Fatal(err)
		}
		m, err := r.task.Evaluate(t.Context(), split)
		if err != nil {
			t.Fatal(err)
		}
		f1, _ := m.Get("f1")
		wanted, predicted := s.Found()
		if f1.Value != 0 || predicted != 0 || wanted != map[batch.Split]int{batch.Eval: 1, batch.Test: 0}[split] {
			t.Errorf("%v: f1 %g, %d wanted, %d predicted", split, f1.Value, wanted, predicted)
		}
	}
}

// TestTokenConfig gives settings that contradict each other.
func TestTokenConfig(t *testing.T) {
	r := openTokens(t, nil)
	bad := r.task.cfg
	bad.Strict, bad.Scheme, bad.MaxLength, bad.Smoothing, bad.ClassWeights = true, tagged.Plain, 9999, 1, []float32{1}
	bad.Labels = &data.Labels{Names: []string{"O", "B-X"}, Problem: data.TokenTags}
	_, err := NewTask(r.task.Net, r.task.Tok, bad)
	for _, want := range []string{
		"9 outputs for 2 labels", "`max_length` is 9999", "`label_smoothing_factor` is 1", "1 weights for 2 classes",
		"`seqeval_mode strict` scores entities",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// TestEntitiesOfSchemes checks where entities begin and end.
func TestEntitiesOfSchemes(t *testing.T) {
	for _, c := range []struct {
		scheme tagged.Scheme
		tags   string
		want   string
	}{
		{tagged.IOB2, "O B-A I-A B-A I-B O I-B", "A 1-3, A 3-4, B 4-5, B 6-7"},
		{tagged.IOBES, "S-A S-A B-A E-A I-A B-B I-B E-B O", "A 0-1, A 1-2, A 2-4, A 4-5, B 5-8"},
		{tagged.BILOU, "U-A B-A L-A L-A O", "A 0-1, A 1-3, A 3-4"},
		{tagged.IOE2, "I-A E-A I-A E-A", "A 0-2, A 2-4"},
		{tagged.IOB2, "B I O I", "_ 0-2, _ 3-4"},
		{tagged.Plain, "NOUN NOUN VERB O B-X I-X", "NOUN 0-2, VERB 2-3, B-X 4-5, I-X 5-6"},
	} {
		tags := strings.Fields(c.tags)
		names := slices.Compact(slices.Sorted(slices.Values(tags)))
		p := &Predictor{cfg: Config{Labels: &data.Labels{Names: names}, Scheme: c.scheme}}
		var of Prediction
		for i, tag := range tags {
			scores := make([]float32, len(names))
			scores[slices.Index(names, tag)] = 1
			of.Tokens = append(of.Tokens, Token{Word: i, From: i, To: i + 1, Scores: scores})
		}
		var have []string
		for _, e := range p.Entities(tagged.Sentence{Text: strings.Repeat("x", len(tags))}, of, AggregateFirst) {
			have = append(have, fmt.Sprintf("%s %d-%d", e.Type, e.From, e.To))
		}
		if s := strings.Join(have, ", "); s != c.want {
			t.Errorf("%s %s: %s, want %s", c.scheme, c.tags, s, c.want)
		}
	}
}
