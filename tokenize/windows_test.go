package tokenize

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// The fixture of TestWindowsParity is written by reference/window_fixtures.py.

const windowPairs, windowBlock = 3072, 16

// windowPair returns pair i of the fixture and its windowing.
func windowPair(texts []string, i int) (Input, Windowing) {
	question := []rune(texts[i*3%len(texts)])
	var context []string
	for k := range 1 + i%4 {
		context = append(context, texts[(i*5+k)%len(texts)])
	}
	in := Input{Text: string(question[:min(24, len(question))]), Pair: strings.Join(context, " "), HasPair: true}
	if i%7 == 0 {
		in = Input{Text: in.Pair}
	}
	return in, Windowing{MaxLength: []int{12, 16, 24, 32, 48, 64, 128, 384}[i%8],
		Stride: []int{0, 1, 3, 5, 7, 2, 4, 6}[i/8%8]}
}

// TestWindowsParity compares every window of 3,072 pairs and texts with the reference's, for seven tokenizers: ids,
// types, offsets, words and sequences, and which inputs cannot be cut.
func TestWindowsParity(t *testing.T) {
	_, texts := loadBPE(t)
	var f struct {
		Cases []struct {
			Name, File string
			Patch      map[string]any
			Windows    string
		}
	}
	raw, err := os.ReadFile("testdata/windows.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&f); err != nil || len(f.Cases) != 7 {
		t.Fatalf("%d cases, %v", len(f.Cases), err)
	}
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tok := loadPatched(t, c.File, c.Patch)
			want, err := base64.StdEncoding.DecodeString(c.Windows)
			if err != nil || len(want) != 4*windowPairs/windowBlock {
				t.Fatalf("%d bytes of hashes, %v", len(want), err)
			}
			for block := 0; block < windowPairs/windowBlock; block += blockStep {
				var packed []byte
				for i := block * windowBlock; i < (block+1)*windowBlock; i++ {
					in, w := windowPair(texts, i)
					packed = packWindows(packed, tok, in, w)
				}
				if sum := sha256.Sum256(packed); !bytes.Equal(sum[:4], want[4*block:4*block+4]) {
					t.Errorf("pairs %d … %d differ; for the reference's windows run window_fixtures.py --show %q N",
						block*windowBlock, (block+1)*windowBlock-1, c.Name)
				}
			}
		})
	}
}

func packWindows(b []byte, tok *Tokenizer, in Input, w Windowing) []byte {
	out, err := tok.Windows(in, w)
	if err != nil {
		return append(b, "error"...)
	}
	for _, e := range out.List {
		b = pack(b, e)
		for _, s := range e.Sequences {
			b = binary.LittleEndian.AppendUint32(b, uint32(int32(s)))
		}
	}
	return b
}

// TestWindowsCover checks the contract of windows: they hold the tokens of the pair in order, share the stride, and
// miss none.
func TestWindowsCover(t *testing.T) {
	tok := loadDir(t, minilm)
	context := strings.Repeat("the quick brown fox jumps over a lazy dog. ", 20)
	whole, err := tok.Encode(context, Options{NoSpecial: true, Offsets: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		w            Windowing
		question     string
		room, stride int
		shrunk       bool
		dropped      int
	}{
		{Windowing{MaxLength: 32, Stride: 8}, "who jumps?", 26, 8, false, 0},
		{Windowing{MaxLength: 32}, "who jumps?", 26, 0, false, 0},
		{Windowing{MaxLength: 32, Stride: 128, Shrink: true}, "who jumps?", 26, 13, true, 0},
		{Windowing{MaxLength: 32, Stride: 26, Shrink: true}, "who jumps?", 26, 13, true, 0},
		{Windowing{MaxLength: 32, Stride: 25, Shrink: true}, "who jumps?", 26, 25, false, 0},
		{Windowing{MaxLength: 12, Stride: 3, MaxText: 4}, "what is it that jumps over the dog?", 5, 3, false, 5},
		{Windowing{MaxLength: 7, Stride: 1, Shrink: true}, "who jumps?", 1, 0, true, 0},
	} {
		out, err := tok.Windows(Input{Text: c.question, Pair: context, HasPair: true}, c.w)
		if err != nil || out.Shrunk != c.shrunk || out.Dropped != c.dropped {
			t.Fatalf("%+v: shrunk %t, dropped %d, %v", c.w, out.Shrunk, out.Dropped, err)
		}
		next := 0
		for i, e := range out.List {
			if len(e.IDs) > c.w.MaxLength || i < len(out.List)-1 && len(e.IDs) != c.w.MaxLength {
				t.Fatalf("%+v: window %d of %d has %d tokens", c.w, i, len(out.List), len(e.IDs))
			}
			from := slices.Index(e.Sequences, 1)
			to := len(e.Sequences) - 1
			if n := to - from; i < len(out.List)-1 && n != c.room {
				t.Fatalf("%+v: window %d has %d tokens of the context, want %d", c.w, i, n, c.room)
			}
			at := 0
			if i > 0 {
				at = next - c.stride
			}
			if !slices.Equal(e.IDs[from:to], whole.IDs[at:at+to-from]) ||
				!slices.Equal(e.Offsets[from:to], whole.Offsets[at:at+to-from]) {
				t.Fatalf("%+v: window %d is not tokens %d to %d of the context", c.w, i, at, at+to-from)
			}
			next = at + to - from
		}
		if next != len(whole.IDs) {
			t.Errorf("%+v: windows end at token %d of %d", c.w, next, len(whole.IDs))
		}
	}
}

// TestWindowsRefused checks that an input without room is an error with its numbers.
func TestWindowsRefused(t *testing.T) {
	tok := loadDir(t, minilm)
	long := strings.Repeat("word ", 30)
	for _, c := range []struct {
		name   string
		in     Input
		w      Windowing
		want   []string
		noRoom bool
	}{
		{
			"question alone", Input{Text: long, Pair: "a b c", HasPair: true}, Windowing{MaxLength: 20, Stride: 2, Shrink: true},
			[]string{"text has 30 tokens", "special tokens are 3", "max length 20", "pair's 3"}, true,
		},
		{
			"question fills", Input{Text: long, Pair: "a b c", HasPair: true}, Windowing{MaxLength: 33, Stride: 2},
			[]string{"text has 30 tokens", "max length 33"}, true,
		},
		{
			"stride", Input{Text: "a b", Pair: long, HasPair: true}, Windowing{MaxLength: 16, Stride: 11},
			[]string{"max length 16", "room for 11 tokens", "3 are special, 2 of the other text", "stride is 11"}, true,
		},
		{
			"stride of a text", Input{Text: long}, Windowing{MaxLength: 16, Stride: 14},
			[]string{"room for 14 tokens", "stride is 14"}, true,
		},
		{"no room at all", Input{Text: long}, Windowing{MaxLength: 2}, []string{"max length 2", "2 special"}, true},
		{"no length", Input{Text: long}, Windowing{}, []string{"0 tokens"}, false},
		{"negative stride", Input{Text: long}, Windowing{MaxLength: 9, Stride: -1}, []string{"stride of -1"}, false},
		{
			"negative text", Input{Text: "a", Pair: "b", HasPair: true}, Windowing{MaxLength: 9, MaxText: -1},
			[]string{"max text is -1"}, false,
		},
	} {
		_, err := tok.Windows(c.in, c.w)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", c.name, err, want)
			}
		}
		if errors.Is(err, ErrNoRoom) != c.noRoom {
			t.Errorf("%s: ErrNoRoom is %t", c.name, !c.noRoom)
		}
	}
	if out, err := tok.Windows(Input{Text: "a b", Pair: "", HasPair: true},
		Windowing{MaxLength: 5, Stride: 90}); err != nil || len(out.List) != 1 {
		t.Errorf("an empty pair: %d windows, %v", len(out.List), err)
	}
}

// TestWindowsBatch checks the order, the first error with its index, and cancellation.
func TestWindowsBatch(t *testing.T) {
	tok := loadDir(t, minilm)
	var inputs []Input
	for i := range 200 {
		inputs = append(inputs, Input{Text: "who?", Pair: strings.Repeat("word ", i), HasPair: true})
	}
	w := Windowing{MaxLength: 24, Stride: 5}
	out, err := tok.WindowsBatch(context.Background(), inputs, w, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, have := range out {
		if want := max(1, (i-5+13)/14); len(have.List) != want { // 19 tokens of the context in a window, 14 of them new
			t.Errorf("input %d: %d windows, want %d", i, len(have.List), want)
		}
	}
	inputs[150].Text, inputs[60].Text = strings.Repeat("word ", 40), strings.Repeat("word ", 40)
	_, err = tok.WindowsBatch(context.Background(), inputs, w, 4)
	var bad *InputError
	if !errors.As(err, &bad) || bad.Index != 60 || !errors.Is(err, ErrNoRoom) {
		t.Errorf("error %v, want one of input 60", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tok.WindowsBatch(ctx, inputs, w, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// TestWindowsLinearTime cuts contexts of a million tokens.
func TestWindowsLinearTime(t *testing.T) {
	tok := loadDir(t, minilm)
	w := Windowing{MaxLength: 384, Stride: 128}
	for _, unit := range []string{"word ", "!", "中"} {
		checkTime(t, unit, 1_000_000, func(text string) error {
			_, err := tok.Windows(Input{Text: "who?", Pair: text, HasPair: true}, w)
			return err
		})
	}
}

// FuzzWindows checks that windows never exceed the maximum length, that their offsets slice the text, and that no token
// is lost.
func FuzzWindows(f *testing.F) {
	_, texts := loadFixtures(f)
	for i := 0; i < len(texts); i += 200 {
		f.Add(texts[i], texts[i+1], 8+i%60, i%9, i%2 == 0)
	}
	tok := loadDir(f, minilm)
	f.Fuzz(func(t *testing.T, text, pair string, length, stride int, shrink bool) {
		length, stride = length%512, stride%512
		w, err := tok.Windows(Input{Text: text, Pair: pair, HasPair: true}, Windowing{
			MaxLength: length, Stride: stride, Shrink: shrink,
		})
		if err != nil {
			return // no room
		}
		whole, err := tok.Encode(pair, Options{NoSpecial: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range w.List {
			if len(e.IDs) > length {
				t.Errorf("%d tokens, max length %d", len(e.IDs), length)
			}
			checkEncoding(t, e, text, pair)
		}
		if last := w.List[len(w.List)-1]; len(whole.IDs) > 0 && !slices.Contains(last.IDs, whole.IDs[len(whole.IDs)-1]) {
			t.Errorf("the last of %d windows lacks the context's last token", len(w.List))
		}
	})
}
