package data

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// recordReader cuts lines into records of delimited fields.
//
// With quotes it follows RFC 4180: a field that begins with a double quote ends with the next single one, "" inside is
// one quote, and delimiters and line ends inside belong to the field, byte for byte. A quote anywhere else is an error.
// Without quotes every line is a record and quotes are text. Blank lines are skipped and counted.
type recordReader struct {
	lines     *Lines
	delimiter []byte
	quotes    bool

	columns int    // fields that a row is expected to have; 0: not known
	raw     []byte // the line that was read last, whole
	rows    bool   // without quotes, each line of the record before raw would be a row

	blank  int    // blank lines skipped
	start  int    // line at which the record begins
	buf    []byte // the fields, one after another
	ends   []int  // end of each field in buf
	fields [][]byte
}

// next returns the fields of the next record, valid until the next call, and io.EOF after the last one.
func (r *recordReader) next() ([][]byte, error) {
	line, end, err := r.lines.Next()
	for err == nil && len(line) == 0 {
		r.blank++
		line, end, err = r.lines.Next()
	}
	if err != nil {
		return nil, err
	}
	r.start, r.raw, r.rows = r.lines.line, line, true
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
	if r.lines.line > r.start && r.rows && r.looksLikeRow() {
		r.lines.joined.add(r.start, r.lines.line)
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
		return nil, false, Errorf(r.lines.name, r.lines.line,
			"field %d has a quote inside but does not begin with one: write it as \"…\" with the inner quotes doubled, "+
				"or read quotes as text with `no_quotes`", len(r.ends)+1)
	}
	r.buf = append(r.buf, field...)
	return rest, more, nil
}

// quoted reads the rest of a field behind its opening quote, over one or more lines, and reports whether another field
// follows.
func (r *recordReader) quoted(line, end []byte) (rest []byte, more bool, err error) {
	opened, from := r.lines.line, len(r.buf)
	tab := string(r.delimiter) == "\t"
	for {
		i := bytes.IndexByte(line, '"')
		switch {
		case i < 0: // the field continues in the next line
			r.buf = append(append(r.buf, line...), end...)
			if len(r.buf) > r.lines.max {
				return nil, false, Errorf(r.lines.name, opened,
					"field %d opens a quote that is not closed within %d MiB: close it, or read quotes as text with "+
						"`no_quotes`", len(r.ends)+1, r.lines.max>>20)
			}
			r.rows = r.rows && r.looksLikeRow()
			line, end, err = r.lines.Next()
			r.raw = line
			if errors.Is(err, io.EOF) {
				return nil, false, Errorf(r.lines.name, opened,
					"field %d opens a quote that is not closed before the end of the file: close it, or read quotes as "+
						"text with `no_quotes`", len(r.ends)+1)
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
			if tab && r.lines.line > opened && bytes.IndexByte(r.buf[from:], '\t') >= 0 &&
				(r.columns == 0 || r.rows && r.looksLikeRow()) {
				return nil, false, Errorf(r.lines.name, opened, "field %d opens a quote that is closed in line %d, with tabs and "+
					"line ends between, which makes one row of %d lines: read quotes as text with `no_quotes`, or write the file "+
					"as CSV or JSON Lines if the text has tabs", len(r.ends)+1, r.lines.line, r.lines.line-opened+1)
			}
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

// looksLikeRow reports whether the line that was read last would be a row without quotes: it has as many delimiters as
// a row. A comma with a space behind it is taken for punctuation.
func (r *recordReader) looksLikeRow() bool {
	if r.columns < 2 {
		return false
	}
	n := bytes.Count(r.raw, r.delimiter)
	if string(r.delimiter) == "," {
		n -= bytes.Count(r.raw, []byte(", "))
	}
	return n == r.columns-1
}

func (r *recordReader) afterQuote(opened int, field, rest []byte) error {
	where := ""
	if opened != r.lines.line {
		where = " in line " + strconv.Itoa(r.lines.line)
	}
	return Errorf(r.lines.name, opened,
		"field %d (%s) continues after its closing quote%s with %s: double the quotes that belong to the text, or read "+
			"quotes as text with `no_quotes`",
		len(r.ends)+1, Excerpt(string(field)), where, Excerpt(string(rest)))
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

// Rows takes the rows of a file one by one.
type Rows interface {
	// Resolve finds the columns in the header of the file, or in the first row.
	Resolve(h *Header) error
	// Enough reports whether no more rows are wanted.
	Enough() bool
}

// RecordRows takes the rows of CSV and TSV.
type RecordRows interface {
	Rows
	// Record takes the row at line, which has as many fields as the header. The fields are valid until it returns.
	Record(row [][]byte, line int) error
}

// RaggedRows takes records that may have more or fewer fields than the first row.
type RaggedRows interface {
	RecordRows
	// Ragged does nothing; it marks the type.
	Ragged()
}

// ReadRecords gives the rows of CSV or TSV to t and returns the number of blank lines.
func ReadRecords(lines *Lines, f Format, o Layout, t RecordRows) (blank int, err error) {
	delimiter := o.Delimiter
	if delimiter == 0 {
		delimiter = ','
		if f == TSV {
			delimiter = '\t'
		}
	}
	records := &recordReader{lines: lines, delimiter: []byte(string(delimiter)), quotes: !o.NoQuotes}
	defer func() { blank = records.blank }()
	first, err := records.next()
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	h := &Header{File: lines.name, Line: records.start, What: "column", Numbers: o.NoHeader}
	for i, f := range first {
		name := string(f)
		if o.NoHeader {
			h.Row = append(h.Row, name)
			name = strconv.Itoa(i)
		}
		h.Names = append(h.Names, name)
	}
	if err := t.Resolve(h); err != nil {
		return 0, err
	}
	if err := lines.served.resolve(h); err != nil {
		return 0, err
	}
	records.columns = len(first)
	if o.NoHeader {
		if err := t.Record(first, records.start); err != nil {
			return 0, InRow(h.File, records.start, err)
		}
	}
	_, ragged := t.(RaggedRows)
	for !t.Enough() {
		row, err := records.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && !ragged {
			err = checkRecord(h, row, records, o)
		}
		if err == nil {
			err = lines.served.record(row)
		}
		if err == nil {
			err = t.Record(row, records.start)
		}
		if err != nil {
			return 0, InRow(h.File, records.start, err)
		}
	}
	return 0, nil
}

// checkRecord refuses a row that does not fit the header or repeats it.
func checkRecord(h *Header, row [][]byte, r *recordReader, o Layout) error {
	if len(row) != len(h.Names) {
		return wrongFields(h, row, r, o)
	}
	if !h.Numbers && slices.EqualFunc(row, h.Names, func(f []byte, n string) bool { return string(f) == n }) {
		return Errorf(h.File, r.start, "the row repeats the header of line %d (were files joined?): remove it", h.Line)
	}
	return nil
}

func wrongFields(h *Header, row [][]byte, r *recordReader, o Layout) error {
	what := "the header"
	if h.Numbers {
		what = "the first row"
	}
	hint := ""
	switch {
	case len(row) == 1 && sniffDelimiter(row[0], string(r.delimiter)) != "":
		hint = "; it holds other delimiters: see `delimiter`"
	case len(row) > len(h.Names) && !o.NoQuotes:
		hint = "; a text that holds the delimiter needs double quotes"
	case len(row) > len(h.Names):
		hint = "; with `no_quotes` no text can hold the delimiter"
	}
	return Errorf(h.File, r.start, "the row has %s, but %s has %d (%s)%s",
		Plural(len(row), "field"), what, len(h.Names), h.List(), hint)
}
