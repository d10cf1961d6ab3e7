package question

import (
	"bytes"
	"io"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// SQuAD is the format of the Stanford question answering data sets, versions 1.1 and 2.0: one JSON object whose "data"
// is a list of articles of paragraphs of questions.
const SQuAD data.Format = "squad"

// Question is a question about a context whose answer is a part of the context.
type Question struct {
	ID, Question, Context string
	Answers               []Answer // given by people, in the order of the file; training learns the first that has a place
	Impossible            bool     // the context has no answer: the list of answers is empty, or "is_impossible" is true
	Labelled              bool     // the row has a list of answers; without it Answers is nil
	Line                  int      // 1-based line at which the question begins in its file
}

// Code passes the fields of the question. Its id is not hashed.
func (q Question) Code(c *data.Coder) Question {
	if !c.Hashes() {
		c.Int(&q.Line)
		c.Text(&q.ID)
		c.Bool(&q.Impossible)
	}
	c.Text(&q.Question)
	c.Text(&q.Context)
	n := 0 // 1 for a list, and its answers
	if q.Labelled {
		n = 1 + len(q.Answers)
	}
	if c.Int(&n); n > 0 && !q.Labelled {
		q.Labelled, q.Answers = true, make([]Answer, n-1)
	}
	for i := range q.Answers {
		c.Text(&q.Answers[i].Text)
		c.Int(&q.Answers[i].Start)
	}
	return q
}

// StartLine returns the line at which the question begins.
func (q Question) StartLine() int { return q.Line }

// Key identifies the question and its context.
func (q Question) Key() (string, bool) { return q.Question + "\x00" + q.Context, true }

func (q Question) labelled() bool { return q.Labelled }

// Answer is a part of a context.
type Answer struct {
	Text string
	// Start is the index of the first code point of Text in the context. It is -1 if the place is not known (see [File]):
	// such an answer counts in a score, which compares texts, but cannot be learned.
	Start int
}

// End returns the index of the code point behind the answer, -1 if its place is not known.
func (a Answer) End() int {
	if a.Start < 0 {
		return -1
	}
	return a.Start + utf8.RuneCountInString(a.Text)
}

// Place returns the answer that training learns: the first whose place is known.
func (q Question) Place() (Answer, bool) {
	for _, a := range q.Answers {
		if a.Start >= 0 {
			return a, true
		}
	}
	return Answer{}, false
}

// File holds the questions of one file. No function of this package changes it after it was read, and it is safe for
// concurrent reading.
//
// An answer that the context does not have at its answer_start is misplaced. It is moved if its place is certain: the
// only place where the context has the text, or the place of answer_start counted in bytes of UTF-8 or units of UTF-16.
// Otherwise its Start is -1. All are counted, and are errors in strict mode.
type File struct {
	data.File[Question]
	Columns Columns // which keys were used
	Counts
}

// Counts are how many questions and answers of a file needed changes.
type Counts struct {
	Misplaced int // answers that the context does not have at their answer_start
	InBytes   int // of these, answers that it has there if answer_start counts bytes of UTF-8
	InUTF16   int // of these, answers that it has there if answer_start counts units of UTF-16
	Unplaced  int // of these, answers without a certain place: Start is -1
	Dropped   int // questions left out by [File.WithPlaces]
}

// New returns a file of these questions. Messages call it name. Its format is JSON Lines.
func New(name string, questions ...Question) *File {
	return &File{File: data.NewFile(name, data.JSONLines, questions...)}
}

// Columns names the keys that questions were read from, "" for none.
type Columns struct{ ID, Question, Context, Answers string }

// Options say how a file of questions is read. The zero value reads a file whose questions all have answers (or an
// empty list of them). An option that has no meaning for the format is an error.
type Options struct {
	// Format is [SQuAD] or [data.JSONLines]. "" takes it from the name: .jsonl and .ndjson are JSON Lines; .json, and
	// standard input (-), are SQuAD JSON if the first object has the key "data", else JSON Lines.
	Format data.Format
	// IDColumn, QuestionColumn, ContextColumn and AnswersColumn name the keys of JSON Lines. Those not given are id,
	// question, context and answers, in any case. If no row has an id, a question's id is its number in the file, from 1.
	IDColumn, QuestionColumn, ContextColumn, AnswersColumn string
	// Strict refuses a file that has a misplaced answer.
	Strict bool
	// OptionalLabels accepts questions without a list of answers, for prediction.
	OptionalLabels bool
	// NoLabels reads no answers, whatever the file has.
	NoLabels bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the lines, instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after this number of questions; 0 reads all.
	MaxSamples int
	// Adapter, if not nil, makes rows name the adapter that serves them, see [data.Layout].
	Adapter func(name string) error
}

// Read reads a file of questions on contexts. Errors about the file are a [*data.Error], errors about o wrap
// [data.ErrOption].
//
// It is an error if two questions have the same id, some have an id and others have none, an answer is blank or without
// an answer_start, or a question that "is_impossible" has answers. Unknown keys, "plausible_answers" among them, are
// not read.
func Read(path string, o Options) (*File, error) { return data.ReadPath(path, o, ReadFrom) }

// ReadBytes reads the content of a file from memory, like [Read].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads the content of a file from a stream, like [Read]. Messages call the stream name, and the ending of the
// name decides the format unless o does.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	rows := &rows{f: New(name), o: o, ids: map[string]int{}, contexts: map[string]string{}}
	return data.ReadRows(rows.f, r, data.Reading{
		Layout: data.Layout{Format: o.Format, ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples,
			Adapter: o.Adapter},
		Formats: []data.Format{SQuAD, data.JSONLines}, Noun: "questions",
		Check: o.check, Detect: detect, Fits: o.fits, Rows: rows, Other: rows.squad,
		Served: []data.Format{SQuAD},
		End:    func() error { return rows.bad.Err(name) },
	})
}

// named reports whether an option names a key.
func (o Options) named() bool {
	return o.IDColumn != "" || o.QuestionColumn != "" || o.ContextColumn != "" || o.AnswersColumn != ""
}

// check returns an error if the options contradict each other.
func (o Options) check() error {
	if o.NoLabels && (o.AnswersColumn != "" || o.Strict) {
		return data.OptionErrorf("an answers column or strict answers are asked for where no answers are read")
	}
	seen := map[string]bool{}
	for _, name := range []string{o.IDColumn, o.QuestionColumn, o.ContextColumn, o.AnswersColumn} {
		if name != "" && seen[name] {
			return data.OptionErrorf("two of the id, question, context and answers columns are the same (%q)", name)
		}
		seen[name] = true
	}
	return nil
}

// fits returns an error if an option has no meaning for the format.
func (o Options) fits(f data.Format, name string) error {
	if f == SQuAD && o.named() {
		return data.OptionErrorf("%s is read as SQuAD JSON, whose keys have fixed names: `id_column`, "+
			"`question_column`, `context_column` and `answers_column` are for JSON Lines", name)
	}
	return nil
}

// detect returns the format to read: from the name, or the first object.
func detect(lines *data.Lines) (data.Format, error) {
	ending := data.Ending(lines.Name())
	switch {
	case ending == ".jsonl" || ending == ".ndjson":
		return data.JSONLines, nil
	case ending == ".json" || lines.Name() == "-":
		return sniff(lines.Head()), nil
	case data.FormatOf(lines.Name()) != "":
		return "", data.OptionErrorf("%s: questions on contexts are read from SQuAD JSON (.json) and JSON Lines (.jsonl), "+
			"not from %s files", lines.Name(), ending)
	}
	return "", data.OptionErrorf("the ending of %q is not that of a format (.json for SQuAD JSON, .jsonl for JSON "+
		"Lines): use `format squad` or jsonl", lines.Name())
}

// Limit returns the first n questions; n <= 0 returns all. What was counted when the file was read remains that of the
// whole file.
func (f *File) Limit(n int) *File { return data.Limit(f, n) }

// Labelled returns the number of questions whose answers are given, impossible ones among them.
func (f *File) Labelled() int { return f.Count(Question.labelled) }

// HasImpossible reports whether the context of some question has no answer.
func (f *File) HasImpossible() bool {
	return f.Count(func(q Question) bool { return q.Impossible }) > 0
}

// WithPlaces returns the questions that can be learned: those that are impossible and those with an answer whose place
// is known. Dropped counts the others.
func (f *File) WithPlaces() *File {
	kept := data.Filter(f, func(q Question) bool {
		_, ok := q.Place()
		return ok || q.Impossible
	})
	kept.Dropped += f.Len() - kept.Len()
	return kept
}

// SplitOff divides the questions into two files: held gets about fraction of them, rest keeps the others, both in the
// order of f. All questions about one context go to the same side, so that no context of held was trained on. The
// choice depends on seed and the order of the contexts only, the same on every machine. What was counted when the file
// was read stays with rest, so that it is reported once. It returns an error if fraction is not between 0 and 1 or a
// part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	context := func(_ int, q Question) string { return q.Context }
	if rest, held, err = data.SplitGroups(f, context, "question", "about context", fraction, seed); err == nil {
		held.Counts = Counts{}
	}
	return rest, held, err
}
