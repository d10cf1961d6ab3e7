package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// objectRows takes the rows of JSON Lines.
type objectRows interface {
	rowTaker
	// object takes one row.
	object(row map[string]json.RawMessage, line int) error
}

// readObjects gives the rows of JSON Lines to t: one object in every line, blank
// lines skipped and counted.
func readObjects(lines *lineReader, t objectRows) (blank int, err error) {
	first := true
	for !t.enough() {
		line, end, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return blank, err
		}
		if len(bytes.Trim(line, " \t")) == 0 {
			blank++
			continue
		}
		row, keys, err := parseObject(line)
		if err != nil {
			return blank, jsonError(lines, line, end, first, err)
		}
		if first {
			first = false
			if err := t.resolve(&header{file: lines.name, line: lines.line, names: keys, what: "key"}); err != nil {
				return blank, err
			}
		}
		if err := t.object(row, lines.line); err != nil {
			return blank, rowError(lines.name, lines.line, err)
		}
	}
	return blank, nil
}

// rowError says in which row of a file an error is, if it does not say so itself.
func rowError(file string, line int, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return errorAt(file, line, "%s", err)
}

// object appends one row of JSON Lines.
func (r *tableRows) object(row map[string]json.RawMessage, line int) error {
	if err := r.lateLabel(row, line); err != nil {
		return err
	}
	e, err := r.t.example(row, r.o)
	if err != nil {
		return err
	}
	e.Line = line
	r.t.Examples = append(r.t.Examples, e)
	return nil
}

// lateLabel looks for the label, which is optional, in a row if the rows before had none.
func (r *tableRows) lateLabel(row map[string]json.RawMessage, line int) error {
	to := &r.t.Columns
	if to.Label != "" || r.o.NoLabels {
		return nil
	}
	h := keysOf(r.t.Name, line, row)
	c := columns{slices.Index(h.names, to.Text), slices.Index(h.names, to.Pair), -1}
	if err := h.findLabel(&c, r.o); err != nil {
		return err
	}
	if c.label >= 0 {
		to.Label = h.names[c.label]
	}
	return nil
}

// errTruncated marks a row that ends before its JSON does.
var errTruncated = errors.New("the row ends before its JSON does")

func jsonError(lines *lineReader, line, end []byte, first bool, err error) error {
	if errors.Is(err, errTruncated) && len(end) == 0 {
		return errorAt(lines.name, lines.line, "the last line ends in the middle of a row: was the program that wrote it stopped? Write the file again or remove the line")
	}
	if first && bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("[")) {
		return errorAt(lines.name, lines.line, "the file is a JSON list; JSON Lines has one object in every line (jq -c '.[]' makes it so)")
	}
	if errors.Is(err, errTruncated) && bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{")) {
		return errorAt(lines.name, lines.line, "%s; JSON Lines has one whole object in every line (jq -c . makes it so)", err)
	}
	return errorAt(lines.name, lines.line, "%s", err)
}

// parseObject reads a line that is one JSON object, strictly: no key twice, no
// text after it, no lone surrogates in strings. It returns the values and the
// keys in order.
func parseObject(line []byte) (map[string]json.RawMessage, []string, error) {
	if i := loneSurrogate(line); i >= 0 {
		return nil, nil, fmt.Errorf("byte %d: %s is half of a surrogate pair, which is no character", i+1, line[i:min(i+6, len(line))])
	}
	d := json.NewDecoder(bytes.NewReader(line))
	first, err := d.Token()
	if err != nil {
		return nil, nil, syntax(line, err)
	}
	if first != json.Delim('{') {
		return nil, nil, fmt.Errorf("the row is %s, not an object like {\"text\": …, \"label\": …}", tokenType(first))
	}
	row := map[string]json.RawMessage{}
	var keys []string
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, nil, syntax(line, err)
		}
		key := token.(string) // the decoder takes nothing else for a key
		if _, twice := row[key]; twice {
			return nil, nil, fmt.Errorf("the key %q is there twice", key)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, nil, syntax(line, err)
		}
		row[key] = v
		keys = append(keys, key)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, syntax(line, err)
	}
	if rest := bytes.TrimLeft(line[d.InputOffset():], " \t"); len(rest) > 0 {
		return nil, nil, fmt.Errorf("byte %d: %s follows the object: one object in every line", len(line)-len(rest)+1, excerpt(string(rest)))
	}
	return row, keys, nil
}

// syntax says where a line stops being JSON. The decoder's own errors count
// bytes in two ways, so the line is checked again as a whole.
func syntax(line []byte, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	var whole json.RawMessage
	var s *json.SyntaxError
	if !errors.As(json.Unmarshal(line, &whole), &s) {
		return fmt.Errorf("not JSON: %w", err)
	}
	return fmt.Errorf("byte %d: not JSON: %w", s.Offset, s)
}

func tokenType(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return "a string"
	case float64:
		return "a number"
	case bool:
		return strconv.FormatBool(t)
	}
	return "null"
}

// loneSurrogate returns the index of the first \uD800–\uDFFF escape that is not
// part of a pair, -1 if there is none. encoding/json would replace it silently.
func loneSurrogate(b []byte) int {
	for i := 0; i+1 < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		u, ok := escaped(b[i:])
		switch {
		case !ok:
			i++ // another escape: skip what it escapes
		case u >= 0xDC00 && u < 0xE000:
			return i
		case u >= 0xD800 && u < 0xDC00:
			if low, ok := escaped(b[i+6:]); !ok || low < 0xDC00 || low >= 0xE000 {
				return i
			}
			i += 11
		default:
			i += 5
		}
	}
	return -1
}

// escaped reads \uXXXX.
func escaped(b []byte) (uint64, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return u, err == nil
}

// example makes an example of a row.
func (t *Table) example(row map[string]json.RawMessage, o ReadOptions) (Example, error) {
	var e Example
	var err error
	if e.Text, err = stringValue(row, t.Columns.Text); err != nil {
		return e, err
	}
	switch {
	case t.Columns.Pair != "":
		e.HasPair = true
		if e.Pair, err = stringValue(row, t.Columns.Pair); err != nil {
			return e, fmt.Errorf("%w (the first row is a pair)", err)
		}
	case t.Columns.Text == "text" && o.TextColumn == "" && row["text_pair"] != nil:
		return e, errors.New(`the row has "text_pair", the first row has none: either every row is a pair or none is`)
	}
	key := t.Columns.Label
	v, ok := row[key]
	if key == "" || o.OptionalLabels && (!ok || string(v) == "null") {
		return e, nil
	}
	if !ok {
		return e, fmt.Errorf("the row has no %q", key)
	}
	e.Label, err = parseLabel(v, true)
	if err != nil {
		return e, fmt.Errorf("%q: %w", key, err)
	}
	return e, nil
}

func stringValue(row map[string]json.RawMessage, key string) (string, error) {
	v, ok := row[key]
	if !ok {
		return "", fmt.Errorf("the row has no %q", key)
	}
	if v[0] != '"' {
		return "", fmt.Errorf("%q is %s, not a string", key, excerpt(string(v)))
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return "", fmt.Errorf("%q: %w", key, err)
	}
	return s, nil
}

// parseLabel reads the JSON value of a label. true and false are class names.
func parseLabel(v json.RawMessage, lists bool) (Label, error) {
	switch c := v[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			return Label{}, err
		}
		if strings.TrimSpace(s) == "" {
			return Label{}, errors.New("the label is empty")
		}
		return Label{Kind: NameLabel, Name: s}, nil
	case c == 't' || c == 'f':
		return Label{Kind: NameLabel, Name: string(v)}, nil
	case c == '[' && lists:
		return parseList(v)
	case c == '-' || c >= '0' && c <= '9':
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return Label{}, fmt.Errorf("the label %s is too large a number", excerpt(string(v)))
		}
		if bytes.ContainsAny(v, ".eE") {
			return Label{Kind: NumberLabel, Number: f}, nil
		}
		i, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return Label{}, fmt.Errorf("the label %s is too large an integer", excerpt(string(v)))
		}
		return Label{Kind: IndexLabel, Index: i, Number: f}, nil
	}
	return Label{}, fmt.Errorf("the label is %s: give a class name, a class index, a number, or a list of these", excerpt(string(v)))
}

func parseList(v json.RawMessage) (Label, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(v, &raw); err != nil {
		return Label{}, err
	}
	l := Label{Kind: ListLabel}
	for i, r := range raw {
		e, err := parseLabel(r, false)
		if err != nil {
			return Label{}, fmt.Errorf("element %d: %w", i+1, err)
		}
		if i > 0 && (e.Kind == NameLabel) != (l.List[0].Kind == NameLabel) {
			return Label{}, fmt.Errorf("the list mixes names and numbers: %s", excerpt(string(v)))
		}
		l.List = append(l.List, e)
	}
	return l, nil
}
