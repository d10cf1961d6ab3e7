package tagged

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/spalora/spalora/data"
)

// TestBadTokens holds the message for every kind of broken file of tagged sentences.
func TestBadTokens(t *testing.T) {
	unit := func(id, tag string) string { return id + "\ta\t_\t" + tag + "\t_\t_\t_\t_\t_\t_\n" }
	optional, strict := Options{OptionalLabels: true}, Options{Strict: true}
	text := func(spans string) string { return `{"text":"ab cd","spans":[` + spans + `]}` }
	slot := func(s string) string { return `[{"userInput":{"text":"ab cd"},"labels":[` + s + `]}]` }
	tests := []struct {
		name, file, content string
		options             Options
		line                int
		want                string // part of the message
	}{
		// The whole file.
		{"empty", "f.conll", "", Options{}, 0, "the file is empty"},
		{"empty JSON", "f.json", "", Options{}, 0, "the file is empty"},
		{"empty CoNLL-U", "f.conllu", "\xEF\xBB\xBF", Options{}, 0, "the file is empty"},
		{"only blank lines", "f.conll", "\n \n\t\n", Options{}, 0, "the file has no sentences"},
		{"only documents", "f.conll", "-DOCSTART- -X- O\n\n", Options{}, 0, "the file has no sentences"},
		{"only comments", "f.conllu", "# text = a\n", Options{}, 0, "the file has no sentences"},
		{"an empty list", "f.json", "[]", Options{}, 0, "the file has no sentences"},
		{"a span of two labels", "f.json", text(`{"start":0,"end":2,"labels":["X","Y"]}`), Options{}, 1,
			`span 1 of "spans": its "labels" are "[\"X\",\"Y\"]": a word has one tag, so give a span one label`},
		{"UTF-16", "f.conll", "\xFF\xFEa\x00", Options{}, 0, "UTF-16"},
		{"Latin-1", "f.conll", "a O\n\ncaf\xE9 O\n", Options{}, 3, "byte 4 of the line (offset 8 of the file) is 0xE9"},
		{"Latin-1 in a list", "f.json", "[\n{\"tokens\":[\"\xE9\"]}]", Options{}, 2, "is 0xE9"},
		{"NUL", "f.conllu", "a\x00\n", Options{}, 1, "is NUL"},
		// CoNLL.
		{"no tags", "f.conll", "\na\nb\n", Options{}, 2, `the row has 1 column ("a"), so there are no tags`},
		{"fewer columns", "f.conll", "a X O\nb\tO\n", Options{}, 2,
			"the row has 2 columns separated by spaces, but the first row has 3"},
		{"fewer columns, tabs", "f.conll", "a\tO\nb O\n", Options{}, 2,
			"the row has 1 column separated by tabs, but the first row has 2"},
		{"fewer columns, delimiter", "f.conll", "a|O\n\nb O\n", Options{Delimiter: '|'}, 3,
			`the row has 1 column separated by "|"`},
		{"more columns", "f.conll", "a O\nb c O\n", Options{}, 2,
			"has 3 columns separated by spaces, but the first row has 2 (`tags_column` takes another than the last one"},
		{"too few for the columns given", "f.conll", "a X O\nb X\n", Options{TagsColumn: "2"}, 2,
			"has 2 columns separated by spaces, but column 2 is to be read, counted from 0"},
		{"wrong tags column", "f.conll", "a X O\n", Options{TagsColumn: "3"}, 1,
			"`tags_column 3`: without a header the columns go by number, 0 to 2: 0 = \"a\", 1 = \"X\", 2 = \"O\""},
		{"negative tags column", "f.conll", "a X O\n", Options{TagsColumn: "-1"}, 1, "`tags_column -1`"},
		{"tags column by name", "f.conll", "a X O\n", Options{TagsColumn: "ner"}, 1,
			"`tags_column ner`: without a header the columns go by number"},
		{"wrong tokens column", "f.conll", "a O\n", Options{TokensColumn: "9"}, 1, "`tokens_column 9`"},
		{"tokens are the last column", "f.conll", "a O\n", Options{TokensColumn: "1"}, 1,
			"words and tags are the same column (1)"},
		{"tags are the first column", "f.conll", "a O\n", Options{TagsColumn: "0"}, 1,
			"words and tags are the same column (0)"},
		{"an empty tag", "f.conll", "a\tO\nb\t\n", Options{}, 2, `the word "b" has no tag (column 1 is "")`},
		{"a tag for some", "f.conll", "a\tO\n\nb\tO\nc\t \nd\tO\n", optional, 4,
			"the word has no tag (column 1), but others of its sentence have"},
		// CoNLL-U.
		{"CoNLL-U, columns", "f.conllu", unit("1", "X") + "\n2\tb\tO\n", Options{}, 3,
			"the line has 3 columns separated by tabs, but CoNLL-U has 10 (ID, FORM, LEMMA"},
		{"CoNLL-U, spaces", "f.conllu", "1 a _ X _ _ _ _ _ _\n", Options{}, 1, "has 1 column separated by tabs"},
		{"CoNLL-U, ID", "f.conllu", unit("a", "X"), Options{}, 1, `the ID of the word is "a", not a number from 1`},
		{"CoNLL-U, ID 0", "f.conllu", unit("0", "X"), Options{}, 1, `the ID of the word is "0"`},
		{"CoNLL-U, no tag", "f.conllu", unit("1", "X") + unit("2", "_"), Options{}, 2,
			`the word "a" has no tag (column UPOS is "_")`},
		{"CoNLL-U, a tag for some", "f.conllu", unit("1", "X") + unit("2", "_"), optional, 2, "tag all or none"},
		// Lists of words and tags.
		{"a word too many", "f.jsonl", "{\"tokens\":[\"a\"],\"tags\":[\"O\"]}\n{\"tokens\":[\"a\",\"b\"],\"tags\":[\"O\"]}",
			Options{}, 2, `"tokens" has 2 words, but "tags" has 1 tag: each word needs one tag`},
		{"a tag too many", "f.json", "[{\"tokens\":[\"a\"],\"ner_tags\":[\"O\"]},\n{\"tokens\":[],\"ner_tags\":[\"O\"]}]",
			Options{}, 2, `"tokens" has 0 words, but "ner_tags" has 1 tag`},
		{"a tag too many, optional", "f.jsonl", `{"tokens":["a"],"tags":[]}`, optional, 1, "each word needs one tag"},
		{"no tags in a row", "f.jsonl", "{\"tokens\":[\"a\"],\"tags\":[\"O\"]}\n{\"tokens\":[\"b\"]}", Options{}, 2,
			`the row has no "tags"`},
		{"tags are null", "f.jsonl", `{"tokens":["a"],"tags":null}`, Options{}, 1, `"tags" is "null", not a list`},
		{"no words in a row", "f.jsonl", "{\"tokens\":[\"a\"],\"tags\":[\"O\"]}\n{\"tags\":[\"O\"]}", Options{}, 2,
			`the row has no "tokens"`},
		{"words are a string", "f.jsonl", `{"tokens":"a b","tags":["O"]}`, Options{}, 1, `"tokens" is "\"a b\"", not a list`},
		{"a word is a number", "f.jsonl", `{"tokens":["a",5],"tags":["O","O"]}`, Options{}, 1,
			`element 2 of "tokens" is "5", not a string`},
		{"an empty tag in a list", "f.jsonl", `{"tokens":["a"],"tags":[""]}`, Options{}, 1,
			`tag 1 of "tags": the label is empty`},
		{"a tag is null", "f.jsonl", `{"tokens":["a"],"tags":[null]}`, Options{}, 1, `tag 1 of "tags": the label is "null"`},
		{"a tag is true", "f.jsonl", `{"tokens":["a"],"tags":[true]}`, Options{}, 1,
			`tag 1 of "tags" is "true", neither a name nor a class index`},
		{"a tag is a fraction", "f.jsonl", `{"tokens":["a"],"tags":[1.0]}`, Options{}, 1,
			`is "1.0", neither a name nor a class index`},
		{"a tag is negative", "f.jsonl", `{"tokens":["a"],"tags":[-100]}`, Options{}, 1,
			`tag 1 of "tags" is -100, not a class index from 0 to 1048575`},
		{"a tag is too large", "f.jsonl", `{"tokens":["a"],"tags":[1048576]}`, Options{}, 1, "not a class index"},
		{"mixed tags", "f.jsonl", `{"tokens":["a","b"],"tags":["O",1]}`, Options{}, 1,
			`tag 2 of "tags" is 1, but tags before are names`},
		{"mixed rows", "f.jsonl", "{\"tokens\":[\"a\"],\"tags\":[0]}\n{\"tokens\":[\"a\"],\"tags\":[\"O\"]}", Options{}, 2,
			`tag 1 of "tags" is "O", but tags before are numbers`},
		// Keys.
		{"nothing known", "f.jsonl", `{"a":["b"]}`, Options{}, 1,
			"no key has a name that is known for words (tokens, words) or for texts (text, sentence); say which with " +
				"`tokens_column` or `text_column`; there is \"a\""},
		{"no tags key", "f.jsonl", `{"tokens":["b"],"t":[1]}`, Options{}, 1,
			"no key has a name that is known for tags (tags, ner_tags, labels, pos_tags, upos, chunk_tags); say which with " +
				"`tags_column`"},
		{"two tags keys", "f.jsonl", `{"tokens":["b"],"pos_tags":[1],"chunk_tags":[1]}`, Options{}, 1,
			`the tags may be "pos_tags" or "chunk_tags"`},
		{"two tags keys that come late", "f.jsonl",
			"{\"tokens\":[\"a\"]}\n{\"tokens\":[\"b\"],\"pos_tags\":[1],\"upos\":[1]}", optional, 2,
			"the tags may be \"pos_tags\" or \"upos\"; say which with `tags_column` (or `no_labels`)"},
		{"wrong tags key", "f.jsonl", `{"tokens":["b"],"tags":[1]}`, Options{TagsColumn: "ner"}, 1,
			"`tags_column`: there is no key \"ner\"; there is \"tokens\", \"tags\""},
		{"tags key in another case", "f.jsonl", `{"tokens":["b"],"Tags":[1]}`, Options{TagsColumn: "tags"}, 1,
			`did you mean "Tags"?`},
		{"wrong tokens key", "f.jsonl", `{"tokens":["b"],"tags":[1]}`, Options{TokensColumn: "w"}, 1,
			"`tokens_column`: there is no key \"w\""},
		{"wrong text key", "f.jsonl", `{"text":"b","spans":[]}`, Options{TextColumn: "t"}, 1,
			"`text_column`: there is no key \"t\""},
		{"no spans key", "f.jsonl", `{"text":"b"}`, Options{}, 1,
			"no key has a name that is known for tags (spans, entities, labels, label, ents)"},
		// Spans.
		{"not on a word", "f.jsonl", text(`[0,1,"X"]`), strict, 1,
			`the span "X" from 0 to 1 does not begin and end with a word`},
		{"overlapping", "f.jsonl", text(`[0,5,"X"],[3,5,"Y"]`), strict, 1,
			`the span "Y" shares the word "cd" with another one`},
		{"behind the end", "f.jsonl", `{"text":"é é","spans":[[0,5,"X"]]}`, Options{}, 1,
			`the span "X" from 0 to 5 is not a part of the text, which has 3 characters (offsets count code points from 0, ` +
				`not bytes; the end is exclusive)`},
		{"before the beginning", "f.jsonl", text(`[-1,2,"X"]`), Options{}, 1, "from -1 to 2 is not a part"},
		{"backwards", "f.jsonl", text(`[2,1,"X"]`), Options{}, 1, "from 2 to 1 is not a part"},
		{"empty span", "f.jsonl", text(`[2,2,"X"]`), Options{}, 1, "from 2 to 2 is not a part"},
		{"only a space", "f.jsonl", text(`[2,3,"X"]`), Options{}, 1, `the span "X" from 2 to 3 holds no word, only spaces`},
		{"empty label", "f.jsonl", text(`[0,2," "]`), Options{}, 1, "the label of the span from 0 to 2 is empty"},
		{"label is a number", "f.jsonl", text(`[0,2,1]`), Options{}, 1, `span 1 of "spans": its label is "1", not a string`},
		{"start is text", "f.jsonl", text(`["0",2,"X"]`), Options{}, 1, `its start is "\"0\"", not a number of characters`},
		{"end is a fraction", "f.jsonl", text(`[0,2.0,"X"]`), Options{}, 1, `its end is "2.0", not a number of characters`},
		{"end is huge", "f.jsonl", text(`[0,99999999999999999999,"X"]`), Options{}, 1, "not a number of characters"},
		{"a pair", "f.jsonl", text(`[0,2]`), Options{}, 1, `span 1 of "spans": it is "[0,2]", not [start, end, label]`},
		{"no end", "f.jsonl", text(`{"start":0,"label":"X"}`), Options{}, 1, `it has no "end" (or "end_offset")`},
		{"no label", "f.jsonl", text(`{"start":0,"end":2}`), Options{}, 1, `it has no "label" (or "type", "entity_group", `},
		{"a key twice in a span", "f.jsonl", text(`{"start":0,"start":1,"end":2,"label":"X"}`), Options{}, 1,
			`the key "start" is there twice`},
		{"a span is a string", "f.jsonl", text(`"X"`), Options{}, 1, "neither an object like"},
		{"spans are an object", "f.jsonl", `{"text":"a","spans":{}}`, Options{}, 1, `"spans" is "{}", not a list`},
		{"text is a list", "f.jsonl", `{"text":["a"],"spans":[]}`, Options{}, 1, `"text" is "[\"a\"]", not a string`},
		// User input.
		{"user input is text", "f.json", `[{"userInput":"a"}]`, Options{}, 1, `the row has no "userInput" that is an object`},
		{"no user input", "f.json", "[{\"userInput\":{\"text\":\"a\"}},\n{\"labels\":[]}]", Options{}, 2,
			`the row has no "userInput"`},
		{"no text in user input", "f.json", `[{"userInput":{}}]`, Options{}, 1, `"userInput": the row has no "text"`},
		{"no slot", "f.json", slot(`{"valueSpan":{"endIndex":1}}`), Options{}, 1,
			`element 1 of "labels": it has no "slot" with a "valueSpan"`},
		{"no span", "f.json", slot(`{"slot":"a"}`), Options{}, 1, `with a "valueSpan" that is an object`},
		{"no end index", "f.json", slot(`{"slot":"a","valueSpan":{}}`), Options{}, 1, `its "valueSpan" has no "endIndex"`},
		{"slot behind the end", "f.json", slot(`{"slot":"a","valueSpan":{"endIndex":6}}`), Options{}, 1,
			"from 0 to 6 is not a part of the text"},
		{"a label is a string", "f.json", slot(`"a"`), Options{}, 1, `element 1 of "labels": it is "\"a\"", not an object`},
		// JSON itself.
		{"cut", "f.jsonl", "{\"tokens\":[\"a\"],\"tags\":[\"O\"]}\n{\"tok", Options{}, 2,
			"the last line ends in the middle of a row"},
		{"a list that is cut", "f.json", "[{\"tokens\":[\"a\"],\"tags\":[\"O\"]},\n{\"tok", Options{}, 2,
			"the file ends before its JSON does"},
		{"a row of a list is not an object", "f.json", "[{\"tokens\":[\"a\"],\"tags\":[\"O\"]},\n\n3]", Options{}, 3,
			"the row is a number, not an object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, err := ReadBytes([]byte(tt.content), tt.file, tt.options)
			if err == nil {
				t.Fatalf("no error, but %+v", slices.Collect(table.Values()))
			}
			var e *data.Error
			if !errors.As(err, &e) || errors.Is(err, data.ErrOption) {
				t.Fatalf("not an error about the file: %v", err)
			}
			if e.File != tt.file || e.Line != tt.line {
				t.Errorf("at %s:%d, want %s:%d", e.File, e.Line, tt.file, tt.line)
			}
			if s := err.Error(); !strings.HasPrefix(s, "data: "+tt.file+":") || !strings.Contains(s, tt.want) ||
				strings.ContainsAny(s, "\n\r") {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	tests := []struct {
		name, file string
		options    Options
		want       string
	}{
		{"format", "f.conll", Options{Format: "xml"}, `format "xml" is none of conll, conllu, csv, tsv, jsonl, txt`},
		{"unknown ending", "f.tsv", Options{},
			"(.conll, .conllu, .jsonl, .txt, or .csv and .tsv with a column for the sentence); it looks like `format jsonl`"},
		{"negative limit", "f.conll", Options{MaxSamples: -1}, "negative: -1"},
		{"same columns", "f.conll", Options{TokensColumn: "1", TagsColumn: "1"}, `two of the columns are the same ("1")`},
		{"text is spans", "f.jsonl", Options{TextColumn: "a", TagsColumn: "a"}, `the same ("a")`},
		{"words and text", "f.jsonl", Options{TextColumn: "a", TokensColumn: "b"}, "name only one"},
		{"tags that are not read", "f.jsonl", Options{TagsColumn: "a", NoLabels: true}, "no tags are read"},
		{"delimiter is a newline", "f.conll", Options{Delimiter: '\n'}, "cannot be a delimiter"},
		{"delimiter for CoNLL-U", "f.conllu", Options{Delimiter: ' '},
			"`delimiter` has no meaning for f.conllu, which is read as conllu"},
		{"delimiter for JSON", "f.jsonl", Options{Delimiter: ' '}, "`delimiter` has no meaning"},
		{"text column for CoNLL", "f.conll", Options{TextColumn: "a"}, "`text_column` has no meaning"},
		{"columns of plain text", "f.txt", Options{TokensColumn: "a", NoLabels: true}, "`tokens_column` has no meaning"},
		{"tags of plain text", "f.txt", Options{}, "has no tags (use `format conll` if it has a word in every line)"},
		{"CoNLL-U, no such column", "f.conllu", Options{TagsColumn: "POS"},
			"`tags_column`: \"POS\" is not a column of CoNLL-U: ID, FORM"},
		{"CoNLL-U, column 10", "f.conllu", Options{TokensColumn: "10"}, "`tokens_column`: \"10\" is not a column"},
		{"CoNLL-U, words are tags", "f.conllu", Options{TagsColumn: "form"}, "words and tags are the same column (FORM)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBytes([]byte("{\"a\":1}\n"), tt.file, tt.options)
			if !errors.Is(err, data.ErrOption) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an option error with %q", err, tt.want)
			}
		})
	}
	ten := strings.Repeat("a\t", 9) + "a\n"
	for _, tt := range []struct {
		content, want string
		o             Options
	}{
		{"a\tO\n", "conll", Options{}}, {"a O\n", "conll", Options{}}, {ten, "conllu", Options{}},
		{"# sent_id = 1\n", "conllu", Options{}},
		{" [{", "jsonl", Options{}}, {"Go on", "txt", Options{NoLabels: true}},
	} {
		_, err := ReadBytes([]byte(tt.content), "f.dat", tt.o)
		if !errors.Is(err, data.ErrOption) || !strings.HasSuffix(err.Error(), "`format "+tt.want+"`") {
			t.Errorf("%q: %v, want `format %s`", tt.content, err, tt.want)
		}
	}
	if _, err := ReadBytes(nil, "f.dat", Options{}); err == nil || !strings.Contains(err.Error(), "the file is empty") {
		t.Errorf("an empty file without a known ending: %v", err)
	}
}

func TestBadTokenFiles(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{filepath.Join(dir, "no.conll"): "there is no such file",
		dir: "this is a directory"} {
		_, err := Read(path, Options{})
		var e *data.Error
		if !errors.As(err, &e) || e.File != path || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	path := filepath.Join(dir, "f.conll")
	if err := os.WriteFile(path, []byte("a O\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if table, err := Read(path, Options{}); err != nil || table.Name != path || table.Len() != 1 {
		t.Errorf("%+v, %v", table, err)
	}
	broken := errors.New("broken disk")
	for _, file := range []string{"f.conll", "f.conllu", "f.jsonl", "f.txt"} {
		for _, content := range []string{"", "a O\n", "1\ta\t_\tX\t_\t_\t_\t_\t_\t_\n", "{\"tokens\":[\"a\"]}\n", "["} {
			_, err := ReadFrom(io.MultiReader(strings.NewReader(content), iotest.ErrReader(broken)), file,
				Options{OptionalLabels: true})
			var e *data.Error
			if !errors.As(err, &e) {
				t.Errorf("%s, %q: %v, want an *Error", file, content, err)
			}
		}
	}
}

// Bytes that are not UTF-8 are replaced if asked for.
func TestReplacedTokens(t *testing.T) {
	table := readTokens(t, "f.conll", "caf\xE9 O\nb O\n", Options{ReplaceInvalid: true})
	if got := tagged(table); got[0] != "caf\uFFFD/O b/O" || table.Replaced != 1 {
		t.Errorf("%q, %d replaced", got, table.Replaced)
	}
}
