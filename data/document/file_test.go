package document

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func readDocuments(t *testing.T, file, content string, o Options) *File {
	t.Helper()
	d, err := ReadBytes([]byte(content), file, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func say(role, content string) Message { return Message{Role: role, Content: content} }

func TestRead(t *testing.T) {
	pairs := []Document{{Prompt: "a", Completion: "b", Line: 2}, {Prompt: "c", Completion: "d", Line: 3}}
	onePair := []Document{{Prompt: "a", Completion: "b", Line: 1}}
	chat := []Document{{Messages: []Message{say("user", "a"), say("assistant", "b")}, Line: 1}}
	given := []Document{{Messages: []Message{say("user", "a"), say("assistant", "b")}, Given: 1, Line: 1}}
	for _, tt := range []struct {
		name, file, content string
		options             Options
		kind                Kind
		want                []Document
	}{
		{"plain text", "f.txt", "a\n\n b\n", Options{}, Text, []Document{{Text: "a\n\n b\n", Line: 1}}},
		{"plain text, mark, mixed ends, no final one", "f.txt", "\xEF\xBB\xBFa\r\nb\rc\nd", Options{}, Text,
			[]Document{{Text: "a\nb\nc\nd", Line: 1}}},
		{"plain text of another name", "f.md", "a,b\n", Options{Format: data.PlainText}, Text,
			[]Document{{Text: "a,b\n", Line: 1}}},
		{"invalid bytes replaced", "f.txt", "caf\xE9\n", Options{ReplaceInvalid: true}, Text,
			[]Document{{Text: "caf\uFFFD\n", Line: 1}}},
		{"JSON text", "f.jsonl", "{\"text\":\"a\\nb\"}\n\n{\"text\":\"\"}", Options{}, Text,
			[]Document{{Text: "a\nb", Line: 1}, {Line: 3}}},
		{"JSON text among other keys", "f.jsonl", `{"id":1,"text":"a","instruction":"x","output":"y"}`, Options{}, Text,
			[]Document{{Text: "a", Line: 1}}},
		{"a JSON list", "f.json", `[{"text":"a"}]`, Options{}, Text, []Document{{Text: "a", Line: 1}}},
		{"JSON content", "f.jsonl", `{"content":"a"}`, Options{}, Text, []Document{{Text: "a", Line: 1}}},
		{"JSON text named", "f.jsonl", `{"body":"a","text":"b"}`, Options{TextColumn: "body"}, Text,
			[]Document{{Text: "a", Line: 1}}},
		{"JSON prompt", "f.jsonl", `{"prompt":"a","completion":"b"}`, Options{}, Prompt, onePair},
		{"JSON prompt and response", "f.jsonl", `{"prompt":"a","response":"b"}`, Options{}, Prompt, onePair},
		{"JSON question", "f.jsonl", `{"question":"a","answer":"b"}`, Options{}, Prompt, onePair},
		{"JSON instruction", "f.jsonl", `{"Instruction":"a","output":"b"}`, Options{}, Prompt, onePair},
		{"JSON input and output", "f.jsonl", `{"input":"a","output":"b"}`, Options{}, Prompt, onePair},
		{"instruction with input, one named", "f.jsonl", `{"instruction":"a","input":"x","output":"b"}`,
			Options{PromptColumn: "instruction"}, Prompt, onePair},
		{"both named", "f.jsonl", `{"q":"a","a":"b","text":"x"}`, Options{PromptColumn: "q", CompletionColumn: "a"}, Prompt,
			onePair},
		{"completion named", "f.jsonl", `{"prompt":"a","good":"b","completion":"x"}`, Options{CompletionColumn: "good"},
			Prompt, onePair},
		{"CSV prompts", "f.csv", "id,prompt,completion\n1,a,b\n2,c,d\n", Options{}, Prompt, pairs},
		{"TSV prompts", "f.tsv", "question\tanswer\na\tb\nc\td", Options{}, Prompt, pairs},
		{"CSV without a header", "f.csv", "b,a\n\"d\",c\n", Options{NoHeader: true, PromptColumn: "1", CompletionColumn: "0"},
			Prompt,
			[]Document{{Prompt: "a", Completion: "b", Line: 1}, {Prompt: "c", Completion: "d", Line: 2}}},
		{"CSV text over lines", "f.csv", "text\n\"a\n\"\"b\"\"\"\nc\n", Options{}, Text,
			[]Document{{Text: "a\n\"b\"", Line: 2}, {Text: "c", Line: 4}}},
		{"one column without a header", "f.csv", "a\nb\n", Options{NoHeader: true}, Text,
			[]Document{{Text: "a", Line: 1}, {Text: "b", Line: 2}}},
		{"a messages column in CSV is not a chat", "f.csv", "text,messages\na,x\n", Options{}, Text,
			[]Document{{Text: "a", Line: 2}}},
		{"limit", "f.jsonl", "{\"text\":\"a\"}\n{", Options{MaxSamples: 1}, Text, []Document{{Text: "a", Line: 1}}},
		{"chat", "f.jsonl", `{"messages":[{"role":"user","content":"a"},{"content":"b","role":"assistant"}]}`, Options{},
			Chat, chat},
		{"chat beside a prompt", "f.jsonl",
			`{"prompt":"a","prompt_id":"1","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
			Options{}, Chat, chat},
		{"chat of another name", "f.jsonl",
			`{"conversations":[{"role":"user","content":"a","tool_calls":null},{"role":"assistant","content":"b",` +
				`"name":""}],"tools":[]}`, Options{}, Chat, chat},
		{"chat of ShareGPT", "f.jsonl",
			`{"id":"x","conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}`,
			Options{}, Chat, chat},
		{"chat of ShareGPT with a system prompt", "f.jsonl", `{"system":"s","tools":"[]","conversations":[{"from":"user",` +
			`"value":"a"},{"from":"chatgpt","value":"b","weight":1},{"from":"human","value":"c"},` +
			`{"from":"gpt","value":"d","weight":0}]}`, Options{}, Chat,
			[]Document{{Messages: []Message{say("system", "s"), say("user", "a"), say("assistant", "b"), say("user", "c"),
				{Role: "assistant", Content: "d", Unlearned: true}}, Line: 1}}},
		{"weights of messages", "f.jsonl", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b",` +
			`"weight":1.0},{"role":"assistant","content":"c","train":false},{"role":"assistant","content":"d","loss":false,` +
			`"trainable":0},{"role":"assistant","content":"e","training":true,"loss_weight":null}]}`, Options{}, Chat,
			[]Document{{Messages: []Message{say("user", "a"), say("assistant", "b"),
				{Role: "assistant", Content: "c", Unlearned: true}, {Role: "assistant", Content: "d", Unlearned: true},
				say("assistant", "e")}, Line: 1}}},
		{"Alpaca", "f.jsonl", `{"instruction":"a","input":"x","output":"b"}` + "\n" +
			`{"instruction":"c","output":"d","system":"s"}`, Options{}, Instruction,
			[]Document{{Prompt: "a", Input: "x", Completion: "b", Line: 1},
				{Prompt: "c", Completion: "d", System: "s", Line: 2}}},
		{"Alpaca with an input in a later row", "f.jsonl", `{"instruction":"a","output":"b"}` + "\n" +
			`{"instruction":"c","input":"","output":"d"}` + "\n" + `{"instruction":"e","input":"x","output":"f"}` + "\n" +
			`{"instruction":"g","output":"h","system":"s"}`, Options{}, Instruction,
			[]Document{{Prompt: "a", Completion: "b", Line: 1}, {Prompt: "c", Completion: "d", Line: 2},
				{Prompt: "e", Input: "x", Completion: "f", Line: 3}, {Prompt: "g", Completion: "h", System: "s", Line: 4}}},
		{"Alpaca with empty inputs in later rows", "f.jsonl", `{"instruction":"a","output":"b"}` + "\n" +
			`{"instruction":"c","input":"","output":"d"}`, Options{}, Prompt,
			[]Document{{Prompt: "a", Completion: "b", Line: 1}, {Prompt: "c", Completion: "d", Line: 2}}},
		{"Dolly", "f.jsonl", `{"instruction":"a","context":"x","response":"b","category":"qa"}`, Options{}, Instruction,
			[]Document{{Prompt: "a", Input: "x", Completion: "b", Line: 1}}},
		{"a system prompt beside messages", "f.jsonl", `{"system":"s","messages":[{"role":"user","content":"a"},` +
			`{"role":"assistant","content":"b"}]}`, Options{}, Chat,
			[]Document{{Messages: []Message{say("system", "s"), say("user", "a"), say("assistant", "b")}, Line: 1}}},
		{"texts with roles that are none of a chat", "f.jsonl", `{"role":"nurse","content":"a"}`, Options{}, Text,
			[]Document{{Text: "a", Line: 1}}},
		{"Alpaca in CSV", "f.csv", "instruction,input,output\na,x,b\n", Options{}, Instruction,
			[]Document{{Prompt: "a", Input: "x", Completion: "b", Line: 2}}},
		{"chat named", "f.jsonl", `{"text":"x","turns":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
			Options{MessagesColumn: "turns"}, Chat, chat},
		{"lists as prompt and completion", "f.jsonl",
			`{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}]}`, Options{}, Chat,
			given},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := readDocuments(t, tt.file, tt.content, tt.options)
			if d.Kind != tt.kind || !reflect.DeepEqual(slices.Collect(d.Values()), tt.want) {
				t.Errorf("got  %v %+v\nwant %v %+v", d.Kind, slices.Collect(d.Values()), tt.kind, tt.want)
			}
		})
	}
}

// TestBadDocuments holds the message for every kind of broken file: each names the
// file, the line, what was found, and what to do.
func TestBadDocuments(t *testing.T) {
	const chat = `{"messages":[{"role":"user","content":"a"}]}`
	for _, tt := range []struct {
		name, file, content string
		options             Options
		line                int
		want                string
	}{
		{"empty", "f.txt", "", Options{}, 0, "the file is empty"},
		{"empty JSON", "f.jsonl", "", Options{}, 0, "the file is empty"},
		{"only a mark", "f.txt", "\xEF\xBB\xBF", Options{}, 0, "the file is empty"},
		{"only blank lines", "f.jsonl", "\n\n", Options{}, 0, "the file has no rows"},
		{"header only", "f.csv", "prompt,completion\n", Options{}, 0, "no rows below its header"},
		{"UTF-16", "f.txt", "\xFF\xFEa\x00", Options{}, 0, "UTF-16"},
		{"Latin-1", "f.txt", "a\ncaf\xE9\n", Options{}, 2, "byte 4 of the line (offset 5 of the file) is 0xE9"},
		{"NUL", "f.txt", "a\x00", Options{ReplaceInvalid: true}, 1, "is NUL"},
		{"gzip", "f.jsonl", "\x1F\x8B\x08", Options{}, 0, "gzip"},
		{"stray quote", "f.csv", "text\na \"b\n", Options{}, 2, "field 1 has a quote inside"},
		{"unbalanced quote", "f.csv", "text\n\"b\n\n", Options{}, 2, "not closed before the end"},
		{"fewer fields", "f.csv", "prompt,completion\na,b\nc\n", Options{}, 3, "the row has 1 field, but the header has 2"},
		{"header repeated", "f.csv", "prompt,completion\na,b\nprompt,completion\n", Options{}, 3, "repeats the header"},
		{"TSV given as CSV", "f.csv", "prompt\tcompletion\na\tb\n", Options{}, 1, "another delimiter? try `delimiter '\\t'`"},
		{"no header, no columns", "f.csv", "a,b\n", Options{NoHeader: true}, 1, `by number from 0: 0 = "a", 1 = "b"`},
		{"no header, no completion", "f.csv", "a,b\n", Options{NoHeader: true, PromptColumn: "0"}, 1,
			"say which column is the completion with `completion_column`"},
		{"unknown columns", "f.csv", "title,body\na,b\n", Options{}, 1, `no column has a name that is known for documents`},
		{"unknown keys", "f.jsonl", `{"title":"a"}`, Options{}, 1, `there is "title"`},
		{"a prompt alone", "f.jsonl", `{"prompt":"a"}`, Options{}, 1, `no key has a name`},
		{"column missing", "f.csv", "prompt,completion\na,b\n", Options{PromptColumn: "q"}, 1,
			"`prompt_column`: there is no column \"q\""},
		{"column in another case", "f.csv", "Prompt,completion\na,b\n", Options{PromptColumn: "prompt"}, 1,
			`did you mean "Prompt"?`},
		{"column twice", "f.csv", "text,text\na,b\n", Options{}, 1, `the column "text" is there twice`},
		{"texts or prompts", "f.jsonl", `{"text":"a","prompt":"b","completion":"c"}`, Options{}, 1,
			"the rows may be texts (text) or prompts with completions (prompt, completion); say which with `text_column` or " +
				"`prompt_column` and `completion_column`"},
		{"two answers", "f.jsonl", `{"question":"a","answer":"b","response":"c"}`, Options{}, 1,
			"(question, response) or prompts with completions (question, answer)"},
		{"two answers to a named prompt", "f.jsonl", `{"q":"a","answer":"b","response":"c"}`, Options{PromptColumn: "q"}, 1,
			`the completion may be "response" or "answer"`},
		{"instruction with two outputs", "f.jsonl", `{"instruction":"a","input":"b","output":"c","response":"d"}`, Options{},
			1,
			`the rows may be prompts with completions (instruction, response) or`},
		{"instruction with a history", "f.jsonl", `{"instruction":"a","input":"","output":"c","history":[["x","y"]]}`,
			Options{}, 1, `the row has a "history", which is not read: write it as "messages"`},
		{"instruction without an output", "f.jsonl", `{"instruction":"a","input":"","output":"c"}` + "\n" +
			`{"instruction":"a","input":""}`, Options{}, 2, `the row has no "output"`},
		{"part of a weight", "f.jsonl", `{"messages":[{"role":"assistant","content":"b","weight":0.5}]}`, Options{}, 1,
			`message 1 of "messages": "weight" is "0.5": a message is learned (1, true) or not (0, false), not in part`},
		{"a weight of text", "f.jsonl", `{"messages":[{"role":"assistant","content":"b","train":"no"}]}`, Options{}, 1,
			`"train" is "\"no\"": a message is learned`},
		{"weights that contradict", "f.jsonl", `{"messages":[{"role":"assistant","content":"b","weight":0,"loss":true}]}`,
			Options{}, 1, `"weight" and "loss" contradict each other`},
		{"rows in an object", "f.json", `{"version":1,"data":[{"text":"a"}]}`, Options{}, 1,
			`there is "version", "data" (if the rows are the list "data" of this object, write that list alone into the file)`},
		{"messages as rows", "f.json", `[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`, Options{}, 1,
			`the row is a message ("role", "content"), not a chat: write each chat as one row {"messages": [{"role": "user"`},
		{"functions", "f.jsonl", `{"messages":[{"role":"user","content":"a"}],"functions":[{"name":"f"}]}`, Options{}, 1,
			`the row has "functions", which are not supported`},
		{"trailing comma", "f.jsonl", `{"text":"a",}`, Options{}, 1, "not JSON"},
		{"key twice", "f.jsonl", `{"text":"a","text":"b"}`, Options{}, 1, `the key "text" is there twice`},
		{"a list of lists", "f.json", `[[{"text":"a"}]]`, Options{}, 1, "the row is a list, not an object"},
		{"truncated", "f.jsonl", "{\"text\":\"a\"}\n{\"te", Options{}, 2, "the last line ends in the middle of a row"},
		{"text missing", "f.jsonl", "{\"text\":\"a\"}\n{\"txt\":\"b\"}", Options{}, 2, `the row has no "text"`},
		{"text of another type", "f.jsonl", `{"text":["a"]}`, Options{}, 1, "not a string"},
		{"completion is null", "f.jsonl", `{"prompt":"a","completion":null}`, Options{}, 1,
			`"completion" is "null", not a string`},
		{"completion missing", "f.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\"}", Options{}, 2,
			`the row has no "completion"`},
		{"a list and a string", "f.jsonl", `{"prompt":[],"completion":"b"}`, Options{}, 1,
			"not both strings or both lists of messages"},
		{"lists after strings", "f.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":[],\"completion\":[]}",
			Options{}, 2, "are lists of messages, but those of the first row are strings"},
		{"half a surrogate pair", "f.jsonl", `{"messages":[{"role":"user","content":"\ud83d"}]}`, Options{}, 1,
			"half of a surrogate pair"},
		{"messages are a string", "f.jsonl", `{"messages":"a"}`, Options{}, 1, "not a list of messages"},
		{"messages are empty", "f.jsonl", chat + "\n" + `{"messages":[]}`, Options{}, 2, "is an empty list"},
		{"messages missing", "f.jsonl", chat + "\n" + `{"text":"a"}`, Options{}, 2, `the row has no "messages"`},
		{"message is a string", "f.jsonl", `{"messages":["a"]}`, Options{}, 1,
			`message 1 of "messages": it is "\"a\"", not an object`},
		{"key twice in a message", "f.jsonl", `{"messages":[{"role":"user","content":"a","role":"x"}]}`, Options{}, 1,
			`the key "role" is there twice`},
		{"role missing", "f.jsonl", `{"messages":[{"content":"a"}]}`, Options{}, 1,
			`message 1 of "messages": it has no "role"`},
		{"role is empty", "f.jsonl", `{"messages":[{"role":" ","content":"a"}]}`, Options{}, 1, "the role is empty"},
		{"content missing", "f.jsonl", `{"messages":[{"role":"user","content":"a"},{"role":"user"}]}`, Options{}, 1,
			`message 2 of "messages": it has no "content"`},
		{"content is null", "f.jsonl", `{"messages":[{"role":"user","content":null}]}`, Options{}, 1,
			`"content" is "null", not a string`},
		{"content is a list of parts", "f.jsonl", `{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`,
			Options{}, 1, "only text is supported"},
		{"calls in ShareGPT", "f.jsonl", `{"conversations":[{"from":"human","value":"a"},{"from":"function_call",` +
			`"value":"{}"}]}`, Options{}, 1, `message 2 of "conversations": "from" is "function_call"; tools are not supported`},
		{"another role in ShareGPT", "f.jsonl", `{"conversations":[{"from":"alice","value":"a"}]}`, Options{}, 1,
			`"from" is "alice": known are human, gpt and system`},
		{"two systems in ShareGPT", "f.jsonl", `{"system":"s","conversations":[{"from":"system","value":"t"}]}`, Options{}, 1,
			`"system" is not the content of the system message`},
		{"parts in ShareGPT", "f.jsonl", `{"conversations":[{"from":"human","value":[{"type":"text"}]}]}`, Options{}, 1,
			`"value" is a list of parts`},
		{"tools", "f.jsonl", `{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]}`, Options{}, 1,
			`the row has "tools", which are not supported`},
		{"tool calls", "f.jsonl", `{"messages":[{"role":"assistant","content":"a","tool_calls":[{}]}]}`, Options{}, 1,
			`it has "tool_calls"; tools are not supported`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ReadBytes([]byte(tt.content), tt.file, tt.options)
			if err == nil {
				t.Fatalf("no error, but %+v", slices.Collect(d.Values()))
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
		{"format", "f.csv", Options{Format: "xls"}, "is none of csv, tsv, jsonl, txt"},
		{"unknown ending", "f", Options{}, "it looks like `format jsonl`"},
		{"negative limit", "f.csv", Options{MaxSamples: -1}, "negative"},
		{"two kinds", "f.csv", Options{TextColumn: "a", PromptColumn: "b"}, "name columns of one kind only"},
		{"the same column", "f.csv", Options{PromptColumn: "a", CompletionColumn: "a"}, "are the same"},
		{"delimiter for JSON", "f.jsonl", Options{Delimiter: ';'}, "`delimiter` is for CSV and TSV"},
		{"columns of plain text", "f.txt", Options{TextColumn: "a"}, "has no columns"},
		{"columns of plain text", "f.txt", Options{MessagesColumn: "a"}, "has no columns"},
		{"limit of plain text", "f.txt", Options{MaxSamples: 2}, "which is one document"},
		{"messages in CSV", "f.csv", Options{MessagesColumn: "a"}, "`messages_column` is for JSON Lines"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBytes([]byte(`{"text":"a"}`), tt.file, tt.options)
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
}

// A row that changes in any part changes the hash; how the file is written does not.
func TestDocumentsHash(t *testing.T) {
	hash := func(file, content string) string { return readDocuments(t, file, content, Options{}).Hash() }
	same := hash("f.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n")
	for file, content := range map[string]string{"f.csv": "completion,prompt\r\nb,a\r\n",
		"f.jsonl": "\n{\"answer\":\"b\", \"question\":\"\\u0061\"}"} {
		if got := hash(file, content); got != same {
			t.Errorf("%s %q has another hash", file, content)
		}
	}
	seen := map[string]string{}
	for _, content := range []string{
		`{"text":"ab"}`, `{"text":"a"}` + "\n" + `{"text":"b"}`, `{"prompt":"a","completion":"b"}`,
		`{"prompt":"ab","completion":""}`, `{"prompt":"","completion":"ab"}`,
		`{"messages":[{"role":"user","content":"a"}]}`, `{"messages":[{"role":"system","content":"a"}]}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"user","content":""}]}`,
		`{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"user","content":""}]}`,
		`{"messages":[{"role":"user","content":"b"}]}`,
	} {
		h := hash("f.jsonl", content)
		if before, ok := seen[h]; ok {
			t.Errorf("%s and %s have one hash", content, before)
		}
		seen[h] = content
	}
}

func TestDocumentsSplitOff(t *testing.T) {
	var content strings.Builder
	for i := range 10 {
		content.WriteString(`{"text":"` + string(rune('a'+i)) + "\"}\n")
	}
	d := readDocuments(t, "f.jsonl", content.String(), Options{})
	rest, held, err := d.SplitOff(0.3, 7)
	if err != nil || rest.Len() != 7 || held.Len() != 3 {
		t.Fatalf("%v and %v, %v", rest, held, err)
	}
	// Part of what makes runs repeatable: these rows must never change.
	got := ""
	for e := range held.Values() {
		got += e.Text
	}
	if got != "bfi" {
		t.Errorf("held %q", got)
	}
	if _, again, _ := d.SplitOff(0.3, 8); reflect.DeepEqual(slices.Collect(again.Values()),
		slices.Collect(held.Values())) {
		t.Error("the seed does not matter")
	}
	if d.Len() != 10 || d.Limit(4).Len() != 4 || d.Limit(0).Len() != 10 || d.Limit(40).Len() != 10 {
		t.Error("limits are wrong")
	}
	for text, want := range map[string][2]string{
		"one\ntwo\nthree\n": {"one\ntwo\n", "three\n"}, "one two three": {"one two ", "three"}, "éééé": {"éé", "éé"},
		"aé": {"a", "é"}, "one\n": {"on", "e\n"},
	} {
		rest, held, err := readDocuments(t, "f.txt", text, Options{}).SplitOff(0.3, 1)
		if text == "éééé" {
			rest, held, err = readDocuments(t, "f.txt", text, Options{}).SplitOff(0.4, 1)
		}
		if err != nil || rest.At(0).Text != want[0] || held.At(0).Text != want[1] {
			t.Errorf("%q: got %v, %v, %v", text, rest, held, err)
		}
	}
	if _, held, err := readDocuments(t, "f.txt", "one\ntwo\nthree\n", Options{}).SplitOff(0.3, 1); err != nil ||
		held.At(0).Line != 3 {
		t.Errorf("the held part begins at line %d, %v", held.At(0).Line, err)
	}
	for _, fraction := range []float64{0, 1, -1, 0.01} {
		if _, _, err := d.SplitOff(fraction, 1); !errors.Is(err, data.ErrOption) {
			t.Errorf("%v: %v", fraction, err)
		}
	}
	if _, _, err := readDocuments(t, "f.txt", "é", Options{}).SplitOff(0.1, 1); !errors.Is(err, data.ErrOption) {
		t.Errorf("a single character: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	train := readDocuments(t, "t.jsonl", `{"messages":[{"role":"user","content":"a","weight":0,"name":"x","id":3}]}
{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}
{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}`, Options{})
	eval := readDocuments(t, "e.jsonl", `{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}`,
		Options{})
	test := readDocuments(t, "x.jsonl", "{\"text\":\" \"}\n{\"text\":\"\xFF\"}", Options{ReplaceInvalid: true})
	answers := readDocuments(t, "a.jsonl", `{"prompt":"a","completion":""}`, Options{})
	var got []string
	for _, w := range append(Warnings(train, eval, test), Warnings(nil, nil, answers)...) {
		got = append(got, w.String())
	}
	want := []string{
		"t.jsonl: 1 message with other keys than role and content, which are not read and change nothing of " +
			"what is learned: \"id\", \"name\"",
		"t.jsonl:1: 1 row without an assistant's message to learn",
		"t.jsonl:3: 1 row with the content of a row before",
		"x.jsonl: 1 line with bytes that are not UTF-8, which were replaced",
		"x.jsonl:1: 1 row with an empty text",
		"e.jsonl:1: 1 row with content that is also in t.jsonl",
		"a.jsonl:1: 1 row with an empty completion",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestUnreadColumns reports columns that have content for the model, or a weight, and are not read.
func TestUnreadColumns(t *testing.T) {
	const said = `"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`
	const other = "with other columns than those that are learned from, which are not read: "
	for _, tt := range []struct {
		file, content string
		options       Options
		want          []string
	}{
		{"f.jsonl", `{"question":"a","context":"x","answer":"b"}` + "\n" + `{"question":"c","answer":"d","Passage":"y"}`,
			Options{}, []string{"f.jsonl:1: 2 rows " + other + `"Passage", "context"`}},
		{"f.csv", "question,context,answer,id\na,,b,1\nc,x,d,2\n", Options{},
			[]string{"f.csv:3: 1 row " + other + `"context"`}},
		{"f.jsonl", `{"question":"a","context":"","system":null,"history":[],"answer":"b"}`, Options{}, nil},
		{"f.jsonl", `{"question":"a","context":"x","answer":"b"}`, Options{PromptColumn: "question"}, nil},
		{"f.jsonl", `{` + said + `,"weight":0}`, Options{}, []string{"f.jsonl:1: 1 row " + other + `"weight"`}},
		{"f.jsonl", `{` + said + `,"weight":1.0,"Loss_Weight":"high"}`, Options{}, nil},
		{"f.csv", "text,weight\na,0.5\n", Options{TextColumn: "text"}, []string{"f.csv:2: 1 row " + other + `"weight"`}},
		{"f.jsonl", `{"system":"s","messages":[{"role":"system","content":"t"},{"role":"assistant","content":"b"}]}`,
			Options{}, []string{"f.jsonl:1: 1 row " + other + `"system"`}},
		{"f.jsonl", `{"system":"t","messages":[{"role":"system","content":"t"},{"role":"assistant","content":"b"}]}`,
			Options{}, nil},
		{"f.jsonl", `{"messages":[{"role":"User","content":"a"},{"role":"Assistant","content":"b"}]}` + "\n" +
			`{"messages":[{"role":"human","content":"a"},{"role":"gpt","content":"b"}]}`, Options{},
			[]string{`f.jsonl:1: 2 rows without an assistant's message to learn; rename the roles "Assistant", "gpt" to ` +
				`"assistant" if they are the assistant's`}},
		{"f.jsonl", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":" "}]}`, Options{},
			[]string{"f.jsonl:1: 1 row with an empty message of the assistant, of which only the end is learned"}},
	} {
		var got []string
		for _, w := range Warnings(readDocuments(t, tt.file, tt.content, tt.options), nil, nil) {
			got = append(got, w.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.content, got, tt.want)
		}
	}
}

// TestInstructions writes Alpaca's rows as chats and as prompts.
func TestInstructions(t *testing.T) {
	f := readDocuments(t, "f.json", `[{"instruction":"Add.","input":"1 2","output":"3"},
{"instruction":"Greet.","input":"","output":"Hi."},
{"instruction":"Greet.","input":"","output":"Hi.","system":"Be kind."}]`, Options{})
	chats, prompts := f.Chats(), f.Prompts()
	wantChats := []Document{
		{Messages: []Message{say("user", "Add.\n1 2"), say("assistant", "3")}, Line: 1},
		{Messages: []Message{say("user", "Greet."), say("assistant", "Hi.")}, Line: 2},
		{Messages: []Message{say("system", "Be kind."), say("user", "Greet."), say("assistant", "Hi.")}, Line: 3},
	}
	wantPrompts := []Document{
		{Prompt: "Below is an instruction that describes a task, paired with an input that provides further context. " +
			"Write a response that appropriately completes the request.\n\n" +
			"### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:",
			Completion: "3", Line: 1},
		{Prompt: "Below is an instruction that describes a task. Write a response that appropriately completes the " +
			"request.\n\n### Instruction:\nGreet.\n\n### Response:", Completion: "Hi.", Line: 2},
		{Prompt: "Be kind.\n\n### Instruction:\nGreet.\n\n### Response:", Completion: "Hi.", Line: 3},
	}
	if got := slices.Collect(chats.Values()); chats.Kind != Chat || !reflect.DeepEqual(got, wantChats) {
		t.Errorf("chats %v %+v", chats.Kind, got)
	}
	if got := slices.Collect(prompts.Values()); prompts.Kind != Prompt || !reflect.DeepEqual(got, wantPrompts) {
		t.Errorf("prompts %v %+v", prompts.Kind, got)
	}
	if chats.Chats() != chats || prompts.Prompts() != prompts {
		t.Error("files of other kinds are converted")
	}
}

// TestHashOfWeights holds that a weight, an input and a system prompt change what is hashed.
func TestHashOfWeights(t *testing.T) {
	seen := map[string]string{}
	for _, row := range []string{
		`{"messages":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]}`,
		`{"messages":[{"role":"assistant","content":"a","weight":0},{"role":"assistant","content":"b"}]}`,
		`{"messages":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b","weight":0}]}`,
		`{"instruction":"a","input":"","output":"b"}`, `{"instruction":"a","input":"x","output":"b"}`,
		`{"instruction":"a","input":"","output":"b","system":"x"}`,
	} {
		hash := readDocuments(t, "f.jsonl", row, Options{}).Hash()
		if seen[hash] != "" {
			t.Errorf("%s and %s have the same hash", row, seen[hash])
		}
		seen[hash] = row
	}
}

// TestOtherRoles warns of messages that are marked as to be learned, but are not the assistant's.
func TestOtherRoles(t *testing.T) {
	f := readDocuments(t, "f.jsonl", `{"messages":[{"role":"user","content":"a","train":true},`+
		`{"role":"assistant","content":"b","train":true}]}`, Options{})
	got := Warnings(f, nil, nil)
	if len(got) != 1 || !strings.HasPrefix(got[0].String(),
		"f.jsonl: 1 message of others than the assistant that are marked") {
		t.Error(got)
	}
}
