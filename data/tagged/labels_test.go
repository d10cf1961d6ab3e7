package tagged

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func tagTable(t *testing.T, file string, sentences ...string) *File {
	t.Helper()
	var b strings.Builder
	for _, s := range sentences {
		for _, tag := range strings.Fields(s) {
			b.WriteString("w\t" + tag + "\n")
		}
		b.WriteString("\n")
	}
	return readTokens(t, file, b.String(), Options{})
}

func TestFindLabels(t *testing.T) {
	numbers := readTokens(t, "n.jsonl", `{"tokens":["a","b"],"tags":[10,0]}`, Options{})
	train, eval := tagTable(t, "train.conll", "O B-PER I-PER", "B-LOC"), tagTable(t, "eval.conll", "O B-LOC")
	generic := []string{"LABEL_0", "LABEL_1", "LABEL_2"}
	tests := []struct {
		name   string
		src    data.LabelSource
		tables []*File
		want   string
	}{
		{"found", data.LabelSource{}, []*File{train, nil, eval}, "B-LOC B-PER I-PER O"},
		{"made-up names say nothing", data.LabelSource{Config: generic}, []*File{train}, "B-LOC B-PER I-PER O"},
		{"made-up names are the tags", data.LabelSource{Config: generic}, []*File{tagTable(t, "f.conll", "LABEL_1")},
			"LABEL_0 LABEL_1 LABEL_2"},
		{"of the checkpoint", data.LabelSource{Config: []string{"O", "B-LOC", "I-LOC", "B-PER", "I-PER"}},
			[]*File{train, eval}, "O B-LOC I-LOC B-PER I-PER"},
		{"of the adapter", data.LabelSource{Saved: []string{"O", "B-LOC"}, Config: generic}, []*File{eval}, "O B-LOC"},
		{"fixed", data.LabelSource{Fixed: []string{"B-LOC", "O"}, Config: []string{"X"}}, []*File{eval}, "B-LOC O"},
		{"fixed, without data", data.LabelSource{Fixed: []string{"B-LOC", "O"}}, nil, "B-LOC O"},
		{"numbers", data.LabelSource{}, []*File{numbers}, "0 1 2 3 4 5 6 7 8 9 10"},
		{"numbers of a larger head", data.LabelSource{Config: slices.Concat(generic,
			[]string{"LABEL_3", "LABEL_4", "LABEL_5", "LABEL_6", "LABEL_7", "LABEL_8", "LABEL_9", "LABEL_10", "LABEL_11"})},
			[]*File{numbers}, "0 1 2 3 4 5 6 7 8 9 10 11"},
	}
	for _, tt := range tests {
		l, err := FindLabels(tt.src, tt.tables...)
		if err != nil || strings.Join(l.Names, " ") != tt.want || l.Problem != data.TokenTags {
			t.Errorf("%s: %+v, %v; want %s", tt.name, l, err, tt.want)
			continue
		}
		back, err := data.DecodeLabels(l.Encode(), "labels.json")
		if err != nil || back.Problem != data.TokenTags || !slices.Equal(back.Names, l.Names) {
			t.Errorf("%s: comes back as %+v, %v", tt.name, back, err)
		}
	}
	l, err := FindLabels(data.LabelSource{}, numbers)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := numbers.Classes(l); err != nil || !reflect.DeepEqual(got, [][]int32{{10, 0}}) {
		t.Errorf("classes %v, %v", got, err)
	}
	bare := readTokens(t, "f.conll", "a\n", Options{OptionalLabels: true})
	if got, err := bare.Classes(l); err != nil || len(got) != 1 || got[0] != nil {
		t.Errorf("classes of untagged words: %v, %v", got, err)
	}
}

// Table D9 of bad inputs: a tag that is not among those trained on is an error that says where and what there is.
func TestFindLabelsErrors(t *testing.T) {
	train := tagTable(t, "train.conll", "O B-PER")
	tests := []struct {
		name   string
		src    data.LabelSource
		tables []*File
		want   string
	}{
		{"only in another table", data.LabelSource{},
			[]*File{train, tagTable(t, "eval.conll", "O O", "O B-LOC", "B-LOC B-LOC")},
			"eval.conll:4: word 1 (\"w\"): the label \"B-LOC\" is none of the 2 classes found in train.conll: \"B-PER\", " +
				"\"O\"; `labels` gives others (and 1 row more like this)"},
		{"in another case", data.LabelSource{}, []*File{train, tagTable(t, "eval.conll", "o")}, `did you mean "O"?`},
		{"none of the checkpoint's", data.LabelSource{Config: []string{"O"}}, []*File{train},
			`none of the 1 classes of config.json`},
		{"none of the adapter's", data.LabelSource{Saved: []string{"O"}}, []*File{train},
			`none of the 1 classes of the adapter`},
		{"fixed twice", data.LabelSource{Fixed: []string{"O", "O"}}, []*File{train}, `label "O" is given twice`},
		{"not those of the adapter", data.LabelSource{Fixed: []string{"O"}, Saved: []string{"B"}}, []*File{train},
			"are not those of the adapter to start from"},
		{"no tags", data.LabelSource{}, []*File{readTokens(t, "f.conll", "a\n", Options{OptionalLabels: true})},
			"f.conll: no sentence has tags"},
		{"no data", data.LabelSource{}, nil, "neither tags nor data"},
	}
	for _, tt := range tests {
		if l, err := FindLabels(tt.src, tt.tables...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v; want %q", tt.name, l, err, tt.want)
		}
	}
	for _, src := range []data.LabelSource{{Fixed: []string{"O", "O"}}, {Fixed: []string{"O"}, Saved: []string{"B"}}, {}} {
		if _, err := FindLabels(src); !errors.Is(err, data.ErrOption) {
			t.Errorf("%+v: %v is not an option error", src, err)
		}
	}
}

func TestWithNames(t *testing.T) {
	table := readTokens(t, "n.jsonl", "{\"tokens\":[\"a\",\"b\"],\"tags\":[2,0]}\n{\"tokens\":[\"c\"]}\n",
		Options{OptionalLabels: true})
	got, err := table.WithNames([]string{"O", "B-X", "I-X"})
	if err != nil || got.Indices || !slices.Equal(tagged(got), []string{"a/I-X b/O", "c"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if !table.Indices || tagged(table)[0] != "a/2 b/0" {
		t.Errorf("the table itself has changed: %+v", table)
	}
	for _, names := range [][]string{nil, {"LABEL_0", "LABEL_1"}} {
		if got, err := table.WithNames(names); err != nil || !got.Indices {
			t.Errorf("%q: %+v, %v", names, got, err)
		}
	}
	if got, err := tagTable(t, "f.conll", "2").WithNames([]string{"O", "B-X", "I-X"}); err != nil ||
		tagged(got)[0] != "w/2" {
		t.Errorf("the number of a text file is a name: %+v, %v", got, err)
	}
	// Names that are integers are names in every format, however they are sorted.
	if got, err := table.WithNames([]string{"0", "10", "2"}); err != nil || tagged(got)[0] != "a/2 b/0" {
		t.Errorf("integers as names: %+v, %v", got, err)
	}
	if _, err := table.WithNames([]string{"0", "1", "3"}); err == nil ||
		!strings.Contains(err.Error(), "n.jsonl:1: the tag 2 of word 0 is none of the 3 classes") {
		t.Errorf("no tag is called 2: %v", err)
	}
	if _, err := table.WithNames([]string{"O", "B-X"}); err == nil ||
		!strings.Contains(err.Error(), `n.jsonl:1: the tag 2 of word 0 is not in 0 to 1 ("O", "B-X")`) {
		t.Errorf("too few names: %v", err)
	}
}

// otherwise is the warning about tags of entities in a spelling that no scheme has.
func otherwise(tag string) string {
	return fmt.Sprintf("f.conll: tags such as %q are read as tags of words, not of entities: if they are entities, spell "+
		"them B-X, I-X and O", tag)
}

func TestWarnings(t *testing.T) {
	wide := Options{OptionalLabels: true, ReplaceInvalid: true}
	text := func(row string) *File { return readTokens(t, "s.jsonl", row, wide) }
	long := strings.Repeat("w O\n", longSentence) + "w B-X\n"
	sound := "a O\nb B-X\n\nc B-X\nd O\n"
	tests := []struct {
		name              string
		src               data.LabelSource
		train, eval, test *File
		want              []string
	}{
		{"nothing", data.LabelSource{}, readTokens(t, "f.conll", sound, wide), readTokens(t, "e.conll", "e O\nf B-X\n", wide),
			nil, nil},
		{"replaced", data.LabelSource{}, readTokens(t, "f.conll", "\xE9 O\nb B-X\n", wide), nil, nil,
			[]string{"f.conll: 1 line with bytes that are not UTF-8, which were replaced"}},
		{"spans", data.LabelSource{}, text(`{"text":"ab cd!","spans":[]}` + "\n" +
			`{"text":"ab cd","spans":[[0,1,"X"],[0,3,"Y"],[3,4,"X"]]}` + "\n" +
			`{"text":"x y","spans":[[0,2,"X"],[0,3,"Y"],[0,3,"Y"]]}`), nil, nil, []string{
			"s.jsonl:2: 2 spans that did not begin and end with a word, moved to the borders of words",
			"s.jsonl:2: 3 spans that shared a word with another one, left out",
		}},
		{"words", data.LabelSource{}, readTokens(t, "f.jsonl",
			"{\"tokens\":[],\"tags\":[]}\n{\"tokens\":[\"a\",\"\",\" "+
				"\\u200b\",\"b\"],\"tags\":[\"O\",\"O\",\"O\",\"X\"]}\n{\"tokens\":[]}\n{\"tokens\":[\"c\"]}", wide), nil, nil,
			[]string{
				"f.jsonl:2: 2 words without a visible character",
				"f.jsonl:1: 2 rows without words",
				"f.jsonl:4: 1 row without tags",
			}},
		{"long", data.LabelSource{}, readTokens(t, "f.conll", long, wide), nil, nil,
			[]string{"f.conll:1: 1 row of more than 5000 words: are blank lines missing between sentences?"}},
		{"repeated", data.LabelSource{}, readTokens(t, "f.conll", sound+"\na O\nb B-X\n\na O\nb O\n", wide), nil, nil,
			[]string{
				"f.conll:7: 1 row with the words and tags of a row before",
				"f.conll:10: 1 row with the words of a row before but other tags",
			}},
		{"case", data.LabelSource{}, readTokens(t, "f.conll", "a B-PER\nb O\n\nc B-per\n", wide), nil, nil,
			[]string{`f.conll: the tags "B-PER" and "B-per" differ in case only, but are two classes`}},
		{"underscores", data.LabelSource{}, readTokens(t, "f.conll", "a B_PER\nb I_PER\nc O\n", wide), nil, nil,
			[]string{otherwise("B_PER")}},
		{"lower case", data.LabelSource{}, readTokens(t, "f.conll", "a b-per\nb o\n", wide), nil, nil,
			[]string{otherwise("b-per")}},
		{"letters behind", data.LabelSource{}, readTokens(t, "f.conll", "a PER-B\nb O\n", wide), nil, nil,
			[]string{otherwise("PER-B")}},
		{"parts of speech", data.LabelSource{}, readTokens(t, "f.conll", "a NN-S\nb V_x\nc O\n", wide), nil, nil, nil},
		{"overlap", data.LabelSource{}, readTokens(t, "f.conll", sound, wide),
			readTokens(t, "e.conll", "x O\ny B-X\n\na O\nb B-X\n", wide), readTokens(t, "t.conll", "c O\nd B-X\n", wide),
			[]string{
				"e.conll:4: 1 row with words that are also in f.conll",
				"t.conll:1: 1 row with words that are also in f.conll",
			}},
		{"one tag", data.LabelSource{}, readTokens(t, "f.conll", "a O\nb O\n", wide), nil, nil,
			[]string{`f.conll: every word has the tag "O"`}},
		{"unused tags", data.LabelSource{Fixed: []string{"O", "B-X", "B-Y", "I-Y"}}, readTokens(t, "f.conll", sound, wide),
			nil, nil, []string{`f.conll: 2 of 4 tags have no word: "B-Y", "I-Y"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := FindLabels(tt.src, tt.train, tt.eval, tt.test)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range Warnings(l, tt.train, tt.eval, tt.test) {
				got = append(got, w.String())
				if w.Count == 0 {
					t.Errorf("%v has no count", w)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
	if got := Warnings(nil, nil, nil, readTokens(t, "f.conll", "a O\n", wide)); len(got) != 0 {
		t.Errorf("without labels: %v", got)
	}
}

func TestFileParts(t *testing.T) {
	var sentences []string
	for i := range 20 {
		sentences = append(sentences, strings.Repeat("O ", 1+i/2)) // each twice
	}
	table := tagTable(t, "f.conll", sentences...)
	rest, held, err := table.SplitOff(0.3, 7)
	if err != nil || held.Len() != 6 || rest.Len() != 14 {
		t.Fatalf("%d and %d sentences, %v", rest.Len(), held.Len(), err)
	}
	for h := range held.Values() {
		if slices.ContainsFunc(slices.Collect(rest.Values()), func(e Sentence) bool { return e.Text == h.Text }) {
			t.Errorf("%q is on both sides", h.Text)
		}
	}
	again, _, _ := table.SplitOff(0.3, 7)
	other, _, _ := table.SplitOff(0.3, 8)
	if again.Hash() != rest.Hash() || other.Hash() == rest.Hash() {
		t.Error("the choice does not depend on the seed alone")
	}
	for _, fraction := range []float64{0, 1, -1, 0.01} {
		if _, _, err := table.SplitOff(fraction, 7); !errors.Is(err, data.ErrOption) {
			t.Errorf("%v: %v", fraction, err)
		}
	}
	if n := table.Limit(3).Len(); n != 3 || table.Limit(0).Len() != 20 || table.Limit(99).Len() != 20 {
		t.Errorf("a limit of 3 leaves %d", n)
	}
	if n := table.Labelled(); n != 20 {
		t.Errorf("%d sentences with tags", n)
	}
}

// The hash is that of what a model learns, not of how it is written.
func TestTokenHash(t *testing.T) {
	hash := func(file, content string) string {
		return readTokens(t, file, content, Options{OptionalLabels: true}).Hash()
	}
	want := hash("f.conll", "a O\nb B-X\n\nc O\n")
	for file, content := range map[string]string{
		"g.conll": "-DOCSTART-\r\n\r\na\tNN\tO\r\nb\tNN\tB-X\r\n\r\n\r\nc\tNN\tO",
		"f.jsonl": "{\"tokens\":[\"a\",\"b\"],\"tags\":[\"O\",\"B-X\"]}\n{\"tokens\":[\"c\"],\"tags\":[\"O\"]}",
	} {
		if hash(file, content) != want {
			t.Errorf("%s has another hash", file)
		}
	}
	for _, content := range []string{"a O\nb O\n\nc O\n", "a O\n\nb B-X\nc O\n", "a\nb\n\nc\n", "ab O\n\nc O\n",
		"a O\nb B-X\n"} {
		if hash("f.conll", content) == want {
			t.Errorf("%q has the same hash", content)
		}
	}
	if hash("f.txt", "a b") == hash("f.jsonl", `{"tokens":["a","b"]}`) {
		t.Error("a text and its words have the same hash")
	}
}

// TestYield lets tags of the data replace names of a configuration that yields, where they do not fit.
func TestYield(t *testing.T) {
	config := []string{"O", "B-PER", "I-PER"}
	src := data.LabelSource{Config: config, Yields: true}
	f := readTokens(t, "f.conll", "a B-X\nb O\n", Options{})
	l, err := FindLabels(src, f)
	if err != nil || !slices.Equal(l.Names, []string{"B-X", "O"}) || !slices.Equal(l.Replaced, config) {
		t.Errorf("%+v, %v", l, err)
	}
	fits := readTokens(t, "f.conll", "a B-PER\nb O\n", Options{})
	if l, err = FindLabels(src, fits); err != nil || !slices.Equal(l.Names, config) || l.Replaced != nil {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err = FindLabels(src, fits, f); err == nil || !strings.Contains(err.Error(), "of config.json") {
		t.Errorf("tags of the evaluation data: %v", err)
	}
	if _, err = FindLabels(data.LabelSource{Config: config}, f); err == nil {
		t.Error("names of an adapter's head are replaced")
	}
}
