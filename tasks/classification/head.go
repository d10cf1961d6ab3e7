package classification

import (
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tasks"
)

// threshold is the probability above which a row has a class of several.
const threshold = 0.5

// Head says what the logits of a classifier mean.
type Head struct {
	Labels *data.Labels
	// Single lists the metrics of single-label classification, the deciding one first: accuracy, macro_f1, matthews or
	// top_5_accuracy, which is left out for 5 classes or fewer.
	Single []string
}

// Outputs returns the number of logits of a row.
func (h Head) Outputs() int { return max(1, len(h.Labels.Names)) }

// Class is what is predicted for one row.
type Class struct {
	// Label is the most probable class; "" for a regression and for several labels.
	Label string
	// Score is the probability of Label; of a regression the predicted value.
	Score float32
	// Labels are the classes with a probability above 0.5, for several labels.
	Labels []string
	// Scores has the probability of each class in the order of the predictor's labels; of a regression the value.
	Scores []float32
	// Logits has the raw output for each class.
	Logits []float32
}

// Class returns what the logits of one row say.
func (h Head) Class(logits []float32) Class {
	l := h.Labels
	c := Class{Logits: logits, Scores: tasks.Probabilities(l.Problem, logits, len(logits))}
	switch l.Problem {
	case data.SingleLabel:
		best := tasks.Largest(logits)
		c.Label, c.Score = l.Names[best], c.Scores[best]
	case data.MultiLabel:
		c.Labels = []string{}
		for i, v := range c.Scores {
			if v > threshold {
				c.Labels = append(c.Labels, l.Names[i])
			}
		}
	case data.Regression:
		c.Score = logits[0]
	}
	return c
}
