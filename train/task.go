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

// Task connects a model and its data with the training loop. [Run] calls its methods from one goroutine, and the Batch
// method of the training set from another one.
type Task interface {
	// Set returns the examples of a split, or a nil interface if there are none.
	Set(s batch.Split) batch.Set
	// Loss returns the loss of b summed over its targets (1×1, on p's tape) and the number of targets, or the sum of
	// their class weights. A batch without targets has loss 0 and 0 targets.
	Loss(p *nn.Pass, b *batch.Batch) (sum mat.Tensor, targets float64, err error)
	// Evaluate returns the metrics of a split with the current values of the parameters. After ctx is done, it soon
	// returns an error.
	Evaluate(ctx context.Context, s batch.Split) (Metrics, error)
}

// MetricNamer is a task that knows the names of its metrics before the first evaluation. Run then checks
// Config.MetricForBestModel before the first step, otherwise only at the first evaluation.
type MetricNamer interface {
	MetricNames() []string
}

// Metric is one score.
type Metric struct {
	Name          string  // without "eval_"
	Value         float64 // NaN: undefined, which is never better than a number
	LowerIsBetter bool    // as for a loss or an error; otherwise greater is better
	// Reason, unless empty, is the reason why the metric is undefined for the data. Value is then NaN or a conventional
	// value.
	Reason string
}

// Undefined reports whether the metric has neither a value nor a conventional one.
func (m Metric) Undefined() bool { return math.IsNaN(m.Value) }

// LogReason logs Reason: as a warning if the metric has no value, as information if it has a conventional one. It logs
// nothing if Reason is empty.
func (m Metric) LogReason(log zerolog.Logger) {
	switch {
	case m.Reason == "":
	case m.Undefined():
		log.Warn().Msgf("%s is undefined: %s", m.Name, m.Reason)
	default:
		log.Info().Msgf("%s is %.4f by convention: %s", m.Name, m.Value, m.Reason)
	}
}

// Metrics holds the metrics of an evaluation.
type Metrics struct {
	Main   string // name of the metric that determines the best state, unless Config.MetricForBestModel names another
	Values []Metric
}

// Get returns the metric with the given name. ok is false if there is none.
func (m Metrics) Get(name string) (metric Metric, ok bool) {
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

// MarshalJSON returns a JSON object with a key for each metric, in order. A value that is not finite, such as that of
// an undefined metric, is null.
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

// number is a float64 that is null in JSON if it is not finite.
type number float64

// MarshalJSON returns the shortest text that UnmarshalJSON reads as the same value, or null.
func (n number) MarshalJSON() ([]byte, error) {
	if !finite(float64(n)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON sets n from a JSON number, or to NaN from null.
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
