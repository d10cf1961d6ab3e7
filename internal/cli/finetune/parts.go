package finetune

import (
	"fmt"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/internal/cli"
)

// rows is what a data file of any kind holds, as runs use it.
type rows[T any] interface {
	comparable // with nil, which stands for no file
	Limit(n int) T
	SplitOff(fraction float64, seed uint64) (rest, held T, err error)
	Hash() string
}

// parts are the data of a run; eval and test may be nil.
type parts[T rows[T]] struct{ train, eval, test T }

// readParts reads the files that the flags name.
func readParts[T rows[T]](f dataFiles, read func(path string) (T, error)) (p parts[T], err error) {
	for _, x := range []struct {
		path string
		to   *T
	}{{f.train, &p.train}, {f.eval, &p.eval}, {f.test, &p.test}} {
		if x.path == "" {
			continue
		}
		if *x.to, err = read(x.path); err != nil {
			return p, err
		}
	}
	return p, nil
}

// choose leaves of the training rows those that --max-train-samples wants and holds out what --validation-split wants.
func (p *parts[T]) choose(f dataFiles, seed uint64) error { return p.chooseBy(T.SplitOff, f, seed) }

// chooseBy does what choose does, with another way to hold rows out.
func (p *parts[T]) chooseBy(split func(t T, fraction float64, seed uint64) (rest, held T, err error), f dataFiles, seed uint64) (err error) {
	p.train = p.train.Limit(f.max)
	if f.split > 0 {
		if p.train, p.eval, err = split(p.train, f.split, seed); err != nil {
			return cli.UsageError(fmt.Errorf("--validation-split: %w", err))
		}
	}
	return nil
}

// edit puts what f makes of each part in its place.
func (p *parts[T]) edit(f func(T) (T, error)) (err error) {
	var none T
	for _, rows := range []*T{&p.train, &p.eval, &p.test} {
		if *rows == none {
			continue
		}
		if *rows, err = f(*rows); err != nil {
			return err
		}
	}
	return nil
}

// each calls f with every part that there is.
func (p parts[T]) each(f func(s batch.Split, rows T) error) error {
	var none T
	for i, rows := range []T{p.train, p.eval, p.test} {
		if rows == none {
			continue
		}
		if err := f([]batch.Split{batch.Train, batch.Eval, batch.Test}[i], rows); err != nil {
			return err
		}
	}
	return nil
}

// sizes tells how many rows the parts have: "data NAME: 90 sentences to train on, 10 to evaluate on".
func (p parts[T]) sizes(name, noun string, size func(T) int) string {
	var none T
	text := fmt.Sprintf("data %s: %d %s to train on", name, size(p.train), noun)
	if p.eval != none {
		text += fmt.Sprintf(", %d to evaluate on", size(p.eval))
	}
	if p.test != none {
		text += fmt.Sprintf(", %d to test on", size(p.test))
	}
	return text
}

// identity adds what the data are to what must be the same when a run is resumed.
func (p parts[T]) identity(id map[string]string) {
	var none T
	id["training data"] = p.train.Hash()
	if p.eval != none {
		id["evaluation data"] = p.eval.Hash()
	}
}
