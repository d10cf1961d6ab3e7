package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ObjectRows takes the rows of JSON.
type ObjectRows interface {
	Rows
	// Object takes the row at line.
	Object(row Object, line int) error
}

// ReadObjects gives the rows of JSON to t: JSON Lines, one object in every line, blank lines skipped and counted; or
// one list of objects, or objects over several lines.
func ReadObjects(lines *Lines, t ObjectRows) (blank int, err error) {
	if !ObjectLines(lines.Head()) {
		return 0, (&values{lines: lines}).read(t)
	}
	for first := true; !t.Enough(); {
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
		switch {
		case errors.Is(err, errTruncated) && len(end) == 0:
			err = errors.New("the last line ends in the middle of a row: was the program that wrote it stopped? Write the " +
				"file again or remove the line")
		case errors.Is(err, errTruncated) && bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{")):
			err = fmt.Errorf("%w; JSON Lines has one whole object in every line (jq -c . makes it so)", err)
		}
		if err == nil {
			err = takeObject(t, lines, lines.line, first, row, keys)
		}
		if err != nil {
			return blank, InRow(lines.name, lines.line, err)
		}
		first = false
	}
	return blank, nil
}

// takeObject gives the row at line to t.
func takeObject(t ObjectRows, lines *Lines, line int, first bool, row Object, keys []string) error {
	if first {
		if err := t.Resolve(&Header{File: lines.name, Line: line, Names: keys, What: "key"}); err != nil {
			return nested(err, row, keys)
		}
	}
	if err := lines.served.object(row); err != nil {
		return err
	}
	return t.Object(row, line)
}

// wrappers are keys under which programs write the rows of a file as a list.
var wrappers = []string{"data", "rows", "train", "examples", "records", "items", "instances"}

// nested adds to an error about the keys of the first row which of them holds a list of objects, which may be the rows.
func nested(err error, row Object, keys []string) error {
	var e *Error
	for _, key := range keys {
		v := row[key]
		if list := bytes.TrimLeft(v[1:], " \t\r\n"); v[0] == '[' && bytes.HasPrefix(list, []byte("{")) &&
			slices.Contains(wrappers, Fold(key)) && errors.As(err, &e) {
			return Errorf(e.File, e.Line, "%s (if the rows are the list %q of this object, write that list alone into the file)",
				e.Msg, key)
		}
	}
	return err
}

// white is the white space of JSON, and the byte order mark.
const white = "\uFEFF \t\r\n"

// ObjectLines reports whether a file of JSON that begins with head has one object in every line. If not, it is a list,
// or begins with an object that has several lines.
func ObjectLines(head []byte) bool {
	head = bytes.TrimLeft(head, white)
	if !bytes.HasPrefix(head, []byte("{")) {
		return !bytes.HasPrefix(head, []byte("["))
	}
	first, _, more := bytes.Cut(head, []byte("\n"))
	var v json.RawMessage
	return !more || !errors.Is(json.NewDecoder(bytes.NewReader(first)).Decode(&v), io.ErrUnexpectedEOF)
}

// HoldsObjects reports whether a file that begins with head is JSON: it begins with an object or a list of objects.
// "[CLS] and so on" is text.
func HoldsObjects(head []byte) bool {
	head = bytes.TrimLeft(head, white)
	if list, ok := bytes.CutPrefix(head, []byte("[")); ok {
		head = bytes.TrimLeft(list, white)
	}
	return bytes.HasPrefix(head, []byte("{"))
}

// values reads the rows of a JSON list, or objects that may have several lines, one by one: only one row is held.
type values struct {
	lines        *Lines
	list         bool
	line, column int    // place of the row: its line, and the bytes of the line before it
	text         []byte // the row
}

// read gives all rows to t.
func (v *values) read(t ObjectRows) error {
	for first := true; !t.Enough(); first = false {
		c, ok, err := v.more(first)
		if err == nil && ok {
			err = v.row(c)
		}
		if err != nil || !ok {
			return err
		}
		row, keys, err := ParseObject(v.text)
		if err == nil {
			err = takeObject(t, v.lines, v.line, first, row, keys)
		}
		if b := (*byteError)(nil); errors.As(err, &b) {
			before := v.text[:b.at]
			line, column := v.line+lineEnds(before), b.at+1
			if line == v.line {
				column += v.column
			} else {
				column -= bytes.LastIndexAny(before, "\r\n") + 1
			}
			return Errorf(v.lines.name, line, "byte %d of the line: %s", column, b.err)
		}
		if err != nil {
			return InRow(v.lines.name, v.line, err)
		}
	}
	return nil
}

// more returns the first byte of the next row; ok is false if there is none.
func (v *values) more(first bool) (c byte, ok bool, err error) {
	c, err = v.visible()
	switch {
	case first && c == '[':
		v.list = true
		c, err = v.visible()
	case v.list && c == ',':
		c, err = v.visible()
		return c, true, v.ends(err)
	case v.list && c != ']' && err == nil:
		return 0, false, v.errorf("%q follows a row of the list; a comma or the end of the list is missing", c)
	}
	if v.list && c == ']' {
		if c, err = v.visible(); err == nil {
			return 0, false, v.errorf("%q follows the list; remove what is behind it", c)
		}
		v.list = false
	}
	if !v.list && errors.Is(err, io.EOF) {
		return 0, false, nil
	}
	return c, true, v.ends(err)
}

// visible returns the next byte that is not white space.
func (v *values) visible() (c byte, err error) {
	for c, err = v.lines.nextByte(); err == nil && (c == ' ' || c == '\t' || c == '\r' || c == '\n'); {
		c, err = v.lines.nextByte()
	}
	return c, err
}

// row reads the row that begins with c, up to the bracket that closes it or the first byte that is not JSON.
func (v *values) row(c byte) (err error) {
	l := v.lines
	v.text, v.line, v.column = v.text[:0], l.line, l.column
	var closers []byte
	quoted, escaped := false, false
	from, column := 0, v.column // where the last line begins in text
	for ; ; c, err = l.nextByte() {
		if err == nil && len(v.text) > l.max {
			err = Errorf(l.name, v.line, "the row is longer than %d MiB: is this a list of rows?", l.max>>20)
		}
		if err != nil {
			return v.ends(err)
		}
		v.text = append(v.text, c)
		if c == '\n' || c == '\r' {
			if err := v.check(from, column); err != nil {
				return err
			}
			from, column = len(v.text), 0
		}
		done := false
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
			done = c == '\n' || c == '\r' // not JSON
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			closers = append(closers, c+2) // the codes of } and ]
		case c == '}' || c == ']':
			last := len(closers) - 1
			done = last < 0 || closers[last] != c // not JSON
			closers = closers[:max(last, 0)]
		}
		next, _ := l.r.Peek(1)
		if done || len(closers) == 0 && !quoted && !(ofWord(c) && len(next) > 0 && ofWord(next[0])) {
			return v.check(from, column)
		}
	}
}

// ofWord reports whether a byte can be of a number, true, false or null.
func ofWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// check checks the last line of the row, which begins at a byte of the row and a column of the line.
func (v *values) check(from, column int) error {
	l := v.lines
	checked, err := l.check(v.text[from:], l.offset-int64(len(v.text)-from), column)
	v.text = append(v.text[:from], checked...)
	return err
}

// ends is the error about a file of which err was read within a list or row.
func (v *values) ends(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return v.errorf("the file ends before its JSON does: was the program that wrote it stopped? Write the file again")
}

func (v *values) errorf(format string, args ...any) error {
	return Errorf(v.lines.name, v.lines.line, format, args...)
}

// lineEnds returns the number of line ends in b: LF, CRLF or CR.
func lineEnds(b []byte) int {
	return bytes.Count(b, []byte("\n")) + bytes.Count(b, []byte("\r")) - bytes.Count(b, []byte("\r\n"))
}
