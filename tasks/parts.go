package tasks

import (
	"context"
	"fmt"
	"io"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
)

// Rows is a data file of any kind, as runs use it.
type Rows[T any] interface {
	comparable // with nil, which means that there is no file
	Len() int
	Limit(n int) T
	SplitOff(fraction float64, seed uint64) (rest, held T, err error)
	Hash() string
}

// Parts are the data of a run; Eval and Test may be nil.
type Parts[T Rows[T]] struct {
	Train, Eval, Test T
	consumed          map[batch.Split]consumed
}

// consumed holds the size and the hash of a part whose rows were released.
type consumed struct {
	rows int
	hash string
}

// ReadParts returns the data of a run: the files that it names, read as [ReadFile] does, in place of those that are
// given.
func ReadParts[T Rows[T], O any](
	r *Run, given Parts[T], o O, open func(string, O) (T, error), stream func(io.Reader, string, O) (T, error),
) (Parts[T], error) {
	var none T
	p := given
	for _, x := range []struct {
		path, option string
		to           *T
	}{{r.TrainFile, "train_file", &p.Train}, {r.EvalFile, "eval_file", &p.Eval}, {r.TestFile, "test_file", &p.Test}} {
		if x.path == "" {
			continue
		}
		if *x.to != none {
			return p, base.Settings(fmt.Errorf("`%s` is given beside rows that are read already; give one", x.option))
		}
		var err error
		if *x.to, err = ReadFile(x.path, r.Stdin, o, open, stream); err != nil {
			return p, err
		}
	}
	if p.Train == none {
		return p, base.Settings(fmt.Errorf("`train_file` is missing; give a file to train on"))
	}
	return p, nil
}

// Choose keeps the first MaxTrainSamples training rows and holds out the share ValidationSplit of them for evaluation.
func (p *Parts[T]) Choose(r *Run, seed uint64) error { return p.ChooseBy(T.SplitOff, r, seed) }

// ChooseBy is like [Parts.Choose], but holds rows out with split.
func (p *Parts[T]) ChooseBy(
	split func(t T, fraction float64, seed uint64) (rest, held T, err error), r *Run, seed uint64,
) (err error) {
	p.Train = p.Train.Limit(r.MaxTrainSamples)
	if r.ValidationSplit > 0 {
		if p.Train, p.Eval, err = split(p.Train, r.ValidationSplit, seed); err != nil {
			return base.Settings(fmt.Errorf("`validation_split`: %w", err))
		}
	}
	return nil
}

// Edit replaces each part by the result of f.
func (p *Parts[T]) Edit(f func(T) (T, error)) error {
	return p.Each(func(s batch.Split, rows T) (err error) {
		*p.part(s), err = f(rows)
		return err
	})
}

// Each calls f with every part that exists.
func (p *Parts[T]) Each(f func(s batch.Split, rows T) error) error {
	var none T
	for _, s := range []batch.Split{batch.Train, batch.Eval, batch.Test} {
		if rows := *p.part(s); rows != none {
			if err := f(s, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Parts[T]) part(s batch.Split) *T {
	switch s {
	case batch.Train:
		return &p.Train
	case batch.Eval:
		return &p.Eval
	}
	return &p.Test
}

// Sizes describes how many rows the parts have: "data NAME: 90 sentences to train on, 10 to evaluate on".
func (p Parts[T]) Sizes(name, noun string) string {
	var none T
	text := fmt.Sprintf("data %s: %d %s to train on", name, p.Train.Len(), noun)
	if p.Eval != none {
		text += fmt.Sprintf(", %d to evaluate on", p.Eval.Len())
	}
	if p.Test != none {
		text += fmt.Sprintf(", %d to test on", p.Test.Len())
	}
	return text
}

// Consume makes every part that exists a split of a task with add, calls report, and releases the rows of the part, so
// that they do not take memory beside the tokens that add makes of them. TestRows and Identity still work afterwards.
func (p *Parts[T]) Consume(
	ctx context.Context, add func(ctx context.Context, s batch.Split, rows T) error, report func(s batch.Split, rows T),
) error {
	p.consumed = map[batch.Split]consumed{}
	return p.Each(func(s batch.Split, rows T) error {
		if err := add(ctx, s, rows); err != nil {
			return err
		}
		report(s, rows)
		p.consumed[s] = consumed{rows: rows.Len(), hash: rows.Hash()}
		var none T
		*p.part(s) = none
		return nil
	})
}

// Has reports whether there is a part, or was before it was consumed.
func (p *Parts[T]) Has(s batch.Split) bool {
	var none T
	_, ok := p.consumed[s]
	return ok || *p.part(s) != none
}

// TestRows returns the number of rows to score at the end.
func (p Parts[T]) TestRows() int {
	var none T
	if p.Test == none {
		return p.consumed[batch.Test].rows
	}
	return p.Test.Len()
}

// Identity adds the hashes of the data to the settings that must be equal when a run is resumed. It must be called
// after [Parts.Consume].
func (p Parts[T]) Identity(id map[string]string) {
	id["training data"] = p.consumed[batch.Train].hash
	if eval, ok := p.consumed[batch.Eval]; ok {
		id["evaluation data"] = eval.hash
	}
}
