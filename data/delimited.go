package data

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// readDelimited reads CSV or TSV into t.
func (t *Table) readDelimited(lines *lineReader, o ReadOptions) error {
	delimiter := o.Delimiter
	if delimiter == 0 {
		delimiter = ','
		if t.Format == TSV {
			delimiter = '\t'
		}
	}
	records := &recordReader{lines: lines, delimiter: []byte(string(delimiter)), quotes: !o.NoQuotes}
	defer func() { t.Blank = records.blank }()
	first, err := records.next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	h := &header{file: t.Name, line: records.start, what: "column", numbers: o.NoHeader}
	for i, f := range first {
		name := string(f)
		if o.NoHeader {
			h.row = append(h.row, name)
			name = itoa(i)
		}
		h.names = append(h.names, name)
	}
	c, err := h.resolve(o)
	if err != nil {
		return err
	}
	t.setColumns(h, c)
	if o.NoHeader {
		if err := t.addRecord(h, c, first, records, o); err != nil {
			return err
		}
	}
	for !t.full(o) {
		row, err := records.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := t.addRecord(h, c, row, records, o); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) setColumns(h *header, c columns) {
	t.Columns.Text = h.names[c.text]
	if c.pair >= 0 {
		t.Columns.Pair = h.names[c.pair]
	}
	if c.label >= 0 {
		t.Columns.Label = h.names[c.label]
	}
}

// addRecord appends one row of CSV or TSV.
func (t *Table) addRecord(h *header, c columns, row [][]byte, r *recordReader, o ReadOptions) error {
	if len(row) != len(h.names) {
		return wrongFields(h, row, r, o)
	}
	if !h.numbers && slices.EqualFunc(row, h.names, func(f []byte, n string) bool { return string(f) == n }) {
		return errorAt(t.Name, r.start, "the row repeats the header of line %d (were files joined?): remove it", h.line)
	}
	e := Example{Text: string(row[c.text]), Line: r.start}
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
					return errorAt(t.Name, r.start, "the label %q has an empty part", label)
				}
				e.Label.List = append(e.Label.List, Label{Kind: NameLabel, Name: part})
			}
		case strings.TrimSpace(label) != "":
			e.Label = Label{Kind: NameLabel, Name: label}
		case !o.OptionalLabels:
			return errorAt(t.Name, r.start, "the label (column %q) is empty", h.names[c.label])
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
