package multiplechoice

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/internal/cli"
)

// addReading defines the flags that say how files of questions are read. The number of the first choice is apart from
// the options since adapters remember it.
func addReading(fs *pflag.FlagSet, o *choice.Options, firstIndex **int) {
	fs.StringVar(&o.ContextColumn, "context-column", "", "`name` of the column with what a question is about"+cli.ByNumber+
		"; default: sent1, context, article and other usual names")
	fs.StringVar(&o.QuestionColumn, "question-column", "", "`name` of the column with the question, or with the words "+
		"that every choice continues; default: question; sent2, if the context is sent1")
	fs.StringSliceVar(&o.ChoicesColumns, "choices-column", nil, "`names` of the columns with the choices, or of the one "+
		"JSON key with a list of them; default: ending0, ending1 … or choices, options and other usual names")
	fs.StringVar(&o.LabelColumn, "label-column", "", "`name` of the column with the right choice: its number, letter, "+
		"name or text; default: label, answer, answerKey")
	cli.Optional(fs, firstIndex, "first-index", 0, "0 or 1: the number that labels give to the first choice")
	fs.StringVar(&o.IDColumn, "id-column", "", "`name` of the column with ids, which predictions repeat; "+
		"default: id, if there is one")
	cli.FormatFlags{
		Format: &o.Format, Delimiter: &o.Delimiter, NoHeader: &o.NoHeader, NoQuotes: &o.NoQuotes,
		ReplaceInvalid: &o.ReplaceInvalid,
	}.Add(fs, "csv, tsv, jsonl or codah (tabs, no header: category, prompt, endings, label)")
}

// The usage of --max-length.
const ofChoices = "a choice with what comes before it"
