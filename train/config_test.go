package train

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

func TestValidate(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // part of the message; empty: no error
	}{
		{"tokens instead of rows", func(c *Config) { c.BatchSize, c.TokensPerBatch = 0, 100 }, ""},
		{"both", func(c *Config) { c.TokensPerBatch = 100 }, "batch size 8 and 100 tokens per batch exclude each other"},
		{"neither", func(c *Config) { c.BatchSize = 0 }, "batch size is 0"},
		{"negative batch", func(c *Config) { c.BatchSize = -1 }, "batch size is -1"},
		{"negative tokens", func(c *Config) { c.BatchSize, c.TokensPerBatch = 0, -2 }, "tokens per batch is -2"},
		{"no accumulation", func(c *Config) { c.GradientAccumulationSteps = 0 }, "gradient accumulation steps is 0"},
		{"no epochs", func(c *Config) { c.NumTrainEpochs = 0 }, "number of epochs is 0"},
		{"NaN epochs", func(c *Config) { c.NumTrainEpochs = nan }, "number of epochs is NaN"},
		{"endless epochs", func(c *Config) { c.NumTrainEpochs = math.Inf(1) }, "number of epochs is +Inf"},
		{"steps and no epochs", func(c *Config) { c.NumTrainEpochs, c.MaxSteps = 0, 5 }, ""},
		{"negative steps", func(c *Config) { c.MaxSteps = -1 }, "max steps is -1"},
		{"learning rate", func(c *Config) { c.LearningRate = -1 }, "learning rate is -1"},
		{"NaN learning rate", func(c *Config) { c.LearningRate = nan }, "learning rate is NaN"},
		{"learning rate of 0", func(c *Config) { c.LearningRate = 0 }, ""},
		{"weight decay", func(c *Config) { c.WeightDecay = -0.1 }, "weight decay is -0.1"},
		{"beta1", func(c *Config) { c.Beta1 = 1 }, "beta1 is 1"},
		{"beta2", func(c *Config) { c.Beta2 = nan }, "beta2 is NaN"},
		{"eps", func(c *Config) { c.Eps = 0 }, "eps is 0"},
		{"norm", func(c *Config) { c.MaxGradNorm = -1 }, "max grad norm is -1"},
		{"infinite norm", func(c *Config) { c.MaxGradNorm = math.Inf(1) }, ""},
		{"schedule", func(c *Config) { c.Schedule = "lnear" }, `schedule is "lnear", want linear, cosine or constant`},
		{"warm-up steps", func(c *Config) { c.WarmupSteps = -1 }, "warm-up steps is -1"},
		{"warm-up ratio", func(c *Config) { c.WarmupRatio = 1.5 }, "warm-up ratio is 1.5"},
		{"two warm-ups", func(c *Config) { c.WarmupRatio, c.WarmupSteps = 0.1, 7 }, "exclude each other"},
		{"order", func(c *Config) { c.NoShuffle, c.GroupByLength = true, true }, "grouped by length"},
		{"eval steps", func(c *Config) { c.EvalSteps = -1 }, "eval steps is -1"},
		{"patience", func(c *Config) { c.EarlyStoppingPatience = -1 }, "patience is -1"},
		{"threshold", func(c *Config) { c.EarlyStoppingThreshold = -1 }, "threshold is -1"},
		{"save steps", func(c *Config) { c.SaveSteps = -1 }, "save steps is -1"},
		{"save every", func(c *Config) { c.SaveEvery = -time.Second }, "save every -1s"},
		{"keep", func(c *Config) { c.KeepCheckpoints = -1 }, "checkpoints to keep is -1"},
		{"save steps without a place", func(c *Config) { c.SaveSteps = 5 }, "without an output directory"},
		{"no Save", func(c *Config) { c.OutputDir = "x" }, "without Save"},
		{"changes without resuming", func(c *Config) { c.AllowChanged = []string{"seed"} }, "(seed) when a run is resumed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Defaults()
			c.change(&cfg)
			checkError(t, cfg.Validate(), c.want)
		})
	}
}

// checkError wants an ErrConfig with that text, or no error if it is empty.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err == nil:
	case want == "" || err == nil || !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want):
		t.Errorf("error %v, want one about settings with %q", err, want)
	case strings.Contains(err.Error(), "\n"):
		t.Errorf("%q has more than one line", err)
	}
}

func TestValidateNamesEverything(t *testing.T) {
	err := (Config{}).Validate()
	for _, part := range []string{"batch size", "accumulation", "epochs", "eps", "schedule"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v: nothing about %s", err, part)
		}
	}
}

func TestRunChecksTaskAndParameters(t *testing.T) {
	frozen := op.NewMatrix(1, 1)
	must(frozen.SetValues([]float32{0}))
	stuck := frozen.Train()
	stuck.SetRequiresGrad(false)
	for _, c := range []struct {
		name   string
		held   int
		change func(*toy, *Config, *[]nn.NamedParam)
		want   string
	}{
		{"nothing trains", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { *p = nil }, "no parameter trains"},
		{"a name twice", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { (*p)[1].Name = "w" }, "parameter w is listed twice"},
		{"a parameter twice", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { (*p)[1].Param = (*p)[0].Param }, "parameters w and b are the same"},
		{"no name", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { (*p)[1].Name = "" }, "parameter number 1 has no name"},
		{"frozen", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { *p = append(*p, nn.NamedParam{Name: "f", Param: stuck}) }, "parameter f is frozen"},
		{"eval steps", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.EvalSteps = 1 }, "eval steps without an evaluation set"},
		{"patience", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.EarlyStoppingPatience = 1 }, "early stopping without an evaluation set"},
		{"metric", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.MetricForBestModel = "loss" }, "without an evaluation set"},
		{"unknown metric", 3, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.MetricForBestModel = "eval_f1" }, `no metric "f1"; there are accuracy, loss`},
		{"known metric", 3, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.MetricForBestModel = "eval_accuracy" }, ""},
		{"empty evaluation", 3, func(m *toy, _ *Config, _ *[]nn.NamedParam) { m.held.n = 0; m.y = m.y[:6] }, "the evaluation set is empty"},
		{"too many steps", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.NumTrainEpochs = 1e12 }, "more than any run can do"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newToy(9, c.held)
			cfg, params := Defaults(), m.params()
			cfg.NumTrainEpochs = 1
			c.change(m, &cfg, &params)
			_, err := Run(context.Background(), m, params, cfg)
			checkError(t, err, c.want)
		})
	}
}

func TestRunWithoutRows(t *testing.T) {
	m := newToy(4, 4)
	if _, err := Run(context.Background(), m, m.params(), Defaults()); err == nil || !strings.Contains(err.Error(), "no training rows") {
		t.Errorf("error %v", err)
	}
	m.held = nil
	if s := m.Set(batch.Eval); s != nil {
		t.Errorf("the toy has an evaluation set %v", s)
	}
}
