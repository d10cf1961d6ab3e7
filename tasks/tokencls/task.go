package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// outside is the tag of a word that is in no entity.
const outside = "O"

// TokenClsConfig says how sentences become logits and logits a loss. The zero value of each field but Labels and Scheme is usable.
type TokenClsConfig struct {
	Labels *data.Labels // of the problem data.TokenTags
	// Scheme is how the labels spell entities. With tagged.Plain, words are scored one by one.
	Scheme tagged.Scheme
	// Strict counts only entities that are spelled by the rules of the scheme, as seqeval does in its strict mode. Of BILOU, whose letters seqeval's
	// default mode does not know, all scores are strict.
	Strict    bool
	MaxLength int // tokens of a sequence, special tokens included; 0: what model and tokenizer allow
	// Stride is how many tokens neighbouring windows of a sentence that is longer share, at most half a window. Each word is learned and predicted in the
	// window that shows most of what stands around it. Below 0 such a sentence is cut.
	Stride int
	// LabelAllTokens gives a label to all tokens of a word; after the first one I-X where the word's is B-X. Without it only the first
	// token of a word has one. What is predicted for a word is what is predicted for its first token, either way.
	LabelAllTokens bool
	Smoothing      float32   // label_smoothing_factor
	ClassWeights   []float32 // one for each label, or nil
	EvalTokens     int       // tokens of an evaluation batch; 0: 4096
	Pool           *op.Pool
	Adapter        nn.AdapterSet // in use when evaluating and predicting; nil: the base model
	// OnScores, if set, is called with all scores of an evaluation, before Evaluate returns.
	OnScores func(batch.Split, *TokenScores)
}

// TokenCls is token classification: named entities, parts of speech. It implements [train.Task]. Once made and given its
// examples it is not changed and is safe for concurrent use.
type TokenCls struct {
	model  models.TokenClassifier
	tok    *tokenize.Tokenizer
	cfg    TokenClsConfig
	sets   map[batch.Split]*tokenSet
	length int
	types  bool    // the model tells token types apart
	inside []int32 // for each label the one of the tokens of a word after the first
}

// NewTokenCls returns a task without examples; Add gives it some. Settings that contradict each other, the model or the
// tokenizer are reported in one error. Words are tokenised as after [tokenize.Tokenizer.WithPrefixSpace].
func NewTokenCls(m models.TokenClassifier, tok *tokenize.Tokenizer, c TokenClsConfig) (*TokenCls, error) {
	errs := checkText(m, tok, c.MaxLength)
	k := len(c.Labels.Names)
	if m.Labels() != k {
		errs = append(errs, fmt.Errorf("the model's head has %d outputs for %d labels", m.Labels(), k))
	}
	errs = append(errs, checkLoss(c.Smoothing, c.ClassWeights, k)...)
	if c.Strict && c.Scheme == tagged.Plain {
		errs = append(errs, errors.New("strict scoring is of entities, but the tags spell none"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("tasks: %w", errors.Join(errs...))
	}
	t := &TokenCls{model: m, tok: tok.WithPrefixSpace(), cfg: c, sets: map[batch.Split]*tokenSet{}, types: m.TokenTypes() > 1}
	t.length = textLimit(m, tok, c.MaxLength)
	if c.EvalTokens == 0 {
		t.cfg.EvalTokens = 4096
	}
	t.inside = insideLabels(c.Labels.Names)
	return t, nil
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

// Add tokenises a table and makes it one of the task's splits. It must not be called while the task is in use.
func (t *TokenCls) Add(ctx context.Context, s batch.Split, table *tagged.File) error {
	set, err := t.set(ctx, table)
	if err == nil {
		t.sets[s] = set
	}
	return err
}

// Counts says what became of the sentences of a split.
func (t *TokenCls) Counts(s batch.Split) TokenCounts {
	if set, ok := t.sets[s]; ok {
		return set.counts
	}
	return TokenCounts{}
}

// Limit returns how many tokens a sequence may have.
func (t *TokenCls) Limit() int { return t.length }

// Set returns the sequences of a split, or nil.
func (t *TokenCls) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

// Loss returns the cross-entropy summed over the tokens of b that have a label, and their number, or the sum of their class weights.
func (t *TokenCls) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	logits, rows := t.labelled(p, b)
	sum, targets := t.loss(p.Tape, logits, rows, b)
	return sum, targets, nil
}

// labelled returns the logits of the rows from the first one with a label to the last one of each sequence, and which these are; nil: all. The others
// only serve as keys and values in the last block: the result is the same.
func (t *TokenCls) labelled(p *nn.Pass, b *batch.Batch) (logits mat.Tensor, rows []int) {
	q := *p
	if k := nn.RowsFrom(b.Seqs, b.Labels); k != nil && len(k.Rows) > 0 {
		q.Keep, rows = k, k.Rows
	}
	return t.model.Logits(&q, b), rows
}

func (t *TokenCls) loss(tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch) (mat.Tensor, float64) {
	labels := b.Labels
	if rows != nil {
		labels = make([]int32, len(rows))
		for i, r := range rows {
			labels[i] = b.Labels[r]
		}
	}
	return op.CrossEntropy(tape, logits, labels, op.CrossEntropyConfig{ClassWeights: t.cfg.ClassWeights, Smoothing: t.cfg.Smoothing})
}

// forward runs the model over a set without recording. rows are those of the batch that logits has, nil: all.
func (t *TokenCls) forward(ctx context.Context, set batch.Set, f func(seqs []int, tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch)) error {
	tape := op.NewEvalTape(t.cfg.Pool)
	err := eachBatch(ctx, set, t.cfg.EvalTokens, func(seqs []int, b *batch.Batch) error {
		p := &nn.Pass{Tape: tape, Adapter: t.cfg.Adapter}
		if b.Labels == nil {
			f(seqs, tape, t.model.Logits(p, b), nil, b)
		} else {
			logits, rows := t.labelled(p, b)
			f(seqs, tape, logits, rows, b)
		}
		tape.Reset()
		return nil
	})
	return errors.Join(err, tape.Close())
}

// MetricNames lists the metrics of Evaluate, the deciding one first.
func (t *TokenCls) MetricNames() []string {
	if t.cfg.Scheme == tagged.Plain {
		return []string{"accuracy", "macro_f1", "loss"}
	}
	return []string{"f1", "precision", "recall", "accuracy", "loss"}
}

// Evaluate scores what is predicted for the words of a split with the adapter of the configuration: entities as seqeval does (over all types together), or
// words one by one if the tags spell no entities. The loss is over the tokens that have a label.
func (t *TokenCls) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, ok := t.sets[s]
	if !ok {
		return train.Metrics{}, fmt.Errorf("tasks: there are no %v examples to evaluate", s)
	}
	found := make([][]int32, len(set.classes))
	for i, classes := range set.classes {
		found[i] = make([]int32, len(classes))
		for w := range found[i] {
			found[i][w] = batch.Ignore
		}
	}
	loss, targets := 0.0, 0.0
	err := t.forward(ctx, set, func(seqs []int, tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch) {
		set.predicted(found, seqs, ArgMax(op.Values(logits), t.model.Labels()), rows, b)
		sum, n := t.loss(tape, logits, rows, b)
		loss += float64(op.Values(sum)[0])
		targets += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	scores, err := t.scores(set.classes, found)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("tasks: %v: %w", s, err)
	}
	if targets > 0 { // all class weights may be 0
		scores.Loss = loss / targets
	}
	if t.cfg.OnScores != nil {
		t.cfg.OnScores(s, scores)
	}
	return scores.Metrics(), nil
}

// predicted sets the words of found to the classes of their first tokens. classes has one for each of rows.
func (s *tokenSet) predicted(found [][]int32, seqs []int, classes []int32, rows []int, b *batch.Batch) {
	of := make([]int, len(b.IDs)) // the number of each token's sequence
	for i := range seqs {
		for row := b.Seqs.Starts[i]; row < b.Seqs.Starts[i+1]; row++ {
			of[row] = i
		}
	}
	for i, class := range classes {
		row := i
		if rows != nil {
			row = rows[i]
		}
		q := of[row]
		if token := s.starts[seqs[q]] + row - b.Seqs.Starts[q]; s.first[token] {
			found[s.sentence[seqs[q]]][s.word[token]] = class
		}
	}
}
