package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// SQuADJSON is the format of the Stanford question answering data sets, versions 1.1
// and 2.0: one JSON object whose "data" is a list of articles of paragraphs of
// questions.
const SQuADJSON Format = "squad"

// Question is a question about a context whose answer is a part of the context.
type Question struct {
	ID, Question, Context string
	Answers               []Answer // what people gave as the answer, in the order of the file; training learns the first that has a place
	Impossible            bool     // the context has no answer: the list of answers is there, and empty, or "is_impossible" is true
	Labelled              bool     // the row says what the answers are; without it Answers is nil
	Line                  int      // 1-based line at which the question begins in its file
}

// Answer is a part of a context.
type Answer struct {
	Text string
	// Start is the index of the first code point of Text in the context. It is -1 if
	// the place is not known (see [Questions]): such an answer counts in a score,
	// which compares texts, but cannot be learned.
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
func (q *Question) Place() (Answer, bool) {
	for _, a := range q.Answers {
		if a.Start >= 0 {
			return a, true
		}
	}
	return Answer{}, false
}

// Questions is what was read from one file of questions. It is not changed by any
// function of this package and is safe for concurrent reading.
//
// An answer that does not stand in the context at its answer_start is misplaced. It
// is moved to where it stands if that is certain: the only place where the context
// has the text, or the place that answer_start names if it counts bytes of UTF-8 or
// units of UTF-16. Otherwise its Start is -1. All are counted, and are errors in
// strict mode.
type Questions struct {
	Name      string          // of the file, for messages
	Format    Format          // how the file was read
	Columns   QuestionColumns // which keys were used
	List      []Question      // in the order of the file
	Blank     int             // blank lines of JSON Lines that were skipped
	Replaced  int             // lines in which bytes that are not UTF-8 were replaced
	Misplaced int             // answers that do not stand at their answer_start
	InBytes   int             // of these, how many stand there if answer_start counts bytes of UTF-8
	InUTF16   int             // of these, how many stand there if it counts units of UTF-16
	Unplaced  int             // of these, how many have no certain place: Start is -1
	Dropped   int             // questions left out by [Questions.WithPlaces]
}

// QuestionColumns names the keys that questions were read from, "" for none.
type QuestionColumns struct{ ID, Question, Context, Answers string }

// QuestionOptions say how a file of questions is read. The zero value reads a file
// whose questions all have answers (or an empty list of them). An option that has no
// meaning for the format is an error, not ignored.
type QuestionOptions struct {
	// Format is [SQuADJSON] or [JSONLines]. "" takes it from the name: .jsonl and
	// .ndjson are JSON Lines; .json, and standard input (-), are SQuAD JSON if the
	// first object has the key "data", else JSON Lines.
	Format Format
	// IDColumn, QuestionColumn, ContextColumn and AnswersColumn name the keys of JSON
	// Lines. Those not given are id, question, context and answers, in any case. If
	// no row has an id, a question's id is its number in the file, from 1.
	IDColumn, QuestionColumn, ContextColumn, AnswersColumn string
	// Strict refuses a file that has a misplaced answer.
	Strict bool
	// OptionalLabels accepts questions without a list of answers, for prediction.
	OptionalLabels bool
	// NoLabels reads no answers, whatever the file has.
	NoLabels bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the
	// lines, instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after so many questions; 0 reads all.
	MaxSamples int
}

// ReadQuestions reads a file of questions on contexts. Errors about the file are an
// [*Error], errors about o wrap [ErrOption].
//
// It is an error if an id is there twice or some questions have one and others none, an answer is blank or without an
// answer_start, or a question that "is_impossible" has answers. Keys that are not
// known, "plausible_answers" among them, are not read.
func ReadQuestions(path string, o QuestionOptions) (*Questions, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadQuestionsFrom(f, path, o)
}

// ReadQuestionsBytes reads as [ReadQuestions] does, from memory.
func ReadQuestionsBytes(content []byte, name string, o QuestionOptions) (*Questions, error) {
	return ReadQuestionsFrom(bytes.NewReader(content), name, o)
}

// ReadQuestionsFrom reads as [ReadQuestions] does, from a stream. The name stands in
// messages, and its ending tells the format unless o does.
func ReadQuestionsFrom(r io.Reader, name string, o QuestionOptions) (*Questions, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	lines, err := newLineReader(r, name, o.ReplaceInvalid)
	if err != nil {
		return nil, err
	}
	format, err := o.format(lines)
	if err != nil {
		return nil, err
	}
	q := &Questions{Name: name, Format: format}
	rows := &questionRows{q: q, o: o, ids: map[string]int{}, contexts: map[string]string{}}
	if format == JSONLines {
		q.Blank, err = readObjects(lines, rows)
	} else if o.named() {
		return nil, optionError("%s is read as SQuAD JSON, whose keys have fixed names: --id-column, --question-column, --context-column and --answers-column are for JSON Lines", name)
	} else {
		err = readSQuAD(lines, rows)
	}
	if err != nil {
		return nil, err
	}
	q.Replaced = lines.replaced
	if len(q.List) == 0 {
		if lines.line == 0 {
			return nil, errorAt(name, 0, "the file is empty")
		}
		return nil, errorAt(name, 0, "the file has no questions")
	}
	return q, rows.bad.err(name)
}

// named reports whether an option names a key.
func (o QuestionOptions) named() bool {
	return o.IDColumn != "" || o.QuestionColumn != "" || o.ContextColumn != "" || o.AnswersColumn != ""
}

// check refuses options that contradict each other.
func (o QuestionOptions) check() error {
	switch o.Format {
	case "", SQuADJSON, JSONLines:
	default:
		return optionError("format %q is none of squad, jsonl: questions on contexts are read from SQuAD JSON and JSON Lines", string(o.Format))
	}
	if o.MaxSamples < 0 {
		return optionError("the largest number of samples is negative: %d", o.MaxSamples)
	}
	if o.NoLabels && (o.AnswersColumn != "" || o.Strict) {
		return optionError("an answers column or strict answers are asked for where no answers are read")
	}
	seen := map[string]bool{}
	for _, name := range []string{o.IDColumn, o.QuestionColumn, o.ContextColumn, o.AnswersColumn} {
		if name != "" && seen[name] {
			return optionError("two of the id, question, context and answers columns are the same (%q)", name)
		}
		seen[name] = true
	}
	return nil
}

// format returns the format to read, from the options, the name, or the first object.
func (o QuestionOptions) format(lines *lineReader) (Format, error) {
	if o.Format != "" {
		return o.Format, nil
	}
	ending := strings.ToLower(filepath.Ext(lines.name))
	switch {
	case ending == ".jsonl" || ending == ".ndjson":
		return JSONLines, nil
	case ending == ".json" || lines.name == "-":
		head, _ := lines.r.Peek(lines.r.Size())
		return sniffQuestions(head), nil
	case formatOf(lines.name) != "":
		return "", optionError("%s: questions on contexts are read from SQuAD JSON (.json) and JSON Lines (.jsonl), not from %s files", lines.name, ending)
	}
	return "", optionError("the ending of %q tells no format (.json for SQuAD JSON, .jsonl for JSON Lines): say --format squad or jsonl", lines.name)
}

// Limit returns the first n questions; n <= 0 returns all. What was counted when the
// file was read remains that of the whole file.
func (q *Questions) Limit(n int) *Questions {
	c := *q
	if n > 0 && n < len(q.List) {
		c.List = q.List[:n:n]
	}
	return &c
}

// Labelled returns the number of questions whose answers are given, impossible ones
// among them.
func (q *Questions) Labelled() int {
	n := 0
	for i := range q.List {
		if q.List[i].Labelled {
			n++
		}
	}
	return n
}

// WithPlaces returns the questions that can be learned: those that are impossible and
// those of which the place of an answer is known. Dropped counts the others.
func (q *Questions) WithPlaces() *Questions {
	c := *q
	c.List = nil
	for _, e := range q.List {
		if _, ok := e.Place(); ok || e.Impossible {
			c.List = append(c.List, e)
		} else {
			c.Dropped++
		}
	}
	return &c
}

// Hash returns the SHA-256 of the questions in hexadecimal: questions, contexts and
// answers with their places in order, not ids nor the bytes of the file. Two lists
// with the same hash train alike, whatever their format or other keys.
func (q *Questions) Hash() string {
	h := sha256.New()
	var n [8]byte
	number := func(v int) {
		binary.LittleEndian.PutUint64(n[:], uint64(v))
		h.Write(n[:])
	}
	for i := range q.List {
		e := &q.List[i]
		hashString(h, e.Question)
		hashString(h, e.Context)
		if e.Labelled {
			number(1 + len(e.Answers))
		} else {
			number(0)
		}
		for _, a := range e.Answers {
			hashString(h, a.Text)
			number(a.Start)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
