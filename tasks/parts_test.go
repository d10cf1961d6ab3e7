package tasks_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/tasks"
)

func textFile(name string, texts ...string) *text.File {
	list := make([]text.Example, len(texts))
	for i, t := range texts {
		list[i] = text.Example{Text: t, Label: data.Label{Kind: data.NameLabel, Name: "a"}, Line: i + 1}
	}
	return text.New(name, list...)
}

func TestConsume(t *testing.T) {
	train, test := textFile("train.csv", "a", "b", "c"), textFile("test.csv", "d", "e")
	hash := train.Hash()
	gone := make(chan bool, 1)
	runtime.AddCleanup(train, func(c chan bool) { c <- true }, gone)
	p := tasks.Parts[*text.File]{Train: train, Test: test}
	if !p.Has(batch.Train) || p.Has(batch.Eval) || p.TestRows() != 2 {
		t.Errorf("has train %v, eval %v, %d rows to test on", p.Has(batch.Train), p.Has(batch.Eval), p.TestRows())
	}
	train = nil
	var seen []string
	err := p.Consume(t.Context(), func(_ context.Context, s batch.Split, f *text.File) error {
		if s == batch.Test {
			runtime.GC()
			<-gone // or the test ends with a deadlock
		}
		return nil
	}, func(_ batch.Split, f *text.File) { seen = append(seen, f.Name) })
	if err != nil || !slices.Equal(seen, []string{"train.csv", "test.csv"}) {
		t.Errorf("consumed %q, %v", seen, err)
	}
	if !p.Has(batch.Train) || p.Has(batch.Eval) || p.TestRows() != 2 {
		t.Errorf("afterwards: has train %v, eval %v, %d rows to test on", p.Has(batch.Train), p.Has(batch.Eval), p.TestRows())
	}
	id := map[string]string{}
	p.Identity(id)
	if len(id) != 1 || id["training data"] != hash {
		t.Errorf("identity %v, want the training data %s", id, hash)
	}
}

func TestConsumeStopsAtAnError(t *testing.T) {
	p := tasks.Parts[*text.File]{Train: textFile("train.csv", "a"), Eval: textFile("eval.csv", "b")}
	bad := errors.New("bad")
	add := func(context.Context, batch.Split, *text.File) error { return bad }
	report := func(s batch.Split, _ *text.File) { t.Errorf("%v is reported", s) }
	if err := p.Consume(t.Context(), add, report); err != bad || p.Train == nil || p.Eval == nil {
		t.Errorf("%v, parts %v", err, p)
	}
}
