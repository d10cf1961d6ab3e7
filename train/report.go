package train

import "time"

// Plan describes a run before its first step.
type Plan struct {
	Steps         int   // optimiser steps of the whole run
	StepsPerEpoch int   // of the first epoch; with TokensPerBatch later epochs may differ a little
	WarmupSteps   int   // steps with a rising learning rate
	Done          int   // steps done before the run was resumed
	Rows          int   // examples of the training set
	Tokens        int64 // tokens of one epoch
	Params        int64 // trainable values
}

// StepInfo describes a finished step.
type StepInfo struct {
	Step            int           // number of the step, from 1
	Steps           int           // number of steps of the whole run
	Epoch           float64       // epochs done
	Loss            float64       // mean per target of this step
	GradNorm        float64       // global norm before clipping
	LearningRate    float64       // of this step
	Tokens          int           // of this step
	TokensPerSecond float64       // of this step
	StepsDone       int           // by this call of Run, without those before the run was resumed
	Elapsed         time.Duration // since this call of Run began
}

// Evaluation is one evaluation of the eval split.
type Evaluation struct {
	Step    int     `json:"step"`  // steps done
	Epoch   float64 `json:"epoch"` // epochs done
	Metrics Metrics `json:"metrics"`
}

// StopReason is the reason why a run ended.
type StopReason string

// The reasons.
const (
	Finished     StopReason = "finished"       // all steps are done
	EarlyStopped StopReason = "early stopping" // EarlyStoppingPatience evaluations without improvement
	Interrupted  StopReason = "interrupted"    // the context was cancelled
	Failed       StopReason = "failed"         // an error
)

// Report summarises a run, including the part before it was resumed. It marshals to the content of results.json.
type Report struct {
	Steps           int          `json:"steps"`                 // done
	TotalSteps      int          `json:"total_steps"`           // planned
	Epochs          float64      `json:"epochs"`                // done
	TrainLoss       float64      `json:"train_loss"`            // mean of the losses of all steps; 0 before the first
	BestMetric      string       `json:"best_metric,omitempty"` // name of the metric that determined the best state
	Best            *Evaluation  `json:"best,omitempty"`        // nil without evaluation
	Evaluations     []Evaluation `json:"evaluations,omitempty"`
	Stopped         StopReason   `json:"stopped"`
	Runtime         float64      `json:"train_runtime"` // seconds, including evaluation and saving
	Tokens          int64        `json:"train_tokens"`  // of all steps
	TokensPerSecond float64      `json:"train_tokens_per_second"`
	PeakActivations int          `json:"peak_activation_bytes"` // largest size of the tape of a micro-batch
	Optimizer       Optimizer    `json:"optimizer,omitempty"`   // "" for AdamW
	LoRAPlusRatio   float64      `json:"loraplus_lr_ratio,omitempty"`
	ComputeDtype    string       `json:"compute_dtype,omitempty"` // "" for Float32
}

// Types in which frozen weights are multiplied (see [op.Pool]).
const (
	Float32 = "float32"
	BF16    = "bf16"
)

func (r *run) report(reason StopReason) Report {
	s := &r.state
	_, peak := r.tape.Memory()
	rep := Report{
		Steps: s.Step, TotalSteps: r.plan.Steps, Epochs: s.Epochs, Stopped: reason,
		Runtime: r.elapsed().Seconds(), Tokens: s.Tokens, PeakActivations: peak,
	}
	if r.cfg.Optimizer != AdamW {
		rep.Optimizer = r.cfg.Optimizer
	}
	rep.LoRAPlusRatio = r.cfg.LoRAPlusRatio
	if r.cfg.Pool.BF16() {
		rep.ComputeDtype = BF16
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
