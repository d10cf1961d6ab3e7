package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// sniffQuestions tells SQuAD JSON from JSON Lines by the keys of the first object, as
// far as head has them: SQuAD has a list "data" and no question.
func sniffQuestions(head []byte) Format {
	d := json.NewDecoder(bytes.NewReader(head))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return JSONLines
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		if key == "data" {
			if v, err := d.Token(); err == nil && v == json.Delim('[') {
				return SQuADJSON
			}
			break
		}
		var v json.RawMessage
		if d.Decode(&v) != nil {
			break
		}
	}
	return JSONLines
}

// squadReader walks through the one object of a SQuAD file.
type squadReader struct {
	rows    *questionRows
	content []byte
	d       *json.Decoder
	at      int // the offset up to which lines are counted
	line    int // line of that offset

	article, paragraph int // numbers from 1; 0: not in one
}

// errEnough ends a walk when there are as many questions as were asked for.
var errEnough = errors.New("enough questions")

// readSQuAD gives the questions of a SQuAD file to rows.
func readSQuAD(lines *lineReader, rows *questionRows) error {
	lines.max = maxText
	var content []byte
	for {
		line, end, err := lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		content = append(content, line...)
		if len(end) > 0 {
			content = append(content, '\n')
		}
	}
	r := &squadReader{rows: rows, content: content, d: json.NewDecoder(bytes.NewReader(content)), line: 1}
	if i := loneSurrogate(content); i >= 0 {
		return errorAt(lines.name, r.lineAt(i), "%s is half of a surrogate pair, which is no character", content[i:min(i+6, len(content))])
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return nil
	}
	rows.q.Columns = QuestionColumns{ID: "id", Question: "question", Context: "context", Answers: "answers"}
	if rows.o.NoLabels {
		rows.q.Columns.Answers = ""
	}
	err := r.file()
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return r.explain(lines.name, err)
	}
	if rest := bytes.TrimSpace(content[r.d.InputOffset():]); len(rest) > 0 {
		return errorAt(lines.name, r.lineAt(len(content)-len(bytes.TrimLeft(content[r.d.InputOffset():], " \t\n"))),
			"%s follows the object: SQuAD JSON is one object (if the file has one in every line, say --format jsonl)", excerpt(string(rest)))
	}
	return nil
}

// lineAt returns the line of an offset at or behind that of the last call.
func (r *squadReader) lineAt(offset int) int {
	if offset > r.at {
		r.line += bytes.Count(r.content[r.at:offset], []byte("\n"))
		r.at = offset
	}
	return r.line
}

// explain makes an error about the file of one that the walk met.
func (r *squadReader) explain(name string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	// The decoder's own errors count bytes in two ways, so the file is checked again as a whole.
	var whole json.RawMessage
	var s *json.SyntaxError
	if errors.As(json.Unmarshal(r.content, &whole), &s) {
		if int(s.Offset) >= len(r.content) {
			return errorAt(name, r.lineAt(len(r.content)), "the file ends in the middle of its JSON: was the program that wrote it stopped? Write the file again")
		}
		return errorAt(name, r.lineAt(int(s.Offset)), "%snot JSON: %s", r.where(), s)
	}
	return errorAt(name, r.lineAt(int(r.d.InputOffset())), "%s%s", r.where(), err)
}

// where says in which article and paragraph the walk is.
func (r *squadReader) where() string {
	switch {
	case r.article == 0:
		return ""
	case r.paragraph == 0:
		return fmt.Sprintf("article %d: ", r.article)
	}
	return fmt.Sprintf("article %d, paragraph %d: ", r.article, r.paragraph)
}

// object walks through an object: value is called behind each key and reads what
// follows.
func (r *squadReader) object(what string, value func(key string) error) error {
	if err := r.open('{', what, "an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.d.More() {
		token, err := r.d.Token()
		if err != nil {
			return err
		}
		key := token.(string) // the decoder takes nothing else for a key
		if seen[key] {
			return fmt.Errorf("the key %q is there twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

// list walks through a list: element is called with the number of each, from 1, and reads it.
func (r *squadReader) list(what string, element func(n int) error) error {
	if err := r.open('[', what, "a list"); err != nil {
		return err
	}
	for n := 1; r.d.More(); n++ {
		if err := element(n); err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

// open reads the delimiter with which an object or a list begins.
func (r *squadReader) open(want json.Delim, what, kind string) error {
	token, err := r.d.Token()
	if err == nil && token != want {
		err = fmt.Errorf("%s is %s, not %s", what, tokenType(token), kind)
	}
	return err
}

// raw reads a value and returns it with the line at which it begins.
func (r *squadReader) raw() (json.RawMessage, int, error) {
	var v json.RawMessage
	if err := r.d.Decode(&v); err != nil {
		return nil, 0, err
	}
	return v, r.lineAt(int(r.d.InputOffset()) - len(v)), nil
}

// skip reads a value that is not used.
func (r *squadReader) skip() error {
	_, _, err := r.raw()
	return err
}

func (r *squadReader) file() error {
	found := false
	err := r.object("the file", func(key string) error {
		if key != "data" {
			return r.skip()
		}
		found = true
		return r.list(`"data"`, func(n int) error {
			r.article, r.paragraph = n, 0
			return r.readArticle()
		})
	})
	if err == nil && !found {
		err = errors.New(`the object has no "data": SQuAD JSON is {"data": [{"paragraphs": [{"context": "…", "qas": […]}]}]} (if the file has a question in every line, say --format jsonl)`)
	}
	return err
}

// readArticle reads an element of "data": an article with paragraphs, or, as the
// scripts of transformers take them, a question with its context.
func (r *squadReader) readArticle() error {
	found := false
	flat := map[string]json.RawMessage{}
	line := 0
	err := r.object("the article", func(key string) error {
		if key == "paragraphs" {
			found = true
			return r.list(`"paragraphs"`, func(n int) error {
				r.paragraph = n
				return r.readParagraph()
			})
		}
		v, at, err := r.raw()
		flat[key] = v
		if line == 0 {
			line = at
		}
		return err
	})
	if err != nil {
		return err
	}
	if !found {
		if flat["question"] == nil {
			return errors.New(`it has no "paragraphs"`)
		}
		return r.question(flat, flat, line, "")
	}
	r.paragraph = 0
	return nil
}

// readParagraph reads a context with its questions, whichever comes first.
func (r *squadReader) readParagraph() error {
	var context json.RawMessage
	type raw struct {
		v    json.RawMessage
		line int
	}
	var questions []raw
	found := false
	err := r.object("the paragraph", func(key string) (err error) {
		switch key {
		case "context":
			context, _, err = r.raw()
			return err
		case "qas":
			found = true
			return r.list(`"qas"`, func(int) error {
				v, line, err := r.raw()
				questions = append(questions, raw{v, line})
				return err
			})
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if context == nil {
		return errors.New(`it has no "context"`)
	}
	if !found {
		return errors.New(`it has no "qas"`)
	}
	for n, q := range questions {
		name := fmt.Sprintf("question %d", n+1)
		row, _, err := parseObject(q.v)
		if err == nil {
			err = r.question(row, map[string]json.RawMessage{"context": context}, q.line, name)
		} else {
			err = errorAt(r.rows.q.Name, q.line, "%s%s: %s", r.where(), name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// question adds one question whose context stands in a row of its own or in the same.
func (r *squadReader) question(row, about map[string]json.RawMessage, line int, name string) error {
	if len(r.rows.q.List) == 0 && row["id"] == nil {
		r.rows.q.Columns.ID = ""
	}
	context, err := stringValue(about, "context")
	if err == nil {
		err = r.rows.add(row, context, line)
	}
	if err != nil {
		var id string
		if json.Unmarshal(row["id"], &id) == nil && id != "" {
			name = strings.TrimSpace(name + " (id " + excerpt(id) + ")")
		}
		if name != "" {
			name += ": "
		}
		return errorAt(r.rows.q.Name, line, "%s%s%s", r.where(), name, inQuestion(err))
	}
	if r.rows.enough() {
		return errEnough
	}
	return nil
}

// inQuestion makes an error about a row one about a question.
func inQuestion(err error) string {
	if rest, ok := strings.CutPrefix(err.Error(), "the row "); ok {
		return "it " + rest
	}
	return err.Error()
}
