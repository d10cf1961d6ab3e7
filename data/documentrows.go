package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// documentRows puts the rows of a file into a list of documents.
type documentRows struct {
	d     *Documents
	o     DocumentOptions
	c     documentColumns
	lists bool // the prompt and completion of the first row are lists of messages
	seen  bool // there was a first row
}

func (r *documentRows) resolve(h *header) (err error) {
	if r.c, err = h.documents(r.o); err == nil {
		r.d.setColumns(h, r.c)
	}
	return err
}

func (r *documentRows) enough() bool { return r.d.full(r.o) }

// record appends one row of CSV or TSV.
func (r *documentRows) record(row [][]byte, line int) error {
	e := Document{Line: line}
	for _, f := range []struct {
		to *string
		i  int
	}{{&e.Text, r.c.text}, {&e.Prompt, r.c.prompt}, {&e.Completion, r.c.completion}} {
		if f.i >= 0 {
			*f.to = string(row[f.i])
		}
	}
	r.d.List = append(r.d.List, e)
	return nil
}

// object appends one row of JSON Lines.
func (r *documentRows) object(row map[string]json.RawMessage, line int) error {
	e := Document{Line: line}
	var err error
	if v, ok := row["tools"]; ok && r.d.Kind != TextDocument && !empty(v) {
		return errors.New(`the row has "tools", which are not supported: remove them, or write the chat as text with the template applied`)
	}
	switch r.c.kind() {
	case TextDocument:
		e.Text, err = stringValue(row, r.d.Columns.Text)
	case ChatDocument:
		e.Messages, err = r.messages(row, r.d.Columns.Messages)
	default:
		err = r.promptAndCompletion(row, &e)
	}
	if err != nil {
		return err
	}
	r.d.List = append(r.d.List, e)
	return nil
}

// promptAndCompletion reads two strings, or two lists of messages: then the
// documents are chats. All rows are alike.
func (r *documentRows) promptAndCompletion(row map[string]json.RawMessage, e *Document) error {
	prompt, completion := r.d.Columns.Prompt, r.d.Columns.Completion
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
			r.d.Kind = ChatDocument
		}
	}
	if r.lists != list[prompt] {
		return fmt.Errorf("%q and %q are %s, but those of the first row are %s", prompt, completion, messagesOr(list[prompt]), messagesOr(r.lists))
	}
	var err error
	if !r.lists {
		if e.Prompt, err = stringValue(row, prompt); err == nil {
			e.Completion, err = stringValue(row, completion)
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
func (r *documentRows) messages(row map[string]json.RawMessage, key string) ([]Message, error) {
	v, ok := row[key]
	if !ok {
		return nil, fmt.Errorf("the row has no %q", key)
	}
	if v[0] != '[' {
		return nil, fmt.Errorf("%q is %s, not a list of messages", key, excerpt(string(v)))
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
			r.d.Unread++
		}
	}
	return list, nil
}

// refused are keys of messages that say something to the model which would be lost.
var refused = []string{"tool_calls", "function_call", "tool_call_id"}

// parseMessage reads one message and reports whether it has keys that are not read.
func parseMessage(v json.RawMessage, m *Message) (other bool, err error) {
	if v[0] != '{' {
		return false, fmt.Errorf("it is %s, not an object like {\"role\": …, \"content\": …}", excerpt(string(v)))
	}
	row, keys, err := parseObject(v)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		switch {
		case key == "role" || key == "content" || empty(row[key]):
		case slices.Contains(refused, key):
			return false, fmt.Errorf("it has %q; tools are not supported: remove such rows, or write the chat as text with the template applied", key)
		default:
			other = true
		}
	}
	if row["from"] != nil && row["value"] != nil && row["role"] == nil {
		return false, errors.New(`it has "from" and "value": rename them to "role" and "content", with the roles system, user and assistant (not human and gpt)`)
	}
	if m.Role, err = stringValue(row, "role"); err != nil {
		return false, inMessage(err)
	}
	if strings.TrimSpace(m.Role) == "" {
		return false, errors.New("the role is empty")
	}
	if c := row["content"]; c != nil && c[0] == '[' {
		return false, errors.New(`"content" is a list of parts; only text is supported: give it as one string`)
	}
	if m.Content, err = stringValue(row, "content"); err != nil {
		return false, inMessage(err)
	}
	return other, nil
}

// inMessage makes an error about a row one about a message.
func inMessage(err error) error {
	if rest, ok := strings.CutPrefix(err.Error(), "the row "); ok {
		return errors.New("it " + rest)
	}
	return err
}

// empty reports whether a JSON value says nothing: null, or an empty string, list
// or object. Exporters fill keys that a row does not use with these.
func empty(v json.RawMessage) bool {
	switch string(bytes.TrimSpace(v)) {
	case "null", `""`, "[]", "{}":
		return true
	}
	return false
}
