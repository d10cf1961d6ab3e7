package train

import "fmt"

// learning says at the end of a call of Run whether its steps can have taught the parameters anything.
type learning struct {
	rate    float64 // highest learning rate of a step
	norm    float64 // highest gradient norm of a step
	targets float64 // of all steps
}

func (l *learning) step(i StepInfo, targets float64) {
	l.rate, l.norm, l.targets = max(l.rate, i.LearningRate), max(l.norm, i.GradNorm), l.targets+targets
}

// nothing returns why the given number of steps taught the parameters nothing and what to do, or "". Weight decay alone
// is not learning.
func (l *learning) nothing(steps int) string {
	why := ""
	switch {
	case steps == 0:
		return ""
	case l.rate == 0:
		why = "the learning rate was 0 in every step; set `learning_rate` above 0 and the warm-up shorter than the run"
	case l.targets == 0:
		why = "no token or row had a target; check the labels"
	case l.norm == 0:
		why = "every gradient was 0; check the labels and the layers that are trained"
	default:
		return ""
	}
	return fmt.Sprintf("nothing was learned in %d steps: %s", steps, why)
}
