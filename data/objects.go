package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// ObjectRows takes the rows of JSON.
type ObjectRows interface {
	Rows
	// Object takes the row at line.
	Object(row Object, line int) error
}

// ReadObjects gives the rows of JSON Lines to t: one object in every line, blank lines skipped and counted.
func ReadObjects(lines *Lines, t ObjectRows) (blank int, err error) {
	first := true
	for !t.Enough() {
		line, end, err := lines.Next()
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
		row, keys, err := ParseObject(line)
		if err != nil {
			return blank, jsonError(lines, line, end, first, err)
		}
		if first {
			first = false
			if err := t.Resolve(&Header{File: lines.name, Line: lines.line, Names: keys, What: "key"}); err != nil {
				return blank, err
			}
		}
		if err := t.Object(row, lines.line); err != nil {
			return blank, InRow(lines.name, lines.line, err)
		}
	}
	return blank, nil
}

func jsonError(lines *Lines, line, end []byte, first bool, err error) error {
	if errors.Is(err, errTruncated) && len(end) == 0 {
		return Errorf(lines.name, lines.line,
			"the last line ends in the middle of a row: was the program that wrote it stopped? Write the file again or "+
				"remove the line")
	}
	if first && bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("[")) {
		return Errorf(lines.name, lines.line,
			"the file is a JSON list; JSON Lines has one object in every line (jq -c '.[]' makes it so)")
	}
	if errors.Is(err, errTruncated) && bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{")) {
		return Errorf(lines.name, lines.line, "%s; JSON Lines has one whole object in every line (jq -c . makes it so)", err)
	}
	return Errorf(lines.name, lines.line, "%s", err)
}

// ReadJSON gives the rows of JSON to t: an object in every line, or one JSON list of objects, or one object over
// several lines. It returns the number of blank lines of the first kind.
func ReadJSON(lines *Lines, t ObjectRows) (blank int, err error) {
	head := bytes.TrimLeft(lines.Head(), " \t\r\n")
	first, _, cut := bytes.Cut(head, []byte("\n"))
	whole := bytes.HasPrefix(head, []byte("[")) || cut && bytes.HasPrefix(first, []byte("{")) && !json.Valid(first) &&
		endsInside(first)
	if !whole {
		return ReadObjects(lines, t)
	}
	return 0, readWhole(lines, t)
}

// endsInside reports whether a text is the beginning of a JSON value and not all of it.
func endsInside(text []byte) bool {
	var v json.RawMessage
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&v)
	return errors.Is(err, io.ErrUnexpectedEOF)
}

// readWhole reads all of a file that is one JSON list or object. The line of a row is that at which it begins.
func readWhole(lines *Lines, t ObjectRows) error {
	text, err := lines.content(MaxContent, "write one object in every line (jq -c '.[]' makes it so)")
	if err != nil {
		return err
	}
	text = append(text, '\n')
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
	for first := true; d.More() && !t.Enough(); first = false {
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
func takeObject(file string, v json.RawMessage, line int, first bool, t ObjectRows) error {
	row, keys, err := ParseObject(v)
	if err != nil {
		return Errorf(file, line, "%s", err)
	}
	if first {
		if err := t.Resolve(&Header{File: file, Line: line, Names: keys, What: "key"}); err != nil {
			return err
		}
	}
	if err := t.Object(row, line); err != nil {
		return InRow(file, line, err)
	}
	return nil
}

// wholeError says in which line a file stops being JSON.
func wholeError(lines *Lines, text []byte, err error) error {
	var s *json.SyntaxError
	if !errors.As(err, &s) {
		return Errorf(lines.name, 0, "not JSON: %s", err)
	}
	at := min(max(int(s.Offset)-1, 0), len(text))
	if len(bytes.TrimSpace(text[at:])) == 0 {
		return Errorf(lines.name, lines.line,
			"the file ends before its JSON does: was the program that wrote it stopped? Write the file again")
	}
	return Errorf(lines.name, 1+bytes.Count(text[:at], []byte("\n")), "byte %d of the line: not JSON: %s",
		at-bytes.LastIndexByte(text[:at], '\n'), s)
}
