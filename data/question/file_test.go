package question

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func readQuestions(t *testing.T, file, content string, o Options) *File {
	t.Helper()
	q, err := ReadBytes([]byte(content), file, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// squadOf writes questions about one context as SQuAD JSON.
func squadOf(context string, qas ...string) string {
	return fmt.Sprintf(`{"data":[{"title":"t","paragraphs":[{"qas":[%s],"context":%q}]}],"version":"1.1"}`,
		strings.Join(qas, ","), context)
}

func TestRead(t *testing.T) {
	blue := Question{ID: "1", Question: "what?", Context: "the sky is blue", Answers: []Answer{{"blue", 11}},
		Labelled: true, Line: 1}
	none := Question{ID: "2", Question: "why?", Context: "the sky is blue", Impossible: true, Labelled: true, Line: 1}
	at := func(q Question, line int) Question { q.Line = line; return q }
	empty := func(q Question) Question { q.Answers = []Answer{}; return q }
	none = empty(none)
	const (
		qaBlue = `{"id":"1","question":"what?","answers":[{"text":"blue","answer_start":11}]}`
		qaNone = `{"id":"2","question":"why?","is_impossible":true,"answers":[],"plausible_answers":[{"text":"blue",` +
			`"answer_start":11}]}`
		row = `{"id":"1","title":"t","context":"the sky is ` +
			`blue","question":"what?","answers":{"text":["blue"],"answer_start":[11]}}`
		open = `{"question":"what?","context":"the sky is blue"}`
	)
	bare := Question{ID: "1", Question: "what?", Context: "the sky is blue", Line: 1}
	for _, tt := range []struct {
		name, file, content string
		options             Options
		format              data.Format
		want                []Question
	}{
		{"SQuAD", "f.json", squadOf("the sky is blue", qaBlue, qaNone), Options{}, SQuAD, []Question{blue, none}},
		{"SQuAD, context first, other keys", "f.json",
			`{"version":"v2.0","data":[{"paragraphs":[{"index":1,"summary":["x"],"context":"the sky is blue","qas":[` + qaBlue +
				`]}]}]}`,
			Options{}, SQuAD, []Question{blue}},
		{"SQuAD over lines, mark, CRLF", "f.json",
			"\xEF\xBB\xBF{\r\n\"data\": [\r\n{\"paragraphs\": [\r\n{\"context\": \"the sky is blue\",\r\n\"qas\":[\r\n" +
				qaBlue + ",\r\n" + qaNone + "\r\n]}]}]}\r\n",
			Options{}, SQuAD, []Question{at(blue, 6), at(none, 7)}},
		{"SQuAD of another name", "train-v1.1", squadOf("the sky is blue", qaBlue), Options{Format: SQuAD}, SQuAD,
			[]Question{blue}},
		{"SQuAD from standard input", "-", squadOf("the sky is blue", qaBlue), Options{}, SQuAD, []Question{blue}},
		{"SQuAD, rows as data", "f.json", `{"data":[` + row + `]}`, Options{}, SQuAD, []Question{blue}},
		{"SQuAD, an empty paragraph and article", "f.json",
			`{"data":[{"paragraphs":[]},{"paragraphs":[{"context":"","qas":[]},{"context":"the sky is blue","qas":[` + qaBlue +
				`]}]}]}`,
			Options{}, SQuAD, []Question{blue}},
		{"SQuAD, limit before a fault", "f.json",
			strings.Replace(squadOf("the sky is blue", qaBlue, qaNone), `]}],"version"`, `]},"x`, 1), Options{MaxSamples: 1},
			SQuAD, []Question{blue}},
		{"SQuAD without ids", "f.json", squadOf("the sky is blue", open), Options{NoLabels: true}, SQuAD, []Question{bare}},
		{"JSON Lines", "f.jsonl", row + "\n\n" +
			strings.NewReplacer(`"1"`, `"2"`, "what", "why", `["blue"]`, "[]", "[11]", "[]").Replace(row), Options{},
			data.JSONLines, []Question{blue, at(none, 3)}},
		{"a JSON list", "f.json", "[" + row + "]", Options{}, data.JSONLines, []Question{blue}},
		{"JSON Lines in .json", "f.json", row, Options{}, data.JSONLines, []Question{blue}},
		{"JSON Lines, list of answers, number as id", "f.jsonl",
			`{"ID":1,"Question":"what?","context":"the sky is blue","answers":[{"answer_start":11,"text":"blue","x":1}]}`,
			Options{}, data.JSONLines, []Question{blue}},
		{"JSON Lines, names given", "f.jsonl",
			`{"n":"1","q":"what?","c":"the sky is blue","a":[{"answer_start":11,"text":"blue"}],"question":1,"context":2}`,
			Options{IDColumn: "n", QuestionColumn: "q", ContextColumn: "c", AnswersColumn: "a"}, data.JSONLines,
			[]Question{blue}},
		{"JSON Lines, impossible without answers", "f.jsonl",
			`{"id":"2","question":"why?","context":"the sky is blue","is_impossible":true}` + "\n" + row, Options{},
			data.JSONLines,
			[]Question{none, at(blue, 2)}},
		{"impossible, answers are null", "f.jsonl",
			`{"id":"2","question":"why?","context":"the sky is blue","is_impossible":true,"answers":null}`,
			Options{OptionalLabels: true}, data.JSONLines,
			[]Question{none}},
		{"SQuAD, impossible without answers", "f.json",
			squadOf("the sky is blue", `{"id":"2","question":"why?","is_impossible":true}`), Options{}, SQuAD, []Question{none}},
		{"no answers", "f.jsonl", open, Options{OptionalLabels: true}, data.JSONLines, []Question{bare}},
		{"answers in a later row", "f.jsonl",
			open + "\n" + `{"question":"q","context":"ab","answers":[{"text":"b","answer_start":1}]}`,
			Options{OptionalLabels: true}, data.JSONLines,
			[]Question{bare, {ID: "2", Question: "q", Context: "ab", Answers: []Answer{{"b", 1}}, Labelled: true, Line: 2}}},
		{"answers are null", "f.jsonl", `{"question":"what?","context":"the sky is blue","answers":null}`,
			Options{OptionalLabels: true}, data.JSONLines, []Question{bare}},
		{"answers not read", "f.jsonl", `{"question":"what?","context":"the sky is blue","answers":7}`,
			Options{NoLabels: true}, data.JSONLines, []Question{bare}},
		{"limit", "f.jsonl", row + "\n{", Options{MaxSamples: 1}, data.JSONLines, []Question{blue}},
		{"invalid bytes replaced", "f.jsonl", "{\"question\":\"caf\xE9\",\"context\":\"a\"}",
			Options{NoLabels: true, ReplaceInvalid: true}, data.JSONLines,
			[]Question{{ID: "1", Question: "caf\uFFFD", Context: "a", Line: 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := readQuestions(t, tt.file, tt.content, tt.options)
			if q.Format != tt.format || !reflect.DeepEqual(slices.Collect(q.Values()), tt.want) {
				t.Errorf("got  %v %+v\nwant %v %+v", q.Format, slices.Collect(q.Values()), tt.format, tt.want)
			}
			if q.Misplaced != 0 {
				t.Errorf("%d misplaced answers", q.Misplaced)
			}
		})
	}
}

// An answer that is not where its answer_start says goes to its only place, or to the
// place that another unit of counting explains, or nowhere; it is never dropped.
func TestMisplacedAnswers(t *testing.T) {
	const context = "😀 é is an e, an e" // the second "an e" is at code point 13, byte 17, unit 14
	for _, tt := range []struct {
		name, text                            string
		start, want                           int
		misplaced, inBytes, inUTF16, unplaced int
		strict                                string
	}{
		{"code points", "an e", 13, 13, 0, 0, 0, 0, ""},
		{"the first of two", "an e", 7, 7, 0, 0, 0, 0, ""},
		{"to the very end", context, 0, 0, 0, 0, 0, 0, ""},
		{"bytes", "an e", 17, 13, 1, 1, 0, 0, "if bytes of UTF-8 are counted: in code points, as Python counts, it is 13"},
		{"units", "an e", 14, 13, 1, 0, 1, 0,
			"if units of UTF-16 are counted, as JavaScript and Java do: in code points it is 13"},
		{"the only place", "is", 0, 4, 1, 0, 0, 0, "the context has it at 4 only"},
		{"two places", "an e", 0, -1, 1, 0, 0, 1, "the context has it at 2 places"},
		{"behind the end", "an e", 1 << 40, -1, 1, 0, 0, 1, "the context has it at 2 places"},
		{"not there", "an E", 7, -1, 1, 0, 0, 1, `the context does not have it; it has "an e, an e" there`},
		{"not there, negative", "An", -1, -1, 1, 0, 0, 1, "the context does not have it"},
		{"longer than the rest", "an e, an e.", 7, -1, 1, 0, 0, 1, "it has"},
		{"inside a character", "an e", 15, -1, 1, 0, 0, 1, "2 places"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			content := squadOf(context, fmt.Sprintf(`{"id":"x","question":"?","answers":[{"text":%q,"answer_start":%d}]}`,
				tt.text, tt.start))
			q := readQuestions(t, "f.json", content, Options{})
			if got := q.At(0).Answers; len(got) != 1 || got[0] != (Answer{tt.text, tt.want}) || q.At(0).Impossible {
				t.Errorf("got %+v, want %q at %d", q.At(0), tt.text, tt.want)
			}
			if got := [4]int{q.Misplaced, q.InBytes, q.InUTF16, q.Unplaced}; got != [4]int{tt.misplaced, tt.inBytes, tt.inUTF16,
				tt.unplaced} {
				t.Errorf("counted %v", got)
			}
			placed := q.WithPlaces()
			if placed.Len() != 1-tt.unplaced || placed.Dropped != tt.unplaced {
				t.Errorf("%d questions can be learned", placed.Len())
			}
			_, err := ReadBytes([]byte(content), "f.json", Options{Strict: true})
			if tt.misplaced == 0 && err != nil {
				t.Errorf("strict: %v", err)
			}
			var e *data.Error
			if tt.misplaced > 0 && (!errors.As(err, &e) || e.Line != 1 ||
				!strings.Contains(err.Error(), fmt.Sprintf(`question "x": the answer %q is not at its answer_start %d`, tt.text,
					tt.start)) ||
				!strings.Contains(err.Error(), tt.strict)) {
				t.Errorf("strict: got %v, want %s", err, tt.strict)
			}
		})
	}
}

// One answer without a place leaves the others, and strict mode counts all.
func TestMisplacedAmongOthers(t *testing.T) {
	content := squadOf("a b a",
		`{"id":"1","question":"?","answers":[{"text":"a","answer_start":1},{"text":"b","answer_start":2},{"text":"b",`+
			`"answer_start":0}]}`,
		`{"id":"2","question":"?","answers":[{"text":"a","answer_start":3}]}`, `{"id":"3","question":"?","answers":[]}`)
	q := readQuestions(t, "f.json", content, Options{})
	if a, ok := q.At(0).Place(); !ok || a != (Answer{"b", 2}) || a.End() != 3 {
		t.Errorf("learned is %+v", a)
	}
	if _, ok := q.At(1).Place(); ok || q.At(1).Answers[0].End() != -1 {
		t.Error("an answer of two places has a place")
	}
	if got := q.WithPlaces(); got.Len() != 2 || got.At(1).ID != "3" || got.Dropped != 1 {
		t.Errorf("can be learned: %+v", slices.Collect(got.Values()))
	}
	var got []string
	for _, w := range Warnings(q.WithPlaces(), nil, nil) {
		got = append(got, w.String())
	}
	want := []string{"f.json: 3 answers of the whole file not at answer_start, which counts code points: 1 moved to " +
		"where the context has the text, 2 without a certain place, which count in scores but are not learned",
		"f.json: 1 question without an answer whose place is known, which were left out",
		"f.json:1: 1 row with the question and context of one before"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	_, err := ReadBytes([]byte(content), "f.json", Options{Strict: true})
	if err == nil || !strings.Contains(err.Error(), "(and 2 rows more like this)") {
		t.Errorf("strict: %v", err)
	}
}
