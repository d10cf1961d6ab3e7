package cli

import (
	"io"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
)

// ChoiceFlags are the flags that say how files of multiple-choice questions are read.
type ChoiceFlags struct {
	FormatFlags
	Context, Question, Label, ID string
	Choices                      []string
	FirstIndex                   int
}

// Add defines the flags.
func (c *ChoiceFlags) Add(fs *pflag.FlagSet) {
	const number = " (with --no-header its number, from 0)"
	fs.StringVar(&c.Context, "context-column", "", "`name` of the column with what a question is about"+number+"; default: sent1, context, article and other usual names")
	fs.StringVar(&c.Question, "question-column", "", "`name` of the column with the question, or with the words that every choice goes on with; default: question; sent2, if the context is sent1")
	fs.StringSliceVar(&c.Choices, "choices-column", nil, "`names` of the columns with the choices, or of the one JSON key with a list of them; default: ending0, ending1 … or choices, options and other usual names")
	fs.StringVar(&c.Label, "label-column", "", "`name` of the column with the right choice: its number, letter, name or text; default: label, answer, answerKey")
	fs.IntVar(&c.FirstIndex, "first-index", 0, "0 or 1: the number that labels give to the first choice")
	remembered(fs, "first-index")
	fs.StringVar(&c.ID, "id-column", "", "`name` of the column with ids, which predictions repeat; default: id, if there is one")
	c.addFormat(fs, "csv, tsv, jsonl (also one JSON list or object) or codah (tabs, no header: category, prompt, endings, label)")
}

// ChoiceFlagNames lists the flags of [ChoiceFlags.Add].
func ChoiceFlagNames() []string { return FlagNames(new(ChoiceFlags).Add) }

// Options returns how the flags want files to be read.
func (c *ChoiceFlags) Options() (choice.Options, error) {
	delimiter, err := c.delimiter()
	return choice.Options{
		Format: data.Format(c.Format), Delimiter: delimiter, NoHeader: c.NoHeader, NoQuotes: c.NoQuotes,
		ContextColumn: c.Context, QuestionColumn: c.Question, ChoicesColumns: c.Choices, LabelColumn: c.Label, IDColumn: c.ID,
		FirstIndex: c.FirstIndex, ReplaceInvalid: c.ReplaceInvalid,
	}, err
}

// ReadChoices reads a file of multiple-choice questions, or standard input for "-".
func ReadChoices(path string, in io.Reader, o choice.Options) (*choice.File, error) {
	c, err := readFile(path, in, o, choice.Read, choice.ReadFrom)
	if err == nil && path == "-" {
		c.Name = stdinName
	}
	return c, err
}
