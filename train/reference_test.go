package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// reference is testdata/reference.json, written by reference/schedule_fixture.py.
type reference struct {
	Schedules []struct {
		Kind          Schedule
		Warmup, Total int
		Peak          float64
		Rates         []float64
	}
	Warmups []struct {
		Total, Steps int
		Ratio        float64
	}
	Totals []struct {
		Batches, Accumulate, Steps int
		Epochs                     float64
	}
	Clips []struct {
		Grads, Clipped [][]float32
		Limit, Norm    float64
	}
	Orders []struct {
		Seed  uint64
		Epoch int
		Rows  []int
	}
	Curves []curve
}

type curve struct {
	Schedule                         Schedule
	Steps, Batch, Accumulate, Warmup int
	LR, Decay, Limit, Beta1, Beta2   float64
	DecayBias                        bool `json:"decay_bias"`
	X                                []float32
	Y                                []int32
	Start, End                       struct{ W, B []float32 }
	Log                              []struct {
		Loss         float64
		GradNorm     float64 `json:"grad_norm"`
		LearningRate float64 `json:"learning_rate"`
	}
}

func loadReference(t *testing.T) reference {
	t.Helper()
	b, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestScheduleEqualsTransformers(t *testing.T) {
	ref := loadReference(t)
	for _, c := range ref.Schedules {
		for step, want := range c.Rates {
			if got := c.Peak * c.Kind.Factor(step, c.Warmup, c.Total); math.Abs(got-want) > 1e-15*c.Peak {
				t.Errorf("%s, warm-up %d of %d, step %d: %v, want %v", c.Kind, c.Warmup, c.Total, step, got, want)
			}
		}
	}
	for _, c := range ref.Warmups {
		if got := (Config{WarmupRatio: c.Ratio}).warmupSteps(c.Total); got != c.Steps {
			t.Errorf("warm-up %v of %d: %d steps, want %d", c.Ratio, c.Total, got, c.Steps)
		}
	}
}

func TestTotalStepsEqualTransformers(t *testing.T) {
	for _, c := range loadReference(t).Totals {
		s := &sampler{set: toySet{&toy{}, 0, 4*c.Batches - 1}, batchSize: 4, accumulate: c.Accumulate}
		if got := s.totalSteps(c.Epochs, mostSteps); got != c.Steps {
			t.Errorf("%d batches, %d a step, %v epochs: %d steps, want %d", c.Batches, c.Accumulate, c.Epochs, got, c.Steps)
		}
	}
}

func TestClippingEqualsTorch(t *testing.T) {
	for i, c := range loadReference(t).Clips {
		o := optimizerWithGradients(t, c.Grads)
		norm := o.norm()
		if !near(norm, c.Norm, 1e-6) {
			t.Errorf("case %d: norm %v, want %v", i, norm, c.Norm)
		}
		o.scale(float32(clipFactor(norm, c.Limit)))
		for j, want := range c.Clipped {
			for k, g := range op.Grad(o.params[j].Param) {
				if !near(float64(g), float64(want[k]), 1e-6) {
					t.Errorf("case %d: gradient %d[%d] is %v, want %v", i, j, k, g, want[k])
				}
			}
		}
	}
}

// optimizerWithGradients returns an optimizer whose parameters have the given gradients: the loss is their inner
// product.
func optimizerWithGradients(t *testing.T, grads [][]float32) *optimizer {
	t.Helper()
	var params []nn.NamedParam
	for _, g := range grads {
		w := op.NewMatrix(1, len(g))
		must(w.SetValues(make([]float32, len(g))))
		p := w.Train()
		tape := op.NewTape(nil)
		x := leaf(1, len(g), g)
		if err := tape.Backward(op.Affine(tape, x, op.Drop{}, op.Projection{Weight: w})); err != nil {
			t.Fatal(err)
		}
		must(tape.Close())
		params = append(params, nn.NamedParam{Name: "p", Param: p})
	}
	return newOptimizer(params, Defaults())
}

func TestCurveEqualsTorch(t *testing.T) {
	for _, c := range loadReference(t).Curves {
		t.Run(string(c.Schedule), func(t *testing.T) {
			m := &toy{x: c.X, y: c.Y, width: 5, w: op.NewMatrix(3, 5), b: op.NewVector(3)}
			must(m.w.SetValues(c.Start.W))
			must(m.b.SetValues(c.Start.B))
			cfg := Defaults()
			cfg.BatchSize, cfg.GradientAccumulationSteps, cfg.MaxSteps = c.Batch, c.Accumulate, c.Steps
			cfg.LearningRate, cfg.WeightDecay, cfg.NoDecayNormBias = c.LR, c.Decay, !c.DecayBias
			cfg.Beta1, cfg.Beta2, cfg.MaxGradNorm = c.Beta1, c.Beta2, c.Limit
			cfg.Schedule, cfg.WarmupSteps, cfg.NoShuffle = c.Schedule, c.Warmup, true
			var steps []StepInfo
			cfg.OnStep = func(s StepInfo) { steps = append(steps, s) }
			if _, err := Run(context.Background(), m, m.params(), cfg); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.Log {
				got := steps[i]
				if !near(got.Loss, want.Loss, 2e-6) || !near(got.GradNorm, want.GradNorm, 1e-5) ||
					!near(got.LearningRate, want.LearningRate, 1e-14) {
					t.Errorf("step %d: loss %v, norm %v, rate %v; want %v, %v, %v", i+1,
						got.Loss, got.GradNorm, got.LearningRate, want.Loss, want.GradNorm, want.LearningRate)
				}
			}
			compareValues(t, "w", op.Values(m.w.Param), c.End.W)
			compareValues(t, "b", op.Values(m.b.Param), c.End.B)
		})
	}
}

func compareValues(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !near(float64(got[i]), float64(want[i]), 2e-5) && math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Errorf("%s[%d] is %v, want %v", name, i, got[i], want[i])
		}
	}
}
