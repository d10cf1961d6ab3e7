package pair

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func readPairs(t *testing.T, file, content string, o Options) *File {
	t.Helper()
	f, err := ReadBytes([]byte(content), file, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// pairOf returns a pair at a line.
func pairOf(line int, source string, targets ...string) Pair { return Pair{source, targets, line} }

func TestRead(t *testing.T) {
	one := []Pair{pairOf(1, "a", "b")}
	two := []Pair{pairOf(2, "a", "b"), pairOf(3, "c", "d")}
	enSV := Options{SourceLang: "en", TargetLang: "sv"}
	predict := Options{OptionalLabels: true}
	for _, tt := range []struct {
		name, file, content string
		options             Options
		want                []Pair
	}{
		{"JSON Lines", "f.jsonl", "{\"source\":\"a\",\"target\":\"b\"}\r\n\r\n{\"source\":\"c\",\"target\":\"\"}", Options{},
			[]Pair{pairOf(1, "a", "b"), pairOf(3, "c", "")}},
		{"a JSON list", "f.json", "[{\"source\":\"a\",\n\"target\":\"b\"}]", Options{}, one},
		{"source wins", "f.jsonl", `{"document":"x","summary":"y","source":"a","target":"b"}`, Options{}, one},
		{"source, not in lower case", "f.jsonl", `{"Source":"a","TARGET":"b"}`, Options{}, one},
		{"references", "f.jsonl", `{"source":"a","references":["b","c"]}`, Options{}, []Pair{pairOf(1, "a", "b", "c")}},
		{"list of targets", "f.jsonl", `{"source":"a","target":["b","c"]}` + "\n" + `{"source":"d","target":"e"}`, Options{},
			[]Pair{pairOf(1, "a", "b", "c"), pairOf(2, "d", "e")}},
		{"sentences", "f.jsonl", `{"source":["a.","b."],"target":["c"]}`, Options{}, []Pair{pairOf(1, "a. b.", "c")}},
		{"no sentences", "f.jsonl", `{"source":[],"target":["c"]}`, Options{}, []Pair{pairOf(1, "", "c")}},
		{"document", "f.jsonl", `{"id":1,"document":"a","summary":"b"}`, Options{}, one},
		{"article", "f.jsonl", `{"article":"a","highlights":"b","id":"x"}`, Options{}, one},
		{"text", "f.jsonl", `{"text":"a","summary":"b","title":"x"}`, Options{}, one},
		{"dialogue", "f.jsonl", `{"dialogue":"a","summary":"b"}`, Options{}, one},
		{"text without its summary is no source", "f.jsonl", `{"text":"x","src":"a","tgt":"b"}`, Options{}, one},
		{"named", "f.jsonl", `{"q":"a","a":"b","source":"x","target":"y"}`, Options{SourceColumn: "q", TargetColumn: "a"},
			one},
		{"source named", "f.jsonl", `{"source":"x","body":"a","target":"b"}`, Options{SourceColumn: "body"}, one},
		{"source named as one of several", "f.jsonl", `{"article":"a","abstract":"b","text":"x","tgt":"y"}`,
			Options{SourceColumn: "article"}, one},
		{"target named", "f.jsonl", `{"document":"a","summary":"x","title":"b"}`, Options{TargetColumn: "title"}, one},
		{"source named, target by its language", "f.jsonl", `{"body":"a","sv":"b","target":"x"}`,
			Options{SourceColumn: "body", TargetLang: "sv"}, one},
		{"target named, source by its language", "f.jsonl", `{"en":"a","ref":"b","source":"x"}`,
			Options{SourceLang: "en", TargetColumn: "ref"}, one},
		{"target named, source as usual", "f.jsonl", `{"source":"a","ref":"b","text":"x"}`, Options{TargetColumn: "ref"},
			one},
		{"a language without targets", "f.jsonl", `{"en":"a","sv":"b"}`,
			Options{SourceLang: "en", TargetLang: "sv", NoLabels: true}, []Pair{pairOf(1, "a")}},
		{"a language whose target is missing", "f.jsonl", `{"en":"x","source":"a","target":"b"}`, enSV, one},
		{"a language to predict from", "f.csv", "en\na\n", Options{SourceLang: "en", TargetLang: "sv", OptionalLabels: true},
			[]Pair{pairOf(2, "a")}},
		{"translation", "f.jsonl", `{"id":"1","translation":{"en":"a","sv":"b"}}`, enSV, one},
		{"translation, turned round", "f.jsonl", `{"translation":{"en":"b","sv":"a"}}`,
			Options{SourceLang: "sv", TargetLang: "en"}, one},
		{"translation, codes of mBART", "f.jsonl", `{"translation":{"en":"a","sv":"b","de":"x"}}`,
			Options{SourceLang: "en_XX", TargetLang: "sv_SE"}, one},
		{"translation, codes of NLLB", "f.jsonl", `{"translation":{"eng_Latn":"a","swe_Latn":"b"}}`,
			Options{SourceLang: "eng_Latn", TargetLang: "swe_Latn"}, one},
		{"translation with references", "f.jsonl", `{"translation":{"en":"a","sv":["b","c"]}}`, enSV,
			[]Pair{pairOf(1, "a", "b", "c")}},
		{"translation to predict", "f.jsonl",
			`{"translation":{"en":"a"}}` + "\n" + `{"translation":{"sv":"b","en":"c"}}` + "\n" + `{"translation":{"en":"d"}}`,
			Options{SourceLang: "en", TargetLang: "sv", OptionalLabels: true},
			[]Pair{pairOf(1, "a"), pairOf(2, "c", "b"), pairOf(3, "d")}},
		{"translation, target language not given", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}`,
			Options{SourceLang: "en", OptionalLabels: true}, []Pair{pairOf(1, "a")}},
		{"translation without targets", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}`,
			Options{SourceLang: "en", NoLabels: true}, []Pair{pairOf(1, "a")}},
		{"translation that is a text", "f.jsonl", `{"text":"a","translation":"b"}`,
			Options{SourceColumn: "text", TargetColumn: "translation"}, one},
		{"languages as keys", "f.jsonl", `{"en":"a","sv":"b","source":"tatoeba"}`, enSV, one},
		{"languages that name nothing", "f.jsonl", `{"source":"a","target":"b"}`,
			Options{SourceLang: "en_XX", TargetLang: "sv_SE"}, one},
		{"CSV", "f.csv", "source,target\na,b\n\"c\",d", Options{}, two},
		{"CSV, languages", "f.csv", "sv,en,id\nb,a,1\nd,c,2\n", enSV, two},
		{"CSV, named", "f.csv", "mr,ref\n\"a\",b\nc,\"d\"\n", Options{SourceColumn: "mr", TargetColumn: "ref"}, two},
		{"CSV by number", "f.csv", "b,a\n\"d\"\"\n\",c\n", Options{NoHeader: true, SourceColumn: "1", TargetColumn: "0"},
			[]Pair{pairOf(1, "a", "b"), pairOf(2, "c", "d\"\n")}},
		{"CSV, another delimiter", "f.csv", "source;target\na;b\nc;d\n", Options{Delimiter: ';'}, two},
		{"TSV with quotes in texts", "f.tsv", "en\tsv\n\"a\tb\n", Options{SourceLang: "en", TargetLang: "sv", NoQuotes: true},
			[]Pair{pairOf(2, "\"a", "b")}},
		{"CSV, empty texts", "f.csv", "source,target\na,\n,d\n", Options{}, []Pair{pairOf(2, "a", ""), pairOf(3, "", "d")}},
		{"CSV to predict", "f.csv", "source,target\na,\nc,d\n", predict, []Pair{pairOf(2, "a"), pairOf(3, "c", "d")}},
		{"CSV without targets to predict", "f.csv", "source\na\n", predict, []Pair{pairOf(2, "a")}},
		{"one column to predict", "f.csv", "a\nc\n", Options{OptionalLabels: true, NoHeader: true},
			[]Pair{pairOf(1, "a"), pairOf(2, "c")}},
		{"text to predict", "f.jsonl", `{"text":"a","label":"x"}`, predict, []Pair{pairOf(1, "a")}},
		{"where a text is from is not its text", "f.jsonl", `{"source":"news","article":"a","highlights":"b"}`, Options{},
			one},
		{"nor to predict", "f.jsonl", `{"source":"news","article":"a","highlights":"b"}`, predict, one},
		{"nor without targets", "f.csv", "source,article,abstract,summary\nnews,a,b,c\n", Options{NoLabels: true},
			[]Pair{pairOf(2, "a")}},
		{"a translation beside a text", "f.jsonl", `{"text":"x","translation":{"sv":"a"}}`,
			Options{SourceLang: "sv", OptionalLabels: true}, []Pair{pairOf(1, "a")}},
		{"the first target comes late", "f.jsonl",
			`{"source":"a"}` + "\n" + `{"source":"c","references":["d"]}` + "\n" + `{"source":"e","references":null}`, predict,
			[]Pair{pairOf(1, "a"), pairOf(2, "c", "d"), pairOf(3, "e")}},
		{"an empty list of targets to predict", "f.jsonl", `{"source":"a","target":[]}`, predict, []Pair{pairOf(1, "a")}},
		{"targets that are not read", "f.jsonl", `{"source":"a","target":3}`, Options{NoLabels: true},
			[]Pair{pairOf(1, "a")}},
		{"plain text", "f.txt", "\xEF\xBB\xBFa\r\n\nc\rd", predict,
			[]Pair{pairOf(1, "a"), pairOf(2, ""), pairOf(3, "c"), pairOf(4, "d")}},
		{"plain text, named after its language", "test.en", "a\n", predict, []Pair{pairOf(1, "a")}},
		{"plain text, named after a language and country", "test.pt_BR", "a\n", predict, []Pair{pairOf(1, "a")}},
		{"plain text, named after a language and script", "test.zho-Hans", "a\n", predict, []Pair{pairOf(1, "a")}},
		{"standard input, text", "-", "a\n", predict, []Pair{pairOf(1, "a")}},
		{"standard input, JSON", "-", `{"source":"a","target":"b"}`, Options{}, one},
		{"invalid bytes replaced", "f.csv", "source,target\ncaf\xE9,b\n", Options{ReplaceInvalid: true},
			[]Pair{pairOf(2, "caf\uFFFD", "b")}},
		{"limit", "f.jsonl", `{"source":"a","target":"b"}` + "\n{", Options{MaxSamples: 1}, one},
		{"groups", "f.csv", "source,target\na,b\nc,d\na,e\na,b\n", Options{GroupSources: true},
			[]Pair{pairOf(2, "a", "b", "e", "b"), pairOf(3, "c", "d")}},
		{"the first group", "f.csv", "source,target\na,b\nc,d\na,e\n", Options{GroupSources: true, MaxSamples: 1},
			[]Pair{pairOf(2, "a", "b", "e")}},
		{"groups to predict", "f.csv", "source,target\na,\nc,d\na,e\n", Options{GroupSources: true, OptionalLabels: true},
			[]Pair{pairOf(2, "a", "e"), pairOf(3, "c", "d")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := readPairs(t, tt.file, tt.content, tt.options)
			if got := slices.Collect(f.Values()); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestColumns(t *testing.T) {
	for _, tt := range []struct {
		file, content string
		options       Options
		want          Columns
	}{
		{"f.csv", "id,Source,target\n1,a,b\n", Options{}, Columns{"", "Source", "target"}},
		{"f.csv", "b,a\n", Options{NoHeader: true, SourceColumn: "1", TargetColumn: "0"}, Columns{"", "1", "0"}},
		{"f.jsonl", `{"translation":{"en":"a","sv":"b"}}`, Options{SourceLang: "en_XX", TargetLang: "sv"},
			Columns{"translation", "en", "sv"}},
		{"f.csv", "source,target\na,b\n", Options{NoLabels: true}, Columns{"", "source", ""}},
		{"f.en", "a\n", Options{NoLabels: true}, Columns{}},
	} {
		if f := readPairs(t, tt.file, tt.content, tt.options); f.Columns != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.content, f.Columns, tt.want)
		}
	}
}

// write writes files into a new directory, compressed if their names end in .gz, and returns their paths.
func write(t *testing.T, namesAndContents ...string) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(namesAndContents); i += 2 {
		path, content := filepath.Join(dir, namesAndContents[i]), []byte(namesAndContents[i+1])
		if strings.HasSuffix(path, ".gz") {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(content)
			z.Close()
			content = b.Bytes()
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestReadParallel(t *testing.T) {
	for _, tt := range []struct {
		name, source, left, target, right string
		options                           Options
		want                              []Pair
		gaps                              data.Tally
	}{
		{"plain", "t.en", "a\nb\n", "t.sv", "x\r\ny", Options{}, []Pair{pairOf(1, "a", "x"), pairOf(2, "b", "y")},
			data.Tally{}},
		{"compressed", "t.en.gz", "a\nb\n", "t.sv.gz", "x\ny\n", Options{}, []Pair{pairOf(1, "a", "x"), pairOf(2, "b", "y")},
			data.Tally{}},
		{"any names", "left", "a\n", "right.dat", "x\n", Options{}, []Pair{pairOf(1, "a", "x")}, data.Tally{}},
		{"named as tables", "l.csv", "a,b\n", "r.csv", "x,y\n", Options{Format: data.PlainText},
			[]Pair{pairOf(1, "a,b", "x,y")}, data.Tally{}},
		{"quotes are text", "t.en", "\"a\n", "t.sv", "{\"x\"\n", Options{}, []Pair{pairOf(1, "\"a", "{\"x\"")}, data.Tally{}},
		{"gaps", "t.en", "a\n\nc\n \nd\n", "t.sv", "x\ny\n\t\n\nz\n", Options{},
			[]Pair{pairOf(1, "a", "x"), pairOf(5, "d", "z")}, data.Tally{N: 3, Line: 2}},
		{"gaps to predict", "t.en", "a\n\nc\n", "t.sv", "x\ny\n\n", Options{OptionalLabels: true},
			[]Pair{pairOf(1, "a", "x"), pairOf(2, "", "y"), pairOf(3, "c")}, data.Tally{}},
		{"limit", "t.en", "a\nb\nc\n", "t.sv", "x\ny\n", Options{MaxSamples: 2},
			[]Pair{pairOf(1, "a", "x"), pairOf(2, "b", "y")}, data.Tally{}},
		{"groups", "t.en", "a\nb\na\n", "t.sv", "x\ny\nz\n", Options{GroupSources: true},
			[]Pair{pairOf(1, "a", "x", "z"), pairOf(2, "b", "y")}, data.Tally{}},
		{"replaced", "t.en", "\xFF\n", "t.sv", "\xFF\n", Options{ReplaceInvalid: true}, []Pair{pairOf(1, "\uFFFD", "\uFFFD")},
			data.Tally{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			paths := write(t, tt.source, tt.left, tt.target, tt.right)
			f, err := ReadParallel(paths[0], paths[1], tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Collect(f.Values()); !reflect.DeepEqual(got, tt.want) || f.Gaps != tt.gaps {
				t.Errorf("got %+v with %+v, want %+v with %+v", got, f.Gaps, tt.want, tt.gaps)
			}
			if tt.options.ReplaceInvalid && f.Replaced != 2 {
				t.Errorf("%d lines replaced, want 2", f.Replaced)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	f := New("f", pairOf(1, "a", "b"), pairOf(2, "c"), pairOf(3, "d", "e"))
	first := f.Limit(2)
	if first.Len() != 2 || first.Labelled() != 1 || f.Limit(0).Len() != 3 || f.Limit(9).Labelled() != 2 {
		t.Errorf("%d rows, %d with a target", first.Len(), first.Labelled())
	}
}

// A split keeps the pairs with one source together, and reports what was counted once.
func TestSplitOff(t *testing.T) {
	var pairs []Pair
	for i := range 100 {
		pairs = append(pairs, pairOf(i+1, string(rune('a'+i%25)), strings.Repeat("x", i)))
	}
	f := New("f.jsonl", pairs...)
	f.Gaps = data.Tally{N: 1, Line: 7}
	rest, held, err := f.SplitOff(0.2, 3)
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]bool{}
	for p := range rest.Values() {
		sources[p.Source] = true
	}
	for p := range held.Values() {
		if sources[p.Source] {
			t.Fatalf("the source %q is in both parts", p.Source)
		}
	}
	if rest.Len() != 80 || held.Len() != 20 || rest.Gaps.N != 1 || held.Gaps.N != 0 {
		t.Errorf("%d and %d pairs, %d and %d gaps", rest.Len(), held.Len(), rest.Gaps.N, held.Gaps.N)
	}
	if _, _, err := New("f", pairs[0], pairs[25]).SplitOff(0.5, 1); err == nil ||
		!strings.Contains(err.Error(), "2 pairs of 1 source cannot be split") {
		t.Errorf("one source: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	train := readPairs(t, "train.jsonl", `{"source":"a","target":["b","c"]}
{"source":" ","target":"b"}
{"source":"d","target":["e",""]}
{"source":"a","target":["b","c"]}
{"source":"a","target":["c"]}
`, Options{})
	test := readPairs(t, "test.csv", "source,target\nx,\na,b\n", Options{OptionalLabels: true})
	plain := readPairs(t, "test.en", "y\n", Options{OptionalLabels: true})
	paths := write(t, "t.en", "z\n\n", "t.sv", "u\nv\n")
	parallel, err := ReadParallel(paths[0], paths[1], Options{})
	if err != nil {
		t.Fatal(err)
	}
	parallel.Rename("t.en")
	for _, tt := range []struct {
		train, eval, test *File
		want              []string
	}{
		{train, nil, test, []string{
			"train.jsonl:2: 1 row with an empty source",
			"train.jsonl:3: 1 row with an empty target",
			"train.jsonl:1: 3 rows with several targets, of which only the first is learned",
			"train.jsonl:4: 1 row with the source and target of a row before",
			"train.jsonl:5: 1 row with the source of a row before but another target",
			"test.csv:2: 1 row without a target",
			"test.csv:3: 1 row with a source that is also in train.jsonl",
		}},
		{nil, nil, plain, nil},
		{readPairs(t, "t.jsonl", `{"source":"a","target":"b","context":"c"}
{"source":"b","target":"c","context":"","weight":1}
{"source":"c","target":"d","title":"e","weight":0.5,"Prefix":"summarize"}
`, Options{}), nil, nil, []string{"t.jsonl:1: 2 rows with other columns than those that are learned from, which are " +
			`not read: "Prefix", "context", "weight"`}},
		{readPairs(t, "t.csv", "en,sv,prefix,sample_weight\na,b,,1.0\nc,d,translate,1\n",
			Options{SourceLang: "en", TargetLang: "sv"}), nil, nil, []string{
			`t.csv:3: 1 row with other columns than those that are learned from, which are not read: "prefix"`}},
		{readPairs(t, "t.csv", "q,a,context\na,b,c\n", Options{SourceColumn: "q", TargetColumn: "a"}), nil, nil, nil},
		{nil, nil, readPairs(t, "t.csv", "source,target\na,b\na,c\n", Options{}), []string{"t.csv:3: 1 row with the source " +
			"of a row before but another target: `group_sources` makes them one row with several references"}},
		{nil, parallel, nil, []string{
			"t.en:2: 1 line without text in one of the two files or in both, which were left out"}},
	} {
		var got []string
		for _, w := range Warnings(tt.train, tt.eval, tt.test) {
			got = append(got, w.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("got %q,\nwant %q", got, tt.want)
		}
	}
}
