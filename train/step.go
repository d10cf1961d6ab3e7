package train

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// window holds the sums over the micro-batches of one step.
type window struct {
	last    microBatch
	loss    float64 // summed over the targets
	targets float64
	tokens  int
	rows    []int
	bad     []int // rows of the first micro-batch whose loss is not finite
}

// step does one optimiser step. After an error the parameters and the state are unchanged, except after an error of the
// log or the callback, when the step is done.
func (r *run) step(ctx context.Context, f *feed) error {
	started := time.Now()
	number := r.state.Step + 1
	w, err := r.accumulate(ctx, f, number)
	if err != nil {
		return err
	}
	info := StepInfo{Step: number, Steps: r.plan.Steps, Epoch: w.last.epoch, Tokens: w.tokens}
	share := 1.0 // of one target; a step without targets has loss 0 and gradient 0
	if w.targets > 0 {
		share = 1 / w.targets
	}
	info.Loss = w.loss * share
	info.GradNorm = r.opt.norm() * share
	if err := r.checkStep(w, info); err != nil {
		return err
	}
	factor := r.cfg.Schedule.Factor(number-1, r.plan.WarmupSteps, r.plan.Steps)
	info.LearningRate = r.cfg.LearningRate * factor
	r.updating = true
	r.opt.scale(float32(share * clipFactor(info.GradNorm, r.cfg.MaxGradNorm)))
	r.opt.update(factor)
	r.opt.clearGradients()
	r.updating = false
	took := max(time.Since(started), time.Nanosecond).Seconds()
	info.TokensPerSecond = float64(w.tokens) / took
	info.StepsDone, info.Elapsed = number-r.plan.Done, time.Since(r.started)
	r.advance(w, info, took)
	r.learning.step(info, w.targets)
	if err := r.log.step(info); err != nil {
		return err
	}
	if r.cfg.OnStep != nil {
		r.cfg.OnStep(info)
	}
	return nil
}

// advance updates the state after a finished step.
func (r *run) advance(w window, info StepInfo, took float64) {
	s := &r.state
	s.Step, s.At, s.Epochs = info.Step, w.last.next, info.Epoch
	s.LossSum += info.Loss
	s.Tokens += int64(w.tokens)
	s.Seconds += took
	end := s.Step == r.plan.Steps
	if r.cfg.EvalSteps > 0 {
		end = end || s.Step%r.cfg.EvalSteps == 0
	} else {
		end = end || w.last.closing
	}
	s.Due = r.evaluates && end
}

// accumulate sums the gradients of the micro-batches of a step.
func (r *run) accumulate(ctx context.Context, f *feed, number int) (window, error) {
	var w window
	for {
		if ctx.Err() != nil {
			return w, errInterrupted
		}
		b, err := f.receive(ctx)
		if errors.Is(err, errInterrupted) {
			return w, err
		}
		if err != nil {
			return w, fmt.Errorf("train: step %d: %w", number, err)
		}
		loss, targets, err := r.microBatch(b.Batch, number)
		if err != nil {
			return w, fmt.Errorf("train: step %d, rows %s: %w", number, rowList(b.Seqs.Index), err)
		}
		w.loss += loss
		w.targets += targets
		w.tokens += tokens(b.Batch)
		w.rows = append(w.rows, b.Seqs.Index...)
		if w.bad == nil && !finite(loss) {
			w.bad = b.Seqs.Index
		}
		if b.ends {
			w.last = b
			return w, nil
		}
	}
}

// microBatch runs one batch forward and backward.
func (r *run) microBatch(b *batch.Batch, number int) (loss, targets float64, err error) {
	return r.pass(r.tape, b, number, r.cfg.GradientCheckpointing)
}

// pass is microBatch on a given tape, with gradient checkpointing or without.
func (r *run) pass(tape *op.Tape, b *batch.Batch, number int, checkpointed bool) (loss, targets float64, err error) {
	defer tape.Reset()
	p := &nn.Pass{
		Tape: tape, Key: op.Key{Seed: r.cfg.Seed, Step: uint64(number)}, Train: true,
		Adapter: r.cfg.Adapter, Checkpoint: checkpointed,
	}
	sum, targets, err := r.task.Loss(p, b)
	if err != nil {
		return 0, 0, err
	}
	if !(targets >= 0) || !finite(targets) {
		return 0, 0, fmt.Errorf("the task counts %v targets; want a finite number of at least 0", targets)
	}
	values := op.Values(sum)
	if len(values) != 1 {
		return 0, 0, fmt.Errorf("the task's loss has %d values; want 1", len(values))
	}
	loss = float64(values[0])
	if !sum.RequiresGrad() {
		return 0, 0, errors.New("the loss does not depend on any trainable parameter")
	}
	return loss, targets, tape.Backward(sum)
}

// checkStep returns an error if the loss or a gradient is not finite or if, in the first step that has targets, a
// parameter has no gradient.
func (r *run) checkStep(w window, info StepInfo) error {
	if !finite(info.Loss) || !finite(info.GradNorm) {
		rows, bad := w.rows, r.opt.badValue()
		if w.bad != nil {
			rows = w.bad
		}
		if bad == "" {
			bad = r.opt.badGradient()
		}
		if bad == "" {
			bad = "every parameter and gradient is finite"
		}
		return fmt.Errorf("train: step %d, rows %s: loss %v, gradient norm %v: %s; "+
			"set `learning_rate` lower or check these rows", info.Step, rowList(rows), info.Loss, info.GradNorm, bad)
	}
	if r.checked || w.targets == 0 {
		return nil
	}
	r.checked = true
	return r.checkDependence(info.Step)
}

// checkDependence returns an error if a parameter has no gradient.
func (r *run) checkDependence(step int) error {
	names := r.opt.withoutGradient()
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("train: step %d: %d of %d parameters have no gradient, since the loss does not depend on them: "+
		"%s; do not train them", step, len(names), len(r.params), strings.Join(names, ", "))
}

// tokens returns the number of rows that a model computes for a batch, including those of a decoder.
func tokens(b *batch.Batch) int {
	n := len(b.IDs)
	if n == 0 {
		n = b.Seqs.Rows()
	}
	if b.Target != nil {
		n += tokens(b.Target)
	}
	return n
}

// rowList formats row numbers for a message, at most the first 16.
func rowList(rows []int) string {
	const most = 16
	if len(rows) <= most {
		return fmt.Sprint(rows)
	}
	return fmt.Sprintf("%v and %d more", rows[:most], len(rows)-most)
}

// panicError is a recovered panic. Its stack is logged and is not part of the message.
type panicError struct {
	value any
	stack []byte
}

// Error returns a message with the value of the panic.
func (e panicError) Error() string { return fmt.Sprintf("internal error: panic: %v", e.value) }

// recovered, when deferred, sets err to an error with the given prefix if the function panics.
func recovered(prefix string, err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%s%w", prefix, panicError{v, debug.Stack()})
	}
}
