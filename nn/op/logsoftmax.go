package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// LogSoftmax replaces the first n elements of each row of x by the logarithm of their softmax, in place and without a
// gradient. The workers of a pool, which may be nil, share the rows. A row with NaN or +Inf, or of −Inf only, becomes
// NaN.
func LogSoftmax(p *Pool, x mat.Tensor, n int) {
	rows, cols := Size(x)
	mustBe(n <= cols, "LogSoftmax of %d elements in rows of %d", n, cols)
	values := Values(x)
	p.For(rows, func(row, _ int) { kernel.LogSoftmax(values[row*cols:][:n]) })
}
