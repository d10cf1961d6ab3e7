package op

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
)

// GroupCrossEntropy compares rows with each other: group g is the rows starts[g] to starts[g+1] of logits (N×K), and each column of a
// group is one softmax over its rows. labels has K entries for each group, the number of the right row within the group for each column,
// or [Ignore]. The result is the sum (1×1) of −log softmax(column)[label] and the number of labels that count. With K = 1 and the
// choices of a question as a group it is the loss of multiple choice; with K = 2 and the tokens of a text as a group, twice that of
// question answering. Groups may have different numbers of rows, at least one each. Sums run in float64.
func GroupCrossEntropy(t *Tape, logits mat.Tensor, starts []int, labels []int32) (sum mat.Tensor, targets float64) {
	n, k := Size(logits)
	groups := len(starts) - 1
	mustBe(groups >= 0 && starts[0] == 0 && starts[groups] == n, "GroupCrossEntropy of %d rows with %d groups", n, groups)
	mustBe(len(labels) == groups*k, "GroupCrossEntropy of %d groups with %d columns and %d labels", groups, k, len(labels))
	for g := range groups {
		rows := starts[g+1] - starts[g]
		mustBe(rows > 0, "GroupCrossEntropy: group %d has %d rows", g, rows)
		for _, y := range labels[g*k : (g+1)*k] {
			if y == Ignore {
				continue
			}
			if uint(y) >= uint(rows) {
				panic(fmt.Sprintf("op: GroupCrossEntropy label %d in a group of %d rows", y, rows))
			}
			targets++
		}
	}
	f := &groupCrossEntropy{starts: starts, labels: labels}
	f.init(logits, nil)
	return t.run(f), targets
}

type groupCrossEntropy struct {
	rowLoss
	starts []int
	labels []int32
}

// Forward computes the sum, groups in order.
func (f *groupCrossEntropy) Forward() (mat.Tensor, error) {
	n, k := Size(f.x)
	y := f.t.tensor(1, 1)
	if f.keep {
		f.grad = f.buffer(n * k)
		clear(f.grad)
	}
	sum := 0.0
	for i, label := range f.labels {
		if label != Ignore {
			sum += f.column(f.starts[i/k], f.starts[i/k+1], i%k, k, int(label))
		}
	}
	y.data[0] = float32(sum)
	return y, nil
}

// column returns the loss of column j of the rows from lo to hi, and leaves its gradient.
func (f *groupCrossEntropy) column(lo, hi, j, k, label int) float64 {
	x := Values(f.x)
	top := math.Inf(-1)
	for row := lo; row < hi; row++ {
		top = math.Max(top, float64(x[row*k+j]))
	}
	z := 0.0
	for row := lo; row < hi; row++ {
		z += math.Exp(float64(x[row*k+j]) - top)
	}
	lse := top + math.Log(z)
	if f.keep {
		for row := lo; row < hi; row++ {
			g := math.Exp(float64(x[row*k+j]) - lse)
			if row == lo+label {
				g--
			}
			f.grad[row*k+j] = float32(g)
		}
	}
	return lse - float64(x[(lo+label)*k+j])
}
