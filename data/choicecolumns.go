package data

import (
	"slices"
	"strings"
)

// Names that the multiple-choice data sets of the Hugging Face hub use.
var (
	knownContexts     = []string{"context", "article", "passage", "premise", "ctx", "startphrase"}
	knownQuestions    = []string{"question", "questions", "question_stem", "stem", "query", "goal"}
	knownChoices      = []string{"endings", "choices", "options"}               // lists
	knownSeries       = []string{"ending", "choice", "option", "answer", "sol"} // with a number or a letter each
	knownChoiceLabels = []string{"label", "labels", "answerKey", "answer_key", "answer", "answers"}
)

// choiceColumns are indices into a header, -1 for none.
type choiceColumns struct {
	context, question, label, id int
	choices                      []int
	series                       *series // what the names of choices have in common; nil: they were given
}

// choiceColumns finds the columns that o asks for or that are well known.
func (h *header) choiceColumns(o ChoiceOptions) (choiceColumns, error) {
	c := choiceColumns{context: -1, question: -1, label: -1, id: -1}
	for i, to := range []*int{&c.context, &c.question, &c.label, &c.id} {
		f := o.named()[i]
		var err error
		if *to, err = h.given(f.name, f.flag); err != nil {
			return c, err
		}
	}
	for _, name := range o.ChoicesColumns {
		i, err := h.given(name, choicesFlag)
		if err != nil {
			return c, err
		}
		c.choices = append(c.choices, i)
	}
	if h.numbers {
		if err := h.allGiven(c, o); err != nil {
			return c, err
		}
		return c, nil
	}
	for _, find := range []func(*choiceColumns, ChoiceOptions) error{h.findChoices, h.findQuestion, h.findAnswer} {
		if err := find(&c, o); err != nil {
			return c, err
		}
	}
	if c.id < 0 && !c.uses(h.index("id")) {
		c.id = h.index("id")
	}
	for _, i := range append([]int{c.context, c.question, c.label, c.id}, c.choices...) {
		if err := h.once(i); err != nil {
			return c, err
		}
	}
	return c, nil
}

// uses reports whether column i has a part already.
func (c *choiceColumns) uses(i int) bool {
	return i >= 0 && (i == c.context || i == c.question || i == c.label || i == c.id || slices.Contains(c.choices, i))
}

// allGiven errs if columns that go by number are not all given.
func (h *header) allGiven(c choiceColumns, o ChoiceOptions) error {
	var missing string
	switch {
	case c.context < 0 && c.question < 0:
		missing = "--context-column or --question-column"
	case len(c.choices) == 0:
		missing = choicesFlag
	case c.label < 0 && !o.NoLabels && !o.OptionalLabels:
		missing = "--label-column"
	default:
		return nil
	}
	return errorAt(h.file, h.line, "without a header, say which column is what, by number from 0; %s is missing (the files of CODAH want --format codah instead): %s", missing, h.list())
}

// findChoices looks for the columns of choices. QASC's and ARC's files have them within the
// question, which shows when a row is read.
func (h *header) findChoices(c *choiceColumns, _ ChoiceOptions) error {
	if len(c.choices) > 0 {
		return nil
	}
	type found struct {
		columns []int
		series  *series
	}
	var list []found
	if h.what == "key" {
		for _, i := range h.all(knownChoices, -1) {
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
		return errorAt(h.file, h.line, "the choices may be %q or %q; say which with %s", h.names[list[0].columns[0]], h.names[list[1].columns[0]], choicesFlag)
	case h.what == "key" && (h.index("question") >= 0 || c.question >= 0):
	default:
		return errorAt(h.file, h.line, "no %s has a name that is known for choices (ending0 and ending1 …, choices, options); say which with %s; there is %s%s", h.what, choicesFlag, h.list(), h.hint())
	}
	return nil
}

// findQuestion looks for the context and the question.
func (h *header) findQuestion(c *choiceColumns, _ ChoiceOptions) error {
	one := func(names []string, what, flag string) (int, error) {
		found := slices.DeleteFunc(h.all(names, -1), c.uses)
		if len(found) > 1 {
			return -1, errorAt(h.file, h.line, "the %s may be %q or %q; say which with %s", what, h.names[found[0]], h.names[found[1]], flag)
		}
		if len(found) == 0 {
			return -1, nil
		}
		return found[0], nil
	}
	var err error
	if c.context < 0 && c.question < 0 {
		if c.context = h.index("sent1"); c.context >= 0 { // SWAG; startphrase is the two together
			c.question = h.index("sent2")
			return nil
		}
	}
	if c.context < 0 {
		if c.context, err = one(knownContexts, "context", "--context-column"); err != nil {
			return err
		}
	}
	if c.question < 0 {
		if c.question, err = one(knownQuestions, "question", "--question-column"); err != nil {
			return err
		}
	}
	if c.context < 0 && c.question < 0 {
		return errorAt(h.file, h.line, "no %s has a name that is known for questions or what they are about (sent1 with sent2, context, article, question …); say which with --context-column or --question-column; there is %s%s",
			h.what, h.list(), h.hint())
	}
	return nil
}

// findAnswer looks for the label.
func (h *header) findAnswer(c *choiceColumns, o ChoiceOptions) error {
	if c.label >= 0 || o.NoLabels {
		return nil
	}
	switch found := slices.DeleteFunc(h.all(knownChoiceLabels, -1), c.uses); {
	case len(found) == 1:
		c.label = found[0]
		return nil
	case len(found) > 1:
		return h.unclearLabel(found, o.OptionalLabels)
	case o.OptionalLabels:
		return nil
	}
	return errorAt(h.file, h.line, "no %s has a name that is known for labels (%s); say which with --label-column; there is %s%s",
		h.what, strings.Join(knownChoiceLabels, ", "), h.list(), h.hint())
}

// setColumns notes which columns are read.
func (c *Choices) setColumns(h *header, columns choiceColumns) {
	for _, f := range []struct {
		to *string
		i  int
	}{{&c.Columns.Context, columns.context}, {&c.Columns.Question, columns.question}, {&c.Columns.Label, columns.label}, {&c.Columns.ID, columns.id}} {
		if f.i >= 0 {
			*f.to = h.names[f.i]
		}
	}
	for _, i := range columns.choices {
		c.Columns.Choices = append(c.Columns.Choices, h.names[i])
	}
}
