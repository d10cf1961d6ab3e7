package train

import "time"

// Plan is what is known before the first step.
type Plan struct {
	Steps         int   // optimiser steps of the whole run
	StepsPerEpoch int   // of the first epoch; with a token budget later ones may differ a little
	WarmupSteps   int   // with a rising learning rate
	Done          int   // steps done before the run was resumed
	Rows          int   // examples of the training set
	Tokens        int64 // tokens of one epoch
	Params        int64 // values that train
}

// StepInfo is what is known after a step.
type StepInfo struct {
	Step            int           // its number, from 1
	Steps           int           // of the whole run
	Epoch           float64       // epochs done
	Loss            float64       // mean per target of this step
	GradNorm        float64       // global norm before clipping
	LearningRate    float64       // that this step used
	Tokens          int           // of this step
	TokensPerSecond float64       // of this step
	StepsDone       int           // by this call of Run: without those before it was resumed
	Elapsed         time.Duration // since this call of Run began
}

// Evaluation is one evaluation of the eval split.
type Evaluation struct {
	Step    int     `json:"step"`
	Epoch   float64 `json:"epoch"`
	Metrics Metrics `json:"metrics"`
}

// StopReason says why a run ended.
type StopReason string

// The reasons.
const (
	Finished     StopReason = "finished"       // all steps are done
	EarlyStopped StopReason = "early stopping" // the metric did not improve for long enough
	Interrupted  StopReason = "interrupted"    // the context was cancelled
	Failed       StopReason = "failed"         // an error
)

// Report sums up a run, with what was done before it was resumed. It marshals to what results.json holds.
type Report struct {
	Steps           int          `json:"steps"`                 // done
	TotalSteps      int          `json:"total_steps"`           // planned
	Epochs          float64      `json:"epochs"`                // done
	TrainLoss       float64      `json:"train_loss"`            // mean of the losses of all steps; 0 before the first
	BestMetric      string       `json:"best_metric,omitempty"` // name of the metric that decided
	Best            *Evaluation  `json:"best,omitempty"`        // nil without evaluation
	Evaluations     []Evaluation `json:"evaluations,omitempty"`
	Stopped         StopReason   `json:"stopped"`
	Runtime         float64      `json:"train_runtime"` // seconds, with evaluation and saving
	Tokens          int64        `json:"train_tokens"`  // read in all steps
	TokensPerSecond float64      `json:"train_tokens_per_second"`
	PeakActivations int          `json:"peak_activation_bytes"` // most memory that the tape of one micro-batch held
}

func (r *run) report(reason StopReason) Report {
	s := &r.state
	_, peak := r.tape.Memory()
	rep := Report{
		Steps: s.Step, TotalSteps: r.plan.Steps, Epochs: s.Epochs, Stopped: reason,
		Runtime: r.elapsed().Seconds(), Tokens: s.Tokens, PeakActivations: peak,
	}
	if s.Step > 0 {
		rep.TrainLoss = s.LossSum / float64(s.Step)
	}
	if s.Seconds > 0 {
		rep.TokensPerSecond = float64(s.Tokens) / s.Seconds
	}
	for i, e := range s.Evaluations {
		rep.Evaluations = append(rep.Evaluations, e.evaluation())
		if s.Best != nil && e.Step == s.Best.Step {
			rep.Best, rep.BestMetric = &rep.Evaluations[i], s.Best.Metric
		}
	}
	if rep.Best != nil {
		best := *rep.Best // not a pointer into a slice that grows
		rep.Best = &best
	}
	return rep
}
