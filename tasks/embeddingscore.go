package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/train"
)

// pairSet is a list of pairs of tokenised texts: the batch.Set of [Embedding].
type pairSet struct {
	texts  *textSet // pair i is texts 2i and 2i+1
	scores []float32
}

// Len returns the number of pairs.
func (s *pairSet) Len() int { return s.texts.Len() / 2 }

// Tokens returns the length of both texts of pair i.
func (s *pairSet) Tokens(i int) int { return s.texts.Tokens(2*i) + s.texts.Tokens(2*i+1) }

// Batch makes a batch of pairs: Seqs has a sequence for each text, Values a score for each pair. It never fails.
func (s *pairSet) Batch(ctx context.Context, examples []int, key op.Key) (*batch.Batch, error) {
	both := make([]int, 0, 2*len(examples))
	for _, r := range examples {
		both = append(both, 2*r, 2*r+1)
	}
	b, err := s.texts.Batch(ctx, both, key)
	if err != nil {
		return nil, err
	}
	if s.scores != nil {
		for _, r := range examples {
			b.Values = append(b.Values, s.scores[r])
		}
	}
	return b, nil
}

// checkPairs errs if a row of a table is a single text.
func checkPairs(table *text.File) error {
	for e := range table.Values() {
		if !e.HasPair {
			return &data.Error{File: table.Name, Line: e.Line, Msg: "the row is a single text; similarity is learned from pairs of texts (--text-column and --text-pair-column name them)"}
		}
	}
	return nil
}

// scores returns the scores of the pairs of a table, divided by the largest, or nil if no row has one.
func (t *Embedding) scores(table *text.File) ([]float32, error) {
	at := func(line int, format string, args ...any) error {
		return &data.Error{File: table.Name, Line: line, Msg: fmt.Sprintf(format, args...)}
	}
	if table.Labelled() == 0 {
		return nil, nil
	}
	scores, err := table.Targets()
	if err != nil {
		return nil, fmt.Errorf("%w; the label of a pair is its score", err)
	}
	for i, v := range scores {
		line := table.At(i).Line
		switch top := float32(t.cfg.MaxScore); {
		case v != v:
			return nil, at(line, "the pair has no score, but others have: either all have one or none has")
		case v > top:
			return nil, at(line, "the score %g is above %g, that of texts that mean the same; say with --max-score what the largest is (5 for STS-B)", v, top)
		case v < -top:
			return nil, at(line, "the score %g is below %g, the opposite of that of texts that mean the same", v, -top)
		}
		scores[i] = float32(float64(v) / t.cfg.MaxScore)
	}
	return scores, nil
}

// rankedAtOnce is how many pairs without scores are compared with each other when they are evaluated.
const rankedAtOnce = 1000

// MetricNames lists the metrics of Evaluate, the deciding one first. They depend on whether the pairs to evaluate on have scores.
func (t *Embedding) MetricNames() []string {
	if set, ok := t.sets[batch.Eval]; ok && set.scores == nil {
		return []string{"accuracy", "loss"}
	}
	return []string{"spearman", "pearson", "loss"}
}

// Evaluate scores a split with the adapter of the configuration. With scores these are the correlations of the cosines with them and the
// mean squared error. Without, accuracy is the part of the pairs in which the first text is nearer to its own second text than to every other,
// among 1,000 pairs at a time in their order, and the loss is that of multiple negatives over the same pairs.
func (t *Embedding) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, ok := t.sets[s]
	if !ok {
		return train.Metrics{}, fmt.Errorf("tasks: there are no %v examples to evaluate", s)
	}
	vectors, err := t.embed(ctx, set.texts)
	if err != nil {
		return train.Metrics{}, err
	}
	if set.scores == nil {
		return t.rank(vectors)
	}
	m, err := correlations(set.scores, Cosines(vectors, t.model.Width()))
	if err != nil {
		return m, fmt.Errorf("tasks: %v: %w", s, err)
	}
	return m, nil
}

// Score returns the metrics of Evaluate for the cosines of a table of pairs with scores, those of [Cosines]. Without scores the result is
// the zero Metrics.
func (t *Embedding) Score(table *text.File, cosines []float32) (train.Metrics, error) {
	scores, err := t.scores(table)
	if err != nil || scores == nil {
		return train.Metrics{}, err
	}
	m, err := correlations(scores, cosines)
	if err != nil {
		return m, fmt.Errorf("tasks: %s: %w", table.Name, err)
	}
	return m, nil
}

func correlations(scores, cosines []float32) (train.Metrics, error) {
	s, err := metrics.Regression(scores, cosines)
	if err != nil {
		return train.Metrics{}, err
	}
	return train.Metrics{Main: "spearman", Values: []train.Metric{
		metric("spearman", s.Spearman, false), metric("pearson", s.Pearson, false), metric("loss", s.MSE, true),
	}}, nil
}

// rank evaluates pairs without scores from their vectors, 2n×Width.
func (t *Embedding) rank(vectors []float32) (train.Metrics, error) {
	k := t.model.Width()
	n := len(vectors) / k / 2
	tape := op.NewEvalTape(t.cfg.Pool)
	right, loss := 0, 0.0
	for lo := 0; lo < n; lo += rankedAtOnce {
		part := vectors[2*lo*k : 2*min(lo+rankedAtOnce, n)*k]
		x := op.NormalizeRows(tape, mat.NewDense[float32](mat.WithShape(len(part)/k, k), mat.WithBacking(part)))
		sum, _ := ranking(tape, x, t.cfg.Scale)
		loss += float64(op.Values(sum)[0])
		scores := op.Values(op.PairScores(tape, x, 1))
		right += diagonal(scores, len(part)/k/2)
		tape.Reset()
	}
	m := train.Metrics{Main: "accuracy", Values: []train.Metric{
		{Name: "accuracy", Value: float64(right) / float64(n)}, {Name: "loss", Value: loss / float64(n), LowerIsBetter: true},
	}}
	return m, tape.Close()
}

// diagonal returns in how many rows of n×n the value on the diagonal exceeds all others. Equal ones do not count: if all vectors are the
// same, nothing is found.
func diagonal(scores []float32, n int) int {
	right := 0
	for i := range n {
		best := true
		for j, v := range scores[i*n : (i+1)*n] {
			best = best && (j == i || v < scores[i*n+i])
		}
		if best {
			right++
		}
	}
	return right
}

// Cosines returns the cosine of each pair of vectors (2n×width), n values. That of a vector without direction is 0.
func Cosines(vectors []float32, width int) []float32 {
	out := make([]float32, len(vectors)/width/2)
	for i := range out {
		u, v := vectors[2*i*width:(2*i+1)*width], vectors[(2*i+1)*width:(2*i+2)*width]
		var uv, uu, vv float64
		for j := range u {
			x, y := float64(u[j]), float64(v[j])
			uv += float64(x * y)
			uu += float64(x * x)
			vv += float64(y * y)
		}
		if norm := math.Sqrt(uu) * math.Sqrt(vv); norm > 0 {
			out[i] = float32(uv / norm)
		}
	}
	return out
}

// Normalize divides each vector (n×width) by its Euclidean norm, in place. One without direction stays as it is. It is an error if a value
// is not finite.
func Normalize(vectors []float32, width int) error {
	for lo := 0; lo < len(vectors); lo += width {
		row := vectors[lo : lo+width]
		sum := 0.0
		for _, x := range row {
			sum += float64(float64(x) * float64(x))
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return errors.New("tasks: a vector is not finite: the model or the adapter is damaged")
		}
		if norm := math.Sqrt(sum); norm > 0 {
			for j, x := range row {
				row[j] = float32(float64(x) / norm)
			}
		}
	}
	return nil
}
