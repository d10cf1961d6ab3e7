package text

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// rows appends the rows of a stream to a file.
type rows struct {
	f *File
	o Options
	c columns
}

// Resolve finds the columns.
func (r *rows) Resolve(h *data.Header) (err error) {
	if r.c, err = (header{h}).resolve(r.o); err != nil {
		return err
	}
	to := &r.f.Columns
	to.Text, to.Pair, to.Label = h.Name(r.c.text), h.Name(r.c.pair), h.Name(r.c.label)
	for _, name := range h.Names {
		if data.Fold(to.Pair) == "positive" && strings.HasPrefix(data.Fold(name), "negative") && r.f.negatives == "" {
			r.f.negatives = name
		}
	}
	return nil
}

// Enough reports whether no more rows are wanted.
func (r *rows) Enough() bool { return r.f.Full(r.o.MaxSamples) }

// plain takes every line as a text, empty lines too, so that line n of the file is example n-1.
func (r *rows) plain(lines *data.Lines, _ data.Format) error {
	return data.ReadLines(lines, r.Enough, func(text string, line int) { r.f.Append(Example{Text: text, Line: line}) })
}

// Record appends one row of CSV or TSV.
func (r *rows) Record(row [][]byte, line int) error {
	c := r.c
	e := Example{Text: string(row[c.text]), Line: line}
	if c.pair >= 0 {
		e.Pair, e.HasPair = string(row[c.pair]), true
	}
	if c.label >= 0 {
		var err error
		if e.Label, err = r.labels().Field(string(row[c.label]), r.f.Columns.Label); err != nil {
			return err
		}
	}
	r.f.Append(e)
	return nil
}

// Object appends one row of JSON Lines.
func (r *rows) Object(row data.Object, line int) error {
	if err := r.lateLabel(row, line); err != nil {
		return err
	}
	e, err := r.example(row)
	if err != nil {
		return err
	}
	if to := r.f.Columns; to.Label != "" && row.Rejected(to.Text, to.Pair, to.Label) {
		if !r.o.OptionalLabels {
			r.f.Rejected.Add(line)
			return nil
		}
		e.Label = data.Label{}
	}
	e.Line = line
	r.f.Append(e)
	return nil
}

// lateLabel looks for the label, which is optional, in a row if the rows before had none.
func (r *rows) lateLabel(row data.Object, line int) error {
	to := &r.f.Columns
	if to.Label != "" || r.o.NoLabels {
		return nil
	}
	h := header{data.KeysOf(r.f.Name, line, row)}
	c := columns{slices.Index(h.Names, to.Text), slices.Index(h.Names, to.Pair), -1}
	if err := h.findLabel(&c, r.o); err != nil {
		return err
	}
	to.Label = h.Name(c.label)
	return nil
}

// example makes an example of a row.
func (r *rows) example(row data.Object) (Example, error) {
	var e Example
	var err error
	if e.Text, err = row.Text(r.f.Columns.Text); err != nil {
		return e, err
	}
	switch {
	case r.f.Columns.Pair != "":
		e.HasPair = true
		if e.Pair, err = row.Text(r.f.Columns.Pair); err != nil {
			return e, fmt.Errorf("%w (the first row is a pair)", err)
		}
	case r.f.Columns.Text == "text" && r.o.TextColumn == "" && row["text_pair"] != nil:
		return e, errors.New(`the row has "text_pair", the first row has none: either every row is a pair or none is`)
	}
	e.Label, err = r.labels().Object(row, r.f.Columns.Label)
	return e, err
}

// labels says how labels are read.
func (r *rows) labels() data.LabelReader {
	return data.LabelReader{Separator: r.o.LabelSeparator, Optional: r.o.OptionalLabels}
}
