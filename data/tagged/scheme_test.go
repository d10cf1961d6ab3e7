package tagged

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func TestRepairTags(t *testing.T) {
	tests := []struct {
		scheme     Scheme
		tags, want string
		changed    int
	}{
		{IOB2, "B-X I-X O B-Y B-Y", "B-X I-X O B-Y B-Y", 0},
		{IOB2, "I-X I-X O I-X", "B-X I-X O B-X", 2},                 // at the start, after O
		{IOB2, "B-X I-Y I-Y", "B-X B-Y I-Y", 1},                     // after another type
		{IOB2, "B I O I", "B I O B", 1},                             // letters alone
		{IOB1, "I-X B-X I-X O I-Y", "I-X B-X I-X O I-Y", 0},         //
		{IOB1, "B-X I-X O B-Y I-X B-X", "I-X I-X O I-Y I-X B-X", 2}, // B without an entity of the type before
		{IOBES, "B-X I-X E-X S-Y O", "B-X I-X E-X S-Y O", 0},
		{IOBES, "B-X O I-X I-X O E-X B-X B-X I-Y", "S-X O B-X E-X O S-X S-X S-X S-Y", 7},
		{IOBES, "B-X I-X S-X I-X", "B-X E-X S-X S-X", 2},
		{IOE2, "I-X E-X E-X I-Y E-Y", "I-X E-X E-X I-Y E-Y", 0},
		{IOE2, "I-X I-X O I-Y E-X", "I-X E-X O E-Y E-X", 2},
		{IOE1, "I-X E-X I-X O I-Y", "I-X E-X I-X O I-Y", 0},
		{IOE1, "E-X O I-X E-X", "I-X O I-X I-X", 2},
		{BILOU, "B-X I-X L-X U-Y O", "B-X I-X L-X U-Y O", 0},
		{BILOU, "B-X I-X O L-X U-X I-X", "B-X L-X O U-X U-X U-X", 3},
		{Plain, "NOUN B-X I-Y", "NOUN B-X I-Y", 0},
	}
	for _, tt := range tests {
		got, changed, err := RepairTags(strings.Fields(tt.tags), tt.scheme)
		if err != nil || strings.Join(got, " ") != tt.want || changed != tt.changed {
			t.Errorf("%s %q: %q, %d changed, %v; want %q, %d", tt.scheme, tt.tags, got, changed, err, tt.want, tt.changed)
		}
	}
	for _, tt := range []struct {
		scheme Scheme
		tag    string
	}{{IOB2, "E-X"}, {IOB1, "NOUN"}, {IOB2, "BX"}, {IOB2, ""}, {IOBES, "L-X"}, {IOE1, "B-X"}, {BILOU, "S-X"},
		{IOB2, "b-X"}} {
		if _, _, err := RepairTags([]string{"O", tt.tag}, tt.scheme); err == nil ||
			!strings.Contains(err.Error(), "word 1 is none of the scheme "+string(tt.scheme)) {
			t.Errorf("%s %q: %v", tt.scheme, tt.tag, err)
		}
	}
}

// Whatever the tags, repaired ones spell the same entities by all rules, and repairing them again changes nothing.
func TestRepairKeepsEntities(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		k := schemes[i%len(schemes)]
		tags := make([]string, rng.IntN(9))
		for j := range tags {
			tags[j] = outside
			if rng.IntN(4) > 0 {
				tags[j] = fmt.Sprintf("%c-%c", k.letters[rng.IntN(len(k.letters))], "XY"[rng.IntN(2)])
			}
		}
		got, changed, err := RepairTags(tags, k.scheme)
		if err != nil {
			t.Fatal(err)
		}
		differ := 0
		for j := range tags {
			if tags[j] != got[j] {
				differ++
			}
		}
		again, more, err := RepairTags(got, k.scheme)
		if err != nil || differ != changed || more != 0 || !slices.Equal(again, got) {
			t.Fatalf("%s %q: %q, %d changed; again %q, %d changed, %v", k.scheme, tags, got, changed, again, more, err)
		}
		if k.scheme == BILOU {
			tags = rename(tags, "LU", "ES")
		}
		want := Entities(tags)
		strict, err := StrictEntities(got, k.scheme)
		if err != nil {
			t.Fatal(err)
		}
		if k.scheme == BILOU {
			got = rename(got, "LU", "ES")
		}
		if !slices.Equal(Entities(got), want) {
			t.Fatalf("%s %q: %q spells %v, want %v", k.scheme, tags, got, Entities(got), want)
		}
		// seqeval's own rules for IOB1 and IOE1 miss some sound entities (see TestEntitiesEqualSeqeval of metrics).
		if k.scheme != IOB1 && k.scheme != IOE1 && !slices.Equal(strict, want) {
			t.Fatalf("%s %q: %q spells strictly %v, want %v", k.scheme, tags, got, strict, want)
		}
	}
}

func TestGuessScheme(t *testing.T) {
	tests := []struct {
		sentences []string
		want      Scheme
	}{
		{[]string{"B-X I-X O B-X"}, IOB2},
		{[]string{"O O"}, IOB2},
		{[]string{"O B-X B-Y"}, IOB2},
		{[]string{"I-X I-X O", "I-Y B-Y"}, IOB1},
		{[]string{"O I-X"}, IOB1},
		{[]string{"B-X I-X O", "B-Y I-Y", "I-X O"}, IOB2}, // one mistake
		{[]string{"B-X E-X O S-X"}, IOBES},
		{[]string{"O S-X"}, IOBES},
		{[]string{"I-X E-X E-Y O"}, IOE2},
		{[]string{"I-X I-X O I-Y E-Y I-Y"}, IOE1},
		{[]string{"B-X L-X O U-X"}, BILOU},
		{[]string{"NOUN VERB X"}, Plain},
		{[]string{"O PER LOC"}, Plain},
		{[]string{"S V O"}, Plain},
		{[]string{"I S"}, Plain},
		{[]string{"B I O B"}, IOB2},
		{[]string{"0 1 2"}, Plain},
	}
	for _, tt := range tests {
		table := New("f")
		for _, s := range tt.sentences {
			table.Append(Sentence{Tags: strings.Fields(s)})
		}
		table.Append(Sentence{})
		if got, err := GuessScheme(nil, table); got != tt.want || err != nil {
			t.Errorf("%q: %s, %v; want %s", tt.sentences, got, err, tt.want)
		}
	}
}

func TestBadSchemes(t *testing.T) {
	for content, want := range map[string]string{
		"a B-X\nb I-X\n\nc X\n": "f.conll:4: the tag \"X\" has no letter in front of a type, as \"B-X\" has: correct it, " +
			"or use `scheme none`",
		"a B-X\nb L-X\nc S-X\n":  "f.conll: the tags begin with B, L, S, and no scheme has all of these",
		"# id\na B-X\n# id\nb O": `f.conll:1: the tag "id" has no letter in front`,
	} {
		table := readTokens(t, "f.conll", content, Options{})
		_, err := GuessScheme(table)
		var e *data.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	table := readTokens(t, "f.conll", "a B-X\n\nb E-X\nc O\n\nd S-X\n", Options{})
	_, err := table.Repair(IOB2)
	if err == nil || !strings.Contains(err.Error(), `f.conll:3: `) ||
		!strings.Contains(err.Error(), `the tag "E-X" of word 0 is none of the scheme IOB2 (O, B-…, I-…)`) ||
		!strings.Contains(err.Error(), "(and 1 row more like this)") {
		t.Error(err)
	}
}

func TestParseScheme(t *testing.T) {
	for in, want := range map[string]Scheme{"iob2": IOB2, "BIO": IOB2, "IOB": IOB1, "iob1": IOB1, "bioes": IOBES,
		"IOBES": IOBES, "bilou": BILOU, "ioe1": IOE1, "IOE2": IOE2, "none": Plain} {
		if got, err := ParseScheme(in); got != want || err != nil {
			t.Errorf("%q: %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "BIOS", "IOB3"} {
		if got, err := ParseScheme(in); !errors.Is(err, data.ErrOption) {
			t.Errorf("%q: %s, %v; want an error", in, got, err)
		}
	}
}

func TestStrictEntitiesErrors(t *testing.T) {
	for _, tt := range []struct {
		tags   string
		scheme Scheme
	}{{"O X-Y", IOB2}, {"E-X", IOB1}, {"O", Plain}, {"O", ""}, {"é", IOBES}} {
		if got, err := StrictEntities(strings.Fields(tt.tags), tt.scheme); err == nil {
			t.Errorf("%s %q: %v", tt.scheme, tt.tags, got)
		}
	}
	if got := Entities([]string{"", "B-X"}); !reflect.DeepEqual(got, []Entity{{"X", 1, 2}}) {
		t.Errorf("an empty tag: %v", got)
	}
}

// Table D9 of bad inputs: tags that do not follow from those before are repaired, counted and said where.
func TestRepairTable(t *testing.T) {
	table := readTokens(t, "f.conll", "a B-X\nb I-X\n\nc O\nd I-X\ne I-Y\n\nf B-X\ng B-Y\n", Options{})
	scheme, err := GuessScheme(table)
	if err != nil || scheme != IOB2 {
		t.Fatal(scheme, err)
	}
	got, err := table.Repair(scheme)
	if err != nil || got.Repaired != 2 ||
		!slices.Equal(tagged(got), []string{"a/B-X b/I-X", "c/O d/B-X e/B-Y", "f/B-X g/B-Y"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if !slices.Equal(tagged(table), []string{"a/B-X b/I-X", "c/O d/I-X e/I-Y", "f/B-X g/B-Y"}) || table.Repaired != 0 {
		t.Errorf("the table itself has changed: %+v", table)
	}
	w := Warnings(nil, got, nil, nil)
	if len(w) != 1 || w[0].String() != "f.conll:4: 2 tags that did not fit the tags around, repaired" {
		t.Errorf("%v", w)
	}
	bare := readTokens(t, "f.conll", "a\n", Options{OptionalLabels: true})
	if got, err := bare.Repair(IOB2); err != nil || got.At(0).Tags != nil || got.Repaired != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
