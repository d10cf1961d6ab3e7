package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
	"github.com/rs/zerolog"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
)

// Task turns one model and its data into something that a loop can train. [Run] calls it from one goroutine, but for the
// sets that it returns: their Batch is called ahead of time from another.
type Task interface {
	// Set returns the examples of a split, or a nil interface if there are none.
	Set(s batch.Split) batch.Set
	// Loss returns the loss of b summed over its targets (1×1, on p's tape) and the weight of what it sums over: the
	// number of targets, or the sum of their class weights. A batch without targets has loss 0 and weight 0.
	Loss(p *nn.Pass, b *batch.Batch) (sum mat.Tensor, targets float64, err error)
	// Evaluate scores a split with the parameters as they are. It returns soon, with an error, once ctx is done.
	Evaluate(ctx context.Context, s batch.Split) (Metrics, error)
}

// MetricNamer is a task that knows the names of its metrics before it has evaluated anything. A wrong
// Config.MetricForBestModel is then an error before the first step, otherwise only at the first evaluation.
type MetricNamer interface {
	MetricNames() []string
}

// Metric is one score.
type Metric struct {
	Name          string  // as in logs, without "eval_"
	Value         float64 // NaN: undefined, which is never better than a number
	LowerIsBetter bool    // a loss or an error; otherwise greater is better
	// Reason, if set, says why the metric is not defined for the data. Value is then NaN, or what convention puts in its place.
	Reason string
}

// Undefined reports whether the metric has no value, not even by convention.
func (m Metric) Undefined() bool { return math.IsNaN(m.Value) }

// LogReason logs what Reason means for the value, as a warning if there is none; nothing without a reason.
func (m Metric) LogReason(log zerolog.Logger) {
	switch {
	case m.Reason == "":
	case m.Undefined():
		log.Warn().Msgf("%s is undefined: %s", m.Name, m.Reason)
	default:
		log.Info().Msgf("%s is %.4f by convention: %s", m.Name, m.Value, m.Reason)
	}
}

// Metrics is the outcome of an evaluation. It marshals to a JSON object with a key for each value, in order; a value that is not
// finite (an undefined correlation, say) is null.
type Metrics struct {
	Main   string // name of the metric that decides which state is best, unless Config.MetricForBestModel names another
	Values []Metric
}

// Get returns the metric of that name.
func (m Metrics) Get(name string) (Metric, bool) {
	for _, v := range m.Values {
		if v.Name == name {
			return v, true
		}
	}
	return Metric{}, false
}

// names returns the names of all metrics in order.
func (m Metrics) names() []string {
	names := make([]string, len(m.Values))
	for i, v := range m.Values {
		names[i] = v.Name
	}
	return names
}

// MarshalJSON writes {"name": value, …}.
func (m Metrics) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, v := range m.Values {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(v.Name)
		if err != nil {
			return nil, err
		}
		value, err := number(v.Value).MarshalJSON()
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// number is a float64 that is null in JSON when it is not finite.
type number float64

// MarshalJSON writes all digits that tell the value from its neighbours.
func (n number) MarshalJSON() ([]byte, error) {
	if !finite(float64(n)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON writes; null is NaN.
func (n *number) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*n = number(math.NaN())
		return nil
	}
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("want a number: %w", err)
	}
	*n = number(f)
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
