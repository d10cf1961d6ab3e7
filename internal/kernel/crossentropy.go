package kernel

import (
	"fmt"
	"math"
	"slices"
)

// CrossEntropyRow returns the cross-entropy of one row x of V logits and its label,
//
//	loss = lse - x[label],  lse = log Σ e^x[i]
//
// and whether the label is the first of the largest logits. With grad, x becomes the gradient softmax(x) - onehot(label); otherwise it
// stays as it is. Exponentials have float32's precision, their sum and the logarithm float64's. A NaN or +Inf anywhere, or nothing but -Inf, makes
// the loss NaN, which counts as not correct. It panics if the label is not in [0, V).
func CrossEntropyRow(x []float32, label int, grad bool) (loss float64, correct bool) {
	if uint(label) >= uint(len(x)) {
		panic(fmt.Sprintf("kernel: CrossEntropyRow: label %d of %d logits", label, len(x)))
	}
	top := float32(math.Inf(-1))
	for block := x; len(block) > 0; block = block[min(len(block), maxCall):] {
		top = max(top, maxScaled(block[:min(len(block), maxCall)], 1)) // passes over NaN, which the sum then shows
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
