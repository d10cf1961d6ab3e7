package text

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func name(s string) data.Label { return data.Label{Kind: data.NameLabel, Name: s} }
func index(i int64) data.Label {
	return data.Label{Kind: data.IndexLabel, Index: i, Number: float64(i)}
}
func num(v float64) data.Label        { return data.Label{Kind: data.NumberLabel, Number: v} }
func list(l ...data.Label) data.Label { return data.Label{Kind: data.ListLabel, List: l} }
func read(t *testing.T, file, content string, o Options) *File {
	t.Helper()
	table, err := ReadBytes([]byte(content), file, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func checkExamples(t *testing.T, got *File, want []Example) {
	t.Helper()
	if got.Len() != len(want) {
		t.Fatalf("got %d rows, want %d: %+v", got.Len(), len(want), slices.Collect(got.Values()))
	}
	for i, w := range want {
		if !reflect.DeepEqual(got.At(i), w) {
			t.Errorf("row %d:\n got %+v\nwant %+v", i, got.At(i), w)
		}
	}
}

// The files are written in the styles of well-known data sets.
func TestReadFiles(t *testing.T) {
	numbered := func(text, label string) Options {
		return Options{NoHeader: true, TextColumn: text, LabelColumn: label}
	}
	quotesAsText := numbered("1", "0")
	quotesAsText.NoQuotes = true
	pairs := numbered("0", "2")
	pairs.PairColumn = "1"
	tests := []struct {
		file    string
		options Options
		columns Columns
		want    []Example
	}{
		{"reviews.tsv", numbered("0", "1"), Columns{"0", "", "1"}, []Example{
			{Text: "a warm , clever and often moving film about two sisters", Label: name("1"), Line: 1},
			{Text: "it runs out of jokes long before it runs out of film", Label: name("0"), Line: 2},
			{Text: "the cast does n't save it", Label: name("0"), Line: 3},
		}},
		{"intents.csv", Options{}, Columns{"text", "", "category"}, []Example{
			{Text: "Where is my new card?", Label: name("card_arrival"), Line: 2},
			{Text: "My card was declined, why?", Label: name("declined_payment"), Line: 3},
			{Text: "I paid twice:\r\nonce today, once \"by mistake\"", Label: name("double_charge"), Line: 4},
		}},
		{"messages.tsv", quotesAsText, Columns{"1", "", "0"}, []Example{
			{Text: "ok lar, see you at 5", Label: name("ham"), Line: 1},
			{Text: `"WIN a prize now! Text WIN to 80000`, Label: name("spam"), Line: 2},
			{Text: `she said "maybe" and left`, Label: name("ham"), Line: 3},
		}},
		{"grammar.tsv", numbered("3", "1"), Columns{"3", "", "1"}, []Example{
			{Text: "The book was read by nobody.", Label: name("1"), Line: 1},
			{Text: "The book was read by did nobody.", Label: name("0"), Line: 2},
		}},
		{"similarity.csv", pairs, Columns{"0", "1", "2"}, []Example{
			{Text: "A man plays a flute.", Pair: "A man is playing the flute.", HasPair: true, Label: name("4.6"), Line: 1},
			{Text: "Two dogs run, one sleeps.", Pair: "A dog is running.", HasPair: true, Label: name("2.0"), Line: 2},
			{Text: "A child eats.", Pair: `The "plane" is landing.`, HasPair: true, Label: name("0.0"), Line: 3},
		}},
		{"indices.jsonl", Options{}, Columns{"text", "", "label"}, []Example{
			{Text: "Wo ist meine Karte? 😀", Label: index(0), Line: 1},
			{Text: "Ich habe doppelt gezahlt", Label: index(2), Line: 3},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got, err := Read(filepath.Join("testdata", tt.file), tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if got.Columns != tt.columns {
				t.Errorf("columns %+v, want %+v", got.Columns, tt.columns)
			}
			checkExamples(t, got, tt.want)
		})
	}
}

func TestReadContent(t *testing.T) {
	ab := []Example{{Text: "a", Label: name("x"), Line: 2}, {Text: "b", Label: name("y"), Line: 3}}
	wide := Options{OptionalLabels: true}
	tests := []struct {
		name, file, content string
		options             Options
		want                []Example
	}{
		{"LF", "f.csv", "text,label\na,x\nb,y\n", Options{}, ab},
		{"no final newline", "f.csv", "text,label\na,x\nb,y", Options{}, ab},
		{"CRLF", "f.csv", "text,label\r\na,x\r\nb,y\r\n", Options{}, ab},
		{"CR only", "f.csv", "text,label\ra,x\rb,y\r", Options{}, ab},
		{"CR only, no final end", "f.csv", "text,label\ra,x\rb,y", Options{}, ab},
		{"mixed endings", "f.csv", "text,label\r\na,x\rb,y\n", Options{}, ab},
		{"byte order mark", "f.csv", "\xEF\xBB\xBFtext,label\na,x\nb,y\n", Options{}, ab},
		{"mark and quoted header", "f.csv", "\xEF\xBB\xBF\"text\",\"label\"\na,x\nb,y\n", Options{}, ab},
		{"columns in another order", "f.csv", "id,label,text\n1,x,a\n2,y,b\n", Options{}, ab},
		{"header in another case", "f.csv", "Text, LABEL\na,x\nb,y\n", Options{}, ab},
		{"exact name before another case", "f.csv", "Text,text,label\n-,a,x\n-,b,y\n", Options{}, ab},
		{"unused name twice", "f.csv", "text,,label,\na,,x,\nb,,y,\n", Options{}, ab},
		{"semicolons", "f.csv", "text;label\na;x\nb;y\n", Options{Delimiter: ';'}, ab},
		{"delimiter of two bytes", "f.csv", "text§label\na§x\nb§y\n", Options{Delimiter: '§'}, ab},
		{"unknown ending with a delimiter", "f.data", "text|label\na|x\nb|y\n", Options{Delimiter: '|'}, ab},
		{"format given", "f.data", "text\tlabel\na\tx\nb\ty\n", Options{Format: data.TSV}, ab},
		{"TSV with quotes", "f.tsv", "text\tlabel\n\"a\"\tx\nb\t\"y\"\n", Options{}, ab},
		{"limit", "f.csv", "text,label\na,x\nb,y\n\"broken", Options{MaxSamples: 2}, ab},
		{"JSON Lines", "f.jsonl", "\n{\"text\":\"a\",\"label\":\"x\"}\r\n{\"label\" : \"y\", \"text\" : \"b\"}", Options{},
			ab},
		{"a JSON list", "f.json", "[\n{\"text\":\"a\",\"label\":\"x\"},\n{\"label\":\"y\",\n\"text\":\"b\"}]", Options{}, ab},
		{"JSON limit", "f.ndjson", "\n{\"text\":\"a\",\"label\":\"x\"}\n{\"label\":\"y\",\"text\":\"b\"}\n{",
			Options{MaxSamples: 2}, ab},
		{"blank lines", "f.csv", "text,label\n\na,x\r\n\r\n\n", Options{}, []Example{{Text: "a", Label: name("x"), Line: 3}}},
		{"quoted newlines", "f.csv", "text,label\n\"a\n\nb\",x\nc,y\n", Options{}, []Example{
			{Text: "a\n\nb", Label: name("x"), Line: 2}, {Text: "c", Label: name("y"), Line: 5}}},
		{"quoted delimiters and quotes", "f.csv", "text,label\n\"a,\"\"b\"\"\",\"x\"\n\"\",y\n\"\"\"\",y\n", Options{},
			[]Example{
				{Text: `a,"b"`, Label: name("x"), Line: 2}, {Text: "", Label: name("y"), Line: 3},
				{Text: `"`, Label: name("y"), Line: 4}}},
		{"spaces are kept", "f.csv", "text,label\n a , x \n", Options{},
			[]Example{{Text: " a ", Label: name(" x "), Line: 2}}},
		{"other line separators are text", "f.csv", "text,label\na\u2028b\u0085c\vd,x\n", Options{},
			[]Example{{Text: "a\u2028b\u0085c\vd", Label: name("x"), Line: 2}}},
		{"pair", "f.csv", "sentence1,sentence2,label\na,b,x\n", Options{},
			[]Example{{Text: "a", Pair: "b", HasPair: true, Label: name("x"), Line: 2}}},
		{"question and sentence", "f.csv", "question,sentence,label\na,b,x\n", Options{},
			[]Example{{Text: "a", Pair: "b", HasPair: true, Label: name("x"), Line: 2}}},
		{"text given, so no pair", "f.csv", "text,text_pair,label\na,b,x\n", Options{TextColumn: "text"},
			[]Example{{Text: "a", Label: name("x"), Line: 2}}},
		{"pair given", "f.csv", "text,title,label\na,b,x\n", Options{PairColumn: "title"},
			[]Example{{Text: "a", Pair: "b", HasPair: true, Label: name("x"), Line: 2}}},
		{"the label is not a text", "f.csv", "text,sentence,x\na,b,c\n", Options{LabelColumn: "text", TextColumn: "sentence"},
			[]Example{{Text: "b", Label: name("a"), Line: 2}}},
		{"separated labels", "f.csv", "text,label\na,x|y z\nb,\nc,x\n", Options{LabelSeparator: "|"}, []Example{
			{Text: "a", Label: list(name("x"), name("y z")), Line: 2}, {Text: "b", Label: list(), Line: 3},
			{Text: "c", Label: list(name("x")), Line: 4}}},
		{"JSON labels", "f.jsonl", `{"text":"a","label":1}
{"text":"a","label":-1}
{"text":"a","label":1.0}
{"text":"a","label":1e0}
{"text":"a","label":true}
{"text":"a","label":["x","y"]}
{"text":"a","label":[0,1]}
{"text":"a","label":[0.0,1]}
{"text":"a","label":[]}`, Options{}, []Example{
			{Text: "a", Label: index(1), Line: 1}, {Text: "a", Label: index(-1), Line: 2}, {Text: "a", Label: num(1), Line: 3},
			{Text: "a", Label: num(1), Line: 4}, {Text: "a", Label: name("true"), Line: 5},
			{Text: "a", Label: list(name("x"), name("y")), Line: 6}, {Text: "a", Label: list(index(0), index(1)), Line: 7},
			{Text: "a", Label: list(num(0), index(1)), Line: 8}, {Text: "a", Label: list(), Line: 9}}},
		{"JSON pair", "f.jsonl", `{"text":"a","text_pair":"b","label":1,"more":{"label":[1,{}]}}`, Options{}, []Example{
			{Text: "a", Pair: "b", HasPair: true, Label: index(1), Line: 1}}},
		{"JSON escapes", "f.jsonl", `{"text":"\"\\ud800 \u0041\t","label":"x"}`, Options{},
			[]Example{{Text: "\"\\ud800 A\t", Label: name("x"), Line: 1}}},
		{"no labels", "f.csv", "text\na\n", wide, []Example{{Text: "a", Line: 2}}},
		{"some labels", "f.csv", "text,label\na,\nb,y\n", wide,
			[]Example{{Text: "a", Line: 2}, {Text: "b", Label: name("y"), Line: 3}}},
		{"some JSON labels", "f.jsonl", `{"text":"a"}
{"text":"b","label":null}
{"text":"c","label":3}`, wide,
			[]Example{{Text: "a", Line: 1}, {Text: "b", Line: 2}, {Text: "c", Label: index(3), Line: 3}}},
		{"a label that comes late", "f.jsonl", `{"text":"a","id":1}
{"text":"b","Intent":"x"}
{"text":"c","intent":"y"}
{"text":"d","Intent":null,"label":"z"}`, wide,
			[]Example{{Text: "a", Line: 1}, {Text: "b", Label: name("x"), Line: 2},
				{Text: "c", Line: 3}, {Text: "d", Line: 4}}},
		{"label before others that come late", "f.jsonl",
			"{\"text\":\"a\"}\n{\"text\":\"b\",\"class\":\"x\",\"label\":2,\"score\":1}", wide,
			[]Example{{Text: "a", Line: 1}, {Text: "b", Label: index(2), Line: 2}}},
		{"late labels not wanted", "f.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\",\"class\":{},\"score\":{}}",
			Options{NoLabels: true}, []Example{{Text: "a", Line: 1}, {Text: "b", Line: 2}}},
		{"scores", "f.csv", "sentence1,sentence2,label,category,score\na,b,x,y,3\n", Options{Scores: true},
			[]Example{{Text: "a", Pair: "b", HasPair: true, Label: name("3"), Line: 2}}},
		{"no scores of single texts", "f.csv", "text,class,category\na,x,y\n", Options{Scores: true, OptionalLabels: true},
			[]Example{{Text: "a", Line: 2}}},
		{"scores called label", "f.csv", "sentence1,sentence2,category,label\na,b,y,3\n", Options{Scores: true},
			[]Example{{Text: "a", Pair: "b", HasPair: true, Label: name("3"), Line: 2}}},
		{"a score that is a text", "f.csv", "score,text_pair,label\na,b,3\n",
			Options{TextColumn: "score", PairColumn: "text_pair", Scores: true},
			[]Example{{Text: "a", Pair: "b", HasPair: true, Label: name("3"), Line: 2}}},
		{"labels not wanted", "f.jsonl", `{"text":"a","label":{}}`, Options{NoLabels: true}, []Example{{Text: "a", Line: 1}}},
		{"one column without a header", "f.csv", "a\nb\n", Options{NoHeader: true, NoLabels: true},
			[]Example{{Text: "a", Line: 1}, {Text: "b", Line: 2}}},
		{"plain text", "f.txt", "a, \"b\n\n c", wide,
			[]Example{{Text: "a, \"b", Line: 1}, {Text: "", Line: 2}, {Text: " c", Line: 3}}},
		{"standard input, text", "-", "a,b\n", wide, []Example{{Text: "a,b", Line: 1}}},
		{"standard input, a JSON list", "-", "\n[{\"text\":\n\"a\"}]", wide, []Example{{Text: "a", Line: 2}}},
		{"standard input, JSON", "-", "\n {\"text\":\"a\"}", wide, []Example{{Text: "a", Line: 2}}},
		{"replaced bytes", "f.csv", "text,label\ncaf\xE9!,x\n", Options{ReplaceInvalid: true},
			[]Example{{Text: "caf\uFFFD!", Label: name("x"), Line: 2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkExamples(t, read(t, tt.file, tt.content, tt.options), tt.want)
		})
	}
}

func TestCounts(t *testing.T) {
	got := read(t, "f.csv", "text,label\n\na\xff,x\n\nb\xff\xff,y\nc,\n",
		Options{ReplaceInvalid: true, OptionalLabels: true})
	if got.Blank != 2 || got.Replaced != 2 || got.Labelled() != 2 {
		t.Errorf("blank %d, replaced %d, labelled %d; want 2, 2, 2", got.Blank, got.Replaced, got.Labelled())
	}
	if n := got.Limit(2).Len(); n != 2 {
		t.Errorf("Limit(2) has %d rows", n)
	}
	if n := got.Limit(0).Len() + got.Limit(9).Len(); n != 6 {
		t.Errorf("Limit(0) and Limit(9) have %d rows in all, want 6", n)
	}
}

func TestHash(t *testing.T) {
	a := read(t, "a.csv", "text,label\na,x\nb,y\n", Options{})
	same := read(t, "b.jsonl", `{"text":"a","label":"x"}`+"\n\n"+`{"text":"b","label":"y"}`, Options{})
	if a.Hash() != same.Hash() {
		t.Error("the same rows in another format have another hash")
	}
	if len(a.Hash()) != 64 {
		t.Errorf("hash %q is not 64 digits", a.Hash())
	}
	seen := map[string]string{a.Hash(): "a,x b,y"}
	for _, content := range []string{
		`{"text":"a","label":"x"}`,
		`{"text":"a","label":"x"}` + "\n" + `{"text":"b","label":"z"}`,
		`{"text":"b","label":"y"}` + "\n" + `{"text":"a","label":"x"}`,
		`{"text":"a","label":1}`,
		`{"text":"a","label":2}`,
		`{"text":"a","label":1.0}`,
		`{"text":"a","label":1.5}`,
		`{"text":"a","label":["x"]}`,
		`{"text":"a","label":["x","y"]}`,
		`{"text":"a","text_pair":"","label":"x"}`,
		`{"text":"","text_pair":"a","label":"x"}`,
		`{"text":"ax","label":"x"}`,
		`{"text":"a","label":"xx"}`,
	} {
		h := read(t, "c.jsonl", content, Options{}).Hash()
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have the same hash", content, other)
		}
		seen[h] = content
	}
}

func TestCheckScores(t *testing.T) {
	o := Options{Scores: true, OptionalLabels: true}
	const bare, scored = `{"sentence1":"a","sentence2":"b"}` + "\n", `{"sentence1":"c","sentence2":"d","score":0.5}` + "\n"
	for content, want := range map[string]string{
		bare + bare: "", scored + scored: "", "{\"text\":\"a\"}\n{\"text\":\"b\",\"score\":1}": "",
		bare + scored + scored: "data: f.jsonl:1: the pair has no score, but that of line 2 has: either all have one or " +
			"none has",
		scored + bare + bare: "data: f.jsonl:2: the pair has no score, but that of line 1 has: either all have one or " +
			"none has",
	} {
		if err := read(t, "f.jsonl", content, o).CheckScores(); (err == nil) != (want == "") || err != nil &&
			err.Error() != want {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func TestCheckPairs(t *testing.T) {
	single := read(t, "one.csv", "text,label\na,x\n", Options{})
	pair := read(t, "two.csv", "text,text_pair,label\na,b,x\n", Options{})
	if err := CheckPairs(nil, single, nil, single); err != nil {
		t.Error(err)
	}
	if err := CheckPairs(pair, pair); err != nil {
		t.Error(err)
	}
	want := "data: two.csv:2: the rows are pairs of texts, but those of one.csv are single texts"
	if err := CheckPairs(single, single, pair); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
