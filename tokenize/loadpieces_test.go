package tokenize

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// protoVarint returns a field of a protocol buffer.
func protoVarint(number int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number<<3)), v)
}

// pieceField returns a piece of a SentencePiece model.
func pieceField(text string, score float32, kind pieceType) []byte {
	p := protoBytes(1, []byte(text))
	p = append(p, 2<<3|byte(fixed32))
	p = binary.LittleEndian.AppendUint32(p, math.Float32bits(score))
	return protoBytes(1, append(p, protoVarint(3, uint64(kind))...))
}

// tinyPieces returns a SentencePiece model of a few pieces with more fields.
func tinyPieces(more ...[]byte) string {
	out := slices.Concat(pieceField("<unk>", 0, unknownPiece), pieceField("<s>", 0, controlPiece),
		pieceField("</s>", 0, controlPiece), pieceField("\u2581", -2, normalPiece), pieceField("a", -3, normalPiece),
		pieceField("<br>", 0, userDefinedPiece))
	return string(slices.Concat(append([][]byte{out}, more...)...))
}

func TestLoadSentencePieceErrors(t *testing.T) {
	const xlmr, t5, llama = `{"tokenizer_class": "XLMRobertaTokenizer"}`, `{"tokenizer_class": "T5Tokenizer"}`,
		`{"tokenizer_class": "LlamaTokenizer"}`
	trainer := func(fields ...[]byte) []byte { return protoBytes(2, slices.Concat(fields...)) }
	good := tinyPieces()
	for _, c := range []struct{ name, file, config, content, want string }{
		{"good", "sentencepiece.bpe.model", xlmr, good, ""},
		{"unknown fields", "sentencepiece.bpe.model", xlmr, tinyPieces(protoBytes(4, []byte("\xff")), protoVarint(99, 1),
			trainer(protoBytes(1, []byte("\xff")), protoVarint(2000, 7))), ""},
		{"two specs", "sentencepiece.bpe.model", xlmr,
			tinyPieces(trainer(protoVarint(3, 2)), trainer(protoVarint(3, 1))), ""},
		{"nothing", "tokenizer.model", "{}", "", "tokenizer.model: no pieces; want a SentencePiece model"},
		{"text", "sentencepiece.bpe.model", xlmr, "version https://git-lfs.github.com/spec/v1\n",
			"sentencepiece.bpe.model: byte 0: field 14 has the encoding 6, which SentencePiece does not write; want a Sen"},
		{"cut", "sentencepiece.bpe.model", xlmr, good[:len(good)-3],
			"the file ends inside a field; want a SentencePiece model"},
		{"cut length", "sentencepiece.bpe.model", xlmr, "\n", "byte 0: the file ends inside a field"},
		{"length", "sentencepiece.bpe.model", xlmr, "\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "ends inside a field"},
		{"long integer", "sentencepiece.bpe.model", xlmr, "\n" + strings.Repeat("\xff", 11), "more than 64 bits"},
		{"field 0", "sentencepiece.bpe.model", xlmr, "\x02\x00", "0 is not the number of a field"},
		{"other proto", "sentencepiece.bpe.model", xlmr, string(protoVarint(1, 8)), "field 1 has the encoding 0, want 2"},
		{"piece", "sentencepiece.bpe.model", xlmr, string(protoBytes(1, protoVarint(1, 8))), "piece 0: byte 0: field 1 has"},
		{"empty piece", "sentencepiece.bpe.model", xlmr, tinyPieces(protoBytes(1, nil)), "piece 6: empty"},
		{"UTF-8", "sentencepiece.bpe.model", xlmr, tinyPieces(pieceField("\xff", 0, 1)), "piece 6: byte 0: not UTF-8"},
		{"score", "sentencepiece.bpe.model", xlmr, tinyPieces(pieceField("b", float32(math.NaN()), 1)),
			"the score is NaN, want a number"},
		{"type", "sentencepiece.bpe.model", xlmr, tinyPieces(pieceField("b", 0, 9)), "the type is 9, want 1 … 6"},
		{"words", "sentencepiece.bpe.model", xlmr, tinyPieces(trainer(protoVarint(3, 3))),
			"the model splits texts into words, which is not supported; want a Unigram or BPE model"},
		{"characters", "spiece.model", t5, tinyPieces(trainer(protoVarint(3, 4))), "splits texts into characters"},
		{"model type", "spiece.model", t5, tinyPieces(trainer(protoVarint(3, 5))), "the model has the type 5"},
		{"bpe", "spiece.model", t5, tinyPieces(trainer(protoVarint(3, 2))),
			"spiece.model: a BPE model, but a T5Tokenizer reads Unigram models; name another tokenizer_class in tok"},
		{"unigram", "tokenizer.model", llama, good, "a Unigram model, but a LlamaTokenizer reads BPE models"},
		{"table", "spiece.model", t5, tinyPieces(protoBytes(3, protoBytes(2, []byte("abc")))),
			"spiece.model: precompiled_charsmap: 3 bytes are shorter than the 4-byte header"},
		{"class", "tokenizer.model", `{"tokenizer_class": "GemmaTokenizer"}`, good,
			"it is not known how a GemmaTokenizer reads this file, only how AlbertTokenizer, "},
		{"other file", "spiece.model", xlmr, good, "it is not known how a XLMRobertaTokenizer reads spiece.model"},
		{"no class", "spiece.model", "{}", good, "tokenizer_class is missing, and without it spiece.model cannot be read"},
		{"no unknown", "spiece.model", `{"tokenizer_class": "PegasusTokenizer", "unk_token": "a"}`, good,
			"none of which is the one that a PegasusTokenizer uses for unknown text"},
		{"sentinels", "spiece.model", t5, tinyPieces(pieceField("<extra_id_0>", 0, userDefinedPiece)),
			"extra_ids is 100, but the model has 1 sentinel tokens <extra_id_0> …; set extra_ids to 0 or 1"},
		{"many sentinels", "spiece.model", `{"tokenizer_class": "T5Tokenizer", "extra_ids": 100000}`, good,
			"tokenizer_config.json: extra_ids: want at most 65536"},
		{"language", "sentencepiece.bpe.model", `{"tokenizer_class": "MBartTokenizer", "src_lang": "en"}`, good,
			`the source language "en" is not known; want one of ar_AR, cs_CZ, `},
		{"no languages", "sentencepiece.bpe.model", `{"tokenizer_class": "NllbTokenizer"}`,
			tinyPieces(trainer(protoVarint(3, 2))),
			"the source language is eng_Latn, but the vocabulary has no tokens of languages; list them in tokenizer_config.j"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(files{c.file: c.content, configFile: c.config}.open)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "tokenize: ") ||
				!strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// spmCaseOf returns the case with a name.
func spmCaseOf(t testing.TB, name string) spmCase {
	t.Helper()
	cases, _ := readSPM(t)
	i := slices.IndexFunc(cases, func(c spmCase) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no case %q", name)
	}
	return cases[i]
}

// TestLanguages checks that languages that are chosen later give the ids of languages that the settings name.
func TestLanguages(t *testing.T) {
	named := spmCaseOf(t, "mbart languages").load(t)
	plain := spmCaseOf(t, "mbart").load(t)
	if plain.SourceLanguage() != "en_XX" || plain.TargetLanguage() != "en_XX" {
		t.Errorf("languages %s and %s, want en_XX", plain.SourceLanguage(), plain.TargetLanguage())
	}
	if list := plain.Languages(); !slices.Equal(list, mbartLanguages) {
		t.Errorf("languages %q", list)
	}
	chosen, err := plain.WithLanguages("de_DE", "fr_XX")
	if err != nil {
		t.Fatal(err)
	}
	if chosen.SourceLanguage() != "de_DE" || chosen.TargetLanguage() != "fr_XX" {
		t.Errorf("languages %s and %s", chosen.SourceLanguage(), chosen.TargetLanguage())
	}
	for _, target := range []bool{false, true} {
		o := Options{Target: target}
		want, err := named.Encode("Hello world", o)
		if err != nil {
			t.Fatal(err)
		}
		have, err := chosen.Encode("Hello world", o)
		if err != nil || !slices.Equal(have.IDs, want.IDs) {
			t.Errorf("target %t: %v, %v; want %v", target, have.IDs, err, want.IDs)
		}
		before, err := plain.Encode("Hello world", o)
		if err != nil || slices.Equal(have.IDs, before.IDs) {
			t.Errorf("target %t: the first tokenizer has changed, or the languages make no difference", target)
		}
		w, err := chosen.Windows(Input{Text: "Hello world"}, Windowing{MaxLength: 64})
		if err != nil || !target && !slices.Equal(w.List[0].IDs, want.IDs) {
			t.Errorf("windows %v, %v", w.List, err)
		}
	}
	if _, err := chosen.WithLanguages("", "xx_XX"); err == nil ||
		!strings.Contains(err.Error(), `the target language "xx_XX" is not known; want one of ar_AR`) {
		t.Errorf("error %v", err)
	}
	if _, err := chosen.WithLanguages("</s>", ""); err == nil {
		t.Error("the end of a text is a language")
	}
	if _, err := spmCaseOf(t, "t5").load(t).WithLanguages("en_XX", ""); err == nil ||
		!strings.Contains(err.Error(), "the tokenizer has no language codes") {
		t.Errorf("error %v", err)
	}
	list := spmCaseOf(t, "nllb").load(t).Languages()
	if !slices.Equal(list, []string{"eng_Latn", "fra_Latn", "swe_Latn"}) {
		t.Errorf("languages %q", list)
	}
	id, _ := chosen.ID("fr_XX")
	if _, err := chosen.Within(int(id)).Encode("a", Options{Target: true}); err == nil {
		t.Error("no error for a language beyond the model's word embeddings")
	}
}

// TestSentencePieceLinearTime is TestLinearTime for tokenizers of SentencePiece models.
func TestSentencePieceLinearTime(t *testing.T) {
	for _, c := range []struct {
		name, unit string
		n          int
	}{{"pegasus", "word ", 100_000}, {"llama", "a", 200_000}, {"nllb", "\u1e9f", 100_000},
		{"marian bytes", "\u1e9f", 50_000},
		{"marian bpe", "ab ", 50_000}, {"mbart50", " ", 300_000}} {
		t.Run(c.name, func(t *testing.T) { checkLinearTime(t, spmCaseOf(t, c.name).load(t), c.unit, c.n) })
	}
}

// FuzzSentencePiece checks that no model file makes Load panic, and that accepted tokenizers encode and decode.
func FuzzSentencePiece(f *testing.F) {
	classes := []string{"TokenizersBackend"}
	classes = append(classes, pieceClassNames...)
	for i := range classes {
		f.Add([]byte(tinyPieces()), uint8(i), "a <br> b")
		f.Add([]byte(tinyPieces(protoBytes(2, protoVarint(3, 2)), pieceField("\u2581a", -1, normalPiece),
			pieceField("<0x62>", 0, bytePiece))), uint8(i), "ab a</s>")
	}
	f.Add([]byte(tinyPieces(protoBytes(3, protoBytes(2, []byte{4, 0, 0, 0, 1, 2, 3, 4})))), uint8(0), "a")
	f.Fuzz(func(t *testing.T, model []byte, class uint8, text string) {
		name := classes[int(class)%len(classes)]
		file := piecesFile
		if c := pieceClasses[name]; c != nil {
			file = c.file
		}
		tok, err := Load(files{file: string(model), configFile: `{"tokenizer_class": "` + name + `"}`}.open)
		if err != nil {
			return
		}
		for _, target := range []bool{false, true} {
			e, err := tok.Encode(text, Options{Offsets: true, Target: target})
			if err != nil {
				t.Fatal(err)
			}
			tok.Decode(e.IDs, target)
		}
	})
}
