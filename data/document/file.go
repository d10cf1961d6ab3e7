package document

import (
	"bytes"
	"io"
	"strings"

	"github.com/spalora/spalora/data"
)

// Kind says which parts of a document a causal language model is given and which it learns.
type Kind uint8

// The kinds of document. All rows of a file are of one kind.
const (
	Text        Kind = iota // a text, all of it learned
	Prompt                  // a prompt that is given and a completion that is learned
	Chat                    // messages, of which the assistant's are learned
	Instruction             // an instruction and an input that are given and an output that is learned, see [File.Chats]
)

// String returns what a row of this kind is, in the plural.
func (k Kind) String() string {
	switch k {
	case Text:
		return "texts"
	case Prompt:
		return "prompts with completions"
	case Instruction:
		return "instructions with outputs"
	}
	return "chats"
}

// Message is one turn of a chat.
type Message struct {
	Role    string // system, user, assistant or another one that the chat template knows
	Content string
	// Unlearned says that an assistant's message is not learned ("weight": 0).
	Unlearned bool
}

// Document is the content of one row, or of one file of plain text.
type Document struct {
	Text               string    // of a Text
	Prompt, Completion string    // of a Prompt; the instruction and the output of an Instruction
	System, Input      string    // of an Instruction, "" for none
	Messages           []Message // of a Chat
	// Given is the number of Messages that are the prompt of a row whose prompt and completion are lists of messages:
	// nothing of those is learned, not even the turns of the assistant among them. 0 for rows of messages.
	Given int
	Line  int // 1-based line at which the row begins in its file
}

// Code passes the fields of the document.
func (d Document) Code(c *data.Coder) Document {
	if !c.Hashes() {
		c.Int(&d.Line)
	}
	c.Text(&d.Text)
	c.Text(&d.Prompt)
	c.Text(&d.Completion)
	c.Int(&d.Given)
	data.CodeList(c, &d.Messages, func(m *Message) {
		c.Text(&m.Role)
		c.Text(&m.Content)
	})
	if !c.Hashes() || d.System+d.Input != "" { // so that other documents keep their hashes
		c.Text(&d.System)
		c.Text(&d.Input)
	}
	for i := range d.Messages {
		if m := &d.Messages[i]; !c.Hashes() {
			c.Bool(&m.Unlearned)
		} else if m.Unlearned {
			c.Int(&i)
		}
	}
	return d
}

// StartLine returns the line at which the document begins.
func (d Document) StartLine() int { return d.Line }

// Key identifies the content.
func (d Document) Key() (string, bool) {
	parts := []string{d.Text, d.Prompt, d.Completion}
	for i, m := range d.Messages {
		if i == d.Given {
			parts = append(parts, "")
		}
		parts = append(parts, m.Role, m.Content)
	}
	return strings.Join(parts, "\x00"), true
}

// File holds the documents of one file for a causal language model. No function of this package changes it after it was
// read, and it is safe for concurrent reading.
type File struct {
	data.File[Document]
	Kind    Kind    // of all rows
	Columns Columns // which columns were used
	Unread  int     // messages that have keys that are not read

	unreadKeys []string // those keys, sorted
	beside     data.Unread
	otherRoles data.Tally // messages of others than the assistant that are marked as to be learned
}

// New returns a file of documents of one kind. Messages call it name. Its format is JSON Lines.
func New(name string, kind Kind, documents ...Document) *File {
	return &File{File: data.NewFile(name, data.JSONLines, documents...), Kind: kind}
}

// Columns names the columns (JSON: keys) that documents were read from, "" for none. Without a header a column's name
// is its number, counted from 0.
type Columns struct{ Text, Prompt, Input, Completion, Messages string }

// Options say how a file of documents is read. The zero value reads a file with a header and well-known column names in
// the format of its file name ending. An option that has no meaning for the format is an error.
type Options struct {
	// Format is "csv", "tsv", "jsonl" or "txt" (the whole file is one text); "" takes it from the file name, as
	// text.Options does.
	Format data.Format
	// These are those of text.Options.
	Delimiter      rune
	NoHeader       bool
	NoQuotes       bool
	ReplaceInvalid bool
	MaxSamples     int
	Adapter        func(name string) error
	// TextColumn, or PromptColumn and CompletionColumn, or MessagesColumn name the columns (JSON: keys) and with them the
	// kind of the rows. Without any of them the columns are looked up, in any case: text; prompt and completion; messages
	// (JSON Lines only). If the rows have more than one of these, it is an error. If they have none, one of these must
	// fit: content; instruction, question or input with response, answer, output or completion, or prompt with response,
	// answer or output; conversation or conversations. An instruction and an input (or context), also in a later row of
	// JSON, with one of the completions are Instructions.
	TextColumn, PromptColumn, CompletionColumn, MessagesColumn string
}

// Read reads a file of documents for a causal language model. Errors about the file are a [*data.Error], errors about o
// wrap [data.ErrOption].
func Read(path string, o Options) (*File, error) { return data.ReadPath(path, o, ReadFrom) }

// ReadBytes reads the content of a file from memory, like [Read].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads the content of a file from a stream, like [Read]. Messages call the stream name, and the ending of the
// name decides the format unless o does.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	f := New(name, Text)
	rows := &rows{f: f, o: o}
	layout := data.Layout{Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples, Adapter: o.Adapter}
	return data.ReadRows(f, r, data.Reading{
		Layout: layout, Formats: data.Formats(), Noun: "rows", Check: o.check, Fits: o.fits, Rows: rows, Other: rows.plain,
	})
}

// named reports whether an option names a column.
func (o Options) named() bool {
	return o.TextColumn != "" || o.PromptColumn != "" || o.CompletionColumn != "" || o.MessagesColumn != ""
}

// check returns an error if the options contradict each other.
func (o Options) check() error {
	kinds := 0
	for _, set := range []bool{o.TextColumn != "", o.PromptColumn != "" || o.CompletionColumn != "",
		o.MessagesColumn != ""} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return data.OptionErrorf("rows are texts (`text_column`), prompts with completions (`prompt_column`, " +
			"`completion_column`) or chats (`messages_column`): name columns of one kind only")
	}
	if o.PromptColumn != "" && o.PromptColumn == o.CompletionColumn {
		return data.OptionErrorf("`prompt_column` and `completion_column` are the same (%q)", o.PromptColumn)
	}
	return nil
}

// fits returns an error if an option has no meaning for the format.
func (o Options) fits(f data.Format, name string) error {
	if f == data.PlainText && o.named() {
		return data.OptionErrorf("%s is read as plain text, which has no columns (use `format csv`, tsv or jsonl if it has)",
			name)
	}
	if f == data.PlainText && o.MaxSamples > 1 {
		return data.OptionErrorf("%s is read as plain text, which is one document: it cannot be limited to %d rows", name,
			o.MaxSamples)
	}
	if f.Delimited() && o.MessagesColumn != "" {
		return data.OptionErrorf("`messages_column` is for JSON Lines; %s is read as %s", name, string(f))
	}
	return nil
}

// Limit returns the first n documents; n <= 0 returns all.
func (f *File) Limit(n int) *File { return data.Limit(f, n) }

// Hash returns the SHA-256 of the documents, like that of other files, but of their kind as well.
func (f *File) Hash() string { return f.HashWith(int(f.Kind)) }
