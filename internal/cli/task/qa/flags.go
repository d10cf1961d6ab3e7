package qa

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks/qa"
)

// addReading defines the flags that say how files of questions on contexts are read.
func addReading(fs *pflag.FlagSet, o *question.Options) {
	fs.StringVar(&o.IDColumn, "id-column", "",
		"`name` of the key with the question's id (JSON Lines); default: id, else the row's number")
	fs.StringVar(&o.QuestionColumn, "question-column", "", "`name` of the key with the question; default: question")
	fs.StringVar(&o.ContextColumn, "context-column", "", "`name` of the key with the context; default: context")
	fs.StringVar(&o.AnswersColumn, "answers-column", "", "`name` of the key with the answers; default: answers")
	fs.StringVar((*string)(&o.Format), "format", "",
		"squad (JSON of SQuAD 1.1 or 2.0) or jsonl; default: from the file's name and beginning")
	fs.BoolVar(&o.Strict, "strict", false,
		"refuse answers that the context does not have at their answer_start, instead of moving them or leaving them out")
	cli.AddReplaceInvalid(fs, &o.ReplaceInvalid)
}

// addAnswering defines the flags of windows and answers. automatic says when questions may have no answer without the
// flag. Names are those of transformers' run_qa.py.
func addAnswering(fs *pflag.FlagSet, a *qa.Answering, automatic string) {
	cli.Optional(fs, &a.MaxLength, "max-length", 0,
		"tokens of a window: the question and a part of the context; default: 384, or what the checkpoint allows")
	cli.Optional(fs, &a.DocStride, "doc-stride", 0,
		"tokens that windows of a context have in common; default: 128, or half of a window's part of the context if 128 "+
			"is too much")
	cli.Optional(fs, &a.MaxQueryLength, "max-query-length", 0, "tokens that are kept of a question; 0: all")
	cli.Default(fs, &a.MaxAnswerLength, "max-answer-length", qa.StandardAnswer,
		"tokens of the longest answer that is predicted")
	cli.Default(fs, &a.NBestSize, "n-best-size", qa.StandardNBest,
		"how many of the best starts and ends are paired, and how many answers share the probability")
	cli.Optional(fs, &a.Version2WithNegative, "version-2-with-negative", false,
		"a question may have no answer; default: "+automatic)
	cli.Optional(fs, &a.NullScoreDiffThreshold, "null-score-diff-threshold", 0,
		"no answer is predicted if its score exceeds that of the best answer by more than this")
}
