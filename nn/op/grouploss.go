package op

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
)

// GroupCrossEntropy returns the cross-entropy of groups of rows, summed (1×1) over groups and columns, and the number
// of labels that are not [Ignore]. Group g is the rows starts[g] to starts[g+1]−1 of logits (N×K), at least one.
// Each column of a group is one softmax over the group's rows and contributes −log softmax(column)[label]. labels has
// K entries for each group: for each column the index of the right row within the group, or Ignore. Sums run in
// float64.
//
// If K = 1 and a group is the choices of a question, this is the loss of multiple choice. If K = 2 and a group is the
// tokens of a text, it is twice the loss of question answering. GroupCrossEntropy panics if the sizes do not fit or a
// label is out of range.
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

// column returns the loss of column j of the rows lo to hi−1 and writes its gradient to f.grad, if that is kept.
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
