package task

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/train"
)

// Scored are the metrics of the rows that one adapter served.
type Scored struct {
	Name     string // of the adapter, "" for the base model
	Labelled int    // rows with a label
	Count    int    // what the metrics that are means are means of: rows, words or tokens
	Metrics  train.Metrics
}

// Add adds the metrics of the rows that an adapter served, "" for the base model, of which labelled have a label. count
// is the number of what its metrics are means of: rows, words or tokens.
func (p *Predictions) Add(adapter string, metrics train.Metrics, labelled, count int) {
	if len(metrics.Values) > 0 {
		p.Each = append(p.Each, Scored{adapter, labelled, count, metrics})
	}
}

// Average makes the metrics of the file of those of its adapters. If one adapter served all rows with a label, they are
// its metrics. Otherwise they are those called means that all adapters have, over all rows.
func (p *Predictions) Average(means ...string) {
	for _, s := range p.Each {
		p.Labelled += s.Labelled
	}
	switch len(p.Each) {
	case 0:
	case 1:
		p.Metrics, p.Each = p.Each[0].Metrics, nil
	default:
		p.Metrics = overall(p.Each, means)
	}
}

// overall returns the means of all rows.
func overall(list []Scored, means []string) (m train.Metrics) {
	for _, name := range means {
		sum, n := 0.0, 0
		all := true
		var first train.Metric
		for i, s := range list {
			v, ok := s.Metrics.Get(name)
			if i == 0 {
				first = v
			}
			total := v.Value * float64(s.Count)
			if whole := math.Round(total); math.Abs(total-whole) < 1e-9*float64(s.Count) {
				total = whole // a number of right rows
			}
			all, sum, n = all && ok, sum+total, n+s.Count
		}
		if all {
			first.Value, first.Reason = sum/float64(n), ""
			m.Values = append(m.Values, first)
		}
	}
	if len(m.Values) > 0 {
		m.Main = m.Values[0].Name
	}
	return m
}

// LogMetrics logs the metrics of the file, after those of each adapter if there are several; what names what Labelled
// counts.
func (p *Predictions) LogMetrics(log zerolog.Logger, what string) {
	for _, s := range p.Each {
		log.Info().Msgf("%s, adapter %s, %d %s: %s", p.Name, nameOf(s.Name), s.Labelled, what, cli.MetricsText(s.Metrics))
	}
	if len(p.Metrics.Values) > 0 {
		log.Info().Msgf("%s, %d %s: %s", p.Name, p.Labelled, what, cli.MetricsText(p.Metrics))
	}
}

// MetricsJSON returns the metrics as JSON: an object with those of the file, and under adapters those of each adapter
// if several served rows with labels.
func (p *Predictions) MetricsJSON() ([]byte, error) {
	if len(p.Each) == 0 {
		return json.MarshalIndent(p.Metrics, "", "  ")
	}
	text, err := json.Marshal(p.Metrics)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(bytes.TrimSuffix(text, []byte("}")))
	if len(p.Metrics.Values) > 0 {
		b.WriteByte(',')
	}
	b.WriteString(`"adapters":{`)
	for i, s := range p.Each {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := AppendJSON(b, nameOf(s.Name)); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := AppendJSON(b, s.Metrics); err != nil {
			return nil, err
		}
	}
	b.WriteString("}}")
	return json.MarshalIndent(json.RawMessage(b.Bytes()), "", "  ")
}

// nameOf returns the name of an adapter in the metrics: that of the base model is none.
func nameOf(adapter string) string {
	if adapter == "" {
		return data.BaseName
	}
	return adapter
}
