package question

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// TestBadQuestions holds the message for every kind of broken file: each names the
// file, the line and the question, what was found, and what to do.
func TestBadQuestions(t *testing.T) {
	const good = `{"id":"1","question":"q","answers":[{"text":"a","answer_start":0}]}`
	row := func(rest string) string { return `{"id":"1","question":"q","context":"a",` + rest + `}` }
	for _, tt := range []struct {
		name, file, content string
		line                int
		want                string
	}{
		{"empty", "f.json", "", 0, "the file is empty"},
		{"empty JSON Lines", "f.jsonl", "", 0, "the file is empty"},
		{"blank", "f.jsonl", "\n\n", 0, "the file has no questions"},
		{"blank JSON", "f.json", "\n \n", 0, "the file has no questions"},
		{"no questions", "f.json", squadOf("a"), 0, "the file has no questions"},
		{"no articles", "f.json", `{"data":[]}`, 0, "the file has no questions"},
		{"UTF-16", "f.json", "\xFF\xFEa\x00", 0, "UTF-16"},
		{"gzip", "f.json", "\x1F\x8B\x08", 0, "gzip"},
		{"Latin-1", "f.json", "{\"data\":\n[\"caf\xE9\"]}", 2, "is 0xE9, which is not UTF-8"},
		{"NUL", "f.json", "{\"data\":\n[\"\x00\"]}", 2, "is NUL"},
		{"half a surrogate pair", "f.json", "{\"data\":\n[{\"paragraphs\":[{\"context\":\"\\ud83d\"}]}]}", 2,
			`\ud83d is half of a surrogate pair`},
		{"a list", "f.json", `[{"data":[]}]`, 1, `there is no key "question"`},
		{"truncated", "f.json", "{\"data\":[\n{\"paragraphs\":[{\"context\":\"a\",\"qas\":[" + good, 2,
			"the file ends in the middle of its JSON"},
		{"trailing comma", "f.json", "{\"data\":[\n{\"paragraphs\":[{\"context\":\"a\",\n\"qas\":[" + good + ",]}]}]}", 3,
			"article 1, paragraph 1: not JSON"},
		{"two objects", "f.json", squadOf("a", good) + "\n" + squadOf("a", good), 2,
			"follows the object: SQuAD JSON is one object"},
		{"data twice", "f.json", `{"data":[],"data":[]}`, 1, `the key "data" is there twice`},
		{"article is a string", "f.json", `{"data":["a"]}`, 1, "article 1: the article is a string, not an object"},
		{"article without paragraphs", "f.json", `{"data":[{"paragraphs":[]},{"title":"x"}]}`, 1,
			`article 2: it has no "paragraphs"`},
		{"paragraphs are an object", "f.json", `{"data":[{"paragraphs":{}}]}`, 1,
			`article 1: "paragraphs" is an object, not a list`},
		{"paragraph is null", "f.json", `{"data":[{"paragraphs":[null]}]}`, 1,
			"article 1, paragraph 1: the paragraph is null, not an object"},
		{"no context", "f.json", `{"data":[{"paragraphs":[{"qas":[]}]}]}`, 1, `paragraph 1: it has no "context"`},
		{"no qas", "f.json", `{"data":[{"paragraphs":[{"context":"a"}]}]}`, 1, `paragraph 1: it has no "qas"`},
		{"context twice", "f.json", `{"data":[{"paragraphs":[{"context":"a","context":"a"}]}]}`, 1,
			`paragraph 1: the key "context" is there twice`},
		{"context is a number", "f.json", `{"data":[{"paragraphs":[{"context":1,"qas":[` + good + `]}]}]}`, 1,
			`question 1 (id "1"): "context" is "1", not a string`},
		{"question is a list", "f.json", squadOf("a", "[]"), 1, "article 1, paragraph 1: question 1: the row is a list"},
		{"key twice in a question", "f.json", squadOf("a", `{"id":"1","id":"2"}`), 1, `the key "id" is there twice`},
		{"no question", "f.json", squadOf("a", good, `{"id":"2"}`), 1, `question 2 (id "2"): it has no "question"`},
		{"id missing later", "f.json", squadOf("a", good, `{"question":"q","answers":[]}`), 1,
			`question 2: it has no "id", but the first question of the file has one: give all questions an id, or none`},
		{"id later only", "f.json", strings.ReplaceAll(squadOf("a", `{"question":"q","answers":[]}`, good), ",{", ",\n{"), 2,
			`question 2 (id "1"): it has an id, but the first question of the file has none: give all questions an id, or none`},
		{"id missing later, rows", "f.jsonl", row(`"answers":[]`) + "\n" + `{"question":"q","context":"a","answers":[]}`, 2,
			`the row has no "id", but the first question of the file has one`},
		{"id later only, rows", "f.jsonl",
			`{"question":"q","context":"a","answers":[]}` + "\n" + strings.Replace(row(`"answers":[]`), "id", "ID", 1), 2,
			"the row has an id, but the first question of the file has none"},
		{"id twice", "f.json", strings.ReplaceAll(squadOf("a", good, good), ",{", ",\n{"), 2,
			`question 2 (id "1"): the id "1" is that of the question at line 1`},
		{"no answers", "f.json", squadOf("a", `{"id":"1","question":"q"}`), 1,
			`it has no "answers" (an empty list says that the context has no answer)`},
		{"impossible with answers", "f.json", squadOf("a", good[:len(good)-1]+`,"is_impossible":true}`), 1,
			`"is_impossible" is true, but there are answers: "a"`},
		{"is_impossible is a number", "f.json", squadOf("a", good[:len(good)-1]+`,"is_impossible":1}`), 1,
			`"is_impossible" is "1", not true or false`},
		{"blank answer", "f.json", squadOf("a", `{"id":"1","question":"q","answers":[{"text":"","answer_start":-1}]}`), 1,
			"answer 1: the text is blank; a question without an answer has an empty list"},
		{"row among articles", "f.json", `{"data":[{"id":"1","question":"q","answers":[]}]}`, 1,
			`article 1: (id "1"): it has no "context"`},
		{"id twice, rows", "f.jsonl", row(`"answers":[]`) + "\n" + row(`"answers":[]`), 2,
			`the id "1" is that of the question at line 1`},
		{"id is empty", "f.jsonl", strings.Replace(row(`"answers":[]`), `"1"`, `""`, 1), 1, `"id" is empty`},
		{"id is null", "f.jsonl", strings.Replace(row(`"answers":[]`), `"1"`, `null`, 1), 1, `"id" is "null", not a string`},
		{"no answers, rows", "f.jsonl", `{"question":"q","context":"a"}`, 1,
			"there is no key \"answers\"; say which has the answers with `answers_column`; there is \"question\", \"context\""},
		{"answers under another key", "f.jsonl", row(`"is_impossible":false,"a":[]`), 1,
			"the row has no \"answers\" (an empty list says that the context has no answer); if another key has the answers, " +
				"say which with `answers_column`"},
		{"not impossible later", "f.jsonl",
			row(`"is_impossible":true`) + "\n" + strings.Replace(row(`"is_impossible":false`), `"1"`, `"2"`, 1), 2,
			`the row has no "answers"`},
		{"answers are null", "f.jsonl", row(`"answers":null`), 1, `the row has no "answers"`},
		{"no context, rows", "f.jsonl", `{"question":"q","answers":[]}`, 1,
			"there is no key \"context\"; say which has the context with `context_column`"},
		{"answers are a string", "f.jsonl", row(`"answers":"a"`), 1, `"answers": it is "\"a\"";`},
		{"no texts", "f.jsonl", row(`"answers":{"answer_start":[1]}`), 1, `"answers": it has no "text"`},
		{"text is a string", "f.jsonl", row(`"answers":{"text":"a","answer_start":[0]}`), 1,
			`"text" is "\"a\"", not a list of strings`},
		{"text is null", "f.jsonl", row(`"answers":{"text":[null],"answer_start":[0]}`), 1, `text 1 is null`},
		{"numbers as texts", "f.jsonl", row(`"answers":{"text":[1],"answer_start":[0]}`), 1,
			`"text" is "[1]", not a list of strings`},
		{"unequal lists", "f.jsonl", row(`"answers":{"text":["a"],"answer_start":[0,1]}`), 1,
			`1 of "text" but 2 of "answer_start"`},
		{"start is a string", "f.jsonl", row(`"answers":{"text":["a"],"answer_start":["0"]}`), 1,
			`"answer_start" is "\"0\"", not an integer`},
		{"start is a fraction", "f.jsonl", row(`"answers":{"text":["a"],"answer_start":[0.5]}`), 1,
			`"answer_start" is "0.5", not an integer`},
		{"start is too large", "f.jsonl", row(`"answers":{"text":["a"],"answer_start":[9223372036854775808]}`), 1,
			`not an integer`},
		{"answer is a string", "f.jsonl", row(`"answers":["a"]`), 1, `answer 1: it is "\"a\"", not an object`},
		{"answer without a start", "f.jsonl", row(`"answers":[{"text":"a"}]`), 1, `answer 1: it has no "answer_start"`},
		{"answer without a text", "f.jsonl", row(`"answers":[{"answer_start":0}]`), 1, `answer 1: it has no "text"`},
		{"key twice in an answer", "f.jsonl", row(`"answers":[{"text":"a","text":"a"}]`), 1, `the key "text" is there twice`},
		{"truncated row", "f.jsonl", row(`"answers":[]`) + "\n{\"id", 2, "the last line ends in the middle of a row"},
		{"SQuAD as JSON Lines", "f.jsonl", squadOf("a", good), 1,
			"there is no key \"question\"; say which has the question with `question_column`; there is \"data\", \"version\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := ReadBytes([]byte(tt.content), tt.file, Options{})
			if err == nil {
				t.Fatalf("no error, but %+v", slices.Collect(q.Values()))
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
	_, err := ReadBytes([]byte(`[]`), "f.json", Options{Format: SQuAD})
	if err == nil || !strings.Contains(err.Error(), "the file is a list, not an object") {
		t.Errorf("a list as SQuAD: %v", err)
	}
	_, err = ReadBytes([]byte(row(`"answers":[]`)), "f.json", Options{Format: SQuAD})
	if err == nil || !strings.Contains(err.Error(), `the object has no "data"`) {
		t.Errorf("a row as SQuAD: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		options    Options
		want       string
	}{
		{"format", "f.json", Options{Format: data.CSV}, "is none of squad, jsonl"},
		{"CSV", "f.csv", Options{}, "not from .csv files"},
		{"unknown ending", "train-v2.0", Options{}, "use `format squad` or jsonl"},
		{"negative limit", "f.json", Options{MaxSamples: -1}, "negative"},
		{"two columns are one", "f.jsonl", Options{ContextColumn: "a", QuestionColumn: "a"}, "are the same"},
		{"columns of SQuAD", "f.json", Options{ContextColumn: "a"}, "whose keys have fixed names"},
		{"strict without labels", "f.json", Options{NoLabels: true, Strict: true}, "where no answers are read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBytes([]byte(squadOf("a")), tt.file, tt.options)
			if !errors.Is(err, data.ErrOption) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	_, err := ReadBytes([]byte(`{"question":"q","context":"a"}`), "f.jsonl", Options{IDColumn: "ID"})
	var e *data.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "`id_column`: there is no key \"ID\"") {
		t.Errorf("a key that is not there: %v", err)
	}
	for path, want := range map[string]string{"": "is empty", "testdata/none.json": "there is no such file",
		"..": "this is a directory"} {
		if _, err := Read(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", path, err, want)
		}
	}
}

// What changes what is learned changes the hash; how the file is written does not.
func TestQuestionsHash(t *testing.T) {
	hash := func(file, content string) string {
		return readQuestions(t, file, content, Options{OptionalLabels: true}).Hash()
	}
	const a = `{"id":"%d","question":"q","answers":[{"text":"a","answer_start":%d}]}`
	same := hash("f.json", squadOf("aa", fmt.Sprintf(a, 1, 1)))
	for _, content := range []string{
		`{"context":"aa","question":"q","answers":{"text":["a"],"answer_start":[1]},"x":0}`,
		"\n" + `{"id":"7","question":"q","context":"a\u0061","answers":[{"answer_start":1,"text":"a"}]}`,
	} {
		if hash("f.jsonl", content) != same {
			t.Errorf("%q has another hash", content)
		}
	}
	seen := map[string]string{same: ""}
	for _, content := range []string{
		squadOf("aa", fmt.Sprintf(a, 1, 0)), squadOf("aab", fmt.Sprintf(a, 1, 1)),
		squadOf("aa", fmt.Sprintf(a, 1, 1), fmt.Sprintf(a, 2, 1)),
		squadOf("aa", `{"question":"q","answers":[]}`), squadOf("aa", `{"question":"q"}`),
		squadOf("aa", `{"question":"qa","answers":[]}`),
		squadOf("aa", `{"question":"q","answers":[{"text":"a","answer_start":1},{"text":"a","answer_start":1}]}`),
	} {
		h := hash("f.json", content)
		if before, ok := seen[h]; ok {
			t.Errorf("%q and %q have one hash", content, before)
		}
		seen[h] = content
	}
	q := readQuestions(t, "f.json", squadOf("aa", fmt.Sprintf(a, 1, 0), fmt.Sprintf(a, 2, 1)), Options{})
	if l := q.Limit(1); l.Len() != 1 || q.Len() != 2 || q.Limit(0).Len() != 2 || q.Limit(5).Len() != 2 {
		t.Errorf("limited to %d", l.Len())
	}
}

// askAbout makes questions about contexts; sizes has the number of questions of each.
func askAbout(sizes ...int) *File {
	q := New("f.json")
	for c, n := range sizes {
		for range n {
			q.Append(Question{ID: fmt.Sprint(q.Len()), Context: fmt.Sprint("context ", c), Line: q.Len() + 1})
		}
	}
	return q
}

func TestQuestionsSplitOff(t *testing.T) {
	for _, tt := range []struct {
		sizes    []int
		fraction float64
		from, to int // questions that are held
	}{
		{[]int{5, 5, 5, 5}, 0.25, 5, 5},
		{slices.Repeat([]int{1}, 100), 0.1, 10, 10},
		{slices.Repeat([]int{7}, 100), 0.1, 67, 73},
		{[]int{90, 10}, 0.1, 10, 10}, // the large one would be further off
		{[]int{3, 90, 4, 3}, 0.1, 7, 10},
	} {
		for seed := range uint64(20) {
			q := askAbout(tt.sizes...)
			rest, held, err := q.SplitOff(tt.fraction, seed)
			if err != nil {
				t.Fatalf("%v: %v", tt.sizes, err)
			}
			if n := held.Len(); n < tt.from || n > tt.to || n+rest.Len() != q.Len() {
				t.Errorf("%v, %v, seed %d: %d of %d are held", tt.sizes, tt.fraction, seed, n, q.Len())
			}
			contexts := map[string]bool{}
			for e := range held.Values() {
				contexts[e.Context] = true
			}
			if slices.ContainsFunc(slices.Collect(rest.Values()), func(e Question) bool { return contexts[e.Context] }) {
				t.Errorf("%v: a context is on both sides", tt.sizes)
			}
			if _, again, _ := q.SplitOff(tt.fraction, seed); !reflect.DeepEqual(again, held) {
				t.Error("the same seed splits in another way")
			}
		}
	}
	_, held, _ := askAbout(2, 1, 3, 1, 2, 2).SplitOff(0.3, 42)
	var lines []int
	for e := range held.Values() {
		lines = append(lines, e.Line)
	}
	if want := []int{3, 8, 9}; !slices.Equal(lines, want) { // part of what makes runs repeatable: must never change
		t.Errorf("held are %v, want %v", lines, want)
	}
	for _, fraction := range []float64{0, 1, -1, 2} {
		if _, _, err := askAbout(5, 5).SplitOff(fraction, 1); !errors.Is(err, data.ErrOption) {
			t.Errorf("fraction %v: %v", fraction, err)
		}
	}
	if _, _, err := askAbout(10).SplitOff(0.5, 1); !errors.Is(err, data.ErrOption) ||
		!strings.Contains(err.Error(), "10 questions about 1 context cannot be split") {
		t.Errorf("one context: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	ask := func(name string, q ...string) *File {
		out := New(name)
		for i := 0; i < len(q); i += 2 {
			out.Append(Question{Question: q[i], Context: q[i+1], Line: i/2 + 1})
		}
		return out
	}
	train := ask("train.json", "a", "x", "", "x", "a", "x", "b", "")
	train.Replaced = 2
	eval := ask("eval.json", "a", "y", "a", "x")
	var got []string
	for _, w := range Warnings(train, eval, nil) {
		got = append(got, w.String())
	}
	want := []string{
		"train.json: 2 lines with bytes that are not UTF-8, which were replaced",
		"train.json:2: 2 rows with an empty question or context",
		"train.json:3: 1 row with the question and context of one before",
		"eval.json:2: 1 row with a question and context that are also in train.json",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	units := New("f")
	units.Counts = Counts{Misplaced: 5, InBytes: 2, InUTF16: 1, Unplaced: 1}
	const message = "f: 5 answers of the whole file not at answer_start, which counts code points (2 would be if it " +
		"counted bytes of UTF-8) (1 would be if it counted units of UTF-16): " +
		"4 moved to where the context has the text, 1 without a certain place, which count in scores but are not learned"
	if w := Warnings(nil, units, nil); len(w) != 1 || w[0].String() != message {
		t.Errorf("got %v", w)
	}
}

// FuzzQuestions: every list that is read obeys the laws of questions, in both formats.
func FuzzQuestions(f *testing.F) {
	const row = `{"id":"1","question":"q","context":"é😀a","answers":{"text":["a"],"answer_start":[2]}}`
	for _, s := range []string{
		squadOf("a", `{"id":"1","question":"q","answers":[{"text":"a","answer_start":0}]}`), row, row + "\n" + row,
		`{"data":[` + row + `]}`, `{"data":[{"paragraphs":[{}]}]}`,
		`{"question":"q","context":"é😀a","answers":[{"text":"a","answer_start":6},{"text":"a","answer_start":3}]}`,
		`{"data":[[]]}`, `{"data":null}`, "{\n\"data\":[{\"title\":{}}]\r}",
		squadOf("a", `{"id":1,"question":"q","answers":[],"is_impossible":true}`), `{"version":1,"data":[`,
		`{"question":"q","context":"","answers":[{}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []Options{{}, {Format: data.JSONLines, OptionalLabels: true}, {Format: SQuAD, Strict: true}} {
			q, err := ReadBytes(content, "f.json", o)
			if err != nil {
				var e *data.Error
				if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) || e != nil && e.Line > len(content)+1 {
					t.Fatalf("the error %v is of no known kind", err)
				}
				continue
			}
			last, unplaced := 0, 0
			ids := map[string]bool{}
			for e := range q.Values() {
				if e.Line < last || e.Line > len(content)+1 || ids[e.ID] || !utf8.ValidString(e.Question+e.Context+e.ID) ||
					e.Impossible != (e.Labelled && len(e.Answers) == 0) {
					t.Fatalf("question %+v after line %d", e, last)
				}
				last, ids[e.ID] = e.Line, true
				for _, a := range e.Answers {
					if a.Start < 0 {
						unplaced++
					} else if string([]rune(e.Context)[a.Start:a.End()]) != a.Text {
						t.Fatalf("answer %+v is not in %q", a, e.Context)
					}
				}
			}
			if unplaced != q.Unplaced || q.Misplaced < q.Unplaced || o.Strict && q.Misplaced > 0 {
				t.Fatalf("%d answers without a place, %+v", unplaced, q)
			}
			Warnings(q, q.WithPlaces(), nil)
			if rest, held, err := q.SplitOff(0.3, 1); err == nil && rest.Len()+held.Len() != q.Len() {
				t.Fatal("a split lost questions")
			}
		}
	})
}
