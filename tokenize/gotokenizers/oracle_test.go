package gotokenizers

import (
	"slices"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/spalora/spalora/tokenize"
)

// assigned reports whether Go's tables, which gotokenizers uses, know all code points of a text. The reference's, and
// so ours, are of a newer Unicode: they know letters that Go takes for nothing in particular.
func assigned(text string) bool {
	for _, r := range text {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf,
			unicode.Co) {
			return false
		}
	}
	return utf8.ValidString(text)
}

// equalWords compares what the two pre-tokenizers make of a text, and what the two models make of each word.
func equalWords(t *testing.T, ours tokenize.Parts, theirs Pipeline, text string) (words int) {
	t.Helper()
	mine, err := ours.PreTokenizer.Split(text, true)
	if err != nil {
		t.Fatal(err)
	}
	if theirs.PreTokenizer != nil && assigned(text) {
		list, err := preTokenizer{theirs.PreTokenizer}.Split(text, true)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !slices.EqualFunc(mine, list, func(a, b tokenize.AlignedText) bool {
			return a.Text == b.Text && slices.Equal(a.Origin, b.Origin)
		}) {
			t.Errorf("%q:\nours   %v\ntheirs %v", text, mine, list)
		}
	}
	for _, w := range mine {
		a, err := ours.Model.Tokenize(w.Text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := model{theirs.Model}.Tokenize(w.Text)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a, b) {
			t.Errorf("%q: ours %v, theirs %v", w.Text, a, b)
		}
	}
	return len(mine)
}

// TestByteLevelOracle holds our byte-level BPE to that of gotokenizers, which was written independently: the words that
// the two pre-tokenizers make, with the alignment of each byte, and the ids and ranges that the two models make of
// every word. gotokenizers' own pattern splits contractions in capitals off, unlike GPT-2's, so it gets GPT-2's; and
// texts with code points that Go's Unicode lacks are compared from our words on.
func TestByteLevelOracle(t *testing.T) {
	own, theirs := gpt(t)
	small := fixture(t, "bpe_bytes")
	smallOwn, smallTheirs := load(t, small), byteLevel(t, small)
	smallTheirs.PreTokenizer = nil // the file has another pattern, which gotokenizers lacks
	known, words := 0, 0
	for i, text := range texts() {
		if i%7 != 0 || text == "" {
			continue
		}
		if assigned(text) {
			known++
		}
		words += equalWords(t, own.Parts(), theirs, text)
		words += equalWords(t, smallOwn.Parts(), smallTheirs, text)
	}
	if known < 1000 || words < 20000 {
		t.Errorf("only %d texts and %d words were compared", known, words)
	}
}

// FuzzByteLevelOracle compares the two byte-level BPE on any text.
func FuzzByteLevelOracle(f *testing.F) {
	for i := 0; i < len(texts()); i += 400 {
		f.Add(texts()[i])
	}
	own, theirs := gpt(f)
	small := fixture(f, "bpe_bytes")
	smallOwn, smallTheirs := load(f, small), byteLevel(f, small)
	smallTheirs.PreTokenizer = nil
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || !utf8.ValidString(text) || len(text) > 4096 {
			return // the model of gotokenizers needs more than linear time for long words
		}
		equalWords(t, own.Parts(), theirs, text)
		equalWords(t, smallOwn.Parts(), smallTheirs, text)
	})
}

// gptDescription describes the tokenizer of the embedded GPT beside the parts.
func gptDescription() tokenize.Custom {
	return tokenize.Custom{
		Name: "gpt", Added: []tokenize.AddedToken{{Content: "<|endoftext|>", Special: true}},
		EosToken: "<|endoftext|>", Decoder: tokenize.DecodeByteLevel(), NoTypes: true,
	}
}

// TestByteLevelPipeline checks that a tokenizer of gotokenizers' byte-level BPE is our own in every respect.
func TestByteLevelPipeline(t *testing.T) {
	own, theirs := gpt(t)
	tok, err := New(theirs, gptDescription())
	if err != nil {
		t.Fatal(err)
	}
	o := tokenize.Options{Offsets: true, Words: true, MaxLength: 60}
	for i := 1; i < len(texts()); i += 10 {
		text, pair := texts()[i], texts()[i-1]+"<|endoftext|> and more"
		if !assigned(text + pair) {
			continue
		}
		want, err := own.EncodePair(text, pair, o)
		if err != nil {
			t.Fatal(err)
		}
		have, err := tok.EncodePair(text, pair, o)
		if err != nil {
			t.Fatalf("%q, %q: %v", text, pair, err)
		}
		equal(t, text+"|"+pair, have, want)
		if have, want := tok.Decode(have.IDs, true), own.Decode(want.IDs, true); have != want {
			t.Errorf("decoded %q, want %q", have, want)
		}
	}
	if tok.EosID() != own.EosID() || tok.VocabSize() != own.VocabSize() {
		t.Errorf("end %d, %d tokens", tok.EosID(), tok.VocabSize())
	}
}
