package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	lists bool // the prompt and completion of the first row are lists of messages
	seen  bool // there was a first row
}

// Resolve finds the columns and with them the kind of the rows.
func (r *rows) Resolve(h *data.Header) (err error) {
	if r.c, err = (header{h}).columns(r.o); err == nil {
		r.f.Kind, r.f.Columns = r.c.kind(), (header{h}).names(r.c)
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
	}{{&e.Text, r.c.text}, {&e.Prompt, r.c.prompt}, {&e.Completion, r.c.completion}} {
		if f.i >= 0 {
			*f.to = string(row[f.i])
		}
	}
	r.f.Append(e)
	return nil
}

// Object appends one row of JSON Lines.
func (r *rows) Object(row data.Object, line int) error {
	e := Document{Line: line}
	var err error
	if v, ok := row["tools"]; ok && r.f.Kind != Text && !data.Empty(v) {
		return errors.New(`the row has "tools", which are not supported: remove them, ` + asText)
	}
	switch r.c.kind() {
	case Text:
		e.Text, err = row.Text(r.f.Columns.Text)
	case Chat:
		e.Messages, err = r.messages(row, r.f.Columns.Messages)
	default:
		err = r.promptAndCompletion(row, &e)
	}
	if err != nil {
		return err
	}
	r.f.Append(e)
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
	for i, m := range raw {
		other, err := parseMessage(m, &list[i])
		if err != nil {
			return nil, fmt.Errorf("message %d of %q: %w", i+1, key, err)
		}
		if other {
			r.f.Unread++
		}
	}
	return list, nil
}

// refused are keys of messages with content for the model that would be lost.
var refused = []string{"tool_calls", "function_call", "tool_call_id"}

// parseMessage reads one message and reports whether it has keys that are not read.
func parseMessage(v json.RawMessage, m *Message) (other bool, err error) {
	if v[0] != '{' {
		return false, fmt.Errorf("it is %s, not an object like {\"role\": …, \"content\": …}", data.Excerpt(string(v)))
	}
	row, keys, err := data.ParseObject(v)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		switch {
		case key == "role" || key == "content" || data.Empty(row[key]):
		case slices.Contains(refused, key):
			return false, fmt.Errorf("it has %q; tools are not supported: remove such rows, %s", key, asText)
		default:
			other = true
		}
	}
	if row["from"] != nil && row["value"] != nil && row["role"] == nil {
		return false, errors.New(`it has "from" and "value": rename them to "role" and "content", ` +
			"with the roles system, user and assistant (not human and gpt)")
	}
	if m.Role, err = row.Text("role"); err != nil {
		return false, data.About(err)
	}
	if strings.TrimSpace(m.Role) == "" {
		return false, errors.New("the role is empty")
	}
	if c := row["content"]; c != nil && c[0] == '[' {
		return false, errors.New(`"content" is a list of parts; only text is supported: give it as one string`)
	}
	if m.Content, err = row.Text("content"); err != nil {
		return false, data.About(err)
	}
	return other, nil
}
