package choice

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// series is how the columns of choices are named one after another: ending0, ending1 …
type series struct{ prefix, first string }

// name returns the name of choice i, "" if there are fewer letters.
func (s series) name(i int) string {
	switch c := s.first[0]; {
	case c == '0' || c == '1':
		return s.prefix + strconv.Itoa(int(c-'0')+i)
	case i < 26:
		return s.prefix + string(rune(int(c)+i))
	}
	return ""
}

// claims reports whether a column of this name looks like one of the series: its prefix with a number or a letter
// behind it, with _ between or without.
func (s series) claims(name string) bool {
	name = data.Fold(name)
	if slices.Contains(knownChoices, name) || slices.Contains(knownChoiceLabels, name) { // options is not option "s"
		return false
	}
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(data.Fold(s.prefix), "_"))
	rest = strings.TrimPrefix(rest, "_")
	letter := len(rest) == 1 && rest[0] >= 'a' && rest[0] <= 'z'
	return ok && rest != "" && (letter || strings.Trim(rest, "0123456789") == "")
}

// gap is the error about a column that looks like one of the series but does not follow on the choices before it.
func (s series) gap(name string, before []string) error {
	why := fmt.Sprintf("but no %q", s.name(0))
	if n := len(before); n > 0 {
		why = fmt.Sprintf("which does not follow on %q", before[n-1])
	}
	return fmt.Errorf("%q, %s: number choices without a gap, or say which they are with `%s`", name, why, choicesOption)
}

// numbered returns the columns that are called prefix0, prefix1 … or prefix1, prefix2 … or prefixA, prefixB …,
// also with _ between; nil if there are fewer than two.
func (h header) numbered(prefix string) ([]int, *series) {
	for _, between := range []string{"", "_"} {
		for _, first := range []string{"0", "1", "A"} {
			s := series{prefix + between, first}
			var columns []int
			for i := 0; s.name(i) != ""; i++ {
				column := h.Index(s.name(i))
				if column < 0 {
					break
				}
				columns = append(columns, column)
			}
			if len(columns) >= 2 {
				name := strings.TrimSpace(h.Names[columns[0]]) // in the file's own case
				return columns, &series{name[:len(name)-1], name[len(name)-1:]}
			}
		}
	}
	return nil, nil
}

// noGap returns an error if a column looks like a choice but does not follow on the others. In JSON, series checks
// every row.
func (h header) noGap(c *columns) error {
	if c.series == nil || h.What == "key" {
		return nil
	}
	var names []string
	for _, i := range c.choices {
		names = append(names, h.Names[i])
	}
	for i, name := range h.Names {
		if !c.uses(i) && c.series.claims(name) {
			return h.Errorf("there is %s", c.series.gap(name, names))
		}
	}
	return nil
}

// series reads choices that have a key each. Missing keys and null behind the last one are choices that the row does
// not have.
func (r *rows) series(row data.Object) ([]string, error) {
	names := r.f.Columns.Choices
	if r.columns.series != nil {
		var err error
		if names, err = r.seriesKeys(row); err != nil {
			return nil, err
		}
	}
	n := len(names)
	for n > 0 && data.Null(row[names[n-1]]) {
		n--
	}
	list := make([]string, n)
	for i, name := range names[:n] {
		var err error
		if list[i], err = row.Text(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// seriesKeys returns the keys of a row that are choices of a series, in its order: a row may have fewer or more than
// the first one, but none behind a gap.
func (r *rows) seriesKeys(row data.Object) ([]string, error) {
	s, c := r.columns.series, r.f.Columns
	h := data.KeysOf(r.f.Name, 0, row)
	var names []string
	for i := 0; s.name(i) != ""; i++ {
		name := s.name(i)
		if i < len(c.Choices) && row[c.Choices[i]] != nil { // as the first row spells it
			name = c.Choices[i]
		}
		k := h.Index(name)
		if k < 0 {
			break
		}
		names = append(names, h.Names[k])
	}
	others := []string{c.Context, c.Question, c.Label, c.ID}
	for _, k := range h.Names {
		if s.claims(k) && !data.Null(row[k]) && !slices.Contains(names, k) && !slices.Contains(others, k) {
			return nil, fmt.Errorf("the row has %w", s.gap(k, names))
		}
	}
	return names, nil
}
