package choice

import (
	"slices"

	"github.com/spalora/spalora/data"
)

// Names that the multiple-choice data sets of the Hugging Face hub use.
var (
	knownContexts     = []string{"context", "article", "passage", "premise", "ctx", "startphrase"}
	knownQuestions    = []string{"question", "questions", "question_stem", "stem", "query", "goal"}
	knownChoices      = []string{"endings", "choices", "options"}               // lists
	knownSeries       = []string{"ending", "choice", "option", "answer", "sol"} // with a number or a letter each
	knownChoiceLabels = []string{"label", "labels", "answerKey", "answer_key", "answer", "answers"}
)

// header looks for the columns of questions.
type header struct{ *data.Header }

// columns are indices into a header, -1 for none.
type columns struct {
	context, question, label, id int
	choices                      []int
	series                       *series // what the names of choices have in common; nil: they were given
}

// columns finds the columns that o asks for or that are well known.
func (h header) columns(o Options) (columns, error) {
	c := columns{context: -1, question: -1, label: -1, id: -1, choices: make([]int, len(o.ChoicesColumns))}
	given := []data.ColumnOption{
		data.Column(&c.context, o.ContextColumn, "context_column"),
		data.Column(&c.question, o.QuestionColumn, "question_column"),
		data.Column(&c.label, o.LabelColumn, "label_column"), data.Column(&c.id, o.IDColumn, "id_column"),
	}
	for i, name := range o.ChoicesColumns {
		given = append(given, data.Column(&c.choices[i], name, choicesOption))
	}
	err := h.GivenAll(given...)
	if err == nil && h.Numbers {
		err = h.allGiven(c, o)
	}
	if err != nil || h.Numbers {
		return c, err
	}
	for _, find := range []func(*columns, Options) error{h.findChoices, h.findQuestion, h.findAnswer} {
		if err := find(&c, o); err != nil {
			return c, err
		}
	}
	if c.id < 0 && !c.uses(h.Index("id")) {
		c.id = h.Index("id")
	}
	return c, h.Once(append([]int{c.context, c.question, c.label, c.id}, c.choices...)...)
}

// uses reports whether column i has a part already.
func (c *columns) uses(i int) bool {
	return i >= 0 && (i == c.context || i == c.question || i == c.label || i == c.id || slices.Contains(c.choices, i))
}

// allGiven returns an error if columns that go by number are not all given.
func (h header) allGiven(c columns, o Options) error {
	var missing string
	switch {
	case c.context < 0 && c.question < 0:
		missing = "`context_column` or `question_column`"
	case len(c.choices) == 0:
		missing = "`" + choicesOption + "`"
	case c.label < 0 && !o.NoLabels && !o.OptionalLabels:
		missing = "`label_column`"
	default:
		return nil
	}
	return h.Errorf("without a header, say which column is what, by number from 0; %s is missing "+
		"(the files of CODAH need `format codah` instead): %s", missing, h.List())
}

// findChoices looks for the columns of choices. QASC's and ARC's files have them within the question, which shows when
// a row is read.
func (h header) findChoices(c *columns, _ Options) error {
	if len(c.choices) > 0 {
		return nil
	}
	type found struct {
		columns []int
		series  *series
	}
	var list []found
	if h.What == "key" {
		for _, i := range h.All(knownChoices) {
			if !c.uses(i) {
				list = append(list, found{[]int{i}, nil})
			}
		}
	}
	for _, prefix := range knownSeries {
		if columns, s := h.numbered(prefix); s != nil && !slices.ContainsFunc(columns, c.uses) {
			list = append(list, found{columns, s})
		}
	}
	switch {
	case len(list) == 1:
		c.choices, c.series = list[0].columns, list[0].series
		return h.noGap(c)
	case len(list) > 1:
		return h.Unclear("choices", "`"+choicesOption+"`", list[0].columns[0], list[1].columns[0])
	case h.What == "key" && (h.Index("question") >= 0 || c.question >= 0):
	default:
		return h.Unknown("choices", "ending0 and ending1 …, choices, options", "`"+choicesOption+"`")
	}
	return nil
}

// findQuestion looks for the context and the question.
func (h header) findQuestion(c *columns, _ Options) (err error) {
	if c.context < 0 && c.question < 0 {
		if c.context = h.Index("sent1"); c.context >= 0 { // SWAG; startphrase is the two together
			c.question = h.Index("sent2")
			return nil
		}
	}
	if c.context < 0 {
		if c.context, err = h.Only(knownContexts, c.uses, "context", "`context_column`"); err != nil {
			return err
		}
	}
	if c.question < 0 {
		if c.question, err = h.Only(knownQuestions, c.uses, "question", "`question_column`"); err != nil {
			return err
		}
	}
	if c.context < 0 && c.question < 0 {
		return h.Unknown("questions or what they are about", "sent1 with sent2, context, article, question …",
			"`context_column` or `question_column`")
	}
	return nil
}

// findAnswer looks for the label.
func (h header) findAnswer(c *columns, o Options) (err error) {
	if c.label >= 0 || o.NoLabels {
		return nil
	}
	c.label, err = h.Find(data.Search{What: "label", Option: "label_column", Known: knownChoiceLabels, Used: c.uses,
		Optional: o.OptionalLabels, NoLabels: o.OptionalLabels})
	return err
}

// names returns the names of the columns.
func (h header) names(c columns) Columns {
	names := Columns{Context: h.Name(c.context), Question: h.Name(c.question), Label: h.Name(c.label), ID: h.Name(c.id)}
	for _, i := range c.choices {
		names.Choices = append(names.Choices, h.Names[i])
	}
	return names
}
