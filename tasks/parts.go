package tasks

import (
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
)

// Rows is a data file of any kind, as runs use it.
type Rows[T any] interface {
	comparable // with nil, which is no file
	Len() int
	Limit(n int) T
	SplitOff(fraction float64, seed uint64) (rest, held T, err error)
	Hash() string
}

// Parts are the data of a run; Eval and Test may be nil.
type Parts[T Rows[T]] struct{ Train, Eval, Test T }

// ReadParts returns the data of a run: the files that it names, read with read, in place of those that are given.
func ReadParts[T Rows[T]](r *Run, given Parts[T], read func(path string) (T, error)) (Parts[T], error) {
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
		if *x.to, err = read(x.path); err != nil {
			return p, err
		}
	}
	if p.Train == none {
		return p, base.Settings(fmt.Errorf("`train_file` is missing; give a file to train on"))
	}
	return p, nil
}

// Choose keeps the training rows that MaxTrainSamples wants and holds out those that ValidationSplit wants.
func (p *Parts[T]) Choose(r *Run, seed uint64) error { return p.ChooseBy(T.SplitOff, r, seed) }

// ChooseBy is Choose with another way to hold rows out.
func (p *Parts[T]) ChooseBy(split func(t T, fraction float64, seed uint64) (rest, held T, err error), r *Run, seed uint64) (err error) {
	p.Train = p.Train.Limit(r.MaxTrainSamples)
	if r.ValidationSplit > 0 {
		if p.Train, p.Eval, err = split(p.Train, r.ValidationSplit, seed); err != nil {
			return base.Settings(fmt.Errorf("`validation_split`: %w", err))
		}
	}
	return nil
}

// Edit replaces each part by what f makes of it.
func (p *Parts[T]) Edit(f func(T) (T, error)) (err error) {
	var none T
	for _, rows := range []*T{&p.Train, &p.Eval, &p.Test} {
		if *rows == none {
			continue
		}
		if *rows, err = f(*rows); err != nil {
			return err
		}
	}
	return nil
}

// Each calls f with every part that exists.
func (p Parts[T]) Each(f func(s batch.Split, rows T) error) error {
	var none T
	for i, rows := range []T{p.Train, p.Eval, p.Test} {
		if rows == none {
			continue
		}
		if err := f([]batch.Split{batch.Train, batch.Eval, batch.Test}[i], rows); err != nil {
			return err
		}
	}
	return nil
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

// TestRows returns the number of rows to score at the end.
func (p Parts[T]) TestRows() int {
	var none T
	if p.Test == none {
		return 0
	}
	return p.Test.Len()
}

// Identity adds the hashes of the data to what must be equal when a run is resumed.
func (p Parts[T]) Identity(id map[string]string) {
	var none T
	id["training data"] = p.Train.Hash()
	if p.Eval != none {
		id["evaluation data"] = p.Eval.Hash()
	}
}
