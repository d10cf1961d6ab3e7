package score

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spalora/spalora/data"
)

// read returns the texts of each row of a file: one, or in JSON with lists one or more.
func read(path string, lists bool) ([][]string, error) {
	return data.ReadPath(path, lists, func(r io.Reader, name string, lists bool) ([][]string, error) {
		lines, err := data.NewLines(r, name, false)
		if err != nil {
			return nil, err
		}
		t := &texts{file: name, lists: lists}
		if data.FormatOf(name) == data.JSONLines {
			_, err = data.ReadObjects(lines, t)
		} else {
			err = t.plain(lines)
		}
		if err == nil && len(t.rows) == 0 {
			err = data.Errorf(name, 0, "the file has no texts")
		}
		return t.rows, err
	})
}

// texts takes the rows of a file.
type texts struct {
	file  string
	lists bool // a row may have several texts
	rows  [][]string
}

// plain takes a text from each line, also from empty ones.
func (t *texts) plain(lines *data.Lines) error {
	for {
		line, _, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		t.rows = append(t.rows, []string{string(line)})
	}
}

// Resolve returns an error if the first row has no text.
func (t *texts) Resolve(h *data.Header) error {
	if !slices.Contains(h.Names, "text") {
		return data.Errorf(h.File, h.Line, "the row has no key \"text\", but %s", data.NameList(h.Names))
	}
	return nil
}

// Enough is false: all rows are wanted.
func (t *texts) Enough() bool { return false }

// Object takes the texts of a row.
func (t *texts) Object(row data.Object, line int) error {
	value, want := row["text"], "a string"
	if t.lists {
		want = "a string or a list of strings"
	}
	if value == nil {
		return fmt.Errorf("the row has no key \"text\"; want %s", want)
	}
	var one *string
	var list []*string
	switch {
	case json.Unmarshal(value, &one) == nil && one != nil:
		list = []*string{one}
	case !t.lists || json.Unmarshal(value, &list) != nil || len(list) == 0 || slices.Contains(list, nil):
		return fmt.Errorf("text is %s; want %s", data.Excerpt(string(value)), want)
	}
	of := make([]string, len(list))
	for i, s := range list {
		of[i] = *s
	}
	t.rows = append(t.rows, of)
	return nil
}
