package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
)

// QuestionFlags are the flags that say how files of questions on contexts are read.
type QuestionFlags struct {
	ID, Question, Context, Answers string
	Format                         string
	Strict, ReplaceInvalid         bool
}

// Add defines the flags.
func (f *QuestionFlags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&f.ID, "id-column", "", "`name` of the key with the question's id (JSON Lines); default: id, else the row's number")
	fs.StringVar(&f.Question, "question-column", "", "`name` of the key with the question; default: question")
	fs.StringVar(&f.Context, "context-column", "", "`name` of the key with the context; default: context")
	fs.StringVar(&f.Answers, "answers-column", "", "`name` of the key with the answers; default: answers")
	fs.StringVar(&f.Format, "format", "", "squad (JSON of SQuAD 1.1 or 2.0) or jsonl; default: from the file's name and beginning")
	fs.BoolVar(&f.Strict, "strict", false, "refuse answers that do not stand in the context at their answer_start, instead of moving or leaving them out")
	fs.BoolVar(&f.ReplaceInvalid, "replace-invalid", false, "replace what is not UTF-8 by U+FFFD and count it, instead of stopping")
}

// QuestionFlagNames lists the flags of [QuestionFlags.Add].
func QuestionFlagNames() []string { return FlagNames(new(QuestionFlags).Add) }

// Options returns how the flags want files to be read.
func (f *QuestionFlags) Options() question.Options {
	return question.Options{
		Format: data.Format(f.Format), IDColumn: f.ID, QuestionColumn: f.Question, ContextColumn: f.Context, AnswersColumn: f.Answers,
		Strict: f.Strict, ReplaceInvalid: f.ReplaceInvalid,
	}
}

// ReadQuestions reads a file of questions on contexts, or standard input for "-".
func ReadQuestions(path string, in io.Reader, o question.Options) (*question.File, error) {
	q, err := readFile(path, in, o, question.Read, question.ReadFrom)
	if err == nil && path == "-" {
		q.Name = stdinName
	}
	return q, err
}

// NullAnswersFlag says that questions may have no answer.
const NullAnswersFlag = "version-2-with-negative"

// AnswerFlags are the flags that say how contexts are cut into windows and how answers are found in them. Names are those of transformers'
// run_qa.py.
type AnswerFlags struct {
	MaxLength, DocStride, MaxQueryLength int
	NBest, MaxAnswer                     int
	NullAnswers                          bool
	NullThreshold                        float64
}

// AddWindows defines the flags of windows.
func (f *AnswerFlags) AddWindows(fs *pflag.FlagSet) {
	fs.IntVar(&f.MaxLength, "max-length", 0, "tokens of a window: the question and a part of the context; default: 384, or what the checkpoint allows")
	fs.IntVar(&f.DocStride, "doc-stride", 0, "tokens that windows of a context have in common; default: 128, or half of a window's part of the context if 128 is too much")
	fs.IntVar(&f.MaxQueryLength, "max-query-length", 0, "tokens that are kept of a question; 0: all")
	remembered(fs, "max-length", "doc-stride", "max-query-length")
}

// AddAnswers defines the flags of answers. automatic says when questions may have none without the flag.
func (f *AnswerFlags) AddAnswers(fs *pflag.FlagSet, automatic string) {
	fs.IntVar(&f.MaxAnswer, "max-answer-length", 30, "tokens of the longest answer that is predicted")
	fs.IntVar(&f.NBest, "n-best-size", 20, "how many of the best starts and ends are paired, and how many answers share the probability")
	fs.BoolVar(&f.NullAnswers, NullAnswersFlag, false, "a question may have no answer; default: "+automatic)
	fs.Float64Var(&f.NullThreshold, "null-score-diff-threshold", 0, "no answer is predicted if its score exceeds that of the best answer by more than this")
	remembered(fs, "max-answer-length", "n-best-size", NullAnswersFlag, "null-score-diff-threshold")
}

// Check reports settings that have no meaning. given tells whether a flag was set.
func (f *AnswerFlags) Check(given func(string) bool) []error {
	var errs []error
	for _, n := range []struct {
		flag         string
		value, least int
	}{
		{"max-length", f.MaxLength, 0}, {"max-query-length", f.MaxQueryLength, 0}, {"doc-stride", f.DocStride, 0},
		{"max-answer-length", f.MaxAnswer, 1}, {"n-best-size", f.NBest, 1},
	} {
		if n.value < n.least {
			errs = append(errs, fmt.Errorf("--%s is %d; want %d or more", n.flag, n.value, n.least))
		}
	}
	if f.NullThreshold != 0 && given(NullAnswersFlag) && !f.NullAnswers {
		errs = append(errs, errors.New("--null-score-diff-threshold needs --version-2-with-negative"))
	}
	return errs
}

// Config returns what the flags say about the questions that are given, of which each may be nil: unless the flag says otherwise, questions
// may have no answer if one of these has none.
func (f *AnswerFlags) Config(given func(string) bool, questions ...*question.File) (tasks.QuestionAnsweringConfig, error) {
	c := tasks.QuestionAnsweringConfig{
		MaxLength: f.MaxLength, DocStride: f.DocStride, MaxQueryLength: f.MaxQueryLength, NBest: f.NBest, MaxAnswer: f.MaxAnswer,
		NullAnswers: f.NullAnswers, NullThreshold: f.NullThreshold,
	}
	if given("doc-stride") && f.DocStride == 0 {
		c.DocStride = tasks.NoOverlap
	}
	if !given(NullAnswersFlag) {
		c.NullAnswers = slices.ContainsFunc(questions, func(q *question.File) bool {
			return q != nil && q.HasImpossible()
		})
	}
	if f.NullThreshold != 0 && !c.NullAnswers {
		return c, UsageError(errors.New("--null-score-diff-threshold: every question has an answer; --version-2-with-negative says that one may have none"))
	}
	return c, nil
}

// ZeroTypes reports whether an adapter was trained without the token types that a model has, and logs it. PEFT does that with adapters for
// QUESTION_ANS.
func ZeroTypes(m models.QuestionAnswerer, set *lora.Set, log zerolog.Logger) bool {
	if set == nil || set.Config().TaskType != lora.QuestionAns || m.TokenTypes() < 2 {
		return false
	}
	log.Warn().Msgf("the adapter is for %s, with which PEFT gives every token the type 0: so it is done here", lora.QuestionAns)
	return true
}

// LogQuestions logs what became of the questions of a file, which are used as s, when they were cut into windows.
func LogQuestions(log zerolog.Logger, name string, s batch.Split, c tasks.QuestionCounts, limit int) {
	if c.Split > 0 {
		log.Info().Msgf("%s: %d questions are %d windows of at most %d tokens; %d contexts are longer than one", name, c.Questions, c.Windows, limit, c.Split)
	}
	if c.Shrunk > 0 {
		log.Info().Msgf("%s: the windows of %d contexts overlap by half of what they hold, since the usual doc stride does not fit", name, c.Shrunk)
	}
	if c.Lost > 0 {
		what := "it cannot be predicted as a whole"
		if s == batch.Train {
			what = "they are learned as without an answer"
		}
		log.Warn().Msgf("%s: %d questions whose first answer no window holds whole: %s; a greater --max-length or --doc-stride helps", name, c.Lost, what)
	}
	if c.Shortened > 0 {
		log.Warn().Msgf("%s: %d questions are longer than --max-query-length and were cut", name, c.Shortened)
	}
}
