package train

import (
	"fmt"
	"math"
)

// Schedule is the course of the learning rate in a run. All schedules begin with a linear warm-up from 0.
type Schedule string

// The schedules, with transformers' names for lr_scheduler_type. Their formulas are those of get_linear_, get_cosine_
// and get_constant_schedule_with_warmup of transformers (optimization.py); Constant without warm-up is its plain
// constant.
const (
	Linear   Schedule = "linear"   // from the peak to 0 at the last step
	Cosine   Schedule = "cosine"   // half a cosine wave from the peak to 0
	Constant Schedule = "constant" // the peak for the rest of the run
)

// Valid reports whether s is one of the schedules.
func (s Schedule) Valid() bool { return s == Linear || s == Cosine || s == Constant }

// Factor returns the factor of the peak learning rate in the step after done finished steps, in a run of total steps
// with warmup warm-up steps:
//
//	warm-up:   done / warmup                                     for done < warmup
//	linear:    max(0, (total − done) / (total − warmup))
//	cosine:    max(0, (1 + cos(π·(done − warmup) / (total − warmup))) / 2)
//	constant:  1
//
// If the warm-up is longer than the run, the learning rate never reaches the peak. Factor panics if s is not one of the
// schedules.
func (s Schedule) Factor(done, warmup, total int) float64 {
	if done < warmup {
		return float64(done) / float64(max(1, warmup))
	}
	rest := float64(max(1, total-warmup))
	switch s {
	case Linear:
		return max(0, float64(total-done)/rest)
	case Cosine:
		progress := float64(done-warmup) / rest
		return max(0, 0.5*(1+math.Cos(math.Pi*0.5*2*progress)))
	case Constant:
		return 1
	}
	panic(fmt.Sprintf("train: unknown schedule %q", s))
}

// warmupSteps returns the number of warm-up steps in a run of total steps.
func (c Config) warmupSteps(total int) int {
	if c.WarmupRatio > 0 {
		return int(math.Ceil(float64(total) * c.WarmupRatio))
	}
	return c.WarmupSteps
}
