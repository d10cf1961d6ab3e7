package predict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/tasks"
)

// threshold is the probability above which a row has a class of several.
const threshold = 0.5

// row is what is written for one text.
type row struct {
	Label  any       `json:"label"` // a name; a list of names (multi-label); null (regression)
	Score  any       `json:"score"` // the probability of the label; a list of them; the value
	Logits []float32 `json:"logits,omitempty"`
	Scores *scores   `json:"scores,omitempty"`
}

// scores are the probabilities of all classes.
type scores struct {
	names  []string
	values []float32
}

// MarshalJSON writes {"name": probability, …} in the order of the classes.
func (s scores) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range s.names {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := appendJSON(&b, name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := appendJSON(&b, s.values[i]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// eachLine writes n lines of JSON; noun is what one of them stands for, for messages.
func eachLine(w io.Writer, noun string, n int, row func(i int) any) error {
	var b bytes.Buffer
	for i := range n {
		b.Reset()
		if err := appendJSON(&b, row(i)); err != nil {
			return fmt.Errorf("%s %d: %w", noun, i+1, err)
		}
		b.WriteByte('\n')
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// appendJSON writes v without the escapes that only HTML needs.
func appendJSON(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line feed
	return nil
}

// rowOf returns the row of one text from its logits.
func (r *seqClsRun) rowOf(l *data.Labels, logits []float32) row {
	var out row
	p := tasks.Probabilities(l.Problem, logits, len(logits))
	switch l.Problem {
	case data.SingleLabel:
		best := tasks.ArgMax(logits, len(logits))[0]
		out.Label, out.Score = l.Names[best], p[best]
	case data.MultiLabel:
		names, values := []string{}, []float32{}
		for i, v := range p {
			if v > threshold {
				names, values = append(names, l.Names[i]), append(values, v)
			}
		}
		out.Label, out.Score = names, values
	case data.Regression:
		out.Score = logits[0]
	}
	if r.logits {
		out.Logits = logits
	}
	if r.allScores {
		out.Scores = &scores{l.Names, p}
	}
	return out
}

// checkFinite errs if a logit is no number, and names its row. k are the logits of a row.
func checkFinite(t *text.File, logits []float32, k int) error {
	for i := 0; i < len(logits); i += k {
		if err := finite(t.Name, t.At(i/k).Line, logits[i:i+k]); err != nil {
			return err
		}
	}
	return nil
}

// finite errs if one of the logits of the row at that line of a file is no number.
func finite(file string, line int, logits []float32) error {
	for i, v := range logits {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%s:%d: logit %d is %v; the weights of the model or the adapter are damaged", file, line, i, f)
		}
	}
	return nil
}
