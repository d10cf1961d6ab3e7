package question

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// rows appends the rows of a stream to a file.
type rows struct {
	f        *File
	o        Options
	ids      map[string]int    // line of each id
	contexts map[string]string // one string for equal contexts, which rows of JSON Lines repeat
	bad      data.Faults       // misplaced answers in strict mode
}

// Enough reports whether no more rows are wanted.
func (r *rows) Enough() bool { return r.f.Full(r.o.MaxSamples) }

// Resolve finds the keys that the options ask for or that are well known.
func (r *rows) Resolve(h *data.Header) error {
	c := &r.f.Columns
	optional := r.o.OptionalLabels || slices.Contains(h.Names, "is_impossible") // then rows need no answers
	for _, f := range []struct {
		to                  *string
		name, option, usual string
		optional            bool
	}{
		{&c.ID, r.o.IDColumn, "id_column", "id", true},
		{&c.Question, r.o.QuestionColumn, "question_column", "question", false},
		{&c.Context, r.o.ContextColumn, "context_column", "context", false},
		{&c.Answers, r.o.AnswersColumn, "answers_column", "answers", optional},
	} {
		if f.usual == "answers" && r.o.NoLabels {
			continue
		}
		i, err := h.Given(f.name, f.option)
		if err != nil {
			return err
		}
		if i < 0 {
			i = h.Index(f.usual)
		}
		if i < 0 && !f.optional {
			return h.Errorf("there is no key %q; say which has the %s with `%s`; there is %s%s",
				f.usual, f.usual, f.option, h.List(), h.Hint())
		}
		*f.to = h.Name(i)
	}
	if c.Answers == "" && optional && !r.o.NoLabels {
		c.Answers = "answers" // of rows to come
	}
	return nil
}

// Object appends one row of JSON Lines.
func (r *rows) Object(row data.Object, line int) error {
	context, err := row.Text(r.f.Columns.Context)
	if err != nil {
		return err
	}
	return r.add(row, context, line)
}

// add appends the question of a row about a context.
func (r *rows) add(row data.Object, context string, line int) error {
	same, ok := r.contexts[context]
	if !ok {
		same = context
		r.contexts[context] = context
	}
	e := Question{Context: same, Line: line}
	var err error
	if e.ID, err = r.id(row); err != nil {
		return err
	}
	if before, twice := r.ids[e.ID]; twice {
		return fmt.Errorf("the id %s is that of the question at line %d: each question needs its own id",
			data.Excerpt(e.ID), before)
	}
	if e.Question, err = row.Text(r.f.Columns.Question); err != nil {
		return err
	}
	if r.f.Columns.Answers != "" {
		if err := r.answers(row, &e); err != nil {
			return err
		}
	}
	r.ids[e.ID] = line
	r.f.Append(e)
	return nil
}

// id returns the id of a row: a string or a number, or else, if no row has one, its number in the file.
func (r *rows) id(row data.Object) (string, error) {
	const allOrNone = "give all questions an id, or none"
	key := r.f.Columns.ID
	if key == "" {
		for name := range row {
			if name == "id" || r.f.Format == data.JSONLines && data.Fold(name) == "id" {
				return "", fmt.Errorf("the row has an id, but the first question of the file has none: %s", allOrNone)
			}
		}
		return strconv.Itoa(r.f.Len() + 1), nil
	}
	v, ok := row[key]
	if !ok {
		return "", fmt.Errorf("the row has no %q, but the first question of the file has one: %s", key, allOrNone)
	}
	if v[0] == '-' || v[0] >= '0' && v[0] <= '9' {
		return string(v), nil
	}
	id, err := row.Text(key)
	if err == nil && id == "" {
		err = fmt.Errorf("%q is empty", key)
	}
	return id, err
}

// answers reads the answers of a row and finds their places.
func (r *rows) answers(row data.Object, e *Question) error {
	key := r.f.Columns.Answers
	impossible, err := boolValue(row, "is_impossible")
	if err != nil {
		return err
	}
	v, ok := row[key]
	if !ok || string(v) == "null" {
		switch {
		case impossible:
			v = json.RawMessage("[]")
		case r.o.OptionalLabels:
			return nil
		default:
			return fmt.Errorf("the row has no %q (an empty list says that the context has no answer)%s", key, r.otherKey())
		}
	}
	list, err := parseAnswers(v)
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	if impossible && len(list) > 0 {
		return fmt.Errorf(`"is_impossible" is true, but there are answers: %s`, data.Excerpt(list[0].Text))
	}
	e.Labelled, e.Impossible = true, len(list) == 0
	for i := range list {
		if err := r.place(&list[i], e); err != nil {
			return fmt.Errorf("answer %d: %w", i+1, err)
		}
	}
	e.Answers = list
	return nil
}

// otherKey is the remedy for rows whose answers may have another key.
func (r *rows) otherKey() string {
	if r.f.Format != data.JSONLines || r.o.AnswersColumn != "" {
		return ""
	}
	return "; if another key has the answers, say which with `answers_column`"
}

// place checks that the context has an answer at its place and moves it if it has it elsewhere.
func (r *rows) place(a *Answer, e *Question) error {
	if strings.TrimSpace(a.Text) == "" {
		return errors.New("the text is blank; a question without an answer has an empty list of answers")
	}
	if at := data.CodePoints.Byte(e.Context, a.Start); at >= 0 && strings.HasPrefix(e.Context[at:], a.Text) {
		return nil
	}
	r.f.Misplaced++
	start := a.Start
	in := func(u data.Unit) bool {
		at := u.Byte(e.Context, start)
		return at >= 0 && strings.HasPrefix(e.Context[at:], a.Text)
	}
	inBytes, in16 := in(data.UTF8Bytes), in(data.UTF16Units)
	only := strings.Index(e.Context, a.Text)
	if strings.LastIndex(e.Context, a.Text) != only {
		only = -1
	}
	a.Start = -1
	switch {
	case inBytes:
		r.f.InBytes++
		a.Start = utf8.RuneCountInString(e.Context[:start])
	case in16:
		r.f.InUTF16++
		a.Start = utf8.RuneCountInString(e.Context[:data.UTF16Units.Byte(e.Context, start)])
	case only >= 0:
		a.Start = utf8.RuneCountInString(e.Context[:only])
	default:
		r.f.Unplaced++
	}
	if r.o.Strict {
		r.bad.Add(e.Line, fmt.Errorf("question %s: the answer %s is not at its answer_start %d; %s",
			data.Excerpt(e.ID), data.Excerpt(a.Text), start, misplaced(a, inBytes, in16, e.Context, start)))
	}
	return nil
}

// misplaced explains in a message why an answer is not at its place.
func misplaced(a *Answer, inBytes, in16 bool, context string, start int) string {
	switch {
	case inBytes:
		return fmt.Sprintf("it is if bytes of UTF-8 are counted: in code points, as Python counts, it is %d", a.Start)
	case in16:
		return fmt.Sprintf("it is if units of UTF-16 are counted, as JavaScript and Java do: in code points it is %d",
			a.Start)
	case a.Start >= 0:
		return fmt.Sprintf("the context has it at %d only", a.Start)
	case strings.Contains(context, a.Text):
		return fmt.Sprintf("the context has it at %d places", strings.Count(context, a.Text))
	}
	if at := data.CodePoints.Byte(context, start); at >= 0 && at < len(context) {
		return "the context does not have it; it has " + data.Excerpt(context[at:]) + " there"
	}
	return "the context does not have it"
}

// parseAnswers reads {"text": [...], "answer_start": [...]}, as the datasets library has it, or [{"text": …,
// "answer_start": …}, …], as SQuAD has it.
func parseAnswers(v json.RawMessage) ([]Answer, error) {
	switch v[0] {
	case '{':
		return parseAnswerColumns(v)
	case '[':
		var raw []json.RawMessage
		if err := json.Unmarshal(v, &raw); err != nil {
			return nil, err
		}
		list := make([]Answer, len(raw))
		for i, a := range raw {
			if err := parseAnswer(a, &list[i]); err != nil {
				return nil, fmt.Errorf("answer %d: %w", i+1, err)
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("it is %s; give {\"text\": [\"…\"], \"answer_start\": [0]} or [{\"text\": \"…\", "+
		"\"answer_start\": 0}]", data.Excerpt(string(v)))
}

func parseAnswerColumns(v json.RawMessage) ([]Answer, error) {
	row, _, err := data.ParseObject(v)
	if err != nil {
		return nil, err
	}
	var texts []*string
	var starts []json.RawMessage
	if err := listValue(row, "text", &texts, "strings"); err != nil {
		return nil, err
	}
	if err := listValue(row, "answer_start", &starts, "integers"); err != nil {
		return nil, err
	}
	if len(texts) != len(starts) {
		return nil, fmt.Errorf("%s but %s: each answer has one of both",
			count(len(texts), "text"), count(len(starts), "answer_start"))
	}
	list := make([]Answer, len(texts))
	for i := range list {
		if texts[i] == nil {
			return nil, fmt.Errorf("text %d is null", i+1)
		}
		list[i].Text = *texts[i]
		if list[i].Start, err = parseStart(starts[i]); err != nil {
			return nil, fmt.Errorf("answer %d: %w", i+1, err)
		}
	}
	return list, nil
}

func count(n int, what string) string { return fmt.Sprintf("%d of %q", n, what) }

// listValue reads a list under a key.
func listValue(row data.Object, key string, to any, of string) error {
	v, ok := row[key]
	if !ok {
		return fmt.Errorf("it has no %q", key)
	}
	if v[0] != '[' || json.Unmarshal(v, to) != nil {
		return fmt.Errorf("%q is %s, not a list of %s", key, data.Excerpt(string(v)), of)
	}
	return nil
}

func parseAnswer(v json.RawMessage, a *Answer) error {
	if v[0] != '{' {
		return fmt.Errorf("it is %s, not an object like {\"text\": \"…\", \"answer_start\": 0}", data.Excerpt(string(v)))
	}
	row, _, err := data.ParseObject(v)
	if err != nil {
		return err
	}
	if a.Text, err = row.Text("text"); err != nil {
		return data.About(err)
	}
	start, ok := row["answer_start"]
	if !ok {
		return errors.New(`it has no "answer_start"`)
	}
	a.Start, err = parseStart(start)
	return err
}

func parseStart(v json.RawMessage) (int, error) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || int64(int(n)) != n {
		return 0, fmt.Errorf("\"answer_start\" is %s, not an integer", data.Excerpt(string(v)))
	}
	return int(n), nil
}

// boolValue reads true or false, false if the key is not there or null.
func boolValue(row data.Object, key string) (bool, error) {
	switch v := row[key]; string(v) {
	case "true":
		return true, nil
	case "", "null", "false":
		return false, nil
	default:
		return false, fmt.Errorf("%q is %s, not true or false", key, data.Excerpt(string(v)))
	}
}
