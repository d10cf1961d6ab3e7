package choice

import (
	"slices"
	"strings"

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
	c := columns{context: -1, question: -1, label: -1, id: -1}
	for i, to := range []*int{&c.context, &c.question, &c.label, &c.id} {
		f := o.named()[i]
		var err error
		if *to, err = h.Given(f.name, f.option); err != nil {
			return c, err
		}
	}
	for _, name := range o.ChoicesColumns {
		i, err := h.Given(name, choicesOption)
		if err != nil {
			return c, err
		}
		c.choices = append(c.choices, i)
	}
	if h.Numbers {
		if err := h.allGiven(c, o); err != nil {
			return c, err
		}
		return c, nil
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
		return h.Errorf("the choices may be %q or %q; say which with `%s`",
			h.Names[list[0].columns[0]], h.Names[list[1].columns[0]], choicesOption)
	case h.What == "key" && (h.Index("question") >= 0 || c.question >= 0):
	default:
		return h.Errorf("no %s has a name that is known for choices (ending0 and ending1 …, choices, options); "+
			"say which with `%s`; there is %s%s", h.What, choicesOption, h.List(), h.Hint())
	}
	return nil
}

// findQuestion looks for the context and the question.
func (h header) findQuestion(c *columns, _ Options) error {
	one := func(names []string, what, option string) (int, error) {
		found := slices.DeleteFunc(h.All(names), c.uses)
		if len(found) > 1 {
			return -1, h.Errorf("the %s may be %q or %q; say which with `%s`", what, h.Names[found[0]], h.Names[found[1]],
				option)
		}
		if len(found) == 0 {
			return -1, nil
		}
		return found[0], nil
	}
	var err error
	if c.context < 0 && c.question < 0 {
		if c.context = h.Index("sent1"); c.context >= 0 { // SWAG; startphrase is the two together
			c.question = h.Index("sent2")
			return nil
		}
	}
	if c.context < 0 {
		if c.context, err = one(knownContexts, "context", "context_column"); err != nil {
			return err
		}
	}
	if c.question < 0 {
		if c.question, err = one(knownQuestions, "question", "question_column"); err != nil {
			return err
		}
	}
	if c.context < 0 && c.question < 0 {
		return h.Errorf("no %s has a name that is known for questions or what they are about (sent1 with sent2, context, "+
			"article, question …); say which with `context_column` or `question_column`; there is %s%s",
			h.What, h.List(), h.Hint())
	}
	return nil
}

// findAnswer looks for the label.
func (h header) findAnswer(c *columns, o Options) error {
	if c.label >= 0 || o.NoLabels {
		return nil
	}
	switch found := slices.DeleteFunc(h.All(knownChoiceLabels), c.uses); {
	case len(found) == 1:
		c.label = found[0]
		return nil
	case len(found) > 1:
		return h.UnclearLabel(found, o.OptionalLabels)
	case o.OptionalLabels:
		return nil
	}
	return h.Errorf("no %s has a name that is known for labels (%s); say which with `label_column`; there is %s%s",
		h.What, strings.Join(knownChoiceLabels, ", "), h.List(), h.Hint())
}

// names returns the names of the columns.
func (h header) names(c columns) Columns {
	name := func(i int) string {
		if i < 0 {
			return ""
		}
		return h.Names[i]
	}
	names := Columns{Context: name(c.context), Question: name(c.question), Label: name(c.label), ID: name(c.id)}
	for _, i := range c.choices {
		names.Choices = append(names.Choices, h.Names[i])
	}
	return names
}
