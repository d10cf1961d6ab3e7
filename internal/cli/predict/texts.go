package predict

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tokenize"
)

// readTexts returns the texts of a file. If every line is an object, each row is a text or a pair, whatever the rows
// before were.
func readTexts(name string, content []byte, o text.Options) ([]tokenize.Input, error) {
	o.Format = task.FormatOf(name, content, o.Format, o.Delimiter)
	if o.Format != data.JSONLines || !data.ObjectLines(content) {
		t, err := text.ReadBytes(content, name, o)
		if err != nil {
			return nil, err
		}
		return inputs(t), nil
	}
	key := o.PairColumn
	if key == "" {
		key = "text_pair"
	}
	var list []tokenize.Input
	for _, g := range groupRows(content, key) {
		p := o
		if !g.pairs {
			p.PairColumn = ""
		}
		t, err := text.ReadBytes(g.content, name, p)
		var at *data.Error
		if errors.As(err, &at) && at.Line > 0 {
			at.Line += g.before
		}
		if err != nil {
			return nil, err
		}
		list = append(list, inputs(t)...)
	}
	return list, nil
}

// group is a run of lines that are all pairs or all single texts.
type group struct {
	pairs   bool
	before  int // lines of the file before it
	content []byte
}

// groupRows cuts JSON Lines into groups by whether rows have the key. Lines that are not objects join the group before
// them.
func groupRows(content []byte, key string) []group {
	list := []group{{}}
	begin, line := 0, 0
	for at := 0; at < len(content); line++ {
		end := bytes.IndexByte(content[at:], '\n') + at + 1
		if end == at {
			end = len(content)
		}
		g := &list[len(list)-1]
		var row map[string]json.RawMessage
		if json.Unmarshal(bytes.TrimPrefix(content[at:end], []byte("\uFEFF")), &row) == nil {
			_, pair := row[key]
			if len(bytes.TrimSpace(g.content)) == 0 {
				g.pairs = pair
			} else if pair != g.pairs {
				list = append(list, group{pairs: pair, before: line})
				g, begin = &list[len(list)-1], at
			}
		}
		g.content = content[begin:end]
		at = end
	}
	return list
}
