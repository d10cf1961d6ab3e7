package document

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// weights are columns that say how much a row counts.
var weights = []string{"weight", "loss_weight", "sample_weight"}

// besides are columns with content for the model that rows of a kind may have beside those that are read.
var besides = map[Kind][]string{
	Prompt:      {"input", "context", "passage", "system", "system_prompt", "history"},
	Instruction: {"context", "passage", "system_prompt"},
	Chat:        {"system_prompt"},
}

// unreadColumns counts rows that have columns with content, or a weight, that are not read.
type unreadColumns struct {
	data.Tally
	names []string // of the columns, sorted
}

// add counts the row at line if it has such columns.
func (u *unreadColumns) add(line int, names []string) {
	if len(names) > 0 {
		u.Add(line)
	}
	for _, name := range names {
		if at, found := slices.BinarySearch(u.names, name); !found {
			u.names = slices.Insert(u.names, at, name)
		}
	}
}

// unreadOf returns the names of columns of a row that count for [unreadColumns], given their text or JSON.
func (r *rows) unreadOf(columns map[string]string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		value := columns[name]
		if data.Blank(value) || data.Empty([]byte(value)) || !r.isBeside(name) {
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); !slices.Contains(weights, data.Fold(name)) ||
			err == nil && n != 1 {
			names = append(names, name)
		}
	}
	return names
}

// isBeside reports whether a column that is not read has content for the model or is a weight. Where options name the
// columns to read, the others are meant not to be read.
func (r *rows) isBeside(name string) bool {
	c := r.f.Columns
	if slices.Contains([]string{c.Text, c.Prompt, c.Input, c.Completion, c.Messages}, name) {
		return false
	}
	fold := data.Fold(name)
	return slices.Contains(weights, fold) || !r.o.named() && slices.Contains(besides[r.kind], fold)
}
