package document

import (
	"github.com/spalora/spalora/data"
)

// header looks for the columns of documents.
type header struct{ *data.Header }

// columns are indices into a header, -1 for none.
type columns struct{ text, prompt, input, completion, messages int }

func (c columns) kind() Kind {
	switch {
	case c.messages >= 0:
		return Chat
	case c.input >= 0:
		return Instruction
	case c.prompt >= 0:
		return Prompt
	}
	return Text
}

var noColumns = columns{-1, -1, -1, -1, -1}

// Names that the data sets of the Hugging Face hub use beside the usual ones. They count only if the usual ones are
// missing and nothing else fits.
var (
	otherTexts       = []string{"content"}
	otherPrompts     = []string{"prompt", "instruction", "question", "input"}
	otherCompletions = []string{"completion", "response", "answer", "output"}
	otherMessages    = []string{"conversation", "conversations"}
)

// inputs are the names of what an instruction is about: Alpaca's and Dolly's.
var inputs = []string{"input", "context"}

// columns finds the columns that o asks for or that are well known.
func (h header) columns(o Options) (columns, error) {
	c, err := h.givenColumns(o)
	if err == nil && !o.named() {
		c, err = h.findColumns()
	}
	if err != nil {
		return c, err
	}
	return c, h.Once(c.text, c.prompt, c.input, c.completion, c.messages)
}

// givenColumns finds the columns that options name. If one of prompt and completion is named, the other is looked up.
func (h header) givenColumns(o Options) (columns, error) {
	c := noColumns
	err := h.GivenAll(data.Column(&c.text, o.TextColumn, "text_column"),
		data.Column(&c.prompt, o.PromptColumn, "prompt_column"),
		data.Column(&c.completion, o.CompletionColumn, "completion_column"),
		data.Column(&c.messages, o.MessagesColumn, "messages_column"))
	if err != nil {
		return c, err
	}
	switch {
	case c.prompt >= 0 && c.completion < 0:
		c.completion, err = h.other("completion", otherCompletions, c.prompt)
	case c.completion >= 0 && c.prompt < 0:
		c.prompt, err = h.other("prompt", otherPrompts, c.completion)
	}
	return c, err
}

// other finds the column that goes with a prompt or completion that was named.
func (h header) other(what string, names []string, not int) (int, error) {
	if !h.Numbers {
		if i := h.Index(what); i >= 0 && i != not {
			return i, nil
		}
		used := func(i int) bool { return i == not }
		if i, err := h.Only(names, used, what, "`"+what+"_column`"); err != nil || i >= 0 {
			return i, err
		}
	}
	return -1, h.Errorf("say which %s is the %s with `%s_column`; there is %s%s", h.What, what, what, h.List(), h.Hint())
}

// findColumns looks for well-known columns.
func (h header) findColumns() (columns, error) {
	c := noColumns
	if h.Numbers {
		if len(h.Names) == 1 {
			c.text = 0
			return c, nil
		}
		return c, h.Errorf("without a header, say which column is what with `text_column`, or `prompt_column` and "+
			"`completion_column`, by number from 0: %s", h.List())
	}
	usual := h.kinds([]string{"text"}, []string{"prompt"}, []string{"completion"}, []string{"messages"})
	if len(usual) == 0 {
		if c, ok := h.instruction(); ok {
			return c, nil
		}
		usual = h.kinds(otherTexts, otherPrompts, otherCompletions, otherMessages)
	}
	switch len(usual) {
	case 1:
		return usual[0], nil
	case 0:
		return c, h.Errorf("no %s has a name that is known for documents (text; prompt and completion; messages): "+
			"say which with `text_column`, or `prompt_column` and `completion_column`, or `messages_column`; there is %s%s",
			h.What, h.List(), h.Hint())
	}
	return c, h.Errorf("the rows may be %s or %s; say which with %s or %s",
		h.describe(usual[0]), h.describe(usual[1]), usual[0].options(), usual[1].options())
}

// kinds returns every way to read the rows with these names. Messages are a column of JSON Lines only.
func (h header) kinds(texts, prompts, completions, messages []string) []columns {
	var list []columns
	add := func(text, prompt, completion, messages int) {
		list = append(list, columns{text, prompt, -1, completion, messages})
	}
	for _, i := range h.All(texts) {
		add(i, -1, -1, -1)
	}
	for _, p := range h.All(prompts) {
		for _, c := range h.All(completions, p) {
			add(-1, p, c, -1)
		}
	}
	if h.What == "key" {
		for _, i := range h.All(messages) {
			add(-1, -1, -1, i)
		}
	}
	return list
}

// instruction finds the columns of Alpaca's and Dolly's rows: an instruction, an input, which may be empty, and one
// output.
func (h header) instruction() (columns, bool) {
	c := noColumns
	c.prompt = h.Index("instruction")
	about, outputs := h.All(inputs), h.All(otherCompletions)
	if c.prompt < 0 || len(about) == 0 || len(outputs) != 1 {
		return c, false
	}
	c.input, c.completion = about[0], outputs[0]
	return c, true
}

// describe says in a message how the rows would be read.
func (h header) describe(c columns) string {
	switch c.kind() {
	case Chat:
		return "chats (" + h.Names[c.messages] + ")"
	case Prompt:
		return "prompts with completions (" + h.Names[c.prompt] + ", " + h.Names[c.completion] + ")"
	}
	return "texts (" + h.Names[c.text] + ")"
}

// options returns the options that name the columns.
func (c columns) options() string {
	switch c.kind() {
	case Chat:
		return "`messages_column`"
	case Prompt:
		return "`prompt_column` and `completion_column`"
	}
	return "`text_column`"
}

// names returns the names of the columns.
func (h header) names(c columns) Columns {
	return Columns{h.Name(c.text), h.Name(c.prompt), h.Name(c.input), h.Name(c.completion), h.Name(c.messages)}
}
