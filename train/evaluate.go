package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spalora/spalora/batch"
)

// metricName returns the name of the metric that decides, without "eval_"; empty means the task's main one.
func (c Config) metricName() string { return strings.TrimPrefix(c.MetricForBestModel, "eval_") }

// evaluate scores the eval split, keeps the state if it is the best so far and counts for early stopping.
func (r *run) evaluate(ctx context.Context) error {
	m, err := r.task.Evaluate(ctx, batch.Eval)
	if ctx.Err() != nil {
		return errInterrupted // still due: the resumed run evaluates this step
	}
	if err != nil {
		return fmt.Errorf("train: evaluating after step %d: %w", r.state.Step, err)
	}
	e := Evaluation{Step: r.state.Step, Epoch: r.state.Epochs, Metrics: m}
	r.tellUndefined(m)
	if err := r.judge(e); err != nil {
		return err
	}
	r.state.Due = false
	r.state.Evaluations = append(r.state.Evaluations, newEvaluationState(e))
	if err := r.log.evaluation(e); err != nil {
		return err
	}
	if r.cfg.OnEval != nil {
		r.cfg.OnEval(e)
	}
	return nil
}

// tellUndefined logs, once for each metric, why it is not defined for the examples to evaluate on.
func (r *run) tellUndefined(m Metrics) {
	for _, v := range m.Values {
		if v.Reason != "" && r.once(v.Name) {
			v.LogReason(r.cfg.Logger.With().Int("step", r.state.Step).Logger())
		}
	}
}

// once reports whether this is the first call with what.
func (r *run) once(what string) bool {
	if slices.Contains(r.told, what) {
		return false
	}
	r.told = append(r.told, what)
	return true
}

// judge compares an evaluation with the best so far, as transformers does: any improvement is the new best, but only one by more
// than the threshold ends the wait of early stopping. A value that is not finite is never an improvement.
func (r *run) judge(e Evaluation) error {
	name := r.cfg.metricName()
	if name == "" {
		name = e.Metrics.Main
	}
	m, ok := e.Metrics.Get(name)
	if !ok {
		return unknownMetric(name, e.Metrics.names())
	}
	s := &r.state
	if !finite(m.Value) {
		if r.once(name + " decides") {
			r.cfg.Logger.Warn().Int("step", s.Step).Str("metric", name).Float64("value", m.Value).Msg("the metric is no number, so this state cannot be the best")
		}
		s.Waited++
		return nil
	}
	better := s.Best == nil || (m.Value > s.Best.Value) != m.LowerIsBetter && m.Value != s.Best.Value
	if s.Best == nil || better && math.Abs(m.Value-s.Best.Value) > r.cfg.EarlyStoppingThreshold {
		s.Waited = 0
	} else {
		s.Waited++
	}
	if !better {
		return nil
	}
	if bad := r.opt.badValue(); bad != "" {
		return fmt.Errorf("train: after step %d %s: not kept as the best state; lower the learning rate", s.Step, bad)
	}
	if r.cfg.OutputDir != "" {
		if err := r.save(r.cfg.OutputDir); err != nil {
			return prefixed(err)
		}
	}
	s.Best = &best{Metric: name, Value: m.Value, Step: s.Step}
	r.best = r.opt.values(r.best)
	return nil
}

// endedEarly reports whether early stopping has waited long enough.
func (r *run) endedEarly() bool {
	return r.cfg.EarlyStoppingPatience > 0 && r.state.Waited >= r.cfg.EarlyStoppingPatience
}

// checkEvaluation adds what of the settings needs an eval split, or another one.
func (r *run) checkEvaluation(p *problems) {
	set := r.task.Set(batch.Eval)
	r.evaluates = set != nil
	c := r.cfg
	if !r.evaluates {
		const missing = "%s without an evaluation set"
		p.check(c.EvalSteps == 0, missing, "eval steps")
		p.check(c.EarlyStoppingPatience == 0, missing, "early stopping")
		p.check(c.MetricForBestModel == "", missing, "a metric for the best model")
		return
	}
	p.check(set.Len() > 0, "the evaluation set is empty")
	if n, ok := r.task.(MetricNamer); ok && c.metricName() != "" && !slices.Contains(n.MetricNames(), c.metricName()) {
		p.add("%v", unknownMetric(c.metricName(), n.MetricNames()))
	}
}

func unknownMetric(name string, names []string) error {
	return fmt.Errorf("there is no metric %q; there are %s", name, strings.Join(names, ", "))
}
