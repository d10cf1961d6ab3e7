package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// ErrStopped is wrapped by the error of a run that its context stopped after it saved, if it has an output directory,
// the adapter and a checkpoint to resume from.
var ErrStopped = errors.New("stopped")

// errInterrupted ends the loop when the context is done.
var errInterrupted = errors.New("interrupted")

// run is one call of Run.
type run struct {
	task      Task
	params    []nn.NamedParam
	cfg       Config
	set       batch.Set // training examples
	evaluates bool
	plan      Plan
	sampler   *sampler
	opt       *optimizer
	tape      *op.Tape
	log       *metricsLog // nil without an output directory

	state    state
	best     [][]float32 // values of the best state; nil without one
	updating bool        // an update of the parameters has not finished
	checked  bool        // the loss is known to depend on every parameter
	logged   []string    // messages that are logged once only; see once
	learning learning    // of the steps of this call
	resumed  string      // checkpoint that the run was resumed from
	before   float64     // seconds of the run before it was resumed
	started  time.Time   // start of this call
	saved    time.Time   // time of the last checkpoint
}

// Run trains params on the training split of t and returns a report.
//
// Run checks the settings before the first step and removes gradients that the parameters hold. When it returns without
// an error, the parameters have the values of the best state, or without evaluation those of the last step. After an
// error they have those of the last finished step.
//
// When ctx is done, Run stops at the next micro-batch and discards the unfinished step, saves the adapter and a
// checkpoint, and returns an error that wraps [ErrStopped] and the cause. If a loss or gradient is not finite, the
// error names the step, the rows and the first bad parameter. If a set cannot make a batch, the error names the step
// and the rows. An error or a panic of the task or a callback ends the run too. In all these cases Run saves the
// adapter of the last finished step and reports the finished part of the run. Errors before the first step wrap
// [ErrConfig] or [ErrCheckpoint], or are those of files and of an empty training set.
func Run(ctx context.Context, t Task, params []nn.NamedParam, cfg Config) (Report, error) {
	r, err := newRun(t, params, cfg)
	if err != nil {
		return Report{}, err
	}
	return r.finish(ctx, r.loop(ctx))
}

// loop does the remaining steps.
func (r *run) loop(ctx context.Context) (err error) {
	defer recovered("train: ", &err)
	f := r.sampler.feed(ctx, r.state.At)
	defer f.close()
	if r.cfg.OnStart != nil {
		r.cfg.OnStart(r.plan)
	}
	for {
		if r.state.Due {
			if err := r.evaluate(ctx); err != nil {
				return err
			}
		}
		if r.saveIsDue() {
			if err := r.saveCheckpoint(); err != nil {
				return err
			}
		}
		if r.state.Step >= r.plan.Steps || r.endedEarly() {
			return nil
		}
		if err := r.step(ctx, f); err != nil {
			return err
		}
	}
}

// saveIsDue reports whether a checkpoint is due. At the step that the run was resumed from it is not.
func (r *run) saveIsDue() bool {
	c, step := r.cfg, r.state.Step
	if c.OutputDir == "" || step == r.plan.Done {
		return false
	}
	return c.SaveSteps > 0 && step%c.SaveSteps == 0 || c.SaveEvery > 0 && time.Since(r.saved) >= c.SaveEvery
}

// finish saves adapters and checkpoint, depending on the error of the loop, and returns the report and the error of the
// run.
func (r *run) finish(ctx context.Context, cause error) (Report, error) {
	reason := Finished
	var err error
	switch {
	case cause == nil:
		if r.endedEarly() {
			reason = EarlyStopped
		}
		err = r.saveAdapters()
		if err == nil && r.best != nil {
			defer r.opt.setValues(r.best)
		}
	case errors.Is(cause, errInterrupted):
		reason = Interrupted
		err = r.saveAdapters()
		if err == nil && r.cfg.OutputDir != "" {
			err = r.saveCheckpoint()
		}
		if err == nil {
			err = fmt.Errorf("train: %w after step %d: %w", ErrStopped, r.state.Step, context.Cause(ctx))
		}
	default:
		reason, err = Failed, cause
		if r.state.Step > 0 {
			err = also(cause, r.saveAdapters())
		}
	}
	if p := (panicError{}); errors.As(err, &p) {
		r.cfg.Logger.Error().Bytes("stack", p.stack).Msg(p.Error())
	}
	r.opt.clearGradients()
	report := r.report(reason)
	if why := r.learning.nothing(r.state.Step - r.plan.Done); why != "" && reason != Failed {
		r.cfg.Logger.Warn().Msg(why)
	}
	return report, also(err, r.close())
}

func (r *run) close() error {
	r.opt.thaw()
	return also(r.log.close(), r.tape.Close())
}

func (r *run) elapsed() time.Duration {
	return time.Duration(r.before*float64(time.Second)) + time.Since(r.started)
}

// also returns an error that wraps both errors in one line, or the one that is not nil, or nil.
func also(err, more error) error {
	if err == nil || more == nil {
		return cmp.Or(err, more)
	}
	return fmt.Errorf("%w; %w", err, more)
}
