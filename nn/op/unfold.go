package op

import "github.com/nlpodyssey/spago/mat"

// Window describes the windows of a convolution over rows.
type Window struct {
	Size    int // rows of a window, 1 or more
	Stride  int // rows from one window to the next, 1 or more
	Padding int // rows of zeros before and after each segment
}

// Len returns the number of windows over n rows: ⌊(n + 2·Padding − Size)/Stride⌋ + 1, or 0 if n is too small.
func (w Window) Len(n int) int {
	if n+2*w.Padding < w.Size {
		return 0
	}
	return (n+2*w.Padding-w.Size)/w.Stride + 1
}

// Over returns the segments of the windows over the segments of s.
func (w Window) Over(s Seqs) Seqs {
	over := Seqs{Starts: make([]int, len(s.Starts)), Index: s.Index}
	for i := range s.Len() {
		over.Starts[i+1] = over.Starts[i] + w.Len(s.Starts[i+1]-s.Starts[i])
	}
	return over
}

// Unfold returns a row for each window over the rows of each segment of x (N×C), M×C·Size for M windows, so that a
// convolution (torch.nn.Conv1d) is a product with its weight [out, C, Size]: element c·Size + j of a row is column c
// of row j of the window, 0 in the padding. w.Over(s) has the segments of the result. For the backward of another
// operator the result is computed again from x. Unfold panics if the sizes do not fit.
func Unfold(t *Tape, x mat.Tensor, s Seqs, w Window) mat.Tensor {
	rows, cols := Size(x)
	mustBe(s.Rows() == rows, "Unfold of %d rows with segments of %d", rows, s.Rows())
	mustBe(w.Size > 0 && w.Stride > 0 && w.Padding >= 0, "Unfold of windows of %d rows at a distance of %d, padding %d",
		w.Size, w.Stride, w.Padding)
	return t.run(&unfold{node: node{inputs: []mat.Tensor{x}}, x: x, from: s, to: w.Over(s), w: w, cols: cols})
}

type unfold struct {
	node
	x        mat.Tensor
	from, to Seqs
	w        Window
	cols     int
}

func (f *unfold) compute(dst []float32) {
	x, width := Values(f.x), f.cols*f.w.Size
	f.t.eachRows(f.to.Rows(), width, func(lo, hi int) {
		f.to.eachSegment(lo, hi, func(row, segment int) {
			first, end := f.from.Starts[segment], f.from.Starts[segment+1]
			top := first + (row-f.to.Starts[segment])*f.w.Stride - f.w.Padding
			y := dst[row*width : (row+1)*width]
			for j := range f.w.Size {
				if r := top + j; r < first || r >= end {
					for at := j; at < width; at += f.w.Size {
						y[at] = 0
					}
					continue
				}
				at := j
				for _, v := range x[(top+j)*f.cols : (top+j+1)*f.cols] {
					y[at] = v
					at += f.w.Size
				}
			}
		})
	})
}

// Forward copies the windows.
func (f *unfold) Forward() (mat.Tensor, error) {
	y := f.t.tensor(f.to.Rows(), f.cols*f.w.Size)
	f.compute(y.data)
	f.hold(f.x)
	if f.keep && f.t.arena != nil {
		y.again = f.compute
	}
	return y, nil
}

// Backward: the gradient of a row is the sum of those of its places in the windows, window after window.
func (f *unfold) Backward(gy mat.Tensor) error {
	dy, width := Values(gy), f.cols*f.w.Size
	f.into(f.x, func(dst []float32, add bool) {
		f.t.eachRows(f.from.Rows(), f.cols, func(lo, hi int) {
			if !add {
				clear(dst[lo*f.cols : hi*f.cols])
			}
			f.from.eachSegment(lo, hi, func(row, segment int) {
				place := row - f.from.Starts[segment] + f.w.Padding
				first, end := f.to.Starts[segment], f.to.Starts[segment+1]
				d := dst[row*f.cols : (row+1)*f.cols]
				for window := max(0, (place-f.w.Size)/f.w.Stride); window*f.w.Stride <= place; window++ {
					j := place - window*f.w.Stride
					if j >= f.w.Size || first+window >= end {
						continue
					}
					at := (first+window)*width + j
					for c := range d {
						d[c] += dy[at]
						at += f.w.Size
					}
				}
			})
		})
	})
	return nil
}
