package data

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// rowTaker is what takes the rows of a file one by one.
type rowTaker interface {
	// resolve finds the columns in the header of the file, or in the first row.
	resolve(h *header) error
	// enough reports whether no more rows are wanted.
	enough() bool
}

// recordRows takes the rows of CSV and TSV.
type recordRows interface {
	rowTaker
	// record takes one row, which has as many fields as the header.
	record(row [][]byte, line int) error
}

// raggedRows are records that need not have as many fields as the first row.
type raggedRows interface{ ragged() bool }

// readRecords gives the rows of CSV or TSV to t. It returns the number of blank lines.
func readRecords(lines *lineReader, f Format, o ReadOptions, t recordRows) (blank int, err error) {
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
	h := &header{file: lines.name, line: records.start, what: "column", numbers: o.NoHeader}
	for i, f := range first {
		name := string(f)
		if o.NoHeader {
			h.row = append(h.row, name)
			name = itoa(i)
		}
		h.names = append(h.names, name)
	}
	if err := t.resolve(h); err != nil {
		return 0, err
	}
	if o.NoHeader {
		if err := t.record(first, records.start); err != nil {
			return 0, err
		}
	}
	r, ok := t.(raggedRows)
	ragged := ok && r.ragged()
	for !t.enough() {
		row, err := records.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && !ragged {
			err = checkRecord(h, row, records, o)
		}
		if err == nil {
			err = t.record(row, records.start)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// checkRecord refuses a row that does not fit the header or repeats it.
func checkRecord(h *header, row [][]byte, r *recordReader, o ReadOptions) error {
	if len(row) != len(h.names) {
		return wrongFields(h, row, r, o)
	}
	if !h.numbers && slices.EqualFunc(row, h.names, func(f []byte, n string) bool { return string(f) == n }) {
		return errorAt(h.file, r.start, "the row repeats the header of line %d (were files joined?): remove it", h.line)
	}
	return nil
}

// tableRows puts the rows of a file into a table.
type tableRows struct {
	t *Table
	o ReadOptions
	c columns
	h *header
}

func (r *tableRows) resolve(h *header) (err error) {
	r.h = h
	if r.c, err = h.resolve(r.o); err == nil {
		r.t.setColumns(h, r.c)
	}
	return err
}

func (r *tableRows) enough() bool { return r.t.full(r.o) }

func (t *Table) setColumns(h *header, c columns) {
	t.Columns.Text = h.names[c.text]
	if c.pair >= 0 {
		t.Columns.Pair = h.names[c.pair]
	}
	if c.label >= 0 {
		t.Columns.Label = h.names[c.label]
	}
}

// record appends one row of CSV or TSV.
func (r *tableRows) record(row [][]byte, line int) error {
	t, c, o := r.t, r.c, r.o
	e := Example{Text: string(row[c.text]), Line: line}
	if c.pair >= 0 {
		e.Pair, e.HasPair = string(row[c.pair]), true
	}
	if c.label >= 0 {
		label := string(row[c.label])
		switch {
		case o.LabelSeparator != "":
			e.Label.Kind = ListLabel
			if strings.TrimSpace(label) == "" {
				break
			}
			for part := range strings.SplitSeq(label, o.LabelSeparator) {
				if strings.TrimSpace(part) == "" {
					return errorAt(t.Name, line, "the label %q has an empty part", label)
				}
				e.Label.List = append(e.Label.List, Label{Kind: NameLabel, Name: part})
			}
		case strings.TrimSpace(label) != "":
			e.Label = Label{Kind: NameLabel, Name: label}
		case !o.OptionalLabels:
			return errorAt(t.Name, line, "the label (column %q) is empty", r.h.names[c.label])
		}
	}
	t.Examples = append(t.Examples, e)
	return nil
}

func wrongFields(h *header, row [][]byte, r *recordReader, o ReadOptions) error {
	what := "the header"
	if h.numbers {
		what = "the first row"
	}
	hint := ""
	switch {
	case len(row) == 1 && sniffDelimiter(row[0], string(r.delimiter)) != "":
		hint = "; it holds other delimiters: see --delimiter"
	case len(row) > len(h.names) && !o.NoQuotes:
		hint = "; a text that holds the delimiter must stand in double quotes"
	case len(row) > len(h.names):
		hint = "; with --no-quotes no text can hold the delimiter"
	}
	return errorAt(h.file, r.start, "the row has %s, but %s has %d (%s)%s", plural(len(row), "field"), what, len(h.names), h.list(), hint)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return itoa(n) + " " + noun + "s"
}
