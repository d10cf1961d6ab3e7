package train

import (
	"maps"
	"slices"
	"strconv"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// state is the state of a run without its tensors: state.json of a checkpoint.
type state struct {
	Version     int               `json:"version"`
	Step        int               `json:"step"`   // steps done
	At          position          `json:"at"`     // of the next micro-batch
	Epochs      float64           `json:"epochs"` // done
	Due         bool              `json:"evaluation_due"`
	Best        *best             `json:"best"`
	Waited      int               `json:"evaluations_without_improvement"`
	Evaluations []evaluationState `json:"evaluations"`
	LossSum     float64           `json:"loss_sum"` // of all steps
	Tokens      int64             `json:"tokens"`   // of all steps
	Seconds     float64           `json:"step_seconds"`
	Runtime     float64           `json:"runtime_seconds"`
	Metrics     logMark           `json:"metrics"`
	Settings    map[string]string `json:"settings"`
	Identity    map[string]string `json:"identity"`
	Earlier     map[string]string `json:"-"` // values that Identity had in earlier versions
	Params      []paramState      `json:"params"`
}

// stateVersion is the version of state.json. It increases with each incompatible change.
const stateVersion = 1

// best is the best evaluation up to now.
type best struct {
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Step   int     `json:"step"`
}

// paramState describes one parameter, with the number of steps that AdamW has done on it.
type paramState struct {
	Name  string `json:"name"`
	Rows  int    `json:"rows"`
	Cols  int    `json:"cols"`
	Steps int    `json:"steps"`
}

// evaluationState is an Evaluation in a form that JSON keeps completely, including directions and undefined values.
type evaluationState struct {
	Step   int           `json:"step"`
	Epoch  float64       `json:"epoch"`
	Main   string        `json:"main"`
	Values []metricState `json:"values"`
}

type metricState struct {
	Name          string `json:"name"`
	Value         number `json:"value"`
	LowerIsBetter bool   `json:"lower_is_better"`
	Reason        string `json:"reason,omitempty"`
}

func newEvaluationState(e Evaluation) evaluationState {
	s := evaluationState{Step: e.Step, Epoch: e.Epoch, Main: e.Metrics.Main}
	for _, m := range e.Metrics.Values {
		s.Values = append(s.Values, metricState{m.Name, number(m.Value), m.LowerIsBetter, m.Reason})
	}
	return s
}

func (s evaluationState) evaluation() Evaluation {
	e := Evaluation{Step: s.Step, Epoch: s.Epoch, Metrics: Metrics{Main: s.Main}}
	for _, m := range s.Values {
		e.Metrics.Values = append(e.Metrics.Values, Metric{m.Name, float64(m.Value), m.LowerIsBetter, m.Reason})
	}
	return e
}

// settings returns, by name, the settings and the sizes of the data that change the results of a run. They must be
// equal to resume it.
func (r *run) settings() map[string]string {
	c, b := r.cfg, strconv.FormatBool
	i := func(n int) string { return strconv.Itoa(n) }
	f := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	list := map[string]string{
		"batch_size":                  i(c.BatchSize),
		"tokens_per_batch":            i(c.TokensPerBatch),
		"gradient_accumulation_steps": i(c.GradientAccumulationSteps),
		"steps":                       i(r.plan.Steps),
		"learning_rate":               f(c.LearningRate),
		"weight_decay":                f(c.WeightDecay),
		"adam_beta1":                  f(c.Beta1),
		"adam_beta2":                  f(c.Beta2),
		"adam_epsilon":                f(c.Eps),
		"no_decay_norm_bias":          b(c.NoDecayNormBias),
		"max_grad_norm":               f(c.MaxGradNorm),
		"lr_scheduler_type":           string(c.Schedule),
		"warmup_steps":                i(r.plan.WarmupSteps),
		"seed":                        strconv.FormatUint(c.Seed, 10),
		"no_shuffle":                  b(c.NoShuffle),
		"group_by_length":             b(c.GroupByLength),
		"evaluation":                  b(r.evaluates),
		"eval_steps":                  i(c.EvalSteps),
		"early_stopping_patience":     i(c.EarlyStoppingPatience),
		"early_stopping_threshold":    f(c.EarlyStoppingThreshold),
		"metric_for_best_model":       c.metricName(),
		"train_rows":                  i(r.plan.Rows),
		"train_tokens":                strconv.FormatInt(r.plan.Tokens, 10),
	}
	if c.Optimizer != AdamW { // checkpoints of earlier versions have no such settings
		list["optimizer"] = string(c.Optimizer)
	}
	if c.Pool.BF16() {
		list["compute_dtype"] = BF16
	}
	if c.LoRAPlusRatio != 0 {
		list["loraplus_lr_ratio"], list["loraplus_lr_embedding"] = f(c.LoRAPlusRatio), f(c.LoRAPlusEmbedding)
	}
	return list
}

// paramStates returns the states of the parameters.
func paramStates(params []nn.NamedParam, moments []moments) []paramState {
	list := make([]paramState, len(params))
	for i, p := range params {
		rows, cols := op.Size(p.Param)
		list[i] = paramState{p.Name, rows, cols, moments[i].steps}
	}
	return list
}

// differences returns the settings and parameters that differ from those in the state of a checkpoint, except the
// settings in allowed.
func (s *state) differences(then *state, allowed []string) problems {
	var p problems
	known := map[string]bool{}
	for _, m := range []struct{ now, then map[string]string }{{s.Settings, then.Settings}, {s.Identity, then.Identity}} {
		all := maps.Clone(m.then)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, m.now)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			known[name] = true
			now, isNow := m.now[name]
			before, wasThen := m.then[name]
			if earlier, ok := s.Earlier[name]; ok && wasThen && before == earlier {
				before = now
			}
			if (now != before || isNow != wasThen) && !slices.Contains(allowed, name) {
				p.add("%s is %s, was %s", name, orNone(now, isNow), orNone(before, wasThen))
			}
		}
	}
	if len(p) > 0 {
		p.add("restore these settings, or name them in `allow_changed`")
	}
	for _, name := range allowed {
		p.check(known[name], "`allow_changed` has %q, which is not the name of a setting", name)
	}
	s.paramDifferences(then, &p)
	return p
}

// orNone returns the quoted value, or "not set" if is is false.
func orNone(value string, is bool) string {
	if !is {
		return "not set"
	}
	return strconv.Quote(value)
}

// paramDifferences adds differences in the names and sizes of the parameters or, if there are none, in their order.
func (s *state) paramDifferences(then *state, p *problems) {
	before := map[string]paramState{}
	for _, q := range then.Params {
		before[q.Name] = q
	}
	found := len(*p)
	for _, q := range s.Params {
		b, ok := before[q.Name]
		delete(before, q.Name)
		switch {
		case !ok:
			p.add("parameter %s is not in the checkpoint", q.Name)
		case b.Rows != q.Rows || b.Cols != q.Cols:
			p.add("parameter %s is %d×%d, was %d×%d", q.Name, q.Rows, q.Cols, b.Rows, b.Cols)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		p.add("parameter %s of the checkpoint is not trained here", name)
	}
	if len(*p) > found {
		return
	}
	for i, q := range s.Params {
		if then.Params[i].Name != q.Name {
			p.add("the order of the parameters differs from number %d on (%s, was %s)", i, q.Name, then.Params[i].Name)
			return
		}
	}
}
