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

// ErrStopped is what the error of a run wraps that was stopped by its context, with the adapter saved and, if there is an output
// directory, a checkpoint to resume from.
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

	state   state
	best    [][]float32 // values of the best state; nil without one
	spoilt  bool        // the parameters are in the middle of an update
	checked bool        // every parameter is known to take part in the loss
	told    []string    // what the log is to say once only; see once
	resumed string      // checkpoint that the run goes on from
	before  float64     // seconds of the run before it was resumed
	started time.Time   // of this call
	saved   time.Time   // of the last checkpoint
}

// Run trains params on the task's training split and returns what came of it.
//
// Everything is checked before the first step. Gradients that stand in the parameters are forgotten. When Run returns without
// error, the parameters hold the best state; without evaluation, and after an error, those of the last finished step.
//
// When ctx is done, the run stops at the next micro-batch and gives up the unfinished step, saves adapter and checkpoint,
// and returns an error that wraps [ErrStopped] and the cause. A loss or gradient that is not finite ends the run with an
// error that names the step, the rows and the first bad parameter. An error or a panic of the task or a callback ends the
// run too; if a set cannot make a batch, the error names the step and the rows. In all these cases Run saves the adapter of
// the last finished step and fills the report as far as the run went. Other errors wrap [ErrConfig] or [ErrCheckpoint].
func Run(ctx context.Context, t Task, params []nn.NamedParam, cfg Config) (Report, error) {
	r, err := newRun(t, params, cfg)
	if err != nil {
		return Report{}, err
	}
	return r.finish(ctx, r.loop(ctx))
}

// loop does all steps that are left.
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

// saveIsDue reports whether it is time for a checkpoint: of a step that is not the one resumed from.
func (r *run) saveIsDue() bool {
	c, step := r.cfg, r.state.Step
	if c.OutputDir == "" || step == r.plan.Done {
		return false
	}
	return c.SaveSteps > 0 && step%c.SaveSteps == 0 || c.SaveEvery > 0 && time.Since(r.saved) >= c.SaveEvery
}

// finish leaves adapters and checkpoint as the end of the loop demands.
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
	return report, also(err, r.close())
}

func (r *run) close() error { return also(r.log.close(), r.tape.Close()) }

func (r *run) elapsed() time.Duration {
	return time.Duration(r.before*float64(time.Second)) + time.Since(r.started)
}

// also returns both errors as one line, or the one that there is.
func also(err, more error) error {
	if err == nil || more == nil {
		return cmp.Or(err, more)
	}
	return fmt.Errorf("%w; %w", err, more)
}
