package data

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// BadRow is a row whose picture or recording cannot be read.
type BadRow struct {
	File string // name of the file of the row
	Line int    // at which the row begins, 0 if the file has no lines
	Err  error  // why
}

// String returns the place of the row and why its file cannot be read.
func (b BadRow) String() string {
	if b.Line == 0 {
		return b.File + ": " + b.Err.Error()
	}
	return fmt.Sprintf("%s:%d: %v", b.File, b.Line, b.Err)
}

// Sift calls check for every row of f, several at a time, and returns f with what check makes of the rows, without
// those for which it returns an error. bad lists these in the order of f. More than most of them, or no other rows, are
// an error about the first; bad then has the first most+1. Rows are taken in the order of f, so the result does not
// depend on which call ends first. Sift returns the error of ctx when that ends.
func Sift[E Row[E], K any, P Of[E, K]](
	ctx context.Context, f P, most int, check func(E) (E, error),
) (kept P, bad []BadRow, err error) {
	b := f.base()
	rows := make([]E, b.Len())
	faults := make([]error, b.Len())
	var next, failed atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), b.Len()) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= b.Len() || failed.Load() > int64(most) {
					return
				}
				if rows[i], faults[i] = check(b.At(i)); faults[i] != nil {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	for i, fault := range faults {
		if fault != nil {
			bad = append(bad, BadRow{b.Name, b.At(i).StartLine(), fault})
		}
	}
	if len(bad) > most || len(bad) == b.Len() && len(bad) > 0 {
		first := bad[0]
		err := &Error{File: first.File, Line: first.Line, Msg: tooBad(len(bad), most, b.Len()), Err: first.Err}
		return nil, bad[:min(len(bad), most+1)], err
	}
	kept = with[E, K](f, nil)
	c := kept.base()
	c.rows = store{at: make([]uint64, 0, b.Len()-len(bad))}
	for i, row := range rows {
		if faults[i] == nil {
			_, server := b.row(i)
			c.AppendFor(server, row)
		}
	}
	return kept, bad, nil
}

// tooBad says that bad rows were found, of which most are tolerated.
func tooBad(bad, most, rows int) string {
	switch {
	case bad == rows && most >= bad:
		return "no file of the " + Plural(rows, "row") + " can be read"
	case most == 0:
		return "a file cannot be read (repair it, remove the row, or allow some with `skip_bad_files`)"
	}
	return "more than the " + Plural(most, "file") + " of `skip_bad_files` cannot be read"
}
