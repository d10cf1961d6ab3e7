package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// DocumentKind says what a causal language model is given of a document and what
// of it is learned.
type DocumentKind uint8

// The kinds of document. All rows of a file are of one kind.
const (
	TextDocument   DocumentKind = iota // a text, all of it learned
	PromptDocument                     // a prompt that is given and a completion that is learned
	ChatDocument                       // messages, of which the assistant's are learned
)

// String returns what a row of this kind is, in the plural.
func (k DocumentKind) String() string {
	switch k {
	case TextDocument:
		return "texts"
	case PromptDocument:
		return "prompts with completions"
	}
	return "chats"
}

// Message is one turn of a chat.
type Message struct {
	Role    string // system, user, assistant or what else the chat template knows
	Content string
}

// Document is what one row, or one file of plain text, says.
type Document struct {
	Text               string    // of a TextDocument
	Prompt, Completion string    // of a PromptDocument
	Messages           []Message // of a ChatDocument
	// Given is how many of Messages are the prompt of a row whose prompt and
	// completion are lists of messages: nothing of those is learned, not even
	// the assistant's turns among them. 0 for rows of messages.
	Given int
	Line  int // 1-based line at which the row begins in its file
}

// Documents is what was read from one file for a causal language model. It is not
// changed by any function of this package and is safe for concurrent reading.
type Documents struct {
	Name     string          // of the file, for messages
	Format   Format          // how the file was read
	Kind     DocumentKind    // of all rows
	Columns  DocumentColumns // which columns were used
	List     []Document      // in the order of the file
	Blank    int             // blank lines that were skipped
	Replaced int             // lines in which bytes that are not UTF-8 were replaced
	Unread   int             // messages that have other keys than role and content, which are not read
}

// DocumentColumns names the columns (JSON: keys) that documents were read from, ""
// for none. Without a header a column's name is its number, counted from 0.
type DocumentColumns struct{ Text, Prompt, Completion, Messages string }

// DocumentOptions say how a file of documents is read. The zero value reads a file
// with a header and well-known column names in the format of its file name ending.
// An option that has no meaning for the format is an error, not ignored.
type DocumentOptions struct {
	// Format is "csv", "tsv", "jsonl" or "txt" (the whole file is one text); ""
	// takes it from the file name, as [ReadOptions] does.
	Format Format
	// Delimiter, NoHeader and NoQuotes are those of [ReadOptions].
	Delimiter rune
	NoHeader  bool
	NoQuotes  bool
	// TextColumn, or PromptColumn and CompletionColumn, or MessagesColumn name the
	// columns (JSON: keys) and with them the kind of the rows. Without any of them
	// the columns are looked up, in any case: text; prompt and completion; messages
	// (JSON Lines only). If the rows have more than one of these, it is an error. If
	// they have none, one of these must fit: content; instruction, question or input
	// with response, answer, output or completion, or prompt with response, answer
	// or output; conversation or conversations.
	TextColumn, PromptColumn, CompletionColumn, MessagesColumn string
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the
	// lines, instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after so many rows; 0 reads all.
	MaxSamples int
}

// ReadDocuments reads a file of documents for a causal language model. Errors about
// the file are an [*Error], errors about o wrap [ErrOption].
func ReadDocuments(path string, o DocumentOptions) (*Documents, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadDocumentsFrom(f, path, o)
}

// ReadDocumentsBytes reads as [ReadDocuments] does, from memory.
func ReadDocumentsBytes(content []byte, name string, o DocumentOptions) (*Documents, error) {
	return ReadDocumentsFrom(bytes.NewReader(content), name, o)
}

// ReadDocumentsFrom reads as [ReadDocuments] does, from a stream. The name stands in
// messages, and its ending tells the format unless o does.
func ReadDocumentsFrom(r io.Reader, name string, o DocumentOptions) (*Documents, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	lines, err := newLineReader(r, name, o.ReplaceInvalid)
	if err != nil {
		return nil, err
	}
	format, err := o.reading().format(lines)
	if err != nil {
		return nil, err
	}
	if err := o.fits(format, name); err != nil {
		return nil, err
	}
	d := &Documents{Name: name, Format: format}
	switch format {
	case JSONLines:
		d.Blank, err = readObjects(lines, &documentRows{d: d, o: o})
	case PlainText:
		err = d.readPlain(lines)
	default:
		d.Blank, err = readRecords(lines, format, o.reading(), &documentRows{d: d, o: o})
	}
	if err != nil {
		return nil, err
	}
	d.Replaced = lines.replaced
	if len(d.List) == 0 {
		if lines.line == 0 {
			return nil, errorAt(name, 0, "the file is empty")
		}
		return nil, errorAt(name, 0, "the file has no rows%s", headerOnly(format, o.reading()))
	}
	return d, nil
}

// reading returns the options that tables of labelled texts share.
func (o DocumentOptions) reading() ReadOptions {
	return ReadOptions{
		Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples, NoLabels: true,
	}
}

// named reports whether an option names a column.
func (o DocumentOptions) named() bool {
	return o.TextColumn != "" || o.PromptColumn != "" || o.CompletionColumn != "" || o.MessagesColumn != ""
}

// check refuses options that contradict each other.
func (o DocumentOptions) check() error {
	if err := o.reading().check(); err != nil {
		return err
	}
	kinds := 0
	for _, set := range []bool{o.TextColumn != "", o.PromptColumn != "" || o.CompletionColumn != "", o.MessagesColumn != ""} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return optionError("rows are texts (--text-column), prompts with completions (--prompt-column, --completion-column) or chats (--messages-column): name columns of one kind only")
	}
	if o.PromptColumn != "" && o.PromptColumn == o.CompletionColumn {
		return optionError("--prompt-column and --completion-column are the same (%q)", o.PromptColumn)
	}
	return nil
}

// fits refuses options that have no meaning for the format.
func (o DocumentOptions) fits(f Format, name string) error {
	if err := o.reading().fits(f, name); err != nil {
		return err
	}
	if f == PlainText && o.named() {
		return optionError("%s is read as plain text, which has no columns (say --format csv, tsv or jsonl if it has)", name)
	}
	if f == PlainText && o.MaxSamples > 1 {
		return optionError("%s is read as plain text, which is one document: there is no choosing %d of it", name, o.MaxSamples)
	}
	if f.delimited() && o.MessagesColumn != "" {
		return optionError("--messages-column is for JSON Lines; %s is read as %s", name, string(f))
	}
	return nil
}

// full reports whether there are as many rows as were asked for.
func (d *Documents) full(o DocumentOptions) bool {
	return o.MaxSamples > 0 && len(d.List) >= o.MaxSamples
}

// maxText bounds the bytes of one line of a plain text, which may be a whole book.
const maxText = 1 << 30

// readPlain takes the whole file as one text, with LF at the end of its lines.
func (d *Documents) readPlain(lines *lineReader) error {
	lines.max = maxText
	var text bytes.Buffer
	for {
		line, end, err := lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		text.Write(line)
		if len(end) > 0 {
			text.WriteByte('\n')
		}
	}
	if text.Len() > 0 {
		d.List = append(d.List, Document{Text: text.String(), Line: 1})
	}
	return nil
}

// Limit returns the first n documents; n <= 0 returns all.
func (d *Documents) Limit(n int) *Documents {
	c := *d
	if n > 0 && n < len(d.List) {
		c.List = d.List[:n:n]
	}
	return &c
}

// Hash returns the SHA-256 of the documents in hexadecimal: their kind, texts and
// messages in order, not the bytes of the file. Two lists with the same hash train
// alike, whatever their format, line ends or other columns.
func (d *Documents) Hash() string {
	h := sha256.New()
	hashNumber(h, uint64(d.Kind))
	for i := range d.List {
		e := &d.List[i]
		for _, s := range []string{e.Text, e.Prompt, e.Completion} {
			hashString(h, s)
		}
		hashNumber(h, uint64(e.Given))
		hashNumber(h, uint64(len(e.Messages)))
		for _, m := range e.Messages {
			hashString(h, m.Role)
			hashString(h, m.Content)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
