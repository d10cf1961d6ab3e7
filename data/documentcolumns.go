package data

import "strings"

// documentColumns are indices into a header, -1 for none.
type documentColumns struct{ text, prompt, completion, messages int }

func (c documentColumns) kind() DocumentKind {
	switch {
	case c.messages >= 0:
		return ChatDocument
	case c.prompt >= 0:
		return PromptDocument
	}
	return TextDocument
}

var noDocumentColumns = documentColumns{-1, -1, -1, -1}

// Names that the data sets of the Hugging Face hub use beside the usual ones. They
// count only if the usual ones are not there and nothing else fits.
var (
	otherTexts       = []string{"content"}
	otherPrompts     = []string{"prompt", "instruction", "question", "input"}
	otherCompletions = []string{"completion", "response", "answer", "output"}
	otherMessages    = []string{"conversation", "conversations"}
)

// documents finds the columns that o asks for or that are well known.
func (h *header) documents(o DocumentOptions) (documentColumns, error) {
	c, err := h.documentsGiven(o)
	if err == nil && !o.named() {
		c, err = h.findDocuments()
	}
	if err != nil {
		return c, err
	}
	for _, i := range []int{c.text, c.prompt, c.completion, c.messages} {
		if err := h.once(i); err != nil {
			return c, err
		}
	}
	return c, nil
}

// documentsGiven finds the columns that flags name. Of prompt and completion the
// other one may be left to its usual name.
func (h *header) documentsGiven(o DocumentOptions) (documentColumns, error) {
	c := noDocumentColumns
	for _, f := range []struct {
		to         *int
		name, flag string
	}{
		{&c.text, o.TextColumn, "--text-column"}, {&c.prompt, o.PromptColumn, "--prompt-column"},
		{&c.completion, o.CompletionColumn, "--completion-column"}, {&c.messages, o.MessagesColumn, "--messages-column"},
	} {
		i, err := h.given(f.name, f.flag)
		if err != nil {
			return c, err
		}
		*f.to = i
	}
	var err error
	switch {
	case c.prompt >= 0 && c.completion < 0:
		c.completion, err = h.other("completion", otherCompletions, c.prompt)
	case c.completion >= 0 && c.prompt < 0:
		c.prompt, err = h.other("prompt", otherPrompts, c.completion)
	}
	return c, err
}

// other finds the column that goes with a prompt or completion that was named.
func (h *header) other(what string, names []string, not int) (int, error) {
	if !h.numbers {
		if i := h.index(what); i >= 0 && i != not {
			return i, nil
		}
		found := h.all(names, not)
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return -1, errorAt(h.file, h.line, "the %s may be %q or %q; say which with --%s-column", what, h.names[found[0]], h.names[found[1]], what)
		}
	}
	return -1, errorAt(h.file, h.line, "say which %s is the %s with --%s-column; there is %s%s", h.what, what, what, h.list(), h.hint())
}

// all returns the columns that have one of the names, without not.
func (h *header) all(names []string, not int) []int {
	var found []int
	for _, name := range names {
		if i := h.index(name); i >= 0 && i != not {
			found = append(found, i)
		}
	}
	return found
}

// findDocuments looks for well-known columns.
func (h *header) findDocuments() (documentColumns, error) {
	c := noDocumentColumns
	if h.numbers {
		if len(h.names) == 1 {
			c.text = 0
			return c, nil
		}
		return c, errorAt(h.file, h.line, "without a header, say which column is what with --text-column, or --prompt-column and --completion-column, by number from 0: %s", h.list())
	}
	usual := h.kinds([]string{"text"}, []string{"prompt"}, []string{"completion"}, []string{"messages"})
	if len(usual) == 0 {
		usual = h.kinds(otherTexts, otherPrompts, otherCompletions, otherMessages)
	}
	switch len(usual) {
	case 1:
		return usual[0], h.alone(usual[0])
	case 0:
		return c, errorAt(h.file, h.line, "no %s has a name that is known for documents (text; prompt and completion; messages): say which with --text-column, or --prompt-column and --completion-column, or --messages-column; there is %s%s",
			h.what, h.list(), h.hint())
	}
	if err := h.alone(usual[0]); err != nil {
		return c, err
	}
	return c, errorAt(h.file, h.line, "the rows may be %s or %s; say which with %s or %s", h.describe(usual[0]), h.describe(usual[1]), flags(usual[0]), flags(usual[1]))
}

// kinds returns every way to read the rows with these names. Messages are a column
// of JSON Lines only.
func (h *header) kinds(texts, prompts, completions, messages []string) []documentColumns {
	var list []documentColumns
	add := func(text, prompt, completion, messages int) {
		list = append(list, documentColumns{text, prompt, completion, messages})
	}
	for _, i := range h.all(texts, -1) {
		add(i, -1, -1, -1)
	}
	for _, p := range h.all(prompts, -1) {
		for _, c := range h.all(completions, p) {
			add(-1, p, c, -1)
		}
	}
	if h.what == "key" {
		for _, i := range h.all(messages, -1) {
			add(-1, -1, -1, i)
		}
	}
	return list
}

// alone refuses an instruction beside an input that would be left out: how the two
// are joined is for whoever made the data to say.
func (h *header) alone(c documentColumns) error {
	if c.prompt < 0 || !strings.EqualFold(strings.TrimSpace(h.names[c.prompt]), "instruction") {
		return nil
	}
	if i := h.index("input"); i >= 0 && i != c.completion {
		return errorAt(h.file, h.line, "the prompt may be %q alone or together with %q: join the two in one %s, or say --prompt-column %s to leave the other out",
			h.names[c.prompt], h.names[i], h.what, h.names[c.prompt])
	}
	return nil
}

// describe says in a message how the rows would be read.
func (h *header) describe(c documentColumns) string {
	switch c.kind() {
	case ChatDocument:
		return "chats (" + h.names[c.messages] + ")"
	case PromptDocument:
		return "prompts with completions (" + h.names[c.prompt] + ", " + h.names[c.completion] + ")"
	}
	return "texts (" + h.names[c.text] + ")"
}

func flags(c documentColumns) string {
	switch c.kind() {
	case ChatDocument:
		return "--messages-column"
	case PromptDocument:
		return "--prompt-column and --completion-column"
	}
	return "--text-column"
}

func (d *Documents) setColumns(h *header, c documentColumns) {
	d.Kind = c.kind()
	for _, f := range []struct {
		to *string
		i  int
	}{{&d.Columns.Text, c.text}, {&d.Columns.Prompt, c.prompt}, {&d.Columns.Completion, c.completion}, {&d.Columns.Messages, c.messages}} {
		if f.i >= 0 {
			*f.to = h.names[f.i]
		}
	}
}
