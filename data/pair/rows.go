package pair

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// rows appends the rows of a stream to a file.
type rows struct {
	f *File
	o Options
	c columns

	names []string // of all columns
}

// read reads a stream whose rows are pairs in columns, or what other reads of plain text.
func (r *rows) read(stream io.Reader, other func(*data.Lines, data.Format) error) (*File, error) {
	o := r.o
	layout := data.Layout{Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples, Adapter: o.Adapter}
	f, err := data.ReadRows(r.f, stream, data.Reading{
		Layout: layout, Formats: data.Formats(), Noun: "rows", Check: o.check, Detect: detect, Fits: o.fits, Rows: r,
		Other: other,
	})
	if err == nil && o.GroupSources {
		f = f.GroupSources().Limit(o.MaxSamples)
	}
	return f, err
}

// detect returns plain text for a file that is named after its language, "" for others.
func detect(lines *data.Lines) (data.Format, error) {
	ending := data.Ending(lines.Name())
	if data.FormatOf(lines.Name()) != "" || !isLanguage(strings.TrimPrefix(ending, ".")) ||
		data.HoldsObjects(lines.Head()) {
		return "", nil
	}
	return data.PlainText, nil
}

// isLanguage reports whether s has the form of a language code: two or three letters, and perhaps two to four more for
// a region or a script.
func isLanguage(s string) bool {
	code, rest, marked := strings.Cut(strings.ReplaceAll(s, "-", "_"), "_")
	other := func(r rune) bool { return r < 'a' || r > 'z' }
	return !strings.ContainsFunc(code+rest, other) && (len(code) == 2 || len(code) == 3) &&
		marked == (len(rest) >= 2 && len(rest) <= 4)
}

// Resolve finds the columns.
func (r *rows) Resolve(h *data.Header) (err error) {
	if r.c, err = (header{h}).columns(r.o); err == nil {
		r.names = h.Names
		r.f.Columns = Columns{h.Name(r.c.languages), h.Name(r.c.source), h.Name(r.c.target)}
	}
	return err
}

// Enough reports whether no more rows are wanted. Rows of a group may stand anywhere.
func (r *rows) Enough() bool { return !r.o.GroupSources && r.f.Full(r.o.MaxSamples) }

// plain takes every line as a source, empty lines too, so that line n of the file is pair n-1.
func (r *rows) plain(lines *data.Lines, _ data.Format) error {
	if !r.o.optional() {
		return data.OptionErrorf("%s is read as plain text, which has no targets: give the file of the targets too, whose "+
			"line n is the target of line n (use `format csv`, tsv or jsonl if the file has columns)", lines.Name())
	}
	return data.ReadLines(lines, r.Enough, func(text string, line int) { r.f.Append(Pair{Source: text, Line: line}) })
}

// Record appends one row of CSV or TSV.
func (r *rows) Record(row [][]byte, line int) error {
	p := Pair{Source: string(row[r.c.source]), Line: line}
	if r.c.target >= 0 {
		p.Targets = r.targets(string(row[r.c.target]))
	}
	r.f.unread.Add(line, r.beside().OfRecord(r.names, row))
	r.f.Append(p)
	return nil
}

// targets returns the targets of a row that has one text for them: where targets are optional, an empty one is none.
func (r *rows) targets(text string) []string {
	if text == "" && r.o.optional() {
		return nil
	}
	return []string{text}
}

// beside returns which columns that are not read are reported. Where options name the columns to read, the others are
// meant not to be read.
func (r *rows) beside() data.Beside {
	c := r.f.Columns
	b := data.Beside{Read: []string{c.Languages, c.Source, c.Target}}
	if r.o.SourceColumn+r.o.TargetColumn == "" {
		b.Content = besides
	}
	return b
}

// Object appends one row of JSON Lines.
func (r *rows) Object(row data.Object, line int) error {
	to, unread := &r.f.Columns, r.beside().OfObject(row)
	if to.Languages != "" {
		texts, err := r.translation(row)
		if err != nil {
			return err
		}
		row = texts
	} else if to.Target == "" && r.o.OptionalLabels {
		h := header{data.KeysOf(r.f.Name, line, row)}
		if source := slices.Index(h.Names, to.Source); source >= 0 {
			i, err := h.target(source, r.o)
			if err != nil {
				return err
			}
			to.Target = h.Name(i)
		}
	}
	p := Pair{Line: line}
	sentences, err := textsOf(row, to.Source)
	if err != nil {
		return inObject(to.Languages, err)
	}
	p.Source = strings.Join(sentences, " ")
	if p.Targets, err = r.targetsOf(row); err != nil {
		return inObject(to.Languages, err)
	}
	r.f.unread.Add(line, unread)
	r.f.Append(p)
	return nil
}

// targetsOf returns the targets of a row of JSON.
func (r *rows) targetsOf(row data.Object) ([]string, error) {
	key := r.f.Columns.Target
	if key == "" || r.o.OptionalLabels && data.Null(row[key]) {
		return nil, nil
	}
	list, err := textsOf(row, key)
	if err == nil && len(list) == 0 && !r.o.OptionalLabels {
		err = fmt.Errorf("%q is an empty list: a row has at least one target", key)
	}
	return list, err
}

// textsOf returns the strings of a key: one, or a list of them.
func textsOf(row data.Object, key string) ([]string, error) {
	v, ok := row[key]
	switch {
	case ok && v[0] == '[':
		return row.Texts(key)
	case ok && v[0] != '"':
		return nil, fmt.Errorf("%q is %s, not a string or a list of strings", key, data.Excerpt(string(v)))
	}
	text, err := row.Text(key)
	return []string{text}, err
}

// inObject says of an error about a row that it is about the object of this key, "" for the row itself.
func inObject(key string, err error) error {
	if key == "" {
		return err
	}
	return fmt.Errorf("%q: %w", key, data.About(err))
}

// translation returns the texts of a row for each language. The first row decides which keys are the source and the
// target.
func (r *rows) translation(row data.Object) (data.Object, error) {
	to := &r.f.Columns
	v, ok := row[to.Languages]
	if !ok {
		return nil, fmt.Errorf("the row has no %q", to.Languages)
	}
	if v[0] != '{' {
		return nil, fmt.Errorf("%q is %s, not an object with a text for each language; name the columns with "+
			"`source_column` and `target_column`", to.Languages, data.Excerpt(string(v)))
	}
	texts, keys, err := data.ParseObject(v)
	if err == nil {
		err = r.chooseLanguages(header{&data.Header{Names: keys, What: "key"}})
	}
	if err != nil {
		return nil, inObject(to.Languages, err)
	}
	return texts, nil
}

// chooseLanguages finds the keys of the languages that the options name, unless a row before has shown them.
func (r *rows) chooseLanguages(h header) error {
	to := &r.f.Columns
	wanted := !r.o.NoLabels && to.Target == ""
	if to.Source != "" && !wanted {
		return nil
	}
	if r.o.SourceLang == "" || wanted && r.o.TargetLang == "" && !r.o.OptionalLabels {
		return fmt.Errorf("it has texts for %s: say which is the source with `source_lang` and which the target with "+
			"`target_lang`", h.List())
	}
	source, target := h.language(r.o.SourceLang), h.language(r.o.TargetLang)
	switch {
	case to.Source == "" && source < 0:
		return fmt.Errorf("`source_lang`: there is no text for %q; there is %s", r.o.SourceLang, h.List())
	case wanted && target < 0 && !r.o.OptionalLabels:
		return fmt.Errorf("`target_lang`: there is no text for %q; there is %s", r.o.TargetLang, h.List())
	case wanted && target >= 0 && target == source:
		return fmt.Errorf("`source_lang` and `target_lang` name the same text (%q)", h.Names[source])
	}
	if to.Source == "" {
		to.Source = h.Name(source)
	}
	if wanted {
		to.Target = h.Name(target)
	}
	return nil
}
