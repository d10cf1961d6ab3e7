package train

import (
	"errors"
	"math"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// newRun checks the settings, the task and the parameters, loads the state of a checkpoint, and only then changes the
// output directory.
func newRun(t Task, params []nn.NamedParam, cfg Config) (_ *run, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &run{task: t, params: params, cfg: cfg, set: t.Set(batch.Train), started: time.Now(), saved: time.Now()}
	if r.set == nil || r.set.Len() == 0 {
		return nil, errors.New("train: the training set is empty; give at least one example")
	}
	var p problems
	r.checkEvaluation(&p)
	checkParams(params, &p)
	checkRoles(params, cfg, &p)
	if err := p.err(); err != nil {
		return nil, err
	}
	r.sampler = newSampler(r.set, cfg)
	r.opt = newOptimizer(params, cfg)
	defer func() {
		if err != nil {
			r.opt.thaw()
		}
	}()
	r.opt.clearGradients()
	if err := r.makePlan(); err != nil {
		return nil, err
	}
	r.state = state{Version: stateVersion, Settings: r.settings(), Identity: cfg.Identity}
	if cfg.ResumeFrom != "" {
		if err := r.resume(); err != nil {
			return nil, err
		}
	}
	if err := r.prepareOutput(); err != nil {
		return nil, also(err, r.log.close())
	}
	r.tape = op.NewTape(cfg.Pool)
	return r, nil
}

// mostSteps is more than the largest number of steps of a run.
const mostSteps = math.MaxInt32

// makePlan sets the plan of the run.
func (r *run) makePlan() error {
	c := r.cfg
	r.plan = Plan{
		Steps: c.MaxSteps, StepsPerEpoch: r.sampler.stepsOf(0), Rows: r.set.Len(), Tokens: int64(r.sampler.allTokens()),
	}
	if c.MaxSteps == 0 {
		r.plan.Steps = r.sampler.totalSteps(c.NumTrainEpochs, mostSteps)
	}
	var p problems
	p.check(r.plan.Steps < mostSteps, "`num_train_epochs` %v or `max_steps` %d give too many steps; want fewer than %d",
		c.NumTrainEpochs, c.MaxSteps, mostSteps)
	r.plan.WarmupSteps = c.warmupSteps(r.plan.Steps)
	for _, q := range r.params {
		if q.Param.RequiresGrad() { // lora-fa freezes some
			r.plan.Params += int64(len(op.Values(q.Param)))
		}
	}
	if r.plan.WarmupSteps > 0 && r.plan.WarmupSteps >= r.plan.Steps {
		c.Logger.Warn().Int("warmup_steps", r.plan.WarmupSteps).Int("steps", r.plan.Steps).
			Msg("the warm-up is as long as the run or longer, so the learning rate does not reach its peak; " +
				"set `warmup_steps` or `warmup_ratio` lower, or train longer")
	}
	if batches := len(r.sampler.epoch(0).ends); c.GradientAccumulationSteps > batches {
		c.Logger.Warn().Int("gradient_accumulation_steps", c.GradientAccumulationSteps).Int("batches", batches).
			Msg("an epoch has fewer batches than a step accumulates")
	}
	return p.err()
}

// checkParams adds the problems of the list of parameters.
func checkParams(params []nn.NamedParam, p *problems) {
	p.check(len(params) > 0, "there is no trainable parameter")
	names, seen := map[string]bool{}, map[any]string{}
	for i, q := range params {
		if q.Name == "" || q.Param == nil {
			p.add("parameter %d has no name or no values", i)
			continue
		}
		p.check(!names[q.Name], "parameter %s is listed twice", q.Name)
		if other, twice := seen[q.Param]; twice && !names[q.Name] {
			p.add("parameters %s and %s are the same", other, q.Name)
		}
		p.check(q.Param.RequiresGrad(), "parameter %s is frozen", q.Name)
		names[q.Name], seen[q.Param] = true, q.Name
	}
}
