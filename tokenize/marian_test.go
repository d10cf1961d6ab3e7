package tokenize

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// tinyMarian returns Marian's files with two models of a few pieces.
func tinyMarian(more ...string) files {
	dir := files{
		configFile: `{"tokenizer_class": "MarianTokenizer"}`, marianSource: tinyPieces(), marianTarget: tinyPieces(),
		bpeFile: `{"</s>": 0, "<unk>": 1, "\u2581": 2, "a": 3, ">>x<<": 4, "<pad>": 5}`,
	}
	for i := 0; i < len(more); i += 2 {
		dir[more[i]] = more[i+1]
	}
	return dir
}

func TestMarianErrors(t *testing.T) {
	trainer := func(number int, v uint64) []byte { return protoBytes(2, protoVarint(number, v)) }
	for _, c := range []struct {
		name  string
		files files
		want  string
	}{
		{"good", tinyMarian(), ""},
		{"two vocabularies", tinyMarian(configFile, `{"tokenizer_class": "MarianTokenizer", "separate_vocabs": true}`),
			"tokenizer_config.json: separate_vocabs is true, but only one vocabulary"},
		{"vocabulary", tinyMarian(bpeFile, "[]"), "vocab.json: want an object, got an array"},
		{"no unknown", tinyMarian(bpeFile, `{"a": 0}`), `unknown token "<unk>" is not in the vocabulary`},
		{"source", tinyMarian(marianSource, "abc"), "source.spm: "},
		{"target", tinyMarian(marianTarget, ""), "target.spm: no pieces; want a SentencePiece model"},
		{"words", tinyMarian(marianTarget, tinyPieces(trainer(3, 3))), "target.spm: the model splits texts into words"},
		{"twice", tinyMarian(marianSource, tinyPieces(pieceField("a", 0, normalPiece))),
			`source.spm: piece 6: "a" is listed more than once`},
		{"two unknown", tinyMarian(marianSource, tinyPieces(pieceField("b", 0, unknownPiece))),
			"source.spm: pieces 0 and 6 are both for unknown text"},
		{"nothing unknown", tinyMarian(marianSource, string(pieceField("b", 0, normalPiece))),
			"source.spm: no piece is for unknown text"},
		{"bytes", tinyMarian(marianSource, tinyPieces(trainer(35, 1), pieceField("<0x0A>", 0, bytePiece))),
			"source.spm: 1 tokens of bytes, want 256 for byte_fallback"},
		{"byte", tinyMarian(marianSource, tinyPieces(pieceField("<0x0a>", 0, bytePiece))),
			`source.spm: piece 6: "<0x0a>" is not a byte, such as <0x0A>`},
		{"unused", tinyMarian(marianSource, tinyPieces(trainer(3, 2), pieceField("b", 0, unusedPiece))),
			`source.spm: piece 6: "b" is unused, which is not supported in a BPE model`},
		{"denormalizer", tinyMarian(marianTarget, tinyPieces(protoBytes(5, protoBytes(2, []byte("x"))))),
			"target.spm: the model rewrites decoded text (denormalizer_spec), which is not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.files.open)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "tokenize: ") ||
				!strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	for _, name := range []string{bpeFile, marianSource, marianTarget} {
		dir := tinyMarian()
		delete(dir, name)
		if _, err := Load(dir.open); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name+", which a ") {
			t.Errorf("error %v", err)
		}
	}
}

// TestMarianSides checks that each side has its own pieces, also when both sides are used in turn.
func TestMarianSides(t *testing.T) {
	dir := tinyMarian(marianTarget, strings.ReplaceAll(tinyPieces(), "a", "b"),
		bpeFile, `{"</s>": 0, "<unk>": 1, "\u2581": 2, "a": 3, "b": 4, "<pad>": 5, ">>x<<": 6}`)
	tok, err := Load(dir.open)
	if err != nil {
		t.Fatal(err)
	}
	if tok.MaxLength() != marianMaxLength {
		t.Errorf("maximum length %d, want %d", tok.MaxLength(), marianMaxLength)
	}
	for range 2 {
		for _, c := range []struct {
			text   string
			target bool
			want   []int32
		}{
			{"ac", false, []int32{2, 3, 1, 0}}, {"ac", true, []int32{2, 1, 0}}, {"bc", true, []int32{2, 4, 1, 0}},
			{">>x<< a", false, []int32{6, 2, 3, 0}}, {">>y<<a", false, []int32{1, 2, 3, 0}}, {">>x<<", true, []int32{6, 0}},
			{"  ", false, []int32{0}},
			{"cb", false, []int32{2, 1, 0}}, {"c", true, []int32{2, 1, 0}},
		} {
			e, err := tok.Encode(c.text, Options{Target: c.target, Offsets: true})
			if err != nil || !slices.Equal(e.IDs, c.want) {
				t.Errorf("%q, target %t: %v, %v; want %v", c.text, c.target, e.IDs, err, c.want)
			}
		}
	}
	e, err := tok.Encode(">>x<<  aaé", Options{Offsets: true})
	if want := [][2]int{{0, 5}, {7, 8}, {7, 8}, {8, 9}, {9, 10}, {0, 0}}; err != nil || !slices.Equal(e.Offsets, want) {
		t.Errorf("offsets %v, %v; want %v", e.Offsets, err, want)
	}
}

// TestByT5 checks the parts of ByT5's tokenizer that need no reference.
func TestByT5(t *testing.T) {
	tok, err := Load(files{configFile: `{"tokenizer_class": "ByT5Tokenizer"}`}.open)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tok.Encode("é", Options{Offsets: true})
	if err != nil || !slices.Equal(e.IDs, []int32{0xC3 + 3, 0xA9 + 3, 1}) ||
		!slices.Equal(e.Offsets, [][2]int{{0, 1}, {0, 1}, {0, 0}}) {
		t.Errorf("%v, %v", e, err)
	}
	id, _ := tok.ID("<extra_id_0>")
	if id != 259 || tok.PadID() != 0 || tok.EosID() != 1 || tok.VocabSize() != 384 {
		t.Errorf("<extra_id_0> is %d, padding %d, end %d, of %d", id, tok.PadID(), tok.EosID(), tok.VocabSize())
	}
	e, err = tok.EncodePair("a</s>", "", Options{})
	if want := []int32{100, 1, 1}; err != nil || !slices.Equal(e.IDs, want) {
		t.Errorf("%v, %v; want %v", e.IDs, err, want)
	}
	if _, err := tok.Custom(); err == nil || !strings.Contains(err.Error(), "which a specification cannot say") {
		t.Errorf("error %v", err)
	}
}

// FuzzMarian checks that no model file of Marian makes Load panic, and that accepted tokenizers encode and decode.
func FuzzMarian(f *testing.F) {
	f.Add([]byte(tinyPieces()), ">>x<<a <br>b")
	merged := tinyPieces(protoBytes(2, protoVarint(3, 2)), pieceField("\u2581a", -1, normalPiece))
	f.Add([]byte(merged), "aa <br>\u2581</s>")
	raw := protoBytes(3, slices.Concat(protoVarint(3, 0), protoVarint(4, 0), protoVarint(5, 0)))
	f.Add([]byte(tinyPieces(raw)), "  a  ")
	f.Fuzz(func(t *testing.T, model []byte, text string) {
		tok, err := Load(tinyMarian(marianTarget, string(model)).open)
		if err != nil {
			return
		}
		e, err := tok.Encode(text, Options{Offsets: true, Target: true})
		if err != nil {
			t.Fatal(err)
		}
		tok.Decode(e.IDs, false)
	})
}
