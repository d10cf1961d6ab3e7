package choice

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// rows appends the rows of a stream to a file.
type rows struct {
	f       *File
	o       Options
	columns columns

	asSign, asText bool // there are labels that can only be numbers or letters, or only texts
	unclear        []unclearLabel
}

// Resolve finds the columns.
func (r *rows) Resolve(h *data.Header) (err error) {
	if r.columns, err = (header{h}).columns(r.o); err == nil {
		r.f.Columns = (header{h}).names(r.columns)
	}
	return err
}

// Enough reports whether no more rows are wanted.
func (r *rows) Enough() bool { return r.f.Full(r.o.MaxSamples) }

// Record appends one row of CSV or TSV. Empty fields behind the last choice are choices that the row does not have.
func (r *rows) Record(row [][]byte, line int) error {
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return string(row[i])
	}
	e := Question{ID: field(r.columns.id), Context: field(r.columns.context), Question: field(r.columns.question),
		Label: -1, Line: line}
	n := len(r.columns.choices)
	for n > 0 && data.Blank(field(r.columns.choices[n-1])) {
		n--
	}
	for _, i := range r.columns.choices[:n] {
		e.Endings = append(e.Endings, field(i))
	}
	label := data.Label{}
	if s := field(r.columns.label); !data.Blank(s) {
		label = data.Label{Kind: data.NameLabel, Name: s}
	}
	return r.add(e, nil, label)
}

// codah reads a file of CODAH.
func (r *rows) codah(lines *data.Lines, _ data.Format) error {
	var err error
	r.f.Blank, err = data.ReadRecords(lines, data.TSV, data.Layout{NoHeader: true, NoQuotes: true}, codahRows{r})
	return err
}

// codahRows takes the rows of CODAH.
type codahRows struct{ *rows }

const codahFields = "CODAH's have at least 5: category, prompt, two or more endings, label"

// Resolve sets the columns, which are fixed.
func (r codahRows) Resolve(h *data.Header) error {
	n := len(h.Names)
	if n < 5 {
		return h.Errorf("the row has %s; %s: %s", data.Plural(n, "field"), codahFields, h.List())
	}
	r.f.Columns = Columns{Context: "1", Choices: h.Names[2 : n-1], Label: strconv.Itoa(n - 1)}
	return nil
}

// Ragged marks the rows: they may have different numbers of fields.
func (codahRows) Ragged() {}

// Record appends one row.
func (r codahRows) Record(row [][]byte, line int) error {
	n := len(row)
	if n < 5 {
		return fmt.Errorf("the row has %s; %s", data.Plural(n, "field"), codahFields)
	}
	e := Question{Context: string(row[1]), Label: -1, Line: line}
	for _, f := range row[2 : n-1] {
		e.Endings = append(e.Endings, string(f))
	}
	label := data.Label{}
	if s := strings.TrimSpace(string(row[n-1])); s != "" {
		index, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("the label %s is not the number of a choice", data.Excerpt(s))
		}
		label = data.Label{Kind: data.IndexLabel, Index: index}
	}
	return r.add(e, nil, label)
}

// Object appends the question, or all questions, of one row of JSON.
func (r *rows) Object(row data.Object, line int) error {
	err := r.lateLabel(row, line)
	if err != nil {
		return err
	}
	c := r.f.Columns
	e := Question{Label: -1, Line: line}
	if c.Context != "" {
		if e.Context, err = optionalString(row, c.Context); err != nil {
			return err
		}
	}
	if e.ID, err = identifier(row, c.ID); err != nil {
		return err
	}
	if v := row[c.Question]; c.Question != "" && len(v) > 0 && v[0] == '[' {
		return r.several(row, e)
	}
	choices, err := r.question(row, &e)
	if err != nil {
		return err
	}
	label, err := r.label(row[c.Label])
	if err != nil {
		return err
	}
	return r.fill(e, choices, label)
}

// question reads the question of a row and returns the value that holds its choices, nil if each has its own key.
// QASC's and ARC's questions are objects with stem and choices.
func (r *rows) question(row data.Object, e *Question) (choices json.RawMessage, err error) {
	c := r.f.Columns
	v := row[c.Question]
	if c.Question == "" || len(v) == 0 || v[0] != '{' {
		if c.Question != "" {
			if e.Question, err = optionalString(row, c.Question); err != nil {
				return nil, err
			}
		}
		if len(c.Choices) == 0 {
			return nil, fmt.Errorf("%q has no choices in it, and no key has a name that is known for choices; say which with "+
				"`%s`", c.Question, choicesOption)
		}
		if r.single() {
			return row[c.Choices[0]], nil
		}
		if e.Endings, err = r.series(row); err == nil && len(e.Endings) < 2 {
			err = fmt.Errorf("the row has %s (%s …); a question has at least two", data.Plural(len(e.Endings), "choice"),
				c.Choices[0])
		}
		return nil, err
	}
	inner, _, err := data.ParseObject(v)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", c.Question, err)
	}
	if e.Question, err = inner.Text("stem"); err != nil {
		return nil, fmt.Errorf("%q: %w", c.Question, data.About(err))
	}
	switch {
	case len(inner["choices"]) > 0:
		return inner["choices"], nil
	case r.single():
		return row[c.Choices[0]], nil
	}
	return nil, fmt.Errorf(`%q: it has no "choices"`, c.Question)
}

// single reports whether one key holds the list of choices.
func (r *rows) single() bool { return r.columns.series == nil && len(r.columns.choices) == 1 }

// several appends the questions of a row that has a list of them about one context (RACE): questions, their lists of
// options and their answers are lists of one length.
func (r *rows) several(row data.Object, e Question) error {
	c := r.f.Columns
	questions, err := row.Texts(c.Question)
	if err != nil {
		return err
	}
	if !r.single() {
		return fmt.Errorf("%q is a list, but there is no key with a list of choices for each question; say which with `%s`",
			c.Question, choicesOption)
	}
	list := func(key string) ([]json.RawMessage, error) {
		var list []json.RawMessage
		v, ok := row[key]
		if !ok {
			return nil, fmt.Errorf("the row has no %q", key)
		}
		if err := json.Unmarshal(v, &list); err != nil {
			return nil, fmt.Errorf("%q is %s, not a list like %q", key, data.Excerpt(string(v)), c.Question)
		}
		if len(list) != len(questions) {
			return nil, fmt.Errorf("%q has %s, %q has %d: give one for each",
				c.Question, data.Plural(len(questions), "question"), key, len(list))
		}
		return list, nil
	}
	choices, err := list(c.Choices[0])
	if err != nil {
		return err
	}
	labels := make([]json.RawMessage, len(questions))
	if key := c.Label; key != "" && !(r.o.OptionalLabels && data.Empty(row[key])) {
		if labels, err = list(key); err != nil {
			return err
		}
	}
	for i, q := range questions {
		e.Question = q
		label, err := r.label(labels[i])
		if err == nil {
			err = r.fill(e, choices[i], label)
		}
		if err != nil {
			return fmt.Errorf("question %d: %w", i+1, err)
		}
	}
	return nil
}

// lateLabel looks for the label, which is optional, in a row if the rows before had none.
func (r *rows) lateLabel(row data.Object, line int) error {
	to := &r.f.Columns
	if to.Label != "" || r.o.NoLabels {
		return nil
	}
	h := header{data.KeysOf(r.f.Name, line, row)}
	index := func(name string) int { return slices.Index(h.Names, name) }
	c := columns{context: index(to.Context), question: index(to.Question), label: -1, id: index(to.ID)}
	for _, name := range to.Choices {
		c.choices = append(c.choices, index(name))
	}
	if err := h.findAnswer(&c, r.o); err != nil {
		return err
	}
	to.Label = h.Name(c.label)
	return nil
}

// label reads the value of a label; nil, null and an empty string are none.
func (r *rows) label(v json.RawMessage) (data.Label, error) {
	if len(v) == 0 || data.Empty(v) {
		return data.Label{}, nil
	}
	l, err := data.ParseLabel(v, false)
	if err != nil {
		return l, fmt.Errorf("%q is %s: give the number, the letter or the text of a choice",
			r.f.Columns.Label, data.Excerpt(string(v)))
	}
	return l, nil
}

// fill appends a question. It parses its choices if they are not in e already.
func (r *rows) fill(e Question, choices json.RawMessage, label data.Label) error {
	var names []string
	if e.Endings == nil {
		var err error
		if e.Endings, names, err = parseChoices(choices); err != nil {
			return err
		}
	}
	return r.add(e, names, label)
}

// parseChoices reads a list of strings, a list of {"text": …, "label": …}, or an object with two lists of these
// names. names are the names of the choices in the file, nil if they have none.
func parseChoices(v json.RawMessage) (texts, names []string, err error) {
	if data.Null(v) {
		return nil, nil, errors.New("the row has no choices")
	}
	if v[0] == '{' {
		return parallelChoices(v)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, nil, fmt.Errorf("the choices are %s, not a list", data.Excerpt(string(v)))
	}
	for i, c := range list {
		switch c[0] {
		case '"':
			var s string
			if err := json.Unmarshal(c, &s); err != nil {
				return nil, nil, fmt.Errorf("choice %d: %w", i+1, err)
			}
			texts = append(texts, s)
		case '{':
			row, _, err := data.ParseObject(c)
			if err != nil {
				return nil, nil, fmt.Errorf("choice %d: %w", i+1, err)
			}
			text, err := row.Text("text")
			if err != nil {
				return nil, nil, fmt.Errorf("choice %d: %w", i+1, data.About(err))
			}
			texts = append(texts, text)
			if data.Null(row["label"]) {
				continue
			}
			name, err := identifier(row, "label")
			if err != nil {
				return nil, nil, fmt.Errorf("choice %d: %w", i+1, err)
			}
			names = append(names, name)
		default:
			return nil, nil, fmt.Errorf("choice %d is %s, not a string", i+1, data.Excerpt(string(c)))
		}
	}
	return allNamed(texts, names)
}

// allNamed returns an error if some choices have names and others have none.
func allNamed(texts, names []string) ([]string, []string, error) {
	if len(names) > 0 && len(names) != len(texts) {
		return nil, nil, fmt.Errorf(`%s, but %d "label"s of them`, data.Plural(len(texts), "choice"), len(names))
	}
	return texts, names, nil
}

// parallelChoices reads {"text": ["…", …], "label": ["A", …]}. Names may be numbers.
func parallelChoices(v json.RawMessage) (texts, names []string, err error) {
	row, _, err := data.ParseObject(v)
	if err != nil {
		return nil, nil, fmt.Errorf("the choices: %w", err)
	}
	if err := json.Unmarshal(row["text"], &texts); err != nil {
		return nil, nil, fmt.Errorf(`the choices are %s, not a list or an object with a list "text"`, data.Excerpt(string(v)))
	}
	if data.Null(row["label"]) {
		return texts, nil, nil
	}
	list, err := data.Elements(row["label"], "label")
	if err == nil && len(list) != len(texts) {
		err = fmt.Errorf(`%s, but %d "label"s of them`, data.Plural(len(texts), "choice"), len(list))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the choices: %w", err)
	}
	for i, v := range list {
		if data.Null(v) {
			continue
		}
		name, err := stringOrNumber(v)
		if err != nil {
			return nil, nil, fmt.Errorf(`the choices: element %d of "label" is %w`, i+1, err)
		}
		names = append(names, name)
	}
	return allNamed(texts, names)
}

// optionalString returns the string of a key; "" if it is not there or null.
func optionalString(row data.Object, key string) (string, error) {
	if data.Null(row[key]) {
		return "", nil
	}
	return row.Text(key)
}

// identifier returns the string or the number of a key as text; "" if it is not there or null.
func identifier(row data.Object, key string) (string, error) {
	if key == "" || data.Null(row[key]) {
		return "", nil
	}
	s, err := stringOrNumber(row[key])
	if err != nil {
		return "", fmt.Errorf("%q is %w", key, err)
	}
	return s, nil
}

// stringOrNumber returns a value as text. The error follows on "is".
func stringOrNumber(v json.RawMessage) (string, error) {
	switch {
	case v[0] == '"':
		var s string
		err := json.Unmarshal(v, &s)
		return s, err
	case strings.IndexByte("-0123456789", v[0]) >= 0:
		return string(v), nil
	}
	return "", fmt.Errorf("%s, neither a string nor a number", data.Excerpt(string(v)))
}
