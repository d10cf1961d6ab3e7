package classification

import (
	"errors"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// Loss is what a classifier is trained with.
type Loss struct {
	Problem      data.Problem
	Smoothing    float32   // label_smoothing_factor, single label only
	ClassWeights []float32 // one for each class, or nil; single label only
}

// Check returns the errors about the settings for the given number of outputs.
func (l Loss) Check(outputs int) error {
	var errs []error
	if single := l.Problem == data.SingleLabel; !single && (l.Smoothing != 0 || l.ClassWeights != nil) {
		errs = append(errs,
			fmt.Errorf("`label_smoothing_factor` and `class_weights` need single-label classification, not %v", l.Problem))
	}
	return errors.Join(append(errs, tasks.CheckLoss(l.Smoothing, l.ClassWeights, outputs)...)...)
}

// Sum returns the summed loss of the logits of b (B×outputs) and the number that its mean divides by: cross-entropy
// over classes (targets, or the sum of their class weights), binary cross-entropy or squared error (all values).
func (l Loss) Sum(tape *op.Tape, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64) {
	switch l.Problem {
	case data.MultiLabel:
		return op.BCEWithLogits(tape, logits, b.Values), float64(len(b.Values))
	case data.Regression:
		return op.MSE(tape, logits, b.Values), float64(len(b.Values))
	}
	return op.CrossEntropy(tape, logits, b.Labels,
		op.CrossEntropyConfig{ClassWeights: l.ClassWeights, Smoothing: l.Smoothing})
}
