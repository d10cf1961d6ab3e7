package data

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// recordReader cuts lines into records of delimited fields.
//
// With quotes it follows RFC 4180: a field that begins with a double quote ends
// with the next single one, "" inside stands for one quote, and delimiters and
// line ends inside belong to the field, byte for byte. A quote anywhere else is
// an error, never guessed at. Without quotes every line is a record and quotes
// are text. Blank lines are skipped and counted.
type recordReader struct {
	lines     *lineReader
	delimiter []byte
	quotes    bool

	blank  int    // blank lines skipped
	start  int    // line at which the record begins
	buf    []byte // the fields, one after another
	ends   []int  // end of each field in buf
	fields [][]byte
}

// next returns the fields of the next record, valid until the next call.
// It returns io.EOF after the last one.
func (r *recordReader) next() ([][]byte, error) {
	line, end, err := r.lines.next()
	for err == nil && len(line) == 0 {
		r.blank++
		line, end, err = r.lines.next()
	}
	if err != nil {
		return nil, err
	}
	r.start = r.lines.line
	r.buf, r.ends, r.fields = r.buf[:0], r.ends[:0], r.fields[:0]
	for {
		var more bool
		if r.quotes && len(line) > 0 && line[0] == '"' {
			line, more, err = r.quoted(line[1:], end)
		} else {
			line, more, err = r.plain(line)
		}
		if err != nil {
			return nil, err
		}
		r.ends = append(r.ends, len(r.buf))
		if !more {
			break
		}
	}
	from := 0
	for _, to := range r.ends {
		r.fields = append(r.fields, r.buf[from:to])
		from = to
	}
	return r.fields, nil
}

// plain reads an unquoted field and reports whether another one follows.
func (r *recordReader) plain(line []byte) (rest []byte, more bool, err error) {
	field := line
	i := bytes.Index(line, r.delimiter)
	if i >= 0 {
		field, rest, more = line[:i], line[i+len(r.delimiter):], true
	}
	if r.quotes && bytes.IndexByte(field, '"') >= 0 {
		return nil, false, errorAt(r.lines.name, r.lines.line,
			"field %d has a quote inside but does not begin with one: write it as \"…\" with the inner quotes doubled, or read quotes as text with --no-quotes", len(r.ends)+1)
	}
	r.buf = append(r.buf, field...)
	return rest, more, nil
}

// quoted reads the rest of a field whose opening quote was taken, over as many
// lines as it has, and reports whether another field follows.
func (r *recordReader) quoted(line, end []byte) (rest []byte, more bool, err error) {
	opened, from := r.lines.line, len(r.buf)
	for {
		i := bytes.IndexByte(line, '"')
		switch {
		case i < 0: // the field goes on in the next line
			r.buf = append(append(r.buf, line...), end...)
			if len(r.buf) > r.lines.max {
				return nil, false, errorAt(r.lines.name, opened,
					"field %d opens a quote that is not closed within %d MiB: close it, or read quotes as text with --no-quotes", len(r.ends)+1, r.lines.max>>20)
			}
			line, end, err = r.lines.next()
			if errors.Is(err, io.EOF) {
				return nil, false, errorAt(r.lines.name, opened,
					"field %d opens a quote that is not closed before the end of the file: close it, or read quotes as text with --no-quotes", len(r.ends)+1)
			}
			if err != nil {
				return nil, false, err
			}
		case i+1 < len(line) && line[i+1] == '"':
			r.buf = append(r.buf, line[:i+1]...)
			line = line[i+2:]
		default:
			r.buf = append(r.buf, line[:i]...)
			rest = line[i+1:]
			if len(rest) == 0 {
				return nil, false, nil
			}
			if !bytes.HasPrefix(rest, r.delimiter) {
				return nil, false, r.afterQuote(opened, r.buf[from:], rest)
			}
			return rest[len(r.delimiter):], true, nil
		}
	}
}

func (r *recordReader) afterQuote(opened int, field, rest []byte) error {
	where := ""
	if opened != r.lines.line {
		where = " in line " + itoa(r.lines.line)
	}
	return errorAt(r.lines.name, opened,
		"field %d (%s) goes on after its closing quote%s with %s: double the quotes that belong to the text, or read quotes as text with --no-quotes",
		len(r.ends)+1, excerpt(string(field)), where, excerpt(string(rest)))
}

// sniffDelimiter returns a delimiter that would cut a line of one field.
func sniffDelimiter(line []byte, not string) string {
	for _, d := range []string{"\t", ";", ",", "|"} {
		if d != not && strings.Contains(string(line), d) {
			return d
		}
	}
	return ""
}
