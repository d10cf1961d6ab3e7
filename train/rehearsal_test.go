package train

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestRehearsal holds the counts, the memory and the plan of a rehearsal to the run itself, from the start and from the
// middle, and checks that it changes no value and writes no file.
func TestRehearsal(t *testing.T) {
	for _, v := range append(slices.Clone(variants), struct {
		name   string
		held   int
		change func(*Config)
		adapt  bool
	}{"part of a step at the end", 6, func(c *Config) { c.EvalSteps, c.NumTrainEpochs, c.BatchSize = 3, 2.5, 5 }, false}) {
		t.Run(v.name, func(t *testing.T) {
			config := func(dir string) (*toy, Config) {
				m := newToy(47, v.held)
				if v.adapt {
					m.adapt()
				}
				c := toyConfig(m, dir)
				v.change(&c)
				c.EarlyStoppingPatience = 0 // it would end the run sooner
				return m, c
			}
			for _, done := range []int{0, 3} {
				from, dir := "", t.TempDir()
				if done > 0 {
					from = t.TempDir()
					stopAfter(t, done, from, "", config)
				}
				m, c := config(dir)
				c.ResumeFrom, c.SaveSteps = from, 2
				params := m.params()
				before := valuesOf(params)
				h, err := Rehearse(m, params, c)
				if err != nil {
					t.Fatal(err)
				}
				if done > 0 {
					before = valuesOf(params) // those of the checkpoint
				}
				o := h.Outlook()
				memory, err := h.Memory(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				speed, err := h.Probe(t.Context(), 5*time.Millisecond, true)
				if err != nil {
					t.Fatal(err)
				}
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
				for i, p := range params {
					if !slices.Equal(before[i], op.Values(p.Param)) || op.Grad(p.Param) != nil {
						t.Errorf("%s has other values, or a gradient, after the rehearsal", p.Name)
					}
				}
				if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
					t.Errorf("the rehearsal wrote %v, %v", files, err)
				}
				if speed.Batches < 1 || speed.PerToken <= 0 || speed.Forward <= 0 || speed.Longest <= 0 || speed.Update <= 0 {
					t.Errorf("speed %+v", speed)
				}
				m, c = config(dir)
				c.ResumeFrom = from
				var plan Plan
				var batches, tokens, largest, evaluations int
				c.OnStart = func(p Plan) { plan = p }
				c.OnEval = func(Evaluation) { evaluations++ }
				m.onLoss = func(p *nn.Pass, b *batch.Batch) {
					if p.Train {
						n := 0
						for _, row := range b.Seqs.Index {
							n += m.lengths[row]
						}
						batches, tokens, largest = batches+1, tokens+n, max(largest, n)
					}
				}
				r := m.train(t, c)
				if o.Plan != plan || o.Batches != batches || o.Tokens != int64(tokens) || o.Evaluations != evaluations {
					t.Errorf("from step %d: outlook %+v; the run has %+v, %d batches, %d tokens, %d evaluations",
						done, o, plan, batches, tokens, evaluations)
				}
				if memory.LargestBatch != largest || memory.Peak != r.PeakActivations {
					t.Errorf("from step %d: memory %+v; the run has %d tokens in a batch and %d bytes", done, memory, largest,
						r.PeakActivations)
				}
				moments := 8 * plan.Params
				if memory.Gradients != 4*plan.Params || memory.Optimizer != moments || (memory.Best > 0) != (v.held > 0) {
					t.Errorf("memory %+v for %d values", memory, plan.Params)
				}
			}
		})
	}
}

func valuesOf(params []nn.NamedParam) [][]float32 {
	var list [][]float32
	for _, p := range params {
		list = append(list, slices.Clone(op.Values(p.Param)))
	}
	return list
}

// TestRehearsalRefuses: what a run refuses before or in its first step, a rehearsal refuses too.
func TestRehearsalRefuses(t *testing.T) {
	m := newToy(12, 0)
	c := toyConfig(m, "")
	c.BatchSize = 0
	if _, err := Rehearse(m, m.params(), c); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "`batch_size`") {
		t.Errorf("batch size 0: %v", err)
	}
	c = toyConfig(m, "")
	params := append(m.params(), nn.NamedParam{Name: "idle", Param: op.NewParam(1, 1, []float32{0})})
	h, err := Rehearse(m, params, c)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.Memory(t.Context()); err == nil || !strings.Contains(err.Error(), "no gradient") ||
		!strings.Contains(err.Error(), "idle") {
		t.Errorf("a parameter that the loss does not depend on: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Memory(ctx); !errors.Is(err, ErrStopped) {
		t.Errorf("memory of a rehearsal that was stopped: %v", err)
	}
	if _, err := h.Probe(ctx, time.Second, true); !errors.Is(err, ErrStopped) {
		t.Errorf("probe of a rehearsal that was stopped: %v", err)
	}
}
