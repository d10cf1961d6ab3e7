package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spalora/spalora/batch"
)

// metricName returns the name of the metric that determines the best state, without "eval_"; "" is the task's main
// metric.
func (c Config) metricName() string { return strings.TrimPrefix(c.MetricForBestModel, "eval_") }

// evaluate evaluates the eval split, keeps the state if it is the best one up to now, and counts for early stopping.
func (r *run) evaluate(ctx context.Context) error {
	m, err := r.task.Evaluate(ctx, batch.Eval)
	if ctx.Err() != nil {
		return errInterrupted // the evaluation stays due, and the resumed run does it
	}
	if err != nil {
		return fmt.Errorf("train: evaluating after step %d: %w", r.state.Step, err)
	}
	e := Evaluation{Step: r.state.Step, Epoch: r.state.Epochs, Metrics: m}
	r.logUndefined(m)
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

// logUndefined logs, once for each metric, why it is undefined for the eval split.
func (r *run) logUndefined(m Metrics) {
	for _, v := range m.Values {
		if v.Reason != "" && r.once(v.Name) {
			v.LogReason(r.cfg.Logger.With().Int("step", r.state.Step).Logger())
		}
	}
}

// once reports whether this is the first call with what.
func (r *run) once(what string) bool {
	if slices.Contains(r.logged, what) {
		return false
	}
	r.logged = append(r.logged, what)
	return true
}

// judge compares an evaluation with the best one, as transformers does: any improvement is the new best, but only one
// by more than the threshold resets the count of early stopping. A value that is not finite is not an improvement.
func (r *run) judge(e Evaluation) error {
	name := r.cfg.metricName()
	if name == "" {
		name = e.Metrics.Main
	}
	m, ok := e.Metrics.Get(name)
	if !ok {
		return prefixed(unknownMetric(name, e.Metrics.names()))
	}
	s := &r.state
	if !finite(m.Value) {
		if r.once(name + " decides") {
			r.cfg.Logger.Warn().Int("step", s.Step).Str("metric", name).Float64("value", m.Value).
				Msg("the metric is not finite, so this state cannot be the best")
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
		return fmt.Errorf("train: step %d cannot be the best: %s; set `learning_rate` lower", s.Step, bad)
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

// endedEarly reports whether early stopping ends the run.
func (r *run) endedEarly() bool {
	return r.cfg.EarlyStoppingPatience > 0 && r.state.Waited >= r.cfg.EarlyStoppingPatience
}

// checkEvaluation sets r.evaluates and adds the problems of the settings that need an eval split.
func (r *run) checkEvaluation(p *problems) {
	set := r.task.Set(batch.Eval)
	r.evaluates = set != nil
	c := r.cfg
	if !r.evaluates {
		const missing = "`%s` needs an evaluation set; give one or remove the setting"
		p.check(c.EvalSteps == 0, missing, "eval_steps")
		p.check(c.EarlyStoppingPatience == 0, missing, "early_stopping_patience")
		p.check(c.MetricForBestModel == "", missing, "metric_for_best_model")
		return
	}
	p.check(set.Len() > 0, "the evaluation set is empty; give at least one example")
	if n, ok := r.task.(MetricNamer); ok && c.metricName() != "" && !slices.Contains(n.MetricNames(), c.metricName()) {
		p.add("%v", unknownMetric(c.metricName(), n.MetricNames()))
	}
}

func unknownMetric(name string, names []string) error {
	return fmt.Errorf("`metric_for_best_model` is %q; want one of %s", name, strings.Join(names, ", "))
}
