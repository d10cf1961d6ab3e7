package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Rehearsal is a run that is planned and not done. It writes no file and leaves the values of the parameters as they
// are. It must be closed.
type Rehearsal struct {
	r *run
}

// Rehearse prepares a rehearsal of [Run] with the same arguments and returns the errors that Run returns before its
// first step, apart from those about the output directory. The rehearsal of a run that is resumed begins at its
// checkpoint, whose values the parameters have then.
func Rehearse(t Task, params []nn.NamedParam, cfg Config) (*Rehearsal, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.OutputDir, cfg.SaveSteps = "", 0
	r, err := newRun(t, params, cfg)
	if err != nil {
		return nil, err
	}
	return &Rehearsal{r}, nil
}

// Close releases the memory of the rehearsal.
func (h *Rehearsal) Close() error {
	h.r.opt.clearGradients()
	return h.r.close()
}

// Outlook counts what a run has left to do.
type Outlook struct {
	Plan        Plan
	Batches     int   // micro-batches
	Tokens      int64 // of these
	Evaluations int   // at most: early stopping may end the run sooner
}

// Outlook returns the counts of the whole run or, if it is resumed, of what is left of it.
func (h *Rehearsal) Outlook() Outlook {
	r := h.r
	o := Outlook{Plan: r.plan}
	if r.state.Due { // of the step that the run is resumed from
		o.Evaluations++
	}
	step := r.plan.Done
	for at := r.state.At; step < r.plan.Steps; at = (position{at.Epoch + 1, 0}) {
		batches, steps, tokens := r.rest(at, r.plan.Steps-step)
		o.Batches += batches
		o.Tokens += tokens
		closed := step+steps <= r.plan.Steps && r.closes(at, batches)
		if r.cfg.EvalSteps > 0 {
			o.Evaluations += (step+steps)/r.cfg.EvalSteps - step/r.cfg.EvalSteps
		} else if closed {
			o.Evaluations++
		}
		step += steps
		if last := step == r.plan.Steps; last && (r.cfg.EvalSteps > 0 && step%r.cfg.EvalSteps != 0 ||
			r.cfg.EvalSteps == 0 && !closed) {
			o.Evaluations++ // the last step is always evaluated
		}
	}
	if !r.evaluates {
		o.Evaluations = 0
	}
	return o
}

// rest returns how many micro-batches, steps and tokens are left of the epoch at a position, for at most the given
// number of steps.
func (r *run) rest(at position, most int) (batches, steps int, tokens int64) {
	s := r.sampler
	total := ceilDiv(s.set.Len(), max(s.batchSize, 1))
	var e *epoch
	if s.batchSize == 0 || at.Batch > 0 || ceilDiv(total, s.accumulate) > most {
		e = s.epoch(at.Epoch)
		total = len(e.ends)
	}
	batches = total - at.Batch
	if steps = ceilDiv(batches, s.accumulate); steps > most {
		steps, batches = most, most*s.accumulate
	}
	if e == nil {
		return batches, steps, r.plan.Tokens
	}
	for i := range batches {
		tokens += int64(s.tokensOf(e.rows(at.Batch + i)))
	}
	return batches, steps, tokens
}

// closes reports whether the given number of micro-batches from a position on ends the epoch.
func (r *run) closes(at position, batches int) bool {
	s := r.sampler
	if s.batchSize > 0 {
		return at.Batch+batches == ceilDiv(s.set.Len(), s.batchSize)
	}
	return at.Batch+batches == len(s.epoch(at.Epoch).ends)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// tokensOf returns the number of tokens of rows.
func (s *sampler) tokensOf(rows []int) int {
	n := 0
	for _, row := range rows {
		n += s.set.Tokens(row)
	}
	return n
}

// share is a micro-batch of a run.
type share struct {
	epoch  int
	rows   []int
	tokens int
}

// Limits of what a rehearsal looks at.
const (
	mostRows    = 5 << 20 // rows in whose order the largest micro-batches are searched for
	largestOnes = 8       // micro-batches whose memory is computed
	mostProbes  = 64      // micro-batches that a probe measures
)

// largest returns the micro-batches of the run with the most tokens, the largest first, and the one with the most rows.
func (r *run) largest() []share {
	var list []share
	var widest share
	steps, seen := r.plan.Done, 0
	for at := r.state.At; steps < r.plan.Steps && seen < mostRows; at = (position{at.Epoch + 1, 0}) {
		batches, n, _ := r.rest(at, r.plan.Steps-steps)
		e := r.sampler.epoch(at.Epoch)
		for i := range batches {
			rows := e.rows(at.Batch + i)
			x := share{at.Epoch, rows, r.sampler.tokensOf(rows)}
			if list = append(list, x); len(rows) > len(widest.rows) {
				widest = x
			}
		}
		slices.SortStableFunc(list, func(a, b share) int { return cmp.Compare(b.tokens, a.tokens) })
		list = slices.Clip(list[:min(len(list), largestOnes)])
		steps += n
		seen += r.set.Len()
	}
	if len(list) > 0 {
		list = append(list, widest)
	}
	return list
}

// batch makes the micro-batch of a share.
func (r *run) batch(ctx context.Context, s share) (*batch.Batch, error) {
	return makeBatch(ctx, r.set, s.rows, epochKey(r.cfg.Seed, s.epoch))
}

// Memory is what a run allocates beside the weights, the adapter and the data, in bytes.
type Memory struct {
	LargestBatch int // tokens of the largest micro-batch
	Peak         int // largest size of the tape of a micro-batch, as Report.PeakActivations
	// Activations is the memory that the tape takes from the system: Peak and the gaps between buffers. Checkpointed and
	// Unchecked are the same with and without Config.GradientCheckpointing; one of them is Activations.
	Activations, Checkpointed, Unchecked int
	Gradients                            int64 // of the parameters
	Optimizer                            int64 // its moments
	Best                                 int64 // values of the best state; 0 without evaluation
	Kernels                              int   // packed operands of products
}

// Memory computes the memory of the run from its shapes: it runs the largest micro-batches forward and backward on a
// tape that allocates and computes nothing.
func (h *Rehearsal) Memory(ctx context.Context) (m Memory, err error) {
	defer recovered("train: computing the memory of a batch: ", &err)
	r := h.r
	for _, p := range r.params {
		n := 4 * int64(len(op.Values(p.Param)))
		if r.evaluates {
			m.Best += n
		}
		if p.Param.RequiresGrad() {
			m.Gradients += n
			m.Optimizer += 2 * n
		}
	}
	m.Kernels = kernel.ScratchBytes(r.cfg.Pool.Workers())
	list := r.largest()
	if len(list) == 0 { // nothing is left to do
		return m, nil
	}
	m.LargestBatch = list[0].tokens
	defer r.opt.clearGradients()
	for _, checkpointed := range []bool{false, true} {
		footprint, peak, err := r.size(ctx, list, checkpointed)
		if err != nil {
			return m, err
		}
		if checkpointed {
			m.Checkpointed = footprint
		} else {
			m.Unchecked = footprint
		}
		if checkpointed == r.cfg.GradientCheckpointing {
			m.Activations, m.Peak = footprint, peak
		}
	}
	return m, nil
}

// size returns the memory of a tape for micro-batches one after another.
func (r *run) size(ctx context.Context, list []share, checkpointed bool) (footprint, peak int, err error) {
	tape := op.NewSizingTape(r.cfg.Pool.Workers(), true)
	defer func() { err = errors.Join(err, tape.Close()) }()
	targets := 0.0
	for _, s := range list {
		if ctx.Err() != nil {
			return 0, 0, ended(ctx)
		}
		b, err := r.batch(ctx, s)
		if err != nil {
			return 0, 0, err
		}
		_, n, err := r.pass(tape, b, r.plan.Done+1, checkpointed)
		if err != nil {
			return 0, 0, fmt.Errorf("train: rows %s: %w", rowList(s.rows), err)
		}
		targets += n
	}
	if targets > 0 { // the batches have set the gradients of all parameters that the loss depends on
		if err := r.checkDependence(r.plan.Done + 1); err != nil {
			return 0, 0, err
		}
	}
	_, peak = tape.Memory()
	return tape.Footprint(), peak, nil
}

// ended returns the error of a rehearsal that its context ended.
func ended(ctx context.Context) error {
	return fmt.Errorf("train: %w: %w", ErrStopped, context.Cause(ctx))
}

// Speed is what a probe has measured.
type Speed struct {
	Batches   int           // micro-batches that were measured
	Tokens    int64         // of these
	PerToken  time.Duration // forward and backward
	Update    time.Duration // update of the parameters in a step
	Forward   time.Duration // forward of a token without a backward, as in an evaluation
	Longest   time.Duration // the largest micro-batch
	LongestOf int           // its tokens

	spent time.Duration // by the batches that were measured
}

// Probe measures the speed of real micro-batches: the largest one, and others spread evenly over the epoch that is
// next, as many as fit into the given time, but at least one. With forward it measures a forward without a backward,
// too. Parameters get gradients, and the optimiser updates them with the learning rate 0, which leaves them as they
// are.
func (h *Rehearsal) Probe(ctx context.Context, budget time.Duration, forward bool) (s Speed, err error) {
	defer recovered("train: probing the speed: ", &err)
	r := h.r
	defer r.opt.clearGradients()
	most := r.largest()
	if len(most) == 0 { // nothing is left to do
		return s, nil
	}
	list := r.spread()
	first, err := r.measure(ctx, list[0])
	if err != nil {
		return s, err
	}
	slow := first > budget/4
	if slow { // otherwise the first use of memory matters
		s.add(first, list[0])
	}
	s.LongestOf = most[0].tokens
	if s.Longest = first; !slow || list[0].tokens != s.LongestOf {
		if s.Longest, err = r.measure(ctx, most[0]); err != nil {
			return s, err
		}
	}
	for _, x := range list[s.Batches:] {
		if s.Batches > 0 && s.spent >= budget {
			break
		}
		took, err := r.measure(ctx, x)
		if err != nil {
			return s, err
		}
		s.add(took, x)
	}
	if forward {
		if s.Forward, err = r.forward(ctx, list[0], slow); err != nil {
			return s, err
		}
	}
	for range 2 { // the first use of memory is slower
		update := time.Now()
		r.opt.norm()
		r.opt.scale(0.5)
		r.opt.update(0)
		s.Update = time.Since(update)
	}
	return s, nil
}

// add adds the measurement of a micro-batch.
func (s *Speed) add(took time.Duration, x share) {
	s.Batches++
	s.Tokens += int64(x.tokens)
	s.spent += took
	s.PerToken = s.spent / time.Duration(max(s.Tokens, 1))
}

// spread returns micro-batches that are spread evenly over the epoch that is next, at most mostProbes. They are in an
// order in which the first ones are spread evenly, too.
func (r *run) spread() []share {
	at := r.state.At
	e := r.sampler.epoch(at.Epoch)
	batches, _, _ := r.rest(at, r.plan.Steps-r.plan.Done)
	var list []share
	taken := map[int]bool{}
	for parts := 1; len(list) < min(batches, mostProbes); parts *= 2 { // the middle, the quarters, the eighths …
		for k := 1; k < 2*parts && len(list) < mostProbes; k += 2 {
			i := at.Batch + min(batches*k/(2*parts), batches-1)
			if !taken[i] {
				taken[i] = true
				list = append(list, share{at.Epoch, e.rows(i), r.sampler.tokensOf(e.rows(i))})
			}
		}
	}
	return list
}

// measure returns the time of a micro-batch.
func (r *run) measure(ctx context.Context, s share) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, ended(ctx)
	}
	b, err := r.batch(ctx, s)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	loss, _, err := r.microBatch(b, r.plan.Done+1)
	took := time.Since(began)
	if err == nil && !finite(loss) {
		err = fmt.Errorf("loss %v; check these rows", loss)
	}
	if err != nil {
		err = fmt.Errorf("train: rows %s: %w", rowList(s.rows), err)
	}
	return took, err
}

// forward returns the time that a token of a micro-batch takes without a backward, of a second run unless once.
func (r *run) forward(ctx context.Context, s share, once bool) (perToken time.Duration, err error) {
	b, err := r.batch(ctx, s)
	if err != nil {
		return 0, err
	}
	tape := op.NewEvalTape(r.cfg.Pool)
	defer func() { err = errors.Join(err, tape.Close()) }()
	for runs := 0; runs < 2 && !(once && runs == 1); runs++ { // the first use of memory is slower
		began := time.Now()
		if _, _, err := r.task.Loss(&nn.Pass{Tape: tape, Adapter: r.cfg.Adapter}, b); err != nil {
			return 0, err
		}
		perToken = time.Since(began) / time.Duration(max(s.tokens, 1))
		tape.Reset()
	}
	return perToken, nil
}
