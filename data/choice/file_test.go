package choice

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func readChoices(t *testing.T, file, content string, o Options) *File {
	t.Helper()
	c, err := ReadBytes([]byte(content), file, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ends(s ...string) []string { return s }

func TestRead(t *testing.T) {
	const swag = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label\n"
	ab := []Question{{Context: "c", Endings: ends("a", "b"), Label: 1, Line: 1}}
	asked := []Question{{Question: "q", Endings: ends("a", "b"), Label: 1, Line: 1}}
	whole := []Question{{Context: "c", Question: "q", Endings: ends("a", "b"), Label: 1, Line: 1}}
	second := func(list []Question) []Question {
		e := list[0]
		e.Line = 2
		return []Question{e}
	}
	minus, below := `{"question":"q","choices":["5","-1"],"label":"-1"}`,
		[]Question{{Question: "q", Endings: ends("5", "-1"), Label: 1, Line: 1}}
	named := `{"question":"q","choices":[{"text":"a","label":0},{"text":"b","label":-1}],"label":-1}`
	for _, tt := range []struct {
		name, file, content string
		options             Options
		want                []Question
	}{
		{"SWAG", "val.csv", swag + "0,v,1,One two,One,two,gold,a,\"b, c\",d,e,3\n", Options{},
			[]Question{{Context: "One", Question: "two", Endings: ends("a", "b, c", "d", "e"), Label: 3, Line: 2}}},
		{"a start phrase only", "f.csv", "startphrase,ending0,ending1,label\nc,a,b,1\n", Options{}, second(ab)},
		{"CODAH", "f.tsv", "o\tI say \"hi\". I\ta\tb\tc\td\t3\ni\tWe\ta\tb\t0\n", Options{Format: Codah},
			[]Question{{Context: "I say \"hi\". I", Endings: ends("a", "b", "c", "d"), Label: 3, Line: 1},
				{Context: "We", Endings: ends("a", "b"), Label: 0, Line: 2}}},
		{"CODAH by column numbers", "f.tsv", "o\tc\ta\tb\t1\n",
			Options{NoHeader: true, NoQuotes: true, ContextColumn: "1", ChoicesColumns: ends("2", "3"), LabelColumn: "4"}, ab},
		{"QASC", "f.jsonl",
			`{"id":"x1","question":{"stem":"q","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}]},` +
				`"answerKey":"B","fact1":"f"}`, Options{},
			[]Question{{ID: "x1", Question: "q", Endings: ends("a", "b"), Label: 1, Line: 1}}},
		{"QASC with a fact", "f.jsonl",
			`{"question":{"stem":"q","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}]},"answerKey":"B",` +
				`"fact1":"c"}`, Options{ContextColumn: "fact1"}, whole},
		{"ARC of the hub, choices called 1 and 2", "f.jsonl",
			`{"question":"q","choices":{"text":["a","b"],"label":["1","2"]},"answerKey":"2"}`, Options{}, asked},
		{"names of choices in another case", "f.jsonl",
			`{"question_stem":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"b"}`, Options{}, asked},
		{"numbers as names", "f.jsonl", `{"stem":"q","choices":[{"text":"a","label":3},{"text":"b","label":4}],"label":4}`,
			Options{}, asked},
		{"RACE of the hub", "f.jsonl", `{"example_id":"h1","article":"c","answer":"B","question":"q","options":["a","b"]}`,
			Options{}, whole},
		{"RACE, several questions", "f.jsonl",
			`{"answers":["B","A"],"options":[["a","b"],["c","d","e"]],"questions":["q","r"],"article":"x","id":"h1.txt"}`,
			Options{},
			[]Question{{ID: "h1.txt", Context: "x", Question: "q", Endings: ends("a", "b"), Label: 1, Line: 1},
				{ID: "h1.txt", Context: "x", Question: "r", Endings: ends("c", "d", "e"), Label: 0, Line: 1}}},
		{"RACE, several questions, the first only", "f.jsonl",
			`{"answers":["B","A"],"options":[["a","b"],["c","d"]],"questions":["q","r"],"article":"c"}`, Options{MaxSamples: 1},
			whole},
		{"RACE, without answers", "f.jsonl", `{"options":[["a","b"]],"questions":["q"],"article":"c"}`,
			Options{OptionalLabels: true},
			[]Question{{Context: "c", Question: "q", Endings: ends("a", "b"), Label: -1, Line: 1}}},
		{"one JSON object over lines", "f.json",
			"\n{\n \"answers\": [\"B\"],\n \"options\": [[\"a\", \"b\"]], \"questions\": [\"q\"], \"article\": \"c\"\n}\n",
			Options{}, second(whole)},
		{"a JSON list", "f.json", "[{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"label\":1},\n\n " +
			"{\"context\":\"c\",\n\"choices\":[\"a\",\"b\"],\"label\":0}]\n", Options{},
			[]Question{ab[0], {Context: "c", Endings: ends("a", "b"), Label: 0, Line: 3}}},
		{"a JSON list from standard input", "-", `[{"context":"c","choices":["a","b"],"label":1}]`, Options{}, ab},
		{"SWAG of the hub", "f.jsonl", `{"sent1":"c","sent2":"q","startphrase":"c q","ending0":"a","ending1":"b","label":1}`,
			Options{}, whole},
		{"start phrase and numbered endings", "f.jsonl", `{"startphrase":"c","ending0":"a","ending1":"b","label":1}`,
			Options{}, ab},
		{"a list of endings, a label in quotes", "f.jsonl", `{"ctx":"c","endings":["a","b"],"label":"1"}`, Options{}, ab},
		{"a context that is empty", "f.jsonl", `{"context":"","question":"q","choices":["a","b"],"label":1}`, Options{},
			asked},
		{"two solutions of a goal, from 1 on", "f.jsonl", `{"goal":"q","sol1":"a","sol2":"b","label":1}`, Options{}, asked},
		{"answers by letters", "f.jsonl", `{"context":"c","question":"q","answerA":"a","answerB":"b","label":2}`,
			Options{FirstIndex: 1}, whole},
		{"with lines under names, in capitals", "f.csv", "CONTEXT,Choice_1,Choice_2,Label\nc,a,b,B\n", Options{}, second(ab)},
		{"the label is the text", "f.csv", "context,choice0,choice1,label\nc,a,b, b \n", Options{}, second(ab)},
		{"a number that is the text of no choice", "f.jsonl", `{"context":"c","choices":["10","20"],"label":"1"}`, Options{},
			[]Question{{Context: "c", Endings: ends("10", "20"), Label: 1, Line: 1}}},
		{"a text, not the number of a choice", "f.jsonl", `{"context":"c","choices":["10","20"],"label":"20"}`, Options{},
			[]Question{{Context: "c", Endings: ends("10", "20"), Label: 1, Line: 1}}},
		{"a number like the others", "f.jsonl",
			`{"context":"c","choices":["a","b"],"label":"1"}` + "\n" + `{"context":"c","choices":["1","0"],"label":"0"}`,
			Options{},
			[]Question{ab[0], {Context: "c", Endings: ends("1", "0"), Label: 0, Line: 2}}},
		{"a text like the others", "f.jsonl",
			`{"context":"c","choices":["no","yes"],"label":"yes"}` + "\n" + `{"context":"c","choices":["1","0"],"label":"0"}`,
			Options{},
			[]Question{{Context: "c", Endings: ends("no", "yes"), Label: 1, Line: 1},
				{Context: "c", Endings: ends("1", "0"), Label: 1, Line: 2}}},
		{"CODAH, numbers as endings", "f.tsv", "o\tc\t2\t1\t1\n", Options{Format: Codah},
			[]Question{{Context: "c", Endings: ends("2", "1"), Label: 1, Line: 1}}},
		{"different numbers of choices", "f.jsonl",
			"{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"label\":1}\n" +
				"{\"context\":\"c\",\"choices\":[\"a\",\"b\",\"c\"],\"label\":2}", Options{},
			[]Question{ab[0], {Context: "c", Endings: ends("a", "b", "c"), Label: 2, Line: 2}}},
		{"more numbered ones than in the first row, and null", "f.jsonl",
			"{\"context\":\"c\",\"ending0\":\"a\",\"ending1\":\"b\",\"label\":1}\n" +
				"{\"context\":\"c\",\"ending0\":\"a\",\"ending1\":\"b\",\"ending2\":\"c\",\"ending3\":null,\"label\":2}", Options{},
			[]Question{ab[0], {Context: "c", Endings: ends("a", "b", "c"), Label: 2, Line: 2}}},
		{"numbered ones in another case than the first row's", "f.jsonl",
			`{"context":"c","ending0":"a","ending1":"b","Ending2":"c","label":2}` + "\n" +
				`{"context":"c","Ending1":"b","ending0":"a","label":1}`, Options{},
			[]Question{{Context: "c", Endings: ends("a", "b", "c"), Label: 2, Line: 1},
				{Context: "c", Endings: ends("a", "b"), Label: 1, Line: 2}}},
		{"null behind a gap, other keys of the prefix", "f.jsonl",
			`{"context":"c","answer1":"a","answer2":"b","answer5":null,"answers":"x","answerKey":2,"answer_c":"id",` +
				`"answer_time":3}`, Options{FirstIndex: 1, IDColumn: "answer_c", LabelColumn: "answerKey"},
			[]Question{{ID: "id", Context: "c", Endings: ends("a", "b"), Label: 1, Line: 1}}},
		{"names given that leave out a number", "f.csv", "context,ending0,ending1,ending3,label\nc,a,b,c,1\n",
			Options{ChoicesColumns: ends("ending0", "ending1")}, second(ab)},
		{"empty fields at the end", "f.csv", "context,ending0,ending1,ending2,label\nc,a,b,,1\n", Options{}, second(ab)},
		{"names given", "f.jsonl", `{"context":"x","body":"c","ask":"q","good":"a","bad":"b","worse":"w","right":1}`,
			Options{ContextColumn: "body", QuestionColumn: "ask", ChoicesColumns: ends("good", "bad"), LabelColumn: "right"},
			whole},
		{"an id that is a number", "f.jsonl", `{"uid":7,"id":"x","context":"c","choices":["a","b"],"label":1}`,
			Options{IDColumn: "uid"}, []Question{{ID: "7", Context: "c", Endings: ends("a", "b"), Label: 1, Line: 1}}},
		{"no label asked for", "f.jsonl", `{"context":"c","choices":["a","b"],"label":9}`, Options{NoLabels: true},
			[]Question{{Context: "c", Endings: ends("a", "b"), Label: -1, Line: 1}}},
		{"labels where there are some", "f.jsonl",
			"{\"context\":\"c\",\"choices\":[\"a\",\"b\"]}\n{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"label\":1}\n" +
				"{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"label\":-1}", Options{OptionalLabels: true},
			[]Question{{Context: "c", Endings: ends("a", "b"), Label: -1, Line: 1},
				{Context: "c", Endings: ends("a", "b"), Label: 1, Line: 2},
				{Context: "c", Endings: ends("a", "b"), Label: -1, Line: 3}}},
		{"lists of numbers as names", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":[1,2]},"answerKey":2}`,
			Options{}, asked},
		{"names in quotes and not", "f.jsonl",
			`{"question":"q","choices":{"text":["a","b"],"label":["0",3]},"answerKey":"3"}`, Options{}, asked},
		{"names that are null", "f.jsonl",
			`{"question":"q","choices":[{"text":"a","label":null},{"text":"b","label":null}],"label":"B"}`, Options{}, asked},
		{"a list of names that is null", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":null},"label":1}`,
			Options{}, asked},
		{"a list of nulls as names", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":[null,null]},"label":1}`,
			Options{}, asked},
		{"-1 is the text of a choice", "f.jsonl", minus, Options{}, below},
		{"-1 is the text of a choice, optional", "f.jsonl", minus, Options{OptionalLabels: true}, below},
		{"-1 is the name of a choice", "f.jsonl", named, Options{}, asked},
		{"-1 is the name of a choice, optional", "f.jsonl", named, Options{OptionalLabels: true}, asked},
		{"-1 is none", "f.jsonl", `{"question":"q","choices":["-1","b"],"label":-1}` + "\n" +
			`{"question":"q","choices":{"text":["-1","b"],"label":["A","B"]},"label":"-1"}` + "\n" +
			`{"question":"q","choices":["a","b"],"label":" -1"}`,
			Options{OptionalLabels: true}, []Question{{Question: "q", Endings: ends("-1", "b"), Label: -1, Line: 1},
				{Question: "q", Endings: ends("-1", "b"), Label: -1, Line: 2},
				{Question: "q", Endings: ends("a", "b"), Label: -1, Line: 3}}},
		{"an answer that comes late", "f.jsonl",
			`{"question":"q","choices":["a","b"]}` + "\n" + `{"question":"q","choices":["a","b"],"answerKey":"B"}` + "\n" +
				`{"question":"q","choices":["a","b"],"label":0}`, Options{OptionalLabels: true},
			[]Question{{Question: "q", Endings: ends("a", "b"), Label: -1, Line: 1},
				{Question: "q", Endings: ends("a", "b"), Label: 1, Line: 2},
				{Question: "q", Endings: ends("a", "b"), Label: -1, Line: 3}}},
		{"answers that come late, in a list of objects", "f.json",
			`[{"article":"c","questions":["q"],"options":[["a","b"]]},` + "\n" +
				`{"article":"c","questions":["q"],"options":[["a","b"]],"answers":["B"]}]`, Options{OptionalLabels: true},
			[]Question{{Context: "c", Question: "q", Endings: ends("a", "b"), Label: -1, Line: 1},
				{Context: "c", Question: "q", Endings: ends("a", "b"), Label: 1, Line: 2}}},
		{"a question called answer", "f.jsonl", `{"answer":"q","choices":["a","b"],"label":1}`,
			Options{QuestionColumn: "answer"}, asked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if c := readChoices(t, tt.file, tt.content, tt.options); !reflect.DeepEqual(slices.Collect(c.Values()), tt.want) {
				t.Errorf("got  %+v\nwant %+v", slices.Collect(c.Values()), tt.want)
			}
		})
	}
}

// The pairs are those of transformers' run_swag.
func TestChoicePair(t *testing.T) {
	for _, tt := range []struct {
		c             Question
		first, second string
	}{
		{Question{Context: "One.", Question: "A man", Endings: ends("x", "sits")}, "One.", "A man sits"},
		{Question{Context: "One.", Endings: ends("x", "sits")}, "One.", "sits"},
		{Question{Question: "Who?", Endings: ends("x", "he")}, "Who?", "he"},
	} {
		if a, b := tt.c.Pair(1); a != tt.first || b != tt.second {
			t.Errorf("%+v: %q, %q", tt.c, a, b)
		}
	}
}

// TestBadChoices holds the message for every kind of broken file (D11 of the table of bad inputs, and the readers'
// own).
func TestBadChoices(t *testing.T) {
	const row = `{"context":"c","choices":["a","b"],"label":1}` + "\n"
	for _, tt := range []struct {
		name, file, content string
		options             Options
		line                int
		want                string
	}{
		{"empty", "f.jsonl", "", Options{}, 0, "the file is empty"},
		{"only blank lines", "f.jsonl", "\n\n", Options{}, 0, "the file has no questions"},
		{"empty list", "f.json", "[]", Options{}, 0, "the file has no questions"},
		{"header only", "f.csv", "context,ending0,ending1,label\n", Options{}, 0, "no questions below its header"},
		{"Latin-1", "f.jsonl", row + "caf\xE9\n", Options{}, 2, "is 0xE9"},
		{"label above the choices", "f.jsonl", row + `{"context":"c","choices":["a","b"],"label":2}`, Options{}, 2,
			"the label 2 is none of the 2 choices, which have the numbers 0 to 1; if the first choice has the number 1, use " +
				"`first_index 1`"},
		{"label below the choices", "f.jsonl", `{"context":"c","choices":["a","b"],"label":-2}`,
			Options{OptionalLabels: true}, 1, "the label -2 is none of the 2 choices"},
		{"label -1 in training", "f.jsonl", `{"context":"c","choices":["a","b"],"label":-1}`, Options{}, 1,
			"the label -1 is none of the 2 choices"},
		{"label 0 where the first is 1", "f.jsonl", `{"context":"c","choices":["a","b"],"label":"0"}`, Options{FirstIndex: 1},
			1, "leave out `first_index 1`"},
		{"letter outside the choices", "f.csv", "context,ending0,ending1,label\nc,a,b,C\n", Options{}, 2,
			`the label "C" is none of the 2 choices, which have the letters A to B`},
		{"name outside the choices", "f.jsonl",
			`{"question":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"}`, Options{}, 1,
			`the label "C" is none of the choices, which are called "A", "B"`},
		{"two choices of one name", "f.jsonl",
			`{"question":"q","choices":{"text":["a","b"],"label":["A","A"]},"answerKey":"A"}`, Options{}, 1,
			`the choices 1 and 2 are both called "A"`},
		{"a text that is not a choice", "f.csv", "context,ending0,ending1,label\nc,a,b,cat\n", Options{}, 2,
			`the label "cat" is not the number, the letter or the text of a choice ("a", "b")`},
		{"a text that is two choices", "f.csv", "context,ending0,ending1,label\nc,cat,cat,cat\n", Options{}, 2,
			`the label "cat" is the text of the choices 1 and 2`},
		{"text or number", "f.jsonl", `{"context":"c","choices":["1","0"],"label":"0"}`, Options{}, 1,
			`the label "0" may be choice 2, whose text it is, or choice 1 by its number or letter, and the other rows do not ` +
				`decide which`},
		{"text or number, other rows have both", "f.jsonl",
			`{"context":"c","choices":["1","0"],"label":"0"}` + "\n" + `{"context":"c","choices":["no","yes"],"label":"yes"}` +
				"\n" + `{"context":"c","choices":["no","yes"],"label":"A"}`, Options{}, 1,
			`and the other rows do not decide which`},
		{"CODAH, a letter", "f.tsv", "o\tc\ta\tb\tA\n", Options{Format: Codah}, 1,
			`the label "A" is not the number of a choice`},
		{"label is a fraction", "f.jsonl", `{"context":"c","choices":["a","b"],"label":1.0}`, Options{}, 1,
			`the label 1 is not the number, the letter or the text of a choice`},
		{"label is a list", "f.jsonl", `{"context":"c","choices":["a","b"],"label":[1]}`, Options{}, 1,
			`"label" is "[1]": give the number`},
		{"label missing", "f.jsonl", row + `{"context":"c","choices":["a","b"]}`, Options{}, 2, "the question has no label"},
		{"label empty", "f.csv", "context,ending0,ending1,label\nc,a,b,\n", Options{}, 2, "the question has no label"},
		{"one choice", "f.jsonl", row + `{"context":"c","choices":["a"],"label":0}`, Options{}, 2,
			"the question has 1 choice; it needs at least two"},
		{"no choice", "f.jsonl", `{"context":"c","choices":[],"label":0}`, Options{}, 1, "the question has 0 choices"},
		{"one numbered choice", "f.jsonl",
			`{"context":"c","ending0":"a","ending1":"b","label":0}` + "\n" + `{"context":"c","ending0":"a","label":0}`,
			Options{}, 2, "the row has 1 choice (ending0 …)"},
		{"one field", "f.csv", "context,ending0,ending1,label\nc,a,,0\n", Options{}, 2, "the question has 1 choice"},
		{"a choice left out", "f.jsonl",
			`{"context":"c","ending0":"a","ending1":"b","label":0}` + "\n" +
				`{"context":"c","ending0":"a","ending2":"c","label":0}`, Options{}, 2,
			`the row has "ending2", which does not follow on "ending0"`},
		{"a column left out", "f.csv", "context,ending0,ending1,ending3,label\nc,a,b,d,0\n", Options{}, 1,
			"there is \"ending3\", which does not follow on \"ending1\": number choices without a gap, or say which they are " +
				"with `choices_column`"},
		{"a letter left out", "f.csv", "context,answerA,answerB,answerD,label\nc,a,b,d,0\n", Options{}, 1,
			`there is "answerD", which does not follow on "answerB"`},
		{"a number among letters", "f.csv", "context,option_A,option_B,option3,label\nc,a,b,d,0\n", Options{}, 1,
			`there is "option3", which does not follow on "option_B"`},
		{"some choices left out", "f.jsonl", `{"context":"c","ending0":"a","ending1":"b","ending4":"e","label":0}`, Options{},
			1, `the row has "ending4", which does not follow on "ending1"`},
		{"some choices left out later", "f.jsonl",
			`{"context":"c","choice1":"a","choice2":"b","label":0}` + "\n" +
				`{"context":"c","choice1":"a","choice2":"b","choice15":"e","label":0}`, Options{}, 2,
			`the row has "choice15", which does not follow on "choice2"`},
		{"a choice twice in other cases", "f.jsonl", `{"context":"c","choice1":"a","choice2":"b","Choice2":"c","label":0}`,
			Options{}, 1, `the row has "Choice2", which does not follow on "choice2"`},
		{"the first choice left out", "f.jsonl",
			`{"context":"c","choice1":"a","choice2":"b","label":0}` + "\n" +
				`{"context":"c","choice2":"b","choice3":"c","label":0}`, Options{}, 2, `the row has "choice2", but no "choice1"`},
		{"a choice before the first", "f.jsonl",
			`{"context":"c","choice1":"a","choice2":"b","label":0}` + "\n" +
				`{"context":"c","choice0":"x","choice1":"a","choice2":"b","label":0}`, Options{}, 2,
			`the row has "choice0", which does not follow on "choice2"`},
		{"choices are a string", "f.jsonl", `{"context":"c","choices":"ab","label":0}`, Options{}, 1, "not a list"},
		{"choices are null", "f.jsonl", `{"context":"c","choices":null,"label":0}`, Options{}, 1, "the row has no choices"},
		{"a choice is a number", "f.jsonl", `{"context":"c","choices":["a",2],"label":0}`, Options{}, 1,
			`choice 2 is "2", not a string`},
		{"a choice without text", "f.jsonl", `{"question":{"stem":"q","choices":[{"label":"A"}]},"answerKey":"A"}`, Options{},
			1, `choice 1: it has no "text"`},
		{"a choice without a name", "f.jsonl",
			`{"question":{"stem":"q","choices":[{"text":"a","label":"A"},{"text":"b"}]},"answerKey":"A"}`, Options{}, 1,
			`2 choices, but 1 "label"s of them`},
		{"more texts than names", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":["A"]},"answerKey":"A"}`,
			Options{}, 1, `2 choices, but 1 "label"s of them`},
		{"question without a stem", "f.jsonl", `{"question":{"choices":["a","b"]},"answerKey":"A"}`, Options{}, 1,
			`"question": it has no "stem"`},
		{"question without choices", "f.jsonl", `{"question":{"stem":"q"},"answerKey":"A"}`, Options{}, 1,
			`"question": it has no "choices"`},
		{"question and no choices", "f.jsonl", `{"question":"q","answer":"A"}`, Options{}, 1,
			`"question" has no choices in it`},
		{"question is a number", "f.jsonl", `{"question":1,"choices":["a","b"],"answer":"A"}`, Options{}, 1,
			`"question" is "1", not a string`},
		{"more questions than options", "f.jsonl",
			`{"answers":["B"],"options":[["a","b"]],"questions":["q","r"],"article":"x"}`, Options{}, 1,
			`"questions" has 2 questions, "options" has 1: give one for each`},
		{"more questions than answers", "f.jsonl",
			`{"answers":["B"],"options":[["a","b"],["a","b"]],"questions":["q","r"],"article":"x"}`, Options{}, 1,
			`"answers" has 1`},
		{"a wrong answer of several", "f.jsonl",
			`{"answers":["B","D"],"options":[["a","b"],["a","b"]],"questions":["q","r"],"article":"x"}`, Options{}, 1,
			`question 2: the label "D" is none of the 2 choices`},
		{"options of one for several", "f.jsonl", `{"answers":["B"],"options":"x","questions":["q"],"article":"x"}`,
			Options{}, 1, `"options" is "\"x\"", not a list like "questions"`},
		{"a question is null", "f.jsonl",
			"\n" + `{"questions":["q",null],"answers":["A","A"],"options":[["a","b"],["a","b"]],"article":"x"}`, Options{}, 2,
			`element 2 of "questions" is "null", not a string`},
		{"names of some choices are null", "f.jsonl",
			`{"question":"q","choices":{"text":["a","b"],"label":["A",null]},"answerKey":"A"}`, Options{}, 1,
			`2 choices, but 1 "label"s of them`},
		{"names are true", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":[true,"B"]},"answerKey":"B"}`,
			Options{}, 1, `the choices: element 1 of "label" is "true", neither a string nor a number`},
		{"names are a string", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":"AB"},"answerKey":"B"}`,
			Options{}, 1, `the choices: "label" is "\"AB\"", not a list`},
		{"CODAH, too few fields", "f.tsv", "o\tc\ta\tb\t0\no\tc\ta\t0\n", Options{Format: Codah}, 2,
			"the row has 4 fields; CODAH's have at least 5"},
		{"CODAH, a wrong label", "f.tsv", "o\tc\ta\tb\t2\n", Options{Format: Codah}, 1,
			"the label 2 is none of the 2 choices"},
		{"fewer fields", "f.csv", "context,ending0,ending1,label\nc,a\n", Options{}, 2,
			"the row has 2 fields, but the header has 4"},
		{"no header, no columns", "f.tsv", "o\tc\ta\tb\t0\n", Options{NoHeader: true}, 1,
			"`context_column` or `question_column` is missing (the files of CODAH need `format codah` instead)"},
		{"no header, no choices", "f.tsv", "o\tc\ta\tb\t0\n", Options{NoHeader: true, ContextColumn: "1"}, 1,
			"`choices_column` is missing"},
		{"no header, no label", "f.tsv", "o\tc\ta\tb\t0\n",
			Options{NoHeader: true, ContextColumn: "1", ChoicesColumns: ends("2", "3")}, 1, "`label_column` is missing"},
		{"no choices in the header", "f.csv", "context,label\nc,0\n", Options{}, 1,
			"no column has a name that is known for choices"},
		{"no question", "f.jsonl", `{"endings":["a","b"],"label":0}`, Options{}, 1,
			"no key has a name that is known for questions"},
		{"no label in the header", "f.csv", "context,ending0,ending1\nc,a,b\n", Options{}, 1,
			"no column has a name that is known for labels"},
		{"two labels", "f.csv", "question,choice1,choice2,label,answer\nq,a,b,0,1\n", Options{}, 1,
			"the label may be \"label\" or \"answer\"; say which with `label_column`"},
		{"three labels, optional", "f.jsonl", `{"question":"q","choices":["a","b"],"answer":1,"answerKey":"B","labels":0}`,
			Options{OptionalLabels: true}, 1,
			"the label may be \"labels\" or \"answerKey\" or \"answer\"; say which with `label_column` (or `no_labels`)"},
		{"two labels that come late", "f.json",
			`[{"question":"q","choices":["a","b"]},` + "\n" + `{"question":"q","choices":["a","b"],"label":0,"answer":1}]`,
			Options{OptionalLabels: true}, 2, `the label may be "label" or "answer"`},
		{"two contexts", "f.jsonl", `{"context":"c","article":"d","choices":["a","b"],"label":0}`, Options{}, 1,
			"the context may be \"context\" or \"article\"; say which with `context_column`"},
		{"two lists of choices", "f.jsonl", `{"context":"c","choices":["a","b"],"ending0":"a","ending1":"b","label":0}`,
			Options{}, 1, "the choices may be \"choices\" or \"ending0\"; say which with `choices_column`"},
		{"column missing", "f.csv", "context,ending0,ending1,label\nc,a,b,0\n",
			Options{ChoicesColumns: ends("ending0", "ending9")}, 1, "`choices_column`: there is no column \"ending9\""},
		{"a key twice in a list", "f.json", "[\n{\"context\":\"c\",\"context\":\"d\"}]", Options{}, 2,
			`the key "context" is there twice`},
		{"a list that breaks off", "f.json", "[" + row + ",", Options{}, 2, "the file ends before its JSON does"},
		{"a list with a mistake", "f.json", "[" + row + ",\n  x]", Options{}, 3, "byte 3 of the line: not JSON"},
		{"a list of strings", "f.json", "[\"a\"]", Options{}, 1, "the row is a string, not an object"},
		{"truncated", "f.jsonl", row + `{"con`, Options{}, 2, "the last line ends in the middle of a row"},
		{"half a surrogate pair", "f.jsonl", `{"context":"\ud83d","choices":["a","b"],"label":0}`, Options{}, 1,
			"half of a surrogate pair"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ReadBytes([]byte(tt.content), tt.file, tt.options)
			if err == nil {
				t.Fatalf("no error, but %+v", slices.Collect(c.Values()))
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
	for _, tt := range []struct {
		name, file string
		options    Options
		want       string
	}{
		{"format", "f.csv", Options{Format: "txt"}, "is none of csv, tsv, jsonl, codah"},
		{"plain text", "f.txt", Options{}, "plain text, which has no choices"},
		{"negative limit", "f.csv", Options{MaxSamples: -1}, "negative"},
		{"number of the first choice", "f.csv", Options{FirstIndex: 2}, "want 0 or 1"},
		{"label that is not read", "f.csv", Options{NoLabels: true, LabelColumn: "a"}, "no labels are read"},
		{"the same column", "f.csv", Options{ContextColumn: "a", ChoicesColumns: ends("a")},
			"\"a\" is given by `context_column` and by `choices_column`"},
		{"a choice twice", "f.csv", Options{ChoicesColumns: ends("a", "a")}, "by `choices_column` and by `choices_column`"},
		{"an empty name", "f.csv", Options{ChoicesColumns: ends("a", "")}, "a name of `choices_column` is empty"},
		{"delimiter for JSON", "f.jsonl", Options{Delimiter: ';'}, "`delimiter` is for CSV and TSV"},
		{"delimiter for CODAH", "f.tsv", Options{Format: Codah, Delimiter: ';'}, "leave out `delimiter`"},
		{"columns for CODAH", "f.tsv", Options{Format: Codah, LabelColumn: "6"}, "leave out `label_column`"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBytes([]byte(`{"context":"c","choices":["a","b"],"label":0}`), tt.file, tt.options)
			if !errors.Is(err, data.ErrOption) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	for path, want := range map[string]string{"": "is empty", "testdata/none.jsonl": "there is no such file",
		"..": "this is a directory"} {
		if _, err := Read(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", path, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "f.jsonl")
	if err := os.WriteFile(path, []byte(`{"context":"c","choices":["a","b"],"label":0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := Read(path, Options{}); err != nil || c.Len() != 1 || c.Columns.Choices[0] != "choices" {
		t.Errorf("%+v, %v", c, err)
	}
}

// A question that changes in any part changes the hash; how the file is written does not.
func TestChoicesHash(t *testing.T) {
	same := readChoices(t, "f.jsonl", `{"context":"c","choices":["a","b"],"label":1}`, Options{}).Hash()
	for file, content := range map[string]string{
		"f.csv":   "label,ending0,ending1,context\r\nB,a,b,c\r\n",
		"f.jsonl": `{"id":"x","startphrase":"c","ending0":"a","ending1":"\u0062","label":"b"}`,
	} {
		if readChoices(t, file, content, Options{}).Hash() != same {
			t.Errorf("%s %q has another hash", file, content)
		}
	}
	seen := map[string]string{same: "the first"}
	for _, content := range []string{
		`{"context":"c","choices":["a","b"],"label":0}`, `{"question":"c","choices":["a","b"],"label":1}`,
		`{"context":"c","choices":["a","b","c"],"label":1}`,
		`{"context":"ca","choices":["a","b"],"label":1}`, `{"context":"c","choices":["ab","b"],"label":1}`,
		`{"context":"c","question":"a","choices":["a","b"],"label":1}`,
		`{"context":"c","choices":["a","b"],"label":1}` + "\n" + `{"context":"c","choices":["a","b"],"label":1}`,
	} {
		h := readChoices(t, "f.jsonl", content, Options{}).Hash()
		if before, ok := seen[h]; ok {
			t.Errorf("%s and %s have one hash", content, before)
		}
		seen[h] = content
	}
}

func TestChoicesParts(t *testing.T) {
	content := strings.Repeat(`{"question":"c","choices":["a","b"],"label":1}`+"\n", 10) +
		`{"context":"d","choices":["a","b","c","d"]}` + "\n"
	c := readChoices(t, "f.jsonl", content, Options{OptionalLabels: true})
	if n := c.Labelled(); n != 10 || c.Chance() != 0.5 || c.Limit(3).Labelled() != 3 || c.Limit(0).Len() != 11 {
		t.Errorf("%d labelled, chance %g", n, c.Chance())
	}
	rest, held, err := c.SplitOff(0.3, 7)
	if err != nil || rest.Len() != 8 || held.Len() != 3 {
		t.Fatalf("%d and %d, %v", rest.Len(), held.Len(), err)
	}
	lines := map[int]bool{}
	for _, part := range []*File{rest, held} {
		for i, e := range part.All() {
			if lines[e.Line] || i > 0 && e.Line < part.At(i-1).Line {
				t.Fatalf("line %d is there twice or out of order", e.Line)
			}
			lines[e.Line] = true
		}
	}
	if _, again, _ := c.SplitOff(0.3, 7); !reflect.DeepEqual(again, held) {
		t.Error("the same seed gives other parts")
	}
	about := readChoices(t, "f.jsonl",
		strings.Repeat(`{"context":"c","question":"q","choices":["a","b"],"label":1}`+"\n",
			3)+strings.Repeat(`{"context":"d","question":"q","choices":["a","b"],"label":1}`+"\n", 3), Options{})
	if rest, held, err := about.SplitOff(0.4, 1); err != nil || rest.Len() != 3 ||
		rest.At(0).Context != rest.At(2).Context || held.At(0).Context != held.At(2).Context {
		t.Errorf("a context was cut in two: %+v, %+v, %v", rest, held, err)
	}
	for _, fraction := range []float64{0, 1, 0.01, 0.99} {
		if _, _, err := c.SplitOff(fraction, 1); !errors.Is(err, data.ErrOption) {
			t.Errorf("%v: %v", fraction, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	row := func(context, a, b, label string) string {
		return `{"context":"` + context + `","choices":["` + a + `","` + b + `"],"label":` + label + "}\n"
	}
	var many strings.Builder
	for i := range 20 {
		many.WriteString(row("c"+strconv.Itoa(i), "a", "b", "1"))
	}
	read := func(content string) *File {
		return readChoices(t, "f.jsonl", content, Options{OptionalLabels: true})
	}
	train := read(row("", "a", "b", "0") + row("c", "a", "a", "0") + row("c", "a", "a", "1") + row("d", "a", "b", "null"))
	for _, tt := range []struct {
		train, eval, test *File
		want              []string
	}{
		{nil, read(row("c", "a", "b", "0")), nil, nil},
		{train, nil, nil, []string{"f.jsonl:1: 1 row with neither context nor question", "f.jsonl:4: 1 row without a label",
			"f.jsonl:2: 2 rows with two equal choices", "f.jsonl:3: 1 row with the question and choices of a row before"}},
		{read(row("c", "a", "b", "0")), read(row("x", "a", "b", "0") + row("c", "a", "b", "1")), nil,
			[]string{"f.jsonl:2: 1 row with questions that are also in f.jsonl"}},
		{read(row("c", "a", "", "0") + row("d", "a", "b", "0") + row("e", " ", "b", "1")), nil, nil,
			[]string{"f.jsonl:1: 2 rows with an empty choice"}},
		{readChoices(t, "f.csv", "context,ending0,ending1,ending2,label\nc,a,,b,0\nc,a,b,,0\n", Options{}), nil, nil,
			[]string{"f.csv:2: 1 row with an empty choice"}},
		{read(`{"context":"c","ending0":"a","ending1":"b","ending2":"","label":2}`), nil, nil,
			[]string{"f.jsonl:1: 1 row with an empty choice"}},
		{read(many.String()), nil, nil, []string{"f.jsonl: every label is choice 2: a model learns the place, not the " +
			"answer"}},
		{read(many.String() + `{"context":"x","choices":["a","b","c"],"label":2}`), nil, nil,
			[]string{"f.jsonl: no label is the first choice: if labels are numbers from 1 on, use `first_index 1`"}},
	} {
		var got []string
		for _, w := range Warnings(tt.train, tt.eval, tt.test) {
			got = append(got, w.String())
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}
