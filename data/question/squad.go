package question

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spalora/spalora/data"
)

// sniff distinguishes SQuAD JSON from JSON Lines by the keys of the first object, as far as head has them: SQuAD has a
// list "data" and no question.
func sniff(head []byte) data.Format {
	d := json.NewDecoder(bytes.NewReader(head))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return data.JSONLines
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		if key == "data" {
			if v, err := d.Token(); err == nil && v == json.Delim('[') {
				return SQuAD
			}
			break
		}
		var v json.RawMessage
		if d.Decode(&v) != nil {
			break
		}
	}
	return data.JSONLines
}

// squadReader walks through the one object of a SQuAD file.
type squadReader struct {
	rows    *rows
	lines   *data.Lines
	content []byte
	d       *json.Decoder
	at      int // the offset up to which lines are counted
	line    int // line of that offset

	article, paragraph int // numbers from 1; 0: not in one
}

// errEnough ends a walk when there are as many questions as were asked for.
var errEnough = errors.New("enough questions")

// squad reads a SQuAD file.
func (rows *rows) squad(lines *data.Lines, _ data.Format) error {
	content, err := lines.Content()
	if err != nil {
		return err
	}
	r := &squadReader{rows: rows, lines: lines, content: content, d: json.NewDecoder(bytes.NewReader(content)), line: 1}
	if i := data.LoneSurrogate(content); i >= 0 {
		return data.Errorf(lines.Name(), r.lineAt(i), "%s", data.HalfPair(content, i))
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return nil
	}
	rows.f.Columns = Columns{ID: "id", Question: "question", Context: "context", Answers: "answers"}
	if rows.o.NoLabels {
		rows.f.Columns.Answers = ""
	}
	err = r.file()
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return r.explain(lines.Name(), err)
	}
	if rest := bytes.TrimSpace(content[r.d.InputOffset():]); len(rest) > 0 {
		at := len(content) - len(bytes.TrimLeft(content[r.d.InputOffset():], " \t\n"))
		return data.Errorf(lines.Name(), r.lineAt(at), "%s follows the object: SQuAD JSON is one object "+
			"(if the file has one in every line, use `format jsonl`)", data.Excerpt(string(rest)))
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
	var e *data.Error
	if errors.As(err, &e) {
		return err
	}
	// The decoder's own errors count bytes in two ways, so the file is checked again as a whole.
	var whole json.RawMessage
	var s *json.SyntaxError
	if errors.As(json.Unmarshal(r.content, &whole), &s) {
		if int(s.Offset) >= len(r.content) {
			return data.Errorf(name, r.lineAt(len(r.content)),
				"the file ends in the middle of its JSON: was the program that wrote it stopped? Write the file again")
		}
		return data.Errorf(name, r.lineAt(int(s.Offset)), "%snot JSON: %s", r.where(), s)
	}
	return data.Errorf(name, r.lineAt(int(r.d.InputOffset())), "%s%s", r.where(), err)
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

// object walks through an object: value is called behind each key and reads what follows.
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
		err = fmt.Errorf("%s is %s, not %s", what, data.TokenName(token), kind)
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
		err = errors.New("the object has no \"data\": SQuAD JSON is {\"data\": [{\"paragraphs\": [{\"context\": \"…\", " +
			"\"qas\": […]}]}]} (if the file has a question in every line, use `format jsonl`)")
	}
	return err
}

// readArticle reads an element of "data": an article with paragraphs, or, as the scripts of transformers take them, a
// question with its context.
func (r *squadReader) readArticle() error {
	found := false
	flat := data.Object{}
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
		row, _, err := data.ParseObject(q.v)
		if err == nil {
			err = r.question(row, data.Object{"context": context}, q.line, name)
		} else {
			err = data.Errorf(r.rows.f.Name, q.line, "%s%s: %s", r.where(), name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// question adds one question. Its context is in the row itself or in another object.
func (r *squadReader) question(row, about data.Object, line int, name string) error {
	if r.rows.f.Len() == 0 && row["id"] == nil {
		r.rows.f.Columns.ID = ""
	}
	context, err := about.Text("context")
	if err == nil {
		err = r.lines.Serve(row)
	}
	if err == nil {
		err = r.rows.add(row, context, line)
	}
	if err != nil {
		var id string
		if json.Unmarshal(row["id"], &id) == nil && id != "" {
			name = strings.TrimSpace(name + " (id " + data.Excerpt(id) + ")")
		}
		if name != "" {
			name += ": "
		}
		return data.Errorf(r.rows.f.Name, line, "%s%s%s", r.where(), name, data.About(err))
	}
	if r.rows.Enough() {
		return errEnough
	}
	return nil
}
