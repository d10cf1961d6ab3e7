package embed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Loss is the loss of an encoder on pairs of texts.
type Loss uint8

// The losses, with the names that sentence-transformers gives them. u and v are the vectors of a pair.
const (
	// Cosine is (cos(u, v) − score)² for pairs with a score: CosineSimilarityLoss.
	Cosine Loss = iota
	// MultipleNegatives is the cross-entropy of scale·cos(uᵢ, vⱼ) over all j of the batch with the label i, for pairs
	// of texts that belong together: MultipleNegativesRankingLoss. The second texts of a batch are wrong for all first
	// texts but their own, so the loss depends on what is in a batch: with gradient accumulation, on its size before
	// accumulation.
	MultipleNegatives
)

// String returns cosine or multiple_negatives.
func (l Loss) String() string {
	if l == MultipleNegatives {
		return "multiple_negatives"
	}
	return "cosine"
}

// ParseLoss reads "cosine" or "multiple_negatives".
func ParseLoss(s string) (Loss, error) {
	for _, l := range []Loss{Cosine, MultipleNegatives} {
		if s == l.String() {
			return l, nil
		}
	}
	return 0, fmt.Errorf("the loss is %q; want cosine or multiple_negatives", s)
}

// defaultScale is the factor of the cosines in MultipleNegatives that sentence-transformers has.
const defaultScale = 20

// TaskConfig holds the settings by which texts become vectors, and pairs of vectors a loss. The zero value is usable.
type TaskConfig struct {
	Config
	Loss          Loss
	Scale         float32 // of the cosines in MultipleNegatives; 0: 20
	PromptedTrain bool    // the prompt is before the texts to train on as well
}

// Task is the training of a sentence encoder. An example is a pair of texts, sequences 2i and 2i+1 of a batch, with or
// without a score. It implements [train.Task]. Once it has its examples it is not changed and is safe for concurrent
// use.
type Task struct {
	*Predictor
	tasks.Splits[*pairSet]
	cfg TaskConfig
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewTask(m models.Encoder, tok *tokenize.Tokenizer, c TaskConfig) (*Task, error) {
	p, err := NewPredictor(m, tok, c.Config)
	if !(c.Scale >= 0) || math.IsInf(float64(c.Scale), 0) {
		err = errors.Join(err, fmt.Errorf("`similarity_scale` is %g; want more than 0", c.Scale))
	}
	if err != nil {
		return nil, err
	}
	c.Scale = cmp.Or(c.Scale, defaultScale)
	return &Task{p, tasks.Splits[*pairSet]{}, c}, nil
}

// Add tokenises a file of pairs and makes it a split of the task. Either all rows of a file have a score or none has;
// with the loss Cosine those to train on have one, with MultipleNegatives theirs are not read. It must not be called
// while the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, f *text.File) error {
	if err := checkPairs(f); err != nil {
		return err
	}
	set := &pairSet{}
	var err error
	if s != batch.Train || t.cfg.Loss == Cosine {
		if set.scores, err = t.scores(f); err != nil {
			return err
		}
	}
	if s == batch.Train && t.cfg.Loss == Cosine && set.scores == nil {
		return data.Errorf(f.Name, 0,
			"the pairs have no scores, which the loss cosine needs; "+
				"for pairs of texts that belong together use the loss multiple_negatives")
	}
	if set.texts, err = t.encode(ctx, f, s != batch.Train || t.cfg.PromptedTrain); err != nil {
		return err
	}
	t.Splits[s] = set
	return nil
}

// checkPairs returns an error if a row of a file is a single text.
func checkPairs(f *text.File) error {
	for e := range f.Values() {
		if !e.HasPair {
			return data.Errorf(f.Name, e.Line, "the row is a single text; similarity is learned from pairs of texts "+
				"(`text_column` and `text_pair_column` name them)")
		}
	}
	return nil
}

// Loss returns the summed loss of the pairs of b and their number.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	skip := 0
	if t.cfg.PromptedTrain {
		skip = t.skip
	}
	if t.cfg.Loss == Cosine && b.Values == nil {
		return nil, 0, errors.New("embed: the pairs have no scores, which the loss cosine needs")
	}
	x := op.NormalizeRows(p.Tape, t.pooled(p, b, skip))
	if t.cfg.Loss == Cosine {
		return op.MSE(p.Tape, op.PairDots(p.Tape, x), b.Values), float64(len(b.Values)), nil
	}
	sum, targets := ranking(p.Tape, x, t.cfg.Scale)
	return sum, targets, nil
}

// ranking returns the summed loss of multiple negatives over normalised rows, and the number of pairs.
func ranking(tape *op.Tape, x mat.Tensor, scale float32) (mat.Tensor, float64) {
	scores := op.PairScores(tape, x, scale)
	n, _ := op.Size(scores)
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(i)
	}
	return op.CrossEntropy(tape, scores, labels, op.CrossEntropyConfig{})
}

// rankedAtOnce is how many pairs without scores are compared with each other when they are evaluated.
const rankedAtOnce = 1000

// MetricNames lists the metrics of Evaluate, the deciding one first. They depend on whether the pairs to evaluate on
// have scores.
func (t *Task) MetricNames() []string {
	if set, ok := t.Splits[batch.Eval]; ok && set.scores == nil {
		return []string{"accuracy", "loss"}
	}
	return []string{"spearman", "pearson", "loss"}
}

// Evaluate scores a split with the adapter of the configuration. With scores the metrics are the correlations of the
// similarities with them and the mean squared error of the cosines. Without, accuracy is the share of the pairs in
// which the first text is nearer to its own second text, by the cosine, than to every other, among 1,000 pairs at a
// time in their order, and the loss is that of multiple negatives over the same pairs.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	vectors, err := t.pool(ctx, set.texts)
	if err != nil {
		return train.Metrics{}, err
	}
	if set.scores == nil || t.cosine() { // the length of a vector does not matter
		vectors = t.truncate(vectors)
	} else if vectors, err = t.finish(vectors); err != nil {
		return train.Metrics{}, err
	}
	if set.scores == nil {
		return t.rank(vectors)
	}
	m, err := t.correlations(set.scores, t.Similarities(vectors), Cosines(vectors, t.Width()))
	if err != nil {
		return m, fmt.Errorf("embed: %v: %w", s, err)
	}
	return m, nil
}

// rank evaluates pairs without scores by their vectors, 2n×Width.
func (t *Task) rank(vectors []float32) (train.Metrics, error) {
	k := t.Width()
	n := len(vectors) / k / 2
	right, loss := 0, 0.0
	err := t.Tapes.Use(func(tape *op.Tape) error {
		for lo := 0; lo < n; lo += rankedAtOnce {
			part := vectors[2*lo*k : 2*min(lo+rankedAtOnce, n)*k]
			x := op.NormalizeRows(tape, mat.NewDense[float32](mat.WithShape(len(part)/k, k), mat.WithBacking(part)))
			sum, _ := ranking(tape, x, t.cfg.Scale)
			loss += float64(op.Values(sum)[0])
			scores := op.Values(op.PairScores(tape, x, 1))
			right += diagonal(scores, len(part)/k/2)
			tape.Reset()
		}
		return nil
	})
	return train.Metrics{Main: "accuracy", Values: []train.Metric{
		{Name: "accuracy", Value: float64(right) / float64(n)}, {Name: "loss", Value: loss / float64(n), LowerIsBetter: true},
	}}, err
}

// diagonal returns in how many rows of n×n the value on the diagonal exceeds all others. Equal values do not count,
// so the result is 0 if all vectors are the same.
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

var _ train.Task = (*Task)(nil)
