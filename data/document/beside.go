package document

import "github.com/spalora/spalora/data"

// besides are columns with content for the model that rows of a kind may have beside those that are read.
var besides = map[Kind][]string{
	Prompt:      {"input", "context", "passage", "system", "system_prompt", "history"},
	Instruction: {"context", "passage", "system_prompt"},
	Chat:        {"system_prompt"},
}

// beside returns which columns that are not read are reported. Where options name the columns to read, the others are
// meant not to be read.
func (r *rows) beside() data.Beside {
	c := r.f.Columns
	b := data.Beside{Read: []string{c.Text, c.Prompt, c.Input, c.Completion, c.Messages}}
	if !r.o.named() {
		b.Content = besides[r.kind]
	}
	return b
}
