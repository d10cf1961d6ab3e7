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
	if p != nil && p.CRF() && (c.LabelAllTokens || c.Smoothing != 0 || c.ClassWeights != nil) {
		errs = append(errs, errors.New("tokencls: the loss of a CRF has one label for each word, no smoothing and no class "+
			"weights"))
	}
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
// class weights. With a CRF it is the negative log-likelihood summed over the sequences of b, and the number of those
// that have a label.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	logits, rows := t.labelled(p, b)
	if t.crf != nil {
		sum, n := t.crf.Loss(p, logits, keptStarts(b.Seqs.Starts, rows), labelsOf(b, rows), t.forbidden)
		return sum, float64(n), nil
	}
	sum, targets := t.loss(p.Tape, logits, rows, b)
	return sum, targets, nil
}

func (t *Task) loss(tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch) (mat.Tensor, float64) {
	c := op.CrossEntropyConfig{ClassWeights: t.cfg.ClassWeights, Smoothing: t.cfg.Smoothing}
	return op.CrossEntropy(tape, logits, labelsOf(b, rows), c)
}

// labelsOf returns the labels of the rows of a batch with the given numbers; nil: of all.
func labelsOf(b *batch.Batch, rows []int) []int32 {
	if rows == nil {
		return b.Labels
	}
	labels := make([]int32, len(rows))
	for i, r := range rows {
		labels[i] = b.Labels[r]
	}
	return labels
}

// Evaluate scores what is predicted for the words of a split with the adapter of the configuration: entities as seqeval
// does (over all types together), or words one by one if the tags spell no entities. The loss is over the tokens that
// have a label or, with a CRF, the mean over whole sentences, each the chain of its words in all windows.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	found := make([]int32, set.scored())
	loss, targets := 0.0, 0.0
	k := t.outputs()
	var emissions []float32 // with a CRF, the logits of the words
	if t.crf != nil {
		emissions = make([]float32, len(found)*k)
	}
	err = t.forward(ctx, set, func(seqs []int, tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch) {
		x := op.Values(logits)
		if t.crf != nil {
			set.eachWord(seqs, rows, b, func(word, row int) { copy(emissions[word*k:(word+1)*k], x[row*k:]) })
			return
		}
		classes := tasks.ArgMax(x, k)
		set.eachWord(seqs, rows, b, func(word, row int) { found[word] = classes[row] })
		sum, n := t.loss(tape, logits, rows, b)
		loss += float64(op.Values(sum)[0])
		targets += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	if t.crf != nil {
		loss, targets = t.decode(set, emissions, found)
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
