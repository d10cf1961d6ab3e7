package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// readJSON gives the rows of JSON to t: an object in every line, or one JSON list of objects, or
// one object over several lines. It returns the number of blank lines of the first kind.
func readJSON(lines *lineReader, t objectRows) (blank int, err error) {
	head, _ := lines.r.Peek(lines.r.Size())
	head = bytes.TrimLeft(head, " \t\r\n")
	first, _, cut := bytes.Cut(head, []byte("\n"))
	whole := bytes.HasPrefix(head, []byte("[")) || cut && bytes.HasPrefix(first, []byte("{")) && !json.Valid(first) && endsInside(first)
	if !whole {
		return readObjects(lines, t)
	}
	return 0, readWhole(lines, t)
}

// endsInside reports whether a text is the beginning of a JSON value and not all of it.
func endsInside(text []byte) bool {
	var v json.RawMessage
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&v)
	return errors.Is(err, io.ErrUnexpectedEOF)
}

// readWhole reads all of a file that is one JSON list or object. The line of a row is that at
// which it begins.
func readWhole(lines *lineReader, t objectRows) error {
	lines.max = maxText
	var text []byte
	for {
		line, _, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(text)+len(line) > maxText {
			return errorAt(lines.name, 0, "the file is longer than %d MiB; write one object in every line (jq -c '.[]' makes it so)", maxText>>20)
		}
		text = append(append(text, line...), '\n')
	}
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return wholeError(lines, text, err)
	}
	v = bytes.TrimSpace(v)
	if v[0] == '{' {
		at := 1 + bytes.Count(text[:bytes.IndexByte(text, '{')], []byte("\n"))
		return takeObject(lines.name, v, at, true, t)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the bracket
		return wholeError(lines, text, err)
	}
	counted, line := 0, 1
	for first := true; d.More() && !t.enough(); first = false {
		if err := d.Decode(&v); err != nil {
			return wholeError(lines, text, err)
		}
		at := int(d.InputOffset()) - len(v)
		line += bytes.Count(text[counted:at], []byte("\n"))
		counted = at
		if err := takeObject(lines.name, v, line, first, t); err != nil {
			return err
		}
	}
	return nil
}

// takeObject gives one row to t.
func takeObject(file string, v json.RawMessage, line int, first bool, t objectRows) error {
	row, keys, err := parseObject(v)
	if err != nil {
		return errorAt(file, line, "%s", err)
	}
	if first {
		if err := t.resolve(&header{file: file, line: line, names: keys, what: "key"}); err != nil {
			return err
		}
	}
	if err := t.object(row, line); err != nil {
		return rowError(file, line, err)
	}
	return nil
}

// wholeError says in which line a file stops being JSON.
func wholeError(lines *lineReader, text []byte, err error) error {
	var s *json.SyntaxError
	if !errors.As(err, &s) {
		return errorAt(lines.name, 0, "not JSON: %s", err)
	}
	at := min(max(int(s.Offset)-1, 0), len(text))
	if len(bytes.TrimSpace(text[at:])) == 0 {
		return errorAt(lines.name, lines.line, "the file ends before its JSON does: was the program that wrote it stopped? Write the file again")
	}
	return errorAt(lines.name, 1+bytes.Count(text[:at], []byte("\n")), "byte %d of the line: not JSON: %s", at-bytes.LastIndexByte(text[:at], '\n'), s)
}
