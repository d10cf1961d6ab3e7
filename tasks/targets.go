package tasks

import (
	"context"
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// TargetTraining holds the settings that all runs which train an encoder–decoder have in common. Fields have the
// names of the command's flags; the zero value of each is the default.
type TargetTraining struct {
	LabelSmoothingFactor  float64 // share of the loss that is spread over the whole vocabulary
	GradientCheckpointing bool    // compute each block again in the backward: less memory, more time, the same results

	// PredictWithGenerate lets evaluations generate targets and score them. The first of the measures of generated texts
	// then decides which state is best.
	PredictWithGenerate bool
	GenerationNumBeams  int // beams of evaluations; 0: those of the checkpoint's generation_config.json
	GenerationMaxLength int // tokens of generated targets; 0: MaxTargetLength
}

// CheckTargets returns the errors about settings that have no meaning or need others.
func (t *TargetTraining) CheckTargets() []error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(!(t.LabelSmoothingFactor >= 0 && t.LabelSmoothingFactor < 1),
		"`label_smoothing_factor` is %g; want at least 0 and below 1", t.LabelSmoothingFactor)
	add(t.GenerationNumBeams < 0, "`generation_num_beams` is %d; want 1 or more, or 0 for the checkpoint's",
		t.GenerationNumBeams)
	add(t.GenerationMaxLength < 0, "`generation_max_length` is %d; want 1 or more, or 0 for `max_target_length`",
		t.GenerationMaxLength)
	for _, x := range []struct {
		option string
		given  bool
	}{
		{"generation_num_beams", t.GenerationNumBeams != 0}, {"generation_max_length", t.GenerationMaxLength != 0},
	} {
		add(x.given && !t.PredictWithGenerate, "`%s` needs `predict_with_generate`", x.option)
	}
	return errs
}

// DecoderSide makes a batch of the labels of targets the decoder's side of a batch: its IDs become the labels, and the
// inputs that shift returns for each target its IDs.
func DecoderSide(labels *batch.Batch, shift func(labels []int32) []int32) *batch.Batch {
	t := labels
	t.Labels, t.IDs = t.IDs, make([]int32, 0, len(t.IDs))
	for i := range t.Seqs.Len() {
		t.IDs = append(t.IDs, shift(t.Labels[t.Seqs.Starts[i]:t.Seqs.Starts[i+1]])...)
	}
	return t
}

// TargetScores compare a model with the tokens of targets, each token given those before it.
type TargetScores struct {
	Loss         float64 // mean of a target's token in nats, with the label smoothing of an evaluation in training
	CrossEntropy float64 // the same without label smoothing
	Accuracy     float64 // share of tokens with the largest logit
}

// TargetMetricNames lists the metrics of [TargetScores].
func TargetMetricNames() []string { return []string{"loss", "perplexity", "accuracy"} }

// Metrics returns the scores by name, with the exponential of the cross-entropy as perplexity.
func (s TargetScores) Metrics() []train.Metric {
	return []train.Metric{
		{Name: "loss", Value: s.Loss, LowerIsBetter: true},
		{Name: "perplexity", Value: math.Exp(s.CrossEntropy), LowerIsBetter: true},
		{Name: "accuracy", Value: s.Accuracy},
	}
}

// ScoreTargets compares an encoder–decoder with the targets of a set.
func ScoreTargets[M models.Seq2SeqLM](
	ctx context.Context, r *Runner[M], set batch.Set, smoothing float32,
) (s TargetScores, err error) {
	var all, stats op.TargetStats // of the set and of a batch
	n := r.Inference(func(q *nn.Pass, b *batch.Batch) (sum mat.Tensor) {
		q.Smoothing = smoothing
		sum, stats = r.Net.Loss(q, b)
		return sum
	})
	err = n.Run(ctx, set, func(_ []int, _ *op.Tape, _ *batch.Batch, sum mat.Tensor) error {
		s.Loss += float64(op.Values(sum)[0])
		s.CrossEntropy += float64(stats.CrossEntropy)
		all.Targets += stats.Targets
		all.Correct += stats.Correct
		return nil
	})
	s.Loss /= float64(all.Targets)
	s.CrossEntropy /= float64(all.Targets)
	s.Accuracy = float64(all.Correct) / float64(all.Targets)
	return s, err
}

// TargetLogits computes the logits of the targets of a set, each token given those before it: f is called in order with
// the number of each example, its T labels and its T×V logits, which are valid until f returns.
func TargetLogits[M models.Seq2SeqLM](
	ctx context.Context, r *Runner[M], set batch.Set, f func(i int, labels []int32, logits []float32) error,
) error {
	return r.Tapes.Use(func(tape *op.Tape) error {
		for i := range set.Len() {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := set.Batch(ctx, []int{i}, op.Key{})
			if err != nil {
				return err
			}
			y := r.Net.Logits(&nn.Pass{Tape: tape, Adapter: r.Adapter}, b)
			err = f(i, b.Target.Labels, op.Values(y))
			tape.Reset()
			if err != nil {
				return err
			}
		}
		return nil
	})
}
