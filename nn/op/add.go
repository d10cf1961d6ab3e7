package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Add returns the sum of one or more tensors of the same size N×C. It panics if their sizes differ.
func Add(t *Tape, xs ...mat.Tensor) mat.Tensor {
	rows, cols := Size(xs[0])
	for _, x := range xs[1:] {
		r, c := Size(x)
		mustBe(r == rows && c == cols, "Add of %d×%d and %d×%d", rows, cols, r, c)
	}
	return t.run(&add{node: node{inputs: xs}, rows: rows, cols: cols})
}

type add struct {
	node
	rows, cols int
	y          *Tensor
}

// Forward computes the sum in the order of the operands.
func (f *add) Forward() (mat.Tensor, error) {
	f.y = f.t.tensor(f.rows, f.cols)
	y := f.y.data
	first, second := Values(f.inputs[0]), Values(f.inputs[min(1, len(f.inputs)-1)])
	f.t.eachElements(len(y), func(lo, hi int) {
		if len(f.inputs) == 1 {
			copy(y[lo:hi], first[lo:hi])
			return
		}
		kernel.Add(y[lo:hi], first[lo:hi], second[lo:hi])
		for _, x := range f.inputs[2:] {
			kernel.AddTo(y[lo:hi], Values(x)[lo:hi])
		}
	})
	return f.y, nil
}

// Backward: every operand gets dY. The first one takes over its buffer, if it can, after the others have read it.
func (f *add) Backward(gy mat.Tensor) error {
	dy := Values(gy)
	for _, x := range f.inputs[1:] {
		f.into(x, func(dst []float32, add bool) { f.t.accumulate(dst, dy, add) })
	}
	if _, ok := f.take(f.inputs[0], gy, f.y); !ok {
		f.into(f.inputs[0], func(dst []float32, add bool) { f.t.accumulate(dst, dy, add) })
	}
	return nil
}

// Sum returns the sum of all elements of x (N×C), 1×1: of the losses of sequences, for example. It adds up in
// float64, in the order of the elements.
func Sum(t *Tape, x mat.Tensor) mat.Tensor {
	return t.run(&sum{node: node{inputs: []mat.Tensor{x}}, x: x})
}

type sum struct {
	node
	x mat.Tensor
}

// Forward computes the sum.
func (f *sum) Forward() (mat.Tensor, error) {
	total := 0.0
	for _, v := range Values(f.x) {
		total += float64(v)
	}
	y := f.t.tensor(1, 1)
	y.data[0] = float32(total)
	return y, nil
}

// Backward: every element gets dY.
func (f *sum) Backward(gy mat.Tensor) error {
	d := Values(gy)[0]
	f.into(f.x, func(dst []float32, add bool) {
		for i := range dst {
			if add {
				dst[i] += d
			} else {
				dst[i] = d
			}
		}
	})
	return nil
}

// Dropout returns x (N×C) with elements set to zero with probability d.P and the others divided by 1 − d.P. The mask
// is a function of d.Key, d.Site, the example and position of each row, and the column, so that it does not depend on
// the composition of the batch. It is not stored. If d drops nothing, Dropout returns x itself.
func Dropout(t *Tape, x mat.Tensor, d Drop) mat.Tensor {
	if !d.on() {
		return x
	}
	rows, cols := Size(x)
	d.mustFit(rows)
	return t.run(&dropout{node: node{inputs: []mat.Tensor{x}}, x: x, d: d, rows: rows, cols: cols})
}

type dropout struct {
	node
	x          mat.Tensor
	d          Drop
	rows, cols int
}

// Forward computes y.
func (f *dropout) Forward() (mat.Tensor, error) {
	y, x := f.t.tensor(f.rows, f.cols), Values(f.x)
	f.t.eachRows(f.rows, f.cols, func(lo, hi int) { f.d.rows(y.data, x, f.cols, lo, hi, false) })
	return y, nil
}

// Backward: the same mask on dY.
func (f *dropout) Backward(gy mat.Tensor) error {
	dy := Values(gy)
	f.into(f.x, func(dst []float32, add bool) {
		f.t.eachRows(f.rows, f.cols, func(lo, hi int) { f.d.rows(dst, dy, f.cols, lo, hi, add) })
	})
	return nil
}

// Rows returns the listed rows of x (N×C), len(list)×C, in the order of list. A row may be listed more than once. It
// panics if x has no such row.
func Rows(t *Tape, x mat.Tensor, list []int) mat.Tensor {
	n, cols := Size(x)
	for _, r := range list {
		if uint(r) >= uint(n) {
			panic(fmt.Sprintf("op: Rows: row %d of %d×%d", r, n, cols))
		}
	}
	return t.run(&rows{node: node{inputs: []mat.Tensor{x}}, x: x, list: list, cols: cols})
}

type rows struct {
	node
	x    mat.Tensor
	list []int
	cols int
}

// Forward copies the rows.
func (f *rows) Forward() (mat.Tensor, error) {
	y, x := f.t.tensor(len(f.list), f.cols), Values(f.x)
	for i, r := range f.list {
		copy(y.data[i*f.cols:(i+1)*f.cols], x[r*f.cols:(r+1)*f.cols])
	}
	return y, nil
}

// Backward adds the gradient of each row to that of its source row.
func (f *rows) Backward(gy mat.Tensor) error {
	dy := Values(gy)
	f.into(f.x, func(dst []float32, add bool) {
		if !add {
			clear(dst)
		}
		for i, r := range f.list {
			kernel.AddTo(dst[r*f.cols:(r+1)*f.cols], dy[i*f.cols:(i+1)*f.cols])
		}
	})
	return nil
}
