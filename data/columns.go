package data

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// known are the column names that need no flag, in the order in which they are
// tried: what the data sets of the Hugging Face hub call a text and its pair.
// "text" wins over the others; of the rest, one must be left.
var known = []struct{ text, pair string }{
	{"text", "text_pair"},
	{"sentence1", "sentence2"},
	{"premise", "hypothesis"},
	{"question1", "question2"},
	{"question", "sentence"},
	{"anchor", "positive"},
	{"sentence", ""},
	{"question", ""},
	{"review", ""},
	{"content", ""},
	{"utterance", ""},
	{"message", ""},
	{"query", ""},
}

// knownLabels are the names of label columns that need no flag. The first of those that win
// (see winningLabels) counts; if there is none, one must be left.
var knownLabels = []string{"label", "labels", "category", "class", "target", "intent", "score"}

// winningLabels returns the names of label columns that win over the others, in order: of pairs
// that are learned by their score, that of the score.
func (o ReadOptions) winningLabels() []string {
	if o.Scores {
		return []string{"score", "label", "labels"}
	}
	return []string{"label", "labels"}
}

// columns are indices into a header, -1 for none.
type columns struct{ text, pair, label int }

// header is the first line of a file or the keys of its first row.
type header struct {
	file    string
	line    int
	names   []string
	numbers bool     // there is no header line: columns go by number
	row     []string // then the first row, for messages
	what    string   // "column" or "key"
}

// resolve finds the columns that o asks for or that are well known.
func (h *header) resolve(o ReadOptions) (columns, error) {
	c := columns{-1, -1, -1}
	var err error
	if c.text, err = h.given(o.TextColumn, "--text-column"); err != nil {
		return c, err
	}
	if c.pair, err = h.given(o.PairColumn, "--text-pair-column"); err != nil {
		return c, err
	}
	if c.label, err = h.given(o.LabelColumn, "--label-column"); err != nil {
		return c, err
	}
	if c.text < 0 {
		if err := h.findText(&c); err != nil {
			return c, err
		}
	}
	if c.label < 0 && !o.NoLabels {
		if err := h.findLabel(&c, o); err != nil {
			return c, err
		}
	}
	for _, i := range []int{c.text, c.pair, c.label} {
		if err := h.once(i); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (h *header) once(i int) error {
	if i < 0 {
		return nil
	}
	for j := i + 1; j < len(h.names); j++ {
		if h.names[j] == h.names[i] {
			return errorAt(h.file, h.line, "the %s %q is there twice (%d and %d, counted from 0): rename one", h.what, h.names[i], i, j)
		}
	}
	return nil
}

// given returns the index of a column that a flag names, -1 if the flag is not set.
func (h *header) given(name, flag string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if h.numbers {
		n, err := strconv.Atoi(name)
		if err == nil && n >= 0 && n < len(h.names) {
			return n, nil
		}
		return -1, errorAt(h.file, h.line, "%s %s: without a header the columns go by number, 0 to %d: %s",
			flag, name, len(h.names)-1, h.list())
	}
	if i := slices.Index(h.names, name); i >= 0 {
		return i, nil
	}
	hint := ""
	if i := h.index(name); i >= 0 {
		hint = fmt.Sprintf(" (did you mean %q?)", h.names[i])
	} else if _, err := strconv.Atoi(name); err == nil && h.what == "column" {
		hint = " (columns go by number only with --no-header)"
	}
	return -1, errorAt(h.file, h.line, "%s: there is no %s %q%s; there is %s%s", flag, h.what, name, hint, h.list(), h.hint())
}

// index returns the column of this name, or the first one that differs in case
// and outer spaces only, -1 if there is none.
func (h *header) index(name string) int {
	if i := slices.Index(h.names, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(h.names, func(n string) bool { return fold(n) == fold(name) })
}

// findText looks for the well-known text column and, unless it is given, its pair.
func (h *header) findText(c *columns) error {
	if h.numbers {
		if len(h.names) == 1 {
			c.text = 0
			return nil
		}
		return errorAt(h.file, h.line, "without a header, say which column is what with --text-column and --label-column, by number from 0: %s", h.list())
	}
	var found []columns
	for _, k := range known {
		m := columns{h.index(k.text), -1, -1}
		if m.text < 0 || m.text == c.label || m.text == c.pair {
			continue
		}
		if k.pair != "" && c.pair < 0 {
			m.pair = h.index(k.pair)
			if m.pair == c.label {
				m.pair = -1
			}
		}
		if k.text != "text" && k.pair != "" && m.pair < 0 && c.pair < 0 {
			continue // sentence1 alone is no text column
		}
		if k.text == "text" {
			found = []columns{m}
			break
		}
		if !covered(found, m.text) {
			found = append(found, m)
		}
	}
	if len(found) == 1 {
		c.text = found[0].text
		if c.pair < 0 {
			c.pair = found[0].pair
		}
		return nil
	}
	if len(found) == 0 {
		return errorAt(h.file, h.line, "no %s has a name that is known for texts (text, sentence, sentence1 and sentence2 …); say which with --text-column; there is %s%s", h.what, h.list(), h.hint())
	}
	return errorAt(h.file, h.line, "the text may be %q or %q; say which with --text-column", h.names[found[0].text], h.names[found[1].text])
}

// covered reports whether a column is used by one of the matches.
func covered(found []columns, i int) bool {
	for _, f := range found {
		if f.text == i || f.pair == i {
			return true
		}
	}
	return false
}

// findLabel looks for the well-known label column.
func (h *header) findLabel(c *columns, o ReadOptions) error {
	if o.Scores && c.pair < 0 {
		return nil
	}
	var found []int
	if !h.numbers {
		isText := func(i int) bool { return i == c.text || i == c.pair }
		found = slices.DeleteFunc(h.all(o.winningLabels(), -1), isText)
		if len(found) > 0 {
			found = found[:1]
		} else {
			found = slices.DeleteFunc(h.all(knownLabels, -1), isText)
		}
	}
	switch {
	case len(found) == 1:
		c.label = found[0]
	case len(found) > 1:
		return h.unclearLabel(found, o.OptionalLabels && !o.Scores)
	case o.OptionalLabels:
	case h.numbers:
		return errorAt(h.file, h.line, "without a header, say which column is the label with --label-column, by number from 0: %s", h.list())
	default:
		return errorAt(h.file, h.line, "no %s has a name that is known for labels (%s); say which with --label-column; there is %s%s",
			h.what, strings.Join(knownLabels, ", "), h.list(), h.hint())
	}
	return nil
}

// unclearLabel is the error about several columns that may be the label. predict says that labels are optional, for there is a flag then
// that reads none.
func (h *header) unclearLabel(found []int, predict bool) error {
	var names []string
	for _, i := range found {
		names = append(names, strconv.Quote(h.names[i]))
	}
	hint := ""
	if predict {
		hint = " (or --no-labels)"
	}
	return errorAt(h.file, h.line, "the label may be %s; say which with --label-column%s", strings.Join(names, " or "), hint)
}

// keysOf returns the keys of a row of JSON, sorted, as a header.
func keysOf(file string, line int, row map[string]json.RawMessage) *header {
	return &header{file: file, line: line, names: slices.Sorted(maps.Keys(row)), what: "key"}
}

// list shows the columns in a message.
func (h *header) list() string {
	const limit = 12
	var b strings.Builder
	for i, n := range h.names {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == limit {
			fmt.Fprintf(&b, "… (%d in all)", len(h.names))
			break
		}
		if h.numbers {
			fmt.Fprintf(&b, "%d = %s", i, excerpt(h.row[i]))
		} else {
			b.WriteString(excerpt(n))
		}
	}
	return b.String()
}

// hint says what else may be wrong with a header in which a column is missing.
func (h *header) hint() string {
	if h.what != "column" {
		return ""
	}
	if len(h.names) == 1 {
		for _, d := range []struct{ in, flag string }{{"\t", `--delimiter '\t' or --format tsv`}, {";", "--delimiter ';'"}, {",", "--delimiter ','"}, {"|", "--delimiter '|'"}} {
			if strings.Contains(h.names[0], d.in) {
				return " (another delimiter? try " + d.flag + ")"
			}
		}
	}
	return " (if the first line is a row, say --no-header)"
}
