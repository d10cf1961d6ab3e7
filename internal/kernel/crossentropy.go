package kernel

import (
	"fmt"
	"math"
	"slices"
)

// CrossEntropyRow returns the cross-entropy of one row x of V logits with respect to its label,
//
//	loss = lse - x[label],  lse = log Σ e^x[i]
//
// and whether the label is the index of the largest logit, the first one if several are equal. If grad is true, x is
// overwritten with the gradient softmax(x) - onehot(label); otherwise x is unchanged. Exponentials have float32's
// precision, their sum and the logarithm float64's. The loss is NaN, and correct false, if a logit is NaN or +Inf or
// all are -Inf. CrossEntropyRow panics if the label is not in [0, V).
func CrossEntropyRow(x []float32, label int, grad bool) (loss float64, correct bool) {
	if uint(label) >= uint(len(x)) {
		panic(fmt.Sprintf("kernel: CrossEntropyRow: label %d of %d logits", label, len(x)))
	}
	top := float32(math.Inf(-1))
	for block := x; len(block) > 0; block = block[min(len(block), maxCall):] {
		top = max(top, maxScaled(block[:min(len(block), maxCall)], 1)) // may ignore NaN, which the sum then shows
	}
	own := x[label]
	first := own == top && !slices.Contains(x[:label], top)
	var total float64
	for block := x; len(block) > 0; block = block[min(len(block), maxCall):] {
		part := block[:min(len(block), maxCall)]
		if grad {
			total += expShift(part, top)
		} else {
			total += expShiftedSum(part, top)
		}
	}
	if grad {
		p := float64(x[label]) / total
		Scale(x, x, float32(1/total))
		x[label] = float32(p - 1)
	}
	loss = math.Log(total) - (float64(own) - float64(top))
	return loss, first && loss == loss
}
