package train

import (
	"context"
	"errors"
	"math"
	"slices"
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
		want   string // part of the message; "": no error
	}{
		{"tokens instead of rows", func(c *Config) { c.BatchSize, c.TokensPerBatch = 0, 100 }, ""},
		{"both", func(c *Config) { c.TokensPerBatch = 100 }, "`batch_size` 8 and `tokens_per_batch` 100 exclude each other"},
		{"neither", func(c *Config) { c.BatchSize = 0 }, "`batch_size` is 0"},
		{"negative batch", func(c *Config) { c.BatchSize = -1 }, "`batch_size` is -1"},
		{"negative tokens", func(c *Config) { c.BatchSize, c.TokensPerBatch = 0, -2 }, "`tokens_per_batch` is -2"},
		{"no accumulation", func(c *Config) { c.GradientAccumulationSteps = 0 }, "`gradient_accumulation_steps` is 0"},
		{"no epochs", func(c *Config) { c.NumTrainEpochs = 0 }, "`num_train_epochs` is 0"},
		{"NaN epochs", func(c *Config) { c.NumTrainEpochs = nan }, "`num_train_epochs` is NaN"},
		{"endless epochs", func(c *Config) { c.NumTrainEpochs = math.Inf(1) }, "`num_train_epochs` is +Inf"},
		{"steps and no epochs", func(c *Config) { c.NumTrainEpochs, c.MaxSteps = 0, 5 }, ""},
		{"negative steps", func(c *Config) { c.MaxSteps = -1 }, "`max_steps` is -1"},
		{"learning rate", func(c *Config) { c.LearningRate = -1 }, "`learning_rate` is -1"},
		{"NaN learning rate", func(c *Config) { c.LearningRate = nan }, "`learning_rate` is NaN"},
		{"learning rate of 0", func(c *Config) { c.LearningRate = 0 }, ""},
		{"weight decay", func(c *Config) { c.WeightDecay = -0.1 }, "`weight_decay` is -0.1"},
		{"beta1", func(c *Config) { c.Beta1 = 1 }, "`adam_beta1` is 1"},
		{"beta2", func(c *Config) { c.Beta2 = nan }, "`adam_beta2` is NaN"},
		{"eps", func(c *Config) { c.Eps = 0 }, "`adam_epsilon` is 0"},
		{"norm", func(c *Config) { c.MaxGradNorm = -1 }, "`max_grad_norm` is -1"},
		{"infinite norm", func(c *Config) { c.MaxGradNorm = math.Inf(1) }, ""},
		{"optimiser", func(c *Config) { c.Optimizer = "adam" }, "`optimizer` is \"adam\"; want adamw or lora-fa"},
		{"LoRA+", func(c *Config) { c.LoRAPlusRatio = -1 }, "`loraplus_lr_ratio` is -1"},
		{"LoRA+ of embeddings", func(c *Config) { c.LoRAPlusEmbedding = nan }, "`loraplus_lr_embedding` is NaN"},
		{"LoRA+ and LoRA-FA", func(c *Config) { c.LoRAPlusRatio, c.Optimizer = 8, LoRAFA },
			"`loraplus_lr_ratio` and `optimizer` lora-fa exclude each other"},
		{"schedule", func(c *Config) { c.Schedule = "lnear" },
			"`lr_scheduler_type` is \"lnear\"; want linear, cosine or constant"},
		{"warm-up steps", func(c *Config) { c.WarmupSteps = -1 }, "`warmup_steps` is -1"},
		{"warm-up ratio", func(c *Config) { c.WarmupRatio = 1.5 }, "`warmup_ratio` is 1.5"},
		{"two warm-ups", func(c *Config) { c.WarmupRatio, c.WarmupSteps = 0.1, 7 },
			"`warmup_steps` 7 and `warmup_ratio` 0.1 exclude each other"},
		{"order", func(c *Config) { c.NoShuffle, c.GroupByLength = true, true },
			"`no_shuffle` and `group_by_length` exclude each other"},
		{"eval steps", func(c *Config) { c.EvalSteps = -1 }, "`eval_steps` is -1"},
		{"patience", func(c *Config) { c.EarlyStoppingPatience = -1 }, "`early_stopping_patience` is -1"},
		{"threshold", func(c *Config) { c.EarlyStoppingThreshold = -1 }, "`early_stopping_threshold` is -1"},
		{"save steps", func(c *Config) { c.SaveSteps = -1 }, "`save_steps` is -1"},
		{"save every", func(c *Config) { c.SaveEvery = -time.Second }, "the time between checkpoints is -1s"},
		{"keep", func(c *Config) { c.KeepCheckpoints = -1 }, "`keep_checkpoints` is -1"},
		{"save steps without a place", func(c *Config) { c.SaveSteps = 5 },
			"`save_steps` is 5, but there is no output directory"},
		{"no Save", func(c *Config) { c.OutputDir = "x" }, "an output directory, but no Save function"},
		{"changes without resuming", func(c *Config) { c.AllowChanged = []string{"seed"} },
			"`allow_changed` (seed) has no effect on a new run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Defaults()
			c.change(&cfg)
			checkError(t, cfg.Validate(), c.want)
		})
	}
}

// checkError fails the test unless err is an ErrConfig that contains want in one line, or nil if want is empty.
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
	for _, part := range []string{"`batch_size`", "accumulation", "epochs", "epsilon", "scheduler"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want also %q", err, part)
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
		{"nothing trains", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { *p = nil }, "no trainable parameter"},
		{"a name twice", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { (*p)[1].Name = "w" },
			"parameter w is listed twice"},
		{"a parameter twice", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { (*p)[1].Param = (*p)[0].Param },
			"parameters w and b are the same"},
		{"no name", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { (*p)[1].Name = "" }, "parameter 1 has no name"},
		{"frozen", 0, func(_ *toy, _ *Config, p *[]nn.NamedParam) { *p = append(*p, nn.NamedParam{Name: "f", Param: stuck}) },
			"parameter f is frozen"},
		{"LoRA+ without an adapter", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.LoRAPlusRatio = 8 },
			"`loraplus_lr_ratio` needs an adapter"},
		{"LoRA-FA without an adapter", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.Optimizer = LoRAFA },
			"`optimizer` lora-fa needs an adapter"},
		{"LoRA-FA of an embedding", 0, func(m *toy, c *Config, p *[]nn.NamedParam) {
			m.adapt()
			*p, c.Optimizer = m.params(), LoRAFA
			(*p)[0].Role = nn.TableFactor
		}, "`optimizer` lora-fa cannot train w.A"},
		{"eval steps", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.EvalSteps = 1 },
			"`eval_steps` needs an evaluation set"},
		{"patience", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.EarlyStoppingPatience = 1 },
			"`early_stopping_patience` needs an evaluation set"},
		{"metric", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.MetricForBestModel = "loss" },
			"`metric_for_best_model` needs an evaluation set"},
		{"unknown metric", 3, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.MetricForBestModel = "eval_f1" },
			"`metric_for_best_model` is \"f1\"; want one of accuracy, loss"},
		{"known metric", 3, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.MetricForBestModel = "eval_accuracy" }, ""},
		{"empty evaluation", 3, func(m *toy, _ *Config, _ *[]nn.NamedParam) { m.held.n = 0; m.y = m.y[:6] },
			"the evaluation set is empty"},
		{"too many steps", 0, func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.NumTrainEpochs = 1e12 },
			"`num_train_epochs` 1e+12 or `max_steps` 0 give too many steps"},
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
	if _, err := Run(context.Background(), m, m.params(), Defaults()); err == nil ||
		!strings.Contains(err.Error(), "the training set is empty") {
		t.Errorf("error %v", err)
	}
	m.held = nil
	if s := m.Set(batch.Eval); s != nil {
		t.Errorf("the toy has an evaluation set %v", s)
	}
}

// TestOptimizersInReports: the report names LoRA-FA and LoRA+, and a run that ends makes A trainable again.
func TestOptimizersInReports(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`"optimizer":"lora-fa"`: func(c *Config) { c.Optimizer = LoRAFA }, `"loraplus_lr_ratio":4`: func(c *Config) {
			c.LoRAPlusRatio = 4
		},
	} {
		m := newToy(9, 0)
		m.adapt()
		c := Defaults()
		c.MaxSteps = 2
		change(&c)
		params := int64(0)
		c.OnStart = func(p Plan) { params = p.Params }
		before := slices.Clone(op.Values(m.pair.A))
		r := m.train(t, c)
		if text := deref(r).(string); !strings.Contains(text, want) {
			t.Errorf("report %s, want %s in it", text, want)
		}
		frozen := c.Optimizer == LoRAFA
		if same := slices.Equal(before, op.Values(m.pair.A)); same != frozen || !m.pair.A.RequiresGrad() {
			t.Errorf("%s: A is unchanged: %v, trainable afterwards: %v", want, same, m.pair.A.RequiresGrad())
		}
		n := int64(m.width*2 + 3*2 + 3)
		if frozen {
			n -= int64(m.width * 2)
		}
		if params != n {
			t.Errorf("%s: %d trainable values, want %d", want, params, n)
		}
	}
	if r := newToy(9, 0).train(t, Defaults()); strings.Contains(deref(r).(string), "optimizer") {
		t.Error("AdamW is named")
	}
}
