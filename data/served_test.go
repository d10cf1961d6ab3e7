package data_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/data/text"
)

// known returns an error for a name other than spam and topics.
func known(name string) error {
	if name != "spam" && name != "topics" {
		return fmt.Errorf("no adapter has the name %q", name)
	}
	return nil
}

// served is a file whose rows name adapters.
type served interface {
	Len() int
	Hash() string
	AdapterOf(i int) string
}

// servedReaders read a file of each kind, with the check of names, or without one if it is nil.
var servedReaders = map[string]func(content, name string, check func(string) error) (served, error){
	"text": func(content, name string, check func(string) error) (served, error) {
		return text.ReadBytes([]byte(content), name, text.Options{OptionalLabels: true, Adapter: check})
	},
	"tagged": func(content, name string, check func(string) error) (served, error) {
		return tagged.ReadBytes([]byte(content), name, tagged.Options{OptionalLabels: true, Adapter: check})
	},
	"question": func(content, name string, check func(string) error) (served, error) {
		return question.ReadBytes([]byte(content), name, question.Options{OptionalLabels: true, Adapter: check})
	},
	"choice": func(content, name string, check func(string) error) (served, error) {
		return choice.ReadBytes([]byte(content), name, choice.Options{OptionalLabels: true, Adapter: check})
	},
	"document": func(content, name string, check func(string) error) (served, error) {
		return document.ReadBytes([]byte(content), name, document.Options{Adapter: check})
	},
	"pair": func(content, name string, check func(string) error) (served, error) {
		return pair.ReadBytes([]byte(content), name, pair.Options{OptionalLabels: true, Adapter: check})
	},
}

// mixed are files of four rows (or sentences, or questions) that name spam, nothing, topics and nothing again.
var mixed = []struct{ kind, name, content string }{
	{"text", "f.jsonl", `{"text":"a","adapter":"spam"}
{"text":"b"}

{"adapter":"topics","text":"c"}
{"text":"d","adapter":null}`},
	{"text", "f.json", `[{"text":"a","adapter":"spam"},{"text":"b","adapter":"none"},{"text":"c","adapter":"topics"},
{"text":"d","adapter":""}]`},
	{"text", "f.csv", "Adapter,text\nspam,a\n,b\n topics ,c\nnone,d\n"},
	{"text", "f.tsv", "text\tlabel\tadapter\na\tx\tspam\nb\ty\t\nc\tz\ttopics\nd\t\t\n"},
	{"tagged", "f.jsonl", `{"tokens":["a"],"adapter":"spam"}
{"tokens":["b"],"tags":["O"]}
{"tokens":["c"],"adapter":"topics"}
{"tokens":["d"]}`},
	{"tagged", "spans.jsonl", `{"text":"a b","spans":[[0,1,"X"]],"adapter":"spam"}
{"text":"b"}
{"text":"c d","spans":[],"adapter":"topics"}
{"text":"d","spans":[[0,1,"X"]]}`},
	{"tagged", "slots.jsonl", `{"userInput":{"text":"a"},"labels":[],"adapter":"spam"}
{"userInput":{"text":"b"}}
{"userInput":{"text":"c"},"adapter":"topics"}
{"userInput":{"text":"d"}}`},
	{"tagged", "f.csv", "sentence_id,word,tag,adapter\n1,a,O,spam\n1,b,O,\n2,c,O,\n2,d,O,none\n3,e,O,topics\n" +
		"3,f,O,topics\n4,g,O,\n"},
	{"question", "f.jsonl", `{"question":"a","context":"c","adapter":"spam"}
{"question":"b","context":"c"}
{"question":"c","context":"c","adapter":"topics"}
{"question":"d","context":"c"}`},
	{"question", "f.json", `{"data":[{"paragraphs":[{"context":"c","qas":[{"id":"1","question":"a","adapter":"spam"},
{"id":"2","question":"b"}]},{"qas":[{"id":"3","question":"c","adapter":"topics"}],"context":"d"}]},
{"id":"4","question":"d","context":"c"}]}`},
	{"choice", "f.jsonl", `{"context":"a","endings":["x","y"],"adapter":"spam"}
{"context":"b","endings":["x","y"]}
{"context":"c","endings":["x","y"],"label":1,"adapter":"topics"}
{"context":"d","endings":["x","y"]}`},
	{"choice", "f.csv", "context,ending0,ending1,adapter\na,x,y,spam\nb,x,y,\nc,x,y,topics\nd,x,y,none\n"},
	{"document", "f.jsonl", `{"prompt":"a","completion":"x","adapter":"spam"}
{"prompt":"b","completion":"x"}
{"prompt":"c","completion":"x","adapter":"topics"}
{"prompt":"d","completion":"x"}`},
	{"document", "f.csv", "text,adapter\na,spam\nb,\nc,topics\nd,\n"},
	{"pair", "f.jsonl", `{"source":"a","adapter":"spam"}
{"source":"b","target":"x"}
{"source":"c","adapter":"topics","target":["x","y"]}
{"source":"d"}`},
	{"pair", "f.csv", "source,target,adapter\na,x,spam\nb,x,\nc,x,topics\nd,x,none\n"},
}

// TestAdapterOf reads files whose rows name adapters. Without a check of names the column is a column like others.
func TestAdapterOf(t *testing.T) {
	for _, c := range mixed {
		for _, asked := range []bool{true, false} {
			want := []string{"", "", "", ""}
			var check func(string) error
			if asked {
				want, check = []string{"spam", "", "topics", ""}, known
			}
			f, err := servedReaders[c.kind](c.content, c.name, check)
			if err != nil {
				t.Errorf("%s %s: %v", c.kind, c.name, err)
				continue
			}
			var got []string
			for i := range f.Len() {
				got = append(got, f.AdapterOf(i))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %s: the rows name %q, want %q", c.kind, c.name, got, want)
			}
		}
	}
}

// TestAdapterOfPassage: the adapter of a row that has several questions serves all of them.
func TestAdapterOfPassage(t *testing.T) {
	f, err := choice.ReadBytes([]byte(`{"adapter":"spam","article":"p","questions":["q","r"],
"options":[["x","y"],["v","w"]]}
{"article":"p","questions":["s"],"options":[["x","y"]]}`), "f.json",
		choice.Options{OptionalLabels: true, Adapter: known})
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{f.AdapterOf(0), f.AdapterOf(1), f.AdapterOf(2)}; !slices.Equal(got, []string{"spam", "spam", ""}) {
		t.Errorf("the questions name %q", got)
	}
}

// TestAdapterErrors lists what is refused, with the lines.
func TestAdapterErrors(t *testing.T) {
	for _, c := range []struct{ kind, name, content, want string }{
		{"text", "f.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\",\"adapter\":\"spma\"}",
			`f.jsonl:2: no adapter has the name "spma"`},
		{"text", "f.jsonl", "{\"text\":\"a\",\"adapter\":3}",
			`f.jsonl:1: "adapter" is "3", not a string; give the name of an adapter, or null for the base model`},
		{"text", "f.json", "[{\"text\":\"a\"},\n\n{\"text\":\"b\",\"adapter\":[\"spam\"]}]",
			`f.json:3: "adapter" is "[\"spam\"]", not`},
		{"text", "f.csv", "text,adapter\na,spam\nb,x\n", `f.csv:3: no adapter has the name "x"`},
		{"text", "f.csv", "text,adapter,adapter\na,spam,spam\n", `the column "adapter" is there twice (1 and 2`},
		{"text", "f.txt", "a\n", "f.txt is read as txt, whose rows cannot name an adapter as `adapters` needs it"},
		{"tagged", "f.conll", "a O\n", "f.conll is read as conll, whose rows cannot name an adapter"},
		{"tagged", "f.conllu", "1\ta\n", "f.conllu is read as conllu, whose rows cannot name an adapter"},
		{"tagged", "f.csv", "sentence_id,word,adapter\n1,a,\n1,b,spam\n",
			"f.csv:3: the word names another adapter than the first word of its sentence (line 2)"},
		{"tagged", "f.jsonl", "{\"text\":\"a\",\"spans\":[]}\n{\"text\":\"a\",\"spans\":[],\"adapter\":\"x\"}",
			`f.jsonl:2: no adapter has the name "x"`},
		{"question", "f.json", "{\"data\":[{\"paragraphs\":[{\"context\":\"c\",\"qas\":[\n{\"id\":\"i\",\"question\":\"q\"," +
			"\"adapter\":\"x\"}]}]}]}", `f.json:2: article 1, paragraph 1: question 1 (id "i"): no adapter has the name "x"`},
		{"choice", "f.csv", "context,ending0,ending1,adapter\na,x,y,z\n", `f.csv:2: no adapter has the name "z"`},
		{"document", "f.jsonl", "{\"text\":\"a\",\"adapter\":true}", `f.jsonl:1: "adapter" is "true", not a string`},
		{"pair", "f.en", "a\n", "f.en is read as txt, whose rows cannot name an adapter"},
	} {
		_, err := servedReaders[c.kind](c.content, c.name, known)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v\nwant …%s…", c.kind, c.name, err, c.want)
		}
	}
	_, err := text.ReadBytes([]byte("a,spam\n"), "f.csv",
		text.Options{NoLabels: true, NoHeader: true, TextColumn: "0", Adapter: known})
	if err == nil || !strings.Contains(err.Error(), "without a header no column has the name \"adapter\"") {
		t.Errorf("without a header: %v", err)
	}
	_, err = choice.ReadBytes([]byte("o\tc\ta\tb\t0\n"), "f.tsv", choice.Options{Format: choice.Codah, Adapter: known})
	if !errors.Is(err, data.ErrOption) {
		t.Errorf("CODAH: %v", err)
	}
}

// TestServedBy takes the rows of each adapter out of a file, and changes rows without losing their adapters.
func TestServedBy(t *testing.T) {
	f, err := text.ReadBytes([]byte(mixed[0].content), "f.jsonl", text.Options{OptionalLabels: true, Adapter: known})
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := text.ReadBytes([]byte(mixed[0].content), "f.jsonl", text.Options{NoLabels: true}); err != nil ||
		plain.Hash() != f.Hash() {
		t.Errorf("adapters changed the hash of the rows: %v", err)
	}
	upper := data.Map(data.Part(f, 1, 4), func(e text.Example) text.Example {
		e.Text = strings.ToUpper(e.Text)
		return e
	})
	for _, c := range []struct {
		name, texts string
		numbers     []int
	}{{"", "BD", []int{0, 2}}, {"topics", "C", []int{1}}, {"spam", "", nil}} {
		part, numbers := data.ServedBy(upper, c.name)
		texts := ""
		for i, e := range part.All() {
			texts += e.Text
			if part.AdapterOf(i) != c.name {
				t.Errorf("row %d of those that %q serves names %q", i, c.name, part.AdapterOf(i))
			}
		}
		if texts != c.texts || !slices.Equal(numbers, c.numbers) {
			t.Errorf("%q serves %q, rows %v; want %q, rows %v", c.name, texts, numbers, c.texts, c.numbers)
		}
	}
	pairs, err := pair.ReadBytes([]byte("source,target,adapter\na,x,\na,y,spam\nb,z,\na,v,spam\na,w,\n"), "f.csv",
		pair.Options{GroupSources: true, Adapter: known})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a/x,w/", "a/y,v/spam", "b/z/"} {
		p := pairs.At(i)
		if got := p.Source + "/" + strings.Join(p.Targets, ",") + "/" + pairs.AdapterOf(i); got != want {
			t.Errorf("group %d is %q, want %q", i, got, want)
		}
	}
	f.Append(text.Example{Text: "e", Line: 9})
	if got := f.AdapterOf(4); got != "" {
		t.Errorf("a row that was added later names %q", got)
	}
}

// FuzzServed: a file whose rows may name adapters has the rows that it has without adapters, each with one of the known
// names or none.
func FuzzServed(f *testing.F) {
	for _, c := range mixed {
		f.Add([]byte(c.content))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for kind, read := range servedReaders {
			for _, name := range []string{"f.jsonl", "f.json", "f.csv"} {
				with, err := read(string(content), name, known)
				var e *data.Error
				if err != nil && !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
					t.Fatalf("%s %s: the error %v is of no known kind", kind, name, err)
				}
				if err != nil {
					continue
				}
				without, err := read(string(content), name, nil)
				if err != nil || with.Len() != without.Len() || with.Hash() != without.Hash() {
					t.Fatalf("%s %s: %d rows with names of adapters, %v without", kind, name, with.Len(), err)
				}
				for i := range with.Len() {
					if name := with.AdapterOf(i); name != "" && known(name) != nil || without.AdapterOf(i) != "" {
						t.Fatalf("%s: row %d names %q", kind, i, name)
					}
				}
			}
		}
	})
}
