package tagged

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func readTokens(t *testing.T, file, content string, o Options) *File {
	t.Helper()
	table, err := ReadBytes([]byte(content), file, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// tagged writes a table as "word/tag word/tag", a sentence a line; words without tags alone.
func tagged(table *File) []string {
	var out []string
	for e := range table.Values() {
		words := e.WordTexts()
		for i := range words {
			if e.Tags != nil {
				words[i] += "/" + e.Tags[i]
			}
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func TestRead(t *testing.T) {
	optional, none := Options{OptionalLabels: true}, Options{NoLabels: true}
	wide := "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n"
	unit := "# text = a " +
		"b\n1\ta\tA\tDET\tDT\t_\t2\tdet\t_\t_\n1.1\tx\t_\tX\t_\t_\t_\t_\t_\t_\n2-3\tbc\t_\t_\t_\t_\t_\t_\t_\t_\n" +
		"2\tb\tB\tNOUN\tNN\tNumber=Sing\t0\troot\t_\t_\n3\t_\t_\tPUNCT\t:\t_\t2\tpunct\t_\t_\n"
	tests := []struct {
		name, file, content string
		options             Options
		want                []string
	}{
		{"tabs", "f.conll", "a\tO\nb c\tB-X\n\nd\tO\n", Options{}, []string{"a/O b c/B-X", "d/O"}},
		{"spaces", "f.bio", "a O\nb   B-X \n \t\nd O", Options{}, []string{"a/O b/B-X", "d/O"}},
		{"a no-break space is not a separator", "f.iob", "a\u00a0b O\n", Options{}, []string{"a\u00a0b/O"}},
		{"endings, mark, blank lines", "f.iob2", "\xEF\xBB\xBF\r\n\r\na O\r\n\r\n\r\n\r\nb O\rc O", Options{},
			[]string{"a/O", "b/O c/O"}},
		{"last column", "f.conll", wide, Options{}, []string{"EU/B-ORG rejects/O"}},
		{"a column", "f.conll", wide, Options{TagsColumn: "1"}, []string{"EU/NNP rejects/VBZ"}},
		{"both columns", "f.conll", wide, Options{TokensColumn: "3", TagsColumn: "0"}, []string{"B-ORG/EU O/rejects"}},
		{"chosen columns may have others behind", "f.conll", "a X 1\nb Y\n", Options{TagsColumn: "1"}, []string{"a/X b/Y"}},
		{"documents", "f.conll", "-DOCSTART- -X- -X- O\n\n" + wide + "-DOCSTART- O\n" + wide, Options{},
			[]string{"EU/B-ORG rejects/O", "EU/B-ORG rejects/O"}},
		{"words like comments", "f.conll", "# O\n#go B-X\n", Options{}, []string{"#/O #go/B-X"}},
		{"ids of MultiCoNER", "f.conll", "# id 5239d808-f300-46ea-aa3b-5093040213a3\tdomain=en\nit _ _ O\n# _ _ B-X\n\n\n" +
			"# id 66bd0c06-6ff0-4f4f-9f3b-fb0a1a2a5b1c\tdomain=en\na _ _ B-X\n", Options{}, []string{"it/O #/B-X", "a/B-X"}},
		{"an id without blank lines", "f.conll", "# id 5239d808-f300 domain=en\nit _ _ O\n" +
			"# id 66bd0c06-6ff0 domain=en\na _ _ B-X\n", Options{}, []string{"it/O", "a/B-X"}},
		{"a short id with a domain", "f.conll", "# id 1\tdomain=en\na _ _ O\n\n# id 2\tdomain=en\nb _ _ B-X\n", Options{},
			[]string{"a/O", "b/B-X"}},
		{"a short id", "f.conll", "a\tO\n\n# id 7\nb\tO\n", Options{}, []string{"a/O", "b/O"}},
		{"comments of CoNLL-U", "f.conll", "# sent_id = w-1\n# text = a b\na O\nb O\n\n# newdoc_id = x\nc O\n",
			Options{}, []string{"a/O b/O", "c/O"}},
		{"documents of CoNLL-2012", "f.conll", "#begin document (a/b); part 000\na b O\n\n#end document\n", Options{},
			[]string{"a/O"}},
		{"a word # and others that look like comments", "f.conll", "# id B-X\na b O\n# sent_id =\n#end document O\n",
			Options{}, []string{"#/B-X a/O #/= #end/O"}},
		{"a delimiter", "f.txt", "a b|O\n|O\n", Options{Format: CoNLL, Delimiter: '|'}, []string{"a b/O /O"}},
		{"a delimiter tells the format", "f.dat", "a;O\n", Options{Delimiter: ';'}, []string{"a/O"}},
		{"spaces although there are tabs", "f.conll", "a\tb O\n", Options{Delimiter: ' ', TagsColumn: "2"}, []string{"a/O"}},
		{"no tags", "f.conll", "a\nb\n\nc\n", optional, []string{"a b", "c"}},
		{"tags that are not read", "f.conll", "a O\nb O\n", none, []string{"a b"}},
		{"optional tags", "f.conll", "a\t\nb\t\n\nc\tO\n", optional, []string{"a b", "c/O"}},
		{"a limit", "f.conll", "a O\n\nb O\n\nc O\n", Options{MaxSamples: 2}, []string{"a/O", "b/O"}},

		{"CoNLL-U", "f.conllu", unit + "\n" + unit, Options{}, []string{"a/DET b/NOUN _/PUNCT", "a/DET b/NOUN _/PUNCT"}},
		{"CoNLL-U, another column", "f.conllu", unit, Options{TagsColumn: "deprel", TokensColumn: "2"},
			[]string{"A/det B/root _/punct"}},
		{"CoNLL-U, no features are features", "f.conllu", unit, Options{TagsColumn: "FEATS"},
			[]string{"a/_ b/Number=Sing _/_"}},
		{"CoNLL-U without tags", "f.conllu", "1\ta\t_\t_\t_\t_\t_\t_\t_\t_\n", optional, []string{"a"}},
		{"CoNLL-U, tags that are not read", "f.conllu", unit, none, []string{"a b _"}},

		{"lists", "f.jsonl", "{\"tokens\":[\"a\",\"b c\"],\"tags\":[\"O\",\"B-X\"]}\n\n{\"tokens\":[],\"tags\":[]}\n",
			Options{}, []string{"a/O b c/B-X", ""}},
		{"names of the hub", "f.json", `{"id":"0","tokens":["a"],"pos_tags":[7],"chunk_tags":[5],"ner_tags":[3]}`, Options{},
			[]string{"a/3"}},
		{"one of the others", "f.jsonl", `{"words":["a"],"labels":["X"]}`, Options{}, []string{"a/X"}},
		{"names in any case", "f.jsonl", `{"Tokens":["a"],"NER_tags":["X"]}`, Options{}, []string{"a/X"}},
		{"given keys", "f.jsonl", `{"w":["a"],"t":["X"],"tags":["Y"]}`, Options{TokensColumn: "w", TagsColumn: "t"},
			[]string{"a/X"}},
		{"lists without tags", "f.jsonl",
			"{\"tokens\":[\"a\"]}\n{\"tokens\":[\"b\"],\"tags\":[\"O\"]}\n{\"tokens\":[\"c\"],\"tags\":null}", optional,
			[]string{"a", "b/O", "c"}},
		{"tags that come late", "f.jsonl",
			"{\"tokens\":[\"a\"]}\n{\"tokens\":[\"b\"],\"NER_tags\":[\"O\"],\"pos_tags\":[1]}\n{\"tokens\":[\"c\"]}", optional,
			[]string{"a", "b/O", "c"}},
		{"one of the others that comes late", "f.jsonl", "{\"tokens\":[\"a\"]}\n{\"tokens\":[\"b\"],\"upos\":[\"X\"]}",
			optional, []string{"a", "b/X"}},
		{"spans that come late", "f.jsonl",
			"{\"text\":\"Ann\"}\n{\"text\":\"Bob\",\"entities\":[{\"start\":0,\"end\":3,\"label\":\"P\"}]}", optional,
			[]string{"Ann", "Bob/B-P"}},
		{"lists, tags that are not read", "f.jsonl", `{"tokens":["a"],"tags":["O","O"]}`, none, []string{"a"}},

		{"spans", "f.jsonl", `{"text":"Ann flew to New ` +
			`York.","spans":[{"start":12,"end":20,"label":"LOC"},{"start":0,"end":3,"label":"PER"}]}`, Options{},
			[]string{"Ann/B-PER flew/O to/O New/B-LOC York/I-LOC ./O"}},
		{"triples", "f.jsonl", `{"sentence":"a b","entities":[[0,1,"X"],[2,3,"X"]]}`, Options{}, []string{"a/B-X b/B-X"}},
		{"other names of spans", "f.jsonl", `{"text":"a b","label":[{"start_offset":2,"end_offset":3,"type":"X"}]}`,
			Options{}, []string{"a/O b/B-X"}},
		{"given keys of spans", "f.jsonl", `{"t":"a b","s":[[0,1,"X"]],"spans":[]}`,
			Options{TextColumn: "t", TagsColumn: "s"}, []string{"a/B-X b/O"}},
		{"a text with words and spans", "f.jsonl", `{"text":"a b","tokens":[{"text":"a"}],"spans":[[0,1,"X"]]}`, Options{},
			[]string{"a/B-X b/O"}},
		{"a text with words and tags", "f.jsonl", `{"text":"a b","tokens":["a"],"tags":["X"]}`, Options{}, []string{"a/X"}},
		{"code points", "f.jsonl", `{"text":"\ud83d\ude00é ü","spans":[[3,4,"X"]]}`, Options{},
			[]string{"😀/O é/O ü/B-X"}},
		{"texts without spans", "f.jsonl", "{\"text\":\"a b\"}\n{\"text\":\"c\",\"spans\":[[0,1,\"X\"]]}", optional,
			[]string{"a b", "c/B-X"}},
		{"texts, spans that are not read", "f.jsonl", `{"text":"a b","spans":[[0,9,"X"]]}`, none, []string{"a b"}},

		{"user input", "f.json", "[\n{\"userInput\":{\"text\":\"2 of " +
			"us\"},\"labels\":[{\"slot\":\"people\",\"valueSpan\":{\"endIndex\":1}}]},\n " +
			"{\"userInput\":{\"text\":\"hi\"},\"context\":{}}]", Options{},
			[]string{"2/B-people of/O us/O", "hi/O"}},
		{"user input in lines", "f.jsonl",
			`{"userInput":{"text":"2 of us"},"labels":[{"slot":"people","valueSpan":{"startIndex":2,"endIndex":7}}]}`, Options{},
			[]string{"2/O of/B-people us/I-people"}},
		{"user input without labels", "-", `[{"userInput":{"text":"a"},"labels":[{}]}]`, none, []string{"a"}},
		{"a list of lists", "f.json", `[{"tokens":["a"],"tags":["X"]},{"tokens":["b"],"tags":["Y"]}]`, Options{},
			[]string{"a/X", "b/Y"}},
		{"a list, limited", "f.json", `[{"tokens":["a"],"tags":["X"]},{"tokens":["b"]}]`, Options{MaxSamples: 1},
			[]string{"a/X"}},

		{"plain text", "f.txt", "Don't stop!\n\nGo\n", optional, []string{"Don ' t stop !", "", "Go"}},
		{"standard input", "-", "Go on", none, []string{"Go on"}},
		{"standard input, a bracket", "-", "[CLS] goes on", none, []string{"[ CLS ] goes on"}},
		{"standard input, JSON", "-", `{"text":"a b"}`, optional, []string{"a b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tagged(readTokens(t, tt.file, tt.content, tt.options)); !slices.Equal(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What is said of a sentence beside its words and tags.
func TestSentences(t *testing.T) {
	table := readTokens(t, "f.conll", "\n\nüb O\n c B-X\n\n\nd O\n", Options{})
	want := []Sentence{
		{Text: "üb c", Words: []Word{{0, 2}, {3, 4}}, Tags: []string{"O", "B-X"}, Split: true, Line: 3},
		{Text: "d", Words: []Word{{0, 1}}, Tags: []string{"O"}, Split: true, Line: 7},
	}
	if !reflect.DeepEqual(slices.Collect(table.Values()), want) || table.Columns != (Columns{Tokens: "0", Tags: "1"}) ||
		table.Spans || table.Indices {
		t.Errorf("got %+v", table)
	}
	if got := table.At(0).Word(1); got != "c" {
		t.Errorf("word 1 is %q", got)
	}
	table = readTokens(t, "f.json", "[\n\n {\"text\":\"é, "+
		"b\"\n,\"spans\":[[0,1,\"X\"]]},\n{\"text\":\"c\",\"spans\":[]}\n]\n", Options{})
	want = []Sentence{
		{Text: "é, b", Words: []Word{{0, 1}, {1, 2}, {3, 4}}, Tags: []string{"B-X", "O", "O"}, Line: 3},
		{Text: "c", Words: []Word{{0, 1}}, Tags: []string{"O"}, Line: 5},
	}
	if !reflect.DeepEqual(slices.Collect(table.Values()), want) ||
		table.Columns != (Columns{Text: "text", Tags: "spans"}) || !table.Spans || table.Format != data.JSONLines {
		t.Errorf("got %+v", table)
	}
	if words := table.At(0).WordTexts(); !slices.Equal(words, []string{"é", ",", "b"}) || table.At(0).Word(2) != "b" {
		t.Errorf("words %q", words)
	}
}

func TestSplitWords(t *testing.T) {
	tests := map[string][]string{
		"":                      nil,
		" \t\u00a0\u2028\u200b": nil,
		"It's 13:00pm, ok?":     {"It", "'", "s", "13", ":", "00pm", ",", "ok", "?"},
		"naïve nai\u0308ve ½²":  {"naïve", "nai\u0308ve", "½²"},
		"a_b €5 …":              {"a", "_", "b", "€", "5", "…"},
		"我要book一":               {"我", "要", "book", "一"},
		"ひらがな 한국어 ไทย हिन्दी": {"ひらがな", "한국어", "ไทย",
			"हिन्दी"},
		"می\u200cخواهم \u200cx":  {"می\u200cخواهم", "x"},
		"co\u00adop\u00ad co":    {"co\u00adop", "co"},
		"❤\ufe0fa 1\ufe0f\u20e3": {"❤\ufe0f", "a", "1\ufe0f\u20e3"},
		"👩\u200d💻👍🏽":             {"👩", "💻", "👍", "🏽"},
		"\u0308x":                {"\u0308x"},
		"a\x01b\u200e(c":         {"a", "b", "(", "c"},
		"我\u0308b":               {"我\u0308", "b"},
		"x\ufffdy":               {"x", "\ufffd", "y"},
	}
	for text, want := range tests {
		e := Sentence{Text: text, Words: SplitWords(text)}
		got := e.WordTexts()
		if !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		for i := range e.Words {
			if e.Word(i) != got[i] {
				t.Errorf("%q: word %d is %q and %q", text, i, e.Word(i), got[i])
			}
		}
	}
}
