package tokencls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// TaskConfig holds the settings by which sentences become logits, and logits a loss.
type TaskConfig struct {
	Config
	// LabelAllTokens gives a label to all tokens of a word; after the first one I-X where the word's is B-X. Without it
	// only the first token of a word has one. The prediction for a word is that for its first token, either way.
	LabelAllTokens bool
	Smoothing      float32   // label_smoothing_factor
	ClassWeights   []float32 // one for each label, or nil
	// OnScores, if set, is called with all scores of an evaluation, before Evaluate returns.
	OnScores func(batch.Split, *Scores)
}

// Task is the training of a token classifier. It implements [train.Task]. Once it has its examples it is not changed
// and is safe for concurrent use.
type Task struct {
	*Predictor
	tasks.Splits[*set]
	cfg    TaskConfig
	inside []int32 // for each label the one of the tokens of a word after the first
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewTask(m models.TokenClassifier, tok *tokenize.Tokenizer, c TaskConfig) (*Task, error) {
	p, err := NewPredictor(m, tok, c.Config)
	errs := append([]error{err}, tasks.CheckLoss(c.Smoothing, c.ClassWeights, len(c.Labels.Names))...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*set]{}, c, insideLabels(c.Labels.Names)}, nil
}

// insideLabels returns for each tag B-X the number of I-X, if there is one, and for every other tag its own.
func insideLabels(names []string) []int32 {
	index := make(map[string]int32, len(names))
	for i, name := range names {
		index[name] = int32(i)
	}
	out := make([]int32, len(names))
	for i, name := range names {
		out[i] = int32(i)
		if kind, ok := strings.CutPrefix(name, "B"); ok && (kind == "" || kind[0] == '-') {
			if j, ok := index["I"+kind]; ok {
				out[i] = j
			}
		}
	}
	return out
}

// Add tokenises a file and makes it a split of the task. It must not be called while the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, f *tagged.File) error {
	set, err := t.newSet(ctx, f)
	if err == nil {
		t.Splits[s] = set
	}
	return err
}

// Counts returns the counts of the sentences of a split.
func (t *Task) Counts(s batch.Split) Counts { return cmp.Or(t.Splits[s], &set{}).counts }

// Loss returns the cross-entropy summed over the tokens of b that have a label, and their number, or the sum of their
// class weights.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	logits, rows := t.labelled(p, b)
	sum, targets := t.loss(p.Tape, logits, rows, b)
	return sum, targets, nil
}

func (t *Task) loss(tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch) (mat.Tensor, float64) {
	labels := b.Labels
	if rows != nil {
		labels = make([]int32, len(rows))
		for i, r := range rows {
			labels[i] = b.Labels[r]
		}
	}
	c := op.CrossEntropyConfig{ClassWeights: t.cfg.ClassWeights, Smoothing: t.cfg.Smoothing}
	return op.CrossEntropy(tape, logits, labels, c)
}

// Evaluate scores what is predicted for the words of a split with the adapter of the configuration: entities as seqeval
// does (over all types together), or words one by one if the tags spell no entities. The loss is over the tokens that
// have a label.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	found := make([]int32, set.scored())
	loss, targets := 0.0, 0.0
	err = t.forward(ctx, set, func(seqs []int, tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch) {
		set.predicted(found, seqs, tasks.ArgMax(op.Values(logits), t.Net.Labels()), rows, b)
		sum, n := t.loss(tape, logits, rows, b)
		loss += float64(op.Values(sum)[0])
		targets += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	scores, err := t.scores(set.wanted(), found, set.ends)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("tokencls: %v: %w", s, err)
	}
	if targets > 0 { // all class weights may be 0
		scores.Loss = loss / targets
	}
	if t.cfg.OnScores != nil {
		t.cfg.OnScores(s, scores)
	}
	return scores.Metrics(), nil
}

var _ interface {
	train.Task
	train.MetricNamer
} = (*Task)(nil)
