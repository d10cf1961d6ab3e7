package tokenize

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestTruncation(t *testing.T) {
	tok := loadDir(t, minilm)
	const text, pair = "one two three four five", "six seven eight" // a token a word
	for _, c := range []struct {
		name    string
		single  bool
		o       Options
		want    string // decoded, special tokens kept
		dropped int
		err     string
	}{
		{"fits", false, Options{MaxLength: 11}, "[CLS] one two three four five [SEP] six seven eight [SEP]", 0, ""},
		{"one less", false, Options{MaxLength: 10}, "[CLS] one two three four [SEP] six seven eight [SEP]", 1, ""},
		{"both", false, Options{MaxLength: 8}, "[CLS] one two three [SEP] six seven [SEP]", 3, ""},
		{"left", false, Options{MaxLength: 8, Side: Left}, "[CLS] three four five [SEP] seven eight [SEP]", 3, ""},
		{
			"only first", false, Options{MaxLength: 8, Truncation: OnlyFirst}, "[CLS] one two [SEP] six seven eight [SEP]", 3,
			"",
		},
		{
			"only second", false, Options{MaxLength: 9, Truncation: OnlySecond}, "[CLS] one two three four five [SEP] six [SEP]",
			2, "",
		},
		{"no room", false, Options{MaxLength: 3}, "[CLS] [SEP] [SEP]", 8, ""},
		{"no special", false, Options{MaxLength: 3, NoSpecial: true}, "one two six", 5, ""},
		{"single", true, Options{MaxLength: 4}, "[CLS] one two [SEP]", 3, ""},
		{"single left", true, Options{MaxLength: 4, Side: Left}, "[CLS] four five [SEP]", 3, ""},
		{"first alone", false, Options{MaxLength: 8, Truncation: OnlySecond}, "", 0,
			"only_second cannot shorten texts of 5 and 3 tokens to max length 8"},
		{"second alone", false, Options{MaxLength: 6, Truncation: OnlyFirst}, "", 0,
			"only_first cannot shorten texts of 5 and 3 tokens to max length 6"},
		{
			"no second", true, Options{MaxLength: 4, Truncation: OnlySecond}, "", 0,
			"only_second cannot shorten an input without a pair",
		},
		{"refused", true, Options{MaxLength: 6, Truncation: DoNotTruncate}, "", 0, "input has 7 tokens, max length is 6"},
		{"too small", true, Options{MaxLength: 1}, "", 0, "max length 1 has no room for the 2 special tokens"},
		{"negative", true, Options{MaxLength: -1, NoSpecial: true}, "", 0, "max length -1"},
		{"strategy", true, Options{Truncation: 9}, "", 0, "unknown truncation strategy 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Words, c.o.Offsets = true, true
			e, err := tok.EncodePair(text, pair, c.o)
			if c.single {
				e, err = tok.Encode(text, c.o)
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if have := tok.Decode(e.IDs, false); have != c.want || e.Truncated != c.dropped {
				t.Errorf("%q and %d dropped, want %q and %d", have, e.Truncated, c.want, c.dropped)
			}
			checkEncoding(t, e, text, pair)
		})
	}
}

// checkEncoding checks properties of every encoding.
func checkEncoding(t *testing.T, e Encoding, texts ...string) {
	t.Helper()
	n := len(e.IDs)
	if len(e.Types) != n || len(e.Offsets) != n || len(e.Words) != n || len(e.Sequences) != n {
		t.Fatalf("lengths differ: %+v", e)
	}
	for i, s := range e.Sequences {
		if s < 0 {
			if e.Offsets[i] != [2]int{} || e.Words[i] != -1 {
				t.Errorf("token %d of the template: offsets %v, word %d", i, e.Offsets[i], e.Words[i])
			}
			continue
		}
		size := len([]rune(texts[s]))
		if o := e.Offsets[i]; o[0] < 0 || o[0] >= o[1] || o[1] > size {
			t.Errorf("token %d: offsets %v in a text of %d", i, o, size)
		}
		if i > 0 && e.Sequences[i-1] == s && (e.Words[i] < e.Words[i-1] || e.Offsets[i][0] < e.Offsets[i-1][0]) {
			t.Errorf("token %d: word %d at %v after word %d at %v", i, e.Words[i], e.Offsets[i], e.Words[i-1], e.Offsets[i-1])
		}
	}
}

func TestStrategyNames(t *testing.T) {
	have := fmt.Sprint(LongestFirst, OnlyFirst, OnlySecond, DoNotTruncate, Strategy(7), Right, Left)
	if want := "longest_first only_first only_second do_not_truncate unknown right left"; have != want {
		t.Errorf("%q, want %q", have, want)
	}
}

// TestInvalidUTF8 checks that each bad byte counts as one U+FFFD, also in offsets.
func TestInvalidUTF8(t *testing.T) {
	tok := loadDir(t, minilm)
	for _, text := range []string{"a\xffb c", "\xe2\x82", "hello \xed\xa0\x80 world", "\x80[SEP]\xff", "\xf4\x90\x80\x80x",
		"é\xc3 é"} {
		have, want := encodeAll(t, tok, text), encodeAll(t, tok, string([]rune(text)))
		if !reflect.DeepEqual(have, want) {
			t.Errorf("%q: %v, want %v", text, have, want)
		}
		checkEncoding(t, have, text)
	}
	e := encodeAll(t, tok, "one\xff\xfe two")
	if want := [][2]int{{0, 0}, {0, 3}, {6, 9}, {0, 0}}; !reflect.DeepEqual(e.Offsets, want) {
		t.Errorf("offsets %v, want %v", e.Offsets, want)
	}
}

func TestEncodeBatch(t *testing.T) {
	_, texts := loadFixtures(t)
	tok := loadDir(t, minilm)
	inputs := make([]Input, 1000)
	want := make([]Encoding, len(inputs))
	o := Options{MaxLength: 24, Offsets: true}
	for i := range inputs {
		inputs[i] = Input{Text: texts[i]}
		if i%2 == 0 {
			inputs[i].Pair, inputs[i].HasPair = texts[i+1], true
		}
		var err error
		if want[i], err = tok.encode(inputs[i], o); err != nil {
			t.Fatal(err)
		}
	}
	for _, workers := range []int{0, 1, 2, 7, 2000} {
		have, err := tok.EncodeBatch(context.Background(), inputs, o, workers)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("%d workers: encodings differ", workers)
		}
	}
	if have, err := tok.EncodeBatch(context.Background(), nil, o, 2); err != nil || len(have) != 0 {
		t.Errorf("no inputs: %v, %v", have, err)
	}
}

func TestEncodeBatchErrors(t *testing.T) {
	tok := loadDir(t, minilm)
	inputs := make([]Input, 500)
	for i := range inputs {
		inputs[i].Text = "short"
	}
	inputs[123].Text = "far too long for this"
	inputs[321].Text = inputs[123].Text
	for range 20 {
		_, err := tok.EncodeBatch(context.Background(), inputs, Options{MaxLength: 4, Truncation: DoNotTruncate}, 4)
		if want := "tokenize: input 123: the input has 7 tokens, max length is 4"; err == nil || err.Error() != want {
			t.Fatalf("error %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tok.EncodeBatch(ctx, inputs, Options{}, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// TestLinearTime checks that hostile long texts take no more time per byte than short ones, with an allowance for a
// busy machine.
func TestLinearTime(t *testing.T) {
	f, _ := loadFixtures(t)
	plain := loadDir(t, minilm)
	added := loadPatched(t, f.Cases[4].File, f.Cases[4].Patch)
	if f.Cases[4].Name != "minilm added" {
		t.Fatalf("case 4 is %q", f.Cases[4].Name)
	}
	for _, c := range []struct {
		name string
		tok  *Tokenizer
		unit string
		n    int // number of units in the long text
	}{
		{"no space", plain, "supercalifragilistic", 500_000}, // 10 MB
		{"one letter", plain, "a", 1_000_000},
		{"one mark", plain, "\u0301", 1_000_000},
		{"falling marks", plain, "\u0345\u0301\u0316\u0334", 250_000},
		{"one blank", plain, " ", 1_000_000},
		{"controls", plain, "\x00", 1_000_000},
		{"punctuation", plain, "!", 1_000_000},
		{"chinese", plain, "中", 300_000},
		{"hidden", plain, "\u200b", 300_000},
		{"special", plain, "[SEP]", 200_000},
		{"half special", plain, "[SEP", 200_000},
		{"stripping", added, "<both>  ", 100_000},
		{"blanks before", added, "  <left>", 100_000},
		{"only blanks", added, "  pad", 100_000},
	} {
		t.Run(c.name, func(t *testing.T) { checkLinearTime(t, c.tok, c.unit, c.n) })
	}
}

// checkLinearTime compares the time of encoding n units of text with that of a thousandth of them.
func checkLinearTime(t *testing.T, tok *Tokenizer, unit string, n int) {
	checkTime(t, unit, n, func(text string) error {
		_, err := tok.Encode(text, Options{Offsets: true})
		return err
	})
}

// checkTime compares the time that f takes for n units of text (fewer under the race detector) with the time for a
// thousandth of them.
func checkTime(t *testing.T, unit string, n int, f func(text string) error) {
	const parts = 1000
	n /= blockStep
	short, long := strings.Repeat(unit, max(n/parts, 1)), strings.Repeat(unit, n)
	once := func(text string) time.Duration {
		start := cpuTime()
		if err := f(text); err != nil {
			t.Fatal(err)
		}
		return cpuTime() - start
	}
	once(short)
	small := once(short)
	big := once(long)
	runtime.GC()
	// Quadratic time would be a million times the small one's. The long text also exceeds the cache; up to five seconds
	// never count as a failure.
	if limit := max(20*parts*small, 5*time.Second); big > limit {
		t.Errorf("%d units take %v, %d take %v: more than %v", max(n/parts, 1), small, n, big, limit)
	}
	t.Logf("%.1f MB/s", float64(len(long))/1e6/big.Seconds())
}
