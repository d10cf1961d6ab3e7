package data_test

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/data/text"
)

// overlap compares the warnings about two files that share rows, and those about the parts of one file.
func overlap[F hashed[F]](t *testing.T, read func(content, name string) (F, error), rows []string, line string,
	warn func(train, eval F) []data.Warning) {
	t.Helper()
	open := func(name string, rows ...string) F {
		f, err := read(strings.Join(rows, "\n"), name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	also := func(list []data.Warning) (found []string) {
		for _, w := range list {
			if strings.Contains(w.Message, " also in ") {
				found = append(found, w.String())
			}
		}
		return found
	}
	train := open("train.jsonl", rows...)
	if got := also(warn(train, open("eval.jsonl", rows[2], rows[0], rows[1]))); len(got) != 1 ||
		!strings.HasPrefix(got[0], "eval.jsonl:1: 3 rows with ") || !strings.HasSuffix(got[0], "also in train.jsonl") {
		t.Errorf("%s: %q", line, got)
	}
	rest, held, err := open("all.jsonl", append(rows, rows...)...).SplitOff(0.5, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := also(warn(rest, held)); got != nil {
		t.Errorf("%s, parts of one file: %q", line, got)
	}
}

// Rows to train on that are in another file too are pointed out, those of a part that was split off are not.
func TestOverlap(t *testing.T) {
	rows := func(pattern string) (list []string) {
		for _, s := range []string{"a", "b", "c", "d", "e"} {
			list = append(list, strings.ReplaceAll(pattern, "X", s))
		}
		return list
	}
	overlap(t, func(content, name string) (*text.File, error) {
		return text.ReadBytes([]byte(content), name, text.Options{})
	}, rows(`{"text":"X","label":"y"}`), "texts", func(train, eval *text.File) []data.Warning {
		return text.Warnings(nil, train, eval, nil)
	})
	overlap(t, func(content, name string) (*text.File, error) {
		return text.ReadBytes([]byte(content), name, text.Options{OptionalLabels: true, Scores: true})
	}, rows(`{"anchor":"X","positive":"y"}`), "pairs", func(train, eval *text.File) []data.Warning {
		return text.Warnings(nil, train, nil, eval)
	})
	overlap(t, func(content, name string) (*tagged.File, error) {
		return tagged.ReadBytes([]byte(content), name, tagged.Options{})
	}, rows(`{"tokens":["X"],"tags":["O"]}`), "words", func(train, eval *tagged.File) []data.Warning {
		return tagged.Warnings(nil, train, eval, nil)
	})
	overlap(t, func(content, name string) (*choice.File, error) {
		return choice.ReadBytes([]byte(content), name, choice.Options{})
	}, rows(`{"question":"X","choices":["a","b"],"label":0}`), "choices", func(train, eval *choice.File) []data.Warning {
		return choice.Warnings(train, eval, nil)
	})
	overlap(t, func(content, name string) (*document.File, error) {
		return document.ReadBytes([]byte(content), name, document.Options{})
	}, rows(`{"messages":[{"role":"user","content":"X"},{"role":"assistant","content":"y"}]}`), "chats",
		func(train, eval *document.File) []data.Warning { return document.Warnings(train, eval, nil) })
	overlap(t, func(content, name string) (*question.File, error) {
		return question.ReadBytes([]byte(content), name, question.Options{})
	}, rows(`{"question":"q","context":"X","answers":[]}`), "questions", func(train, eval *question.File) []data.Warning {
		return question.Warnings(train, eval, nil)
	})
	overlap(t, func(content, name string) (*pair.File, error) {
		return pair.ReadBytes([]byte(content), name, pair.Options{})
	}, rows(`{"source":"X","target":"y"}`), "pairs", func(train, eval *pair.File) []data.Warning {
		return pair.Warnings(train, nil, eval)
	})
}
