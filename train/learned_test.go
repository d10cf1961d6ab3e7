package train

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/batch"
)

// TestNothingLearned: a run that cannot have taught the parameters anything says so, with the cause.
func TestNothingLearned(t *testing.T) {
	ignored := func(y *toy) {
		for i := range y.y {
			y.y[i] = batch.Ignore
		}
	}
	flat := func(y *toy) { y.alter = func(_ *batch.Batch, v []float32) { clear(v) }; y.drop = 0 }
	for _, c := range []struct {
		name string
		set  func(c *Config, y *toy)
		want string // part of the warning; "": none
	}{
		{"learns", func(*Config, *toy) {}, ""},
		{"constant rate without warm-up", func(c *Config, _ *toy) { c.MaxSteps, c.Schedule = 1, Constant }, ""},
		{"a warm-up over the only step", func(c *Config, _ *toy) { c.MaxSteps, c.WarmupSteps = 1, 1 },
			"nothing was learned in 1 steps: the learning rate was 0"},
		{"a ratio over the only step", func(c *Config, _ *toy) { c.MaxSteps, c.WarmupRatio, c.WeightDecay = 1, 0.1, 0.1 },
			"the learning rate was 0"},
		{"a rate of 0", func(c *Config, _ *toy) { c.LearningRate = 0 }, "the learning rate was 0"},
		{"no targets", func(_ *Config, y *toy) { ignored(y) }, "no token or row had a target"},
		{"no targets, and weight decay", func(c *Config, y *toy) { ignored(y); c.WeightDecay = 0.1 },
			"no token or row had a target"},
		{"a flat input still trains the bias", func(_ *Config, y *toy) { flat(y) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := newToy(24, 0)
			cfg := Defaults()
			cfg.MaxSteps = 3
			var log bytes.Buffer
			cfg.Logger = zerolog.New(&log)
			c.set(&cfg, task)
			if _, err := Run(context.Background(), task, task.params(), cfg); err != nil {
				t.Fatal(err)
			}
			if got := log.String(); strings.Contains(got, "nothing was learned") != (c.want != "") ||
				!strings.Contains(got, c.want) {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}
