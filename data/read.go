package data

import (
	"errors"
	"io"
)

// Reading says how a stream is read as rows of one kind.
type Reading struct {
	Layout  Layout
	Formats []Format // that the kind of examples has, as messages list them
	Noun    string   // what the rows are: "sentences"
	// Check returns an error if the options contradict each other, beyond those of the layout. May be nil.
	Check func() error
	// Detect returns the format of a stream if the options do not say it. nil, or if it returns "": by the ending of its
	// name or, of standard input, by its first byte.
	Detect func(lines *Lines) (Format, error)
	// Fits returns an error if an option has no meaning for the format, beyond those of the layout. May be nil.
	Fits func(f Format, name string) error
	// Rows takes rows of JSON Lines and, if it is a [RecordRows] too, of CSV and TSV.
	Rows ObjectRows
	// Served are formats that Other reads whose rows can name an adapter.
	Served []Format
	// Other reads other formats.
	Other func(lines *Lines, f Format) error
	// End is called behind the last row. May be nil.
	End func() error
}

// ReadRows reads a stream into f, which has its name and no rows. It is an error if there are none.
func ReadRows[E Row[E], K any, P Of[E, K]](f P, r io.Reader, x Reading) (P, error) {
	b := f.base()
	err := x.Layout.check(x.Formats)
	if err == nil && x.Check != nil {
		err = x.Check()
	}
	if err != nil {
		return nil, err
	}
	lines, err := NewLines(r, b.Name, x.Layout.ReplaceInvalid)
	if err != nil {
		return nil, err
	}
	if b.Format, err = x.format(lines); err != nil {
		return nil, err
	}
	if x.Layout.Adapter != nil {
		lines.served = newServed(x.Layout.Adapter)
		b.served = lines.served
	}
	if err := lines.served.fits(b.Format, b.Name, x.Served); err != nil {
		return nil, err
	}
	records, delimited := x.Rows.(RecordRows)
	switch {
	case b.Format == JSONLines:
		b.Blank, err = ReadObjects(lines, x.Rows)
	case b.Format.Delimited() && delimited:
		b.Blank, err = ReadRecords(lines, b.Format, x.Layout, records)
	default:
		err = x.Other(lines, b.Format)
	}
	if err == nil && x.End != nil {
		err = x.End()
	}
	if err != nil {
		return nil, err
	}
	if b.Joined = lines.joined; b.served != nil {
		b.served.now = 0 // of rows that are appended later
	}
	if b.Replaced = lines.Replaced(); b.Len() > 0 {
		return f, nil
	}
	switch {
	case b.Rejected.N > 0:
		return nil, Errorf(b.Name, 0, `the file has no %s but those whose "answer" is "reject" or "ignore"`, x.Noun)
	case lines.line == 0:
		return nil, Errorf(b.Name, 0, "the file is empty")
	case delimited && b.Format.Delimited() && !x.Layout.NoHeader:
		return nil, Errorf(b.Name, 0, "the file has no %s below its header (if the first line is a row, use `no_header`)",
			x.Noun)
	}
	return nil, Errorf(b.Name, 0, "the file has no %s", x.Noun)
}

// format returns the format to read, which fits the options.
func (x Reading) format(lines *Lines) (f Format, err error) {
	switch {
	case x.Layout.Format != "":
		f = x.Layout.Format
	case x.Detect != nil:
		f, err = x.Detect(lines)
	}
	if err == nil && f == "" {
		f, err = x.Layout.detect(lines)
	}
	if err == nil && x.Fits != nil {
		err = x.Fits(f, lines.name)
	}
	if err == nil {
		err = x.Layout.fits(f, lines.name)
	}
	return f, err
}

// ReadLines gives every line to add, empty lines too, with its number, until enough holds.
func ReadLines(lines *Lines, enough func() bool, add func(text string, line int)) error {
	for !enough() {
		text, _, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		add(string(text), lines.Line())
	}
	return nil
}
