package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// asText is one remedy for chats with tools.
const asText = "or write the chat as text with the template applied"

// rows appends the rows of a stream to a file.
type rows struct {
	f     *File
	o     Options
	c     columns
	kind  Kind     // how the rows are read
	names []string // of all columns
	lists bool     // the prompt and completion of the first row are lists of messages
	seen  bool     // there was a first row

	shareGPT bool // the messages of the last row have from and value
}

// Resolve finds the columns and with them the kind of the rows.
func (r *rows) Resolve(h *data.Header) (err error) {
	if r.c, err = (header{h}).columns(r.o); err == nil {
		r.kind, r.names = r.c.kind(), h.Names
		r.f.Kind, r.f.Columns = r.kind, (header{h}).names(r.c)
	}
	return err
}

// Enough reports whether no more rows are wanted.
func (r *rows) Enough() bool { return r.f.Full(r.o.MaxSamples) }

// plain takes the whole file as one text, with LF at the end of its lines.
func (r *rows) plain(lines *data.Lines, _ data.Format) error {
	content, err := lines.Content()
	if err == nil && len(content) > 0 {
		r.f.Append(Document{Text: string(content), Line: 1})
	}
	return err
}

// Record appends one row of CSV or TSV.
func (r *rows) Record(row [][]byte, line int) error {
	e := Document{Line: line}
	for _, f := range []struct {
		to *string
		i  int
	}{{&e.Text, r.c.text}, {&e.Prompt, r.c.prompt}, {&e.Input, r.c.input}, {&e.Completion, r.c.completion}} {
		if f.i >= 0 {
			*f.to = string(row[f.i])
		}
	}
	r.f.beside.Add(line, r.beside().OfRecord(r.names, row))
	r.f.Append(e)
	return nil
}

// Object appends one row of JSON Lines.
func (r *rows) Object(row data.Object, line int) error {
	e := Document{Line: line}
	var err error
	for _, key := range []string{"tools", "functions"} {
		if v, ok := row[key]; ok && r.f.Kind != Text && !data.Empty(v) && string(v) != `"[]"` {
			return fmt.Errorf("the row has %q, which are not supported: remove them, %s", key, asText)
		}
	}
	switch r.becomes(row); r.kind {
	case Text:
		if err = r.messageAlone(row); err == nil {
			e.Text, err = row.Text(r.f.Columns.Text)
		}
	case Chat:
		if e.Messages, err = r.messages(row, r.f.Columns.Messages); err == nil {
			err = r.system(row, &e, line)
		}
	case Instruction:
		err = r.instruction(row, &e)
	default:
		err = r.promptAndCompletion(row, &e)
	}
	if err != nil {
		return err
	}
	r.f.beside.Add(line, r.beside().OfObject(row))
	r.f.Append(e)
	return nil
}

// becomes makes Instructions of the rows from the first one on that has an input beside an instruction: those before
// have none.
func (r *rows) becomes(row data.Object) {
	if r.kind != Prompt || r.lists || r.o.named() || data.Fold(r.f.Columns.Prompt) != "instruction" {
		return
	}
	for key, v := range row {
		if slices.Contains(inputs, data.Fold(key)) && key != r.f.Columns.Completion && !data.Empty(v) {
			r.kind, r.f.Kind, r.f.Columns.Input = Instruction, Instruction, key
		}
	}
}

// messageAlone returns an error if a row is a message of a chat, not a text.
func (r *rows) messageAlone(row data.Object) error {
	role, err := row.Text("role")
	if _, known := roles[data.Fold(role)]; err == nil && known && r.f.Columns.Text == "content" && !r.o.named() {
		return fmt.Errorf(`the row is a message ("role", "content"), not a chat: write each chat as one row `+
			`{"messages": [{"role": %q, "content": …}, …]}`, role)
	}
	return nil
}

// instruction reads Alpaca's keys, of which the input may be missing.
func (r *rows) instruction(row data.Object, e *Document) error {
	if v := row["history"]; v != nil && !data.Empty(v) {
		return errors.New(`the row has a "history", which is not read: write it as "messages"`)
	}
	for _, f := range []struct {
		to       *string
		key      string
		optional bool
	}{{&e.Prompt, r.f.Columns.Prompt, false}, {&e.Input, r.f.Columns.Input, true},
		{&e.Completion, r.f.Columns.Completion, false}, {&e.System, "system", true}} {
		if f.optional && data.Null(row[f.key]) {
			continue
		}
		var err error
		if *f.to, err = row.Text(f.key); err != nil {
			return err
		}
	}
	return nil
}

// system puts the system prompt that rows may have beside the conversation before it.
func (r *rows) system(row data.Object, e *Document, line int) error {
	v := row["system"]
	if len(v) == 0 || data.Empty(v) {
		return nil
	}
	text, err := row.Text("system")
	first := e.Messages[0]
	switch {
	case !r.shareGPT && (err != nil || first.Role == "system" && first.Content != text):
		r.f.beside.Add(line, []string{"system"})
		return nil
	case err != nil:
		return err
	case first.Role == "system" && first.Content != text:
		return errors.New(`"system" is not the content of the system message: remove one of them`)
	case first.Role == "system":
		return nil
	}
	e.Messages = slices.Insert(e.Messages, 0, Message{Role: "system", Content: text})
	return nil
}

// promptAndCompletion reads two strings, or two lists of messages: then the documents are chats. All rows are alike.
func (r *rows) promptAndCompletion(row data.Object, e *Document) error {
	prompt, completion := r.f.Columns.Prompt, r.f.Columns.Completion
	list := map[string]bool{}
	for _, key := range []string{prompt, completion} {
		v, ok := row[key]
		if !ok {
			return fmt.Errorf("the row has no %q", key)
		}
		list[key] = v[0] == '['
	}
	if list[prompt] != list[completion] {
		return fmt.Errorf("%q and %q are not both strings or both lists of messages", prompt, completion)
	}
	if !r.seen {
		r.seen, r.lists = true, list[prompt]
		if r.lists {
			r.f.Kind = Chat
		}
	}
	if r.lists != list[prompt] {
		return fmt.Errorf("%q and %q are %s, but those of the first row are %s",
			prompt, completion, messagesOr(list[prompt]), messagesOr(r.lists))
	}
	var err error
	if !r.lists {
		if e.Prompt, err = row.Text(prompt); err == nil {
			e.Completion, err = row.Text(completion)
		}
		return err
	}
	if e.Messages, err = r.messages(row, prompt); err != nil {
		return err
	}
	e.Given = len(e.Messages)
	more, err := r.messages(row, completion)
	e.Messages = append(e.Messages, more...)
	return err
}

func messagesOr(list bool) string {
	if list {
		return "lists of messages"
	}
	return "strings"
}

// messages reads a list of {"role": …, "content": …}.
func (r *rows) messages(row data.Object, key string) ([]Message, error) {
	v, ok := row[key]
	if !ok {
		return nil, fmt.Errorf("the row has no %q", key)
	}
	if v[0] != '[' {
		return nil, fmt.Errorf("%q is %s, not a list of messages", key, data.Excerpt(string(v)))
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(v, &raw); err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	if len(raw) == 0 {
		return nil, fmt.Errorf("%q is an empty list: a chat has at least one message", key)
	}
	list := make([]Message, len(raw))
	r.shareGPT = false
	for i, m := range raw {
		unread, err := r.message(m, &list[i])
		if err != nil {
			return nil, fmt.Errorf("message %d of %q: %w", i+1, key, err)
		}
		if len(unread) > 0 {
			r.f.Unread++
		}
		for _, name := range unread {
			if at, found := slices.BinarySearch(r.f.unreadKeys, name); !found {
				r.f.unreadKeys = slices.Insert(r.f.unreadKeys, at, name)
			}
		}
	}
	return list, nil
}

// refused are keys of messages with content for the model that would be lost.
var refused = []string{"tool_calls", "function_call", "tool_call_id"}

// learning are keys of messages that say whether a message is learned: 0 or false, 1 or true.
var learning = []string{"weight", "loss_weight", "loss", "train", "training", "trainable"}

// roles are the roles of ShareGPT; "" for those of tools.
var roles = map[string]string{
	"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant",
	"model": "assistant", "bot": "assistant", "bing": "assistant", "bard": "assistant", "system": "system",
	"function_call": "", "function_response": "", "function": "", "observation": "", "tool": "", "tool_call": "",
	"tool_response": "",
}

// message reads one message and returns its keys that are not read.
func (r *rows) message(v json.RawMessage, m *Message) (unread []string, err error) {
	if v[0] != '{' {
		return nil, fmt.Errorf("it is %s, not an object like {\"role\": …, \"content\": …}", data.Excerpt(string(v)))
	}
	row, keys, err := data.ParseObject(v)
	if err != nil {
		return nil, err
	}
	role, content := "role", "content"
	if row["role"] == nil && row["from"] != nil && row["content"] == nil {
		role, content, r.shareGPT = "from", "value", true
	}
	learned, marked := true, ""
	for _, key := range keys {
		switch {
		case key == role || key == content || data.Empty(row[key]):
		case slices.Contains(refused, key):
			return nil, fmt.Errorf("it has %q; tools are not supported: remove such rows, %s", key, asText)
		case slices.Contains(learning, key):
			on, err := isLearned(key, row[key])
			if err != nil {
				return nil, err
			}
			if marked != "" && on != learned {
				return nil, fmt.Errorf("%q and %q contradict each other", marked, key)
			}
			learned, marked = on, key
		default:
			unread = append(unread, key)
		}
	}
	if m.Role, err = row.Text(role); err != nil {
		return nil, data.About(err)
	}
	if strings.TrimSpace(m.Role) == "" {
		return nil, errors.New("the role is empty")
	}
	if role == "from" {
		if m.Role, err = roleOf(m.Role); err != nil {
			return nil, err
		}
	}
	if c := row[content]; c != nil && c[0] == '[' {
		return nil, fmt.Errorf("%q is a list of parts; only text is supported: give it as one string", content)
	}
	if m.Content, err = row.Text(content); err != nil {
		return nil, data.About(err)
	}
	if m.Unlearned = !learned && m.Role == "assistant"; marked != "" && learned && m.Role != "assistant" {
		r.f.otherRoles.Add(0)
	}
	return unread, nil
}

// roleOf returns the role that ShareGPT's from means.
func roleOf(from string) (string, error) {
	role, known := roles[data.Fold(from)]
	switch {
	case !known:
		return "", fmt.Errorf(`"from" is %s: known are human, gpt and system (or user, assistant and others); rename it, `+
			`or write messages with "role" and "content"`, data.Excerpt(from))
	case role == "":
		return "", fmt.Errorf(`"from" is %s; tools are not supported: remove such rows, %s`, data.Excerpt(from), asText)
	}
	return role, nil
}

// isLearned reads the value of a key that says whether a message is learned.
func isLearned(key string, v json.RawMessage) (bool, error) {
	switch string(v) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if n, err := strconv.ParseFloat(string(v), 64); err == nil && (n == 0 || n == 1) {
		return n == 1, nil
	}
	return false, fmt.Errorf("%q is %s: a message is learned (1, true) or not (0, false), not in part", key,
		data.Excerpt(string(v)))
}
