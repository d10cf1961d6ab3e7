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
	c, o := r.c, r.o
	e := Example{Text: string(row[c.text]), Line: line}
	if c.pair >= 0 {
		e.Pair, e.HasPair = string(row[c.pair]), true
	}
	if c.label >= 0 {
		label := string(row[c.label])
		switch {
		case o.LabelSeparator != "":
			e.Label.Kind = data.ListLabel
			if strings.TrimSpace(label) == "" {
				break
			}
			for part := range strings.SplitSeq(label, o.LabelSeparator) {
				if strings.TrimSpace(part) == "" {
					return fmt.Errorf("the label %q has an empty part", label)
				}
				e.Label.List = append(e.Label.List, data.Label{Kind: data.NameLabel, Name: part})
			}
		case strings.TrimSpace(label) != "":
			e.Label = data.Label{Kind: data.NameLabel, Name: label}
		case !o.OptionalLabels:
			return fmt.Errorf("the label (column %q) is empty", r.f.Columns.Label)
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
	key := r.f.Columns.Label
	v, ok := row[key]
	if key == "" || r.o.OptionalLabels && (!ok || string(v) == "null") {
		return e, nil
	}
	if !ok {
		return e, fmt.Errorf("the row has no %q", key)
	}
	e.Label, err = data.ParseLabel(v, true)
	if err != nil {
		return e, fmt.Errorf("%q: %w", key, err)
	}
	return e, nil
}
