package tasks

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
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Pooling says how the hidden states of a text become one vector.
type Pooling uint8

// The ways of pooling. Special tokens count as others do, as in sentence-transformers.
const (
	MeanPooling  Pooling = iota // the mean over all tokens
	FirstPooling                // the first token ([CLS])
)

// String returns the name that sentence-transformers gives it.
func (p Pooling) String() string {
	if p == FirstPooling {
		return "cls"
	}
	return "mean"
}

// ParsePooling reads "mean" or "cls".
func ParsePooling(s string) (Pooling, error) {
	for _, p := range []Pooling{MeanPooling, FirstPooling} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("pooling is %q; want mean or cls", s)
}

// PairLoss is what pairs of texts teach an encoder.
type PairLoss uint8

// The losses, with the names that sentence-transformers gives them. u and v are the vectors of a pair.
const (
	// CosineLoss is (cos(u, v) − score)² for pairs with a score: CosineSimilarityLoss.
	CosineLoss PairLoss = iota
	// MultipleNegatives is the cross-entropy of scale·cos(uᵢ, vⱼ) over all j of the batch with the label i, for pairs of texts that belong
	// together: MultipleNegativesRankingLoss. The second texts of a batch are wrong for all first texts but their own, so the loss depends
	// on what is in a batch: with gradient accumulation, on its size before accumulation.
	MultipleNegatives
)

// String returns cosine or multiple_negatives.
func (l PairLoss) String() string {
	if l == MultipleNegatives {
		return "multiple_negatives"
	}
	return "cosine"
}

// ParsePairLoss reads "cosine" or "multiple_negatives".
func ParsePairLoss(s string) (PairLoss, error) {
	for _, l := range []PairLoss{CosineLoss, MultipleNegatives} {
		if s == l.String() {
			return l, nil
		}
	}
	return 0, fmt.Errorf("the loss is %q; want cosine or multiple_negatives", s)
}

// EmbeddingConfig says how texts become vectors and pairs of them a loss. The zero value is usable.
type EmbeddingConfig struct {
	Pooling    Pooling
	Loss       PairLoss
	Scale      float32 // of the cosines in MultipleNegatives; 0: 20
	MaxScore   float64 // score of texts that mean the same: scores are divided by it; 0: 1
	MaxLength  int     // tokens of a text, special tokens included; 0: what model and tokenizer allow
	EvalTokens int     // tokens of an evaluation batch; 0: 4096
	Pool       *op.Pool
	Adapter    nn.AdapterSet // in use when evaluating and predicting; nil: the base model
}

// Embedding trains and uses sentence embeddings: an encoder turns a text into a vector, so that the cosine of two says how near their
// meanings are. An example is a pair of texts, sequences 2i and 2i+1 of a batch, with or without a score. It implements [train.Task]. Once
// made it is not changed and is safe for concurrent use.
type Embedding struct {
	model  models.Encoder
	tok    *tokenize.Tokenizer
	cfg    EmbeddingConfig
	sets   map[batch.Split]*pairSet
	cut    map[batch.Split]int
	length int
}

// NewEmbedding returns a task without examples; Add gives it some. Settings that contradict each other, the model or the tokenizer are
// reported in one error.
func NewEmbedding(m models.Encoder, tok *tokenize.Tokenizer, c EmbeddingConfig) (*Embedding, error) {
	errs := checkText(m, tok, c.MaxLength)
	if !(c.Scale >= 0) || math.IsInf(float64(c.Scale), 0) {
		errs = append(errs, fmt.Errorf("the scale of similarities is %g; want more than 0", c.Scale))
	}
	if !(c.MaxScore >= 0) || math.IsInf(c.MaxScore, 0) {
		errs = append(errs, fmt.Errorf("max_score is %g; want more than 0", c.MaxScore))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("tasks: %w", errors.Join(errs...))
	}
	t := &Embedding{model: m, tok: tok, cfg: c, sets: map[batch.Split]*pairSet{}, cut: map[batch.Split]int{}, length: textLimit(m, tok, c.MaxLength)}
	t.cfg.Scale, t.cfg.MaxScore = cmp.Or(c.Scale, 20), cmp.Or(c.MaxScore, 1)
	t.cfg.EvalTokens = cmp.Or(c.EvalTokens, 4096)
	return t, nil
}

// Add tokenises a table of pairs and makes it one of the task's splits. The rows of a table all have a score or none has; with CosineLoss
// those to train on have one, with MultipleNegatives theirs are not read. It must not be called while the task is in use.
func (t *Embedding) Add(ctx context.Context, s batch.Split, table *text.File) error {
	if err := checkPairs(table); err != nil {
		return err
	}
	set := &pairSet{}
	var err error
	if s != batch.Train || t.cfg.Loss == CosineLoss {
		if set.scores, err = t.scores(table); err != nil {
			return err
		}
	}
	if s == batch.Train && t.cfg.Loss == CosineLoss && set.scores == nil {
		return &data.Error{File: table.Name, Msg: "the pairs have no scores, which the loss cosine needs; for pairs of texts that belong together there is multiple_negatives"}
	}
	texts, cut, err := t.encode(ctx, table)
	if err != nil {
		return err
	}
	set.texts = texts
	t.sets[s], t.cut[s] = set, cut
	return nil
}

// Truncated returns how many texts of a split were cut to the length limit, and the limit.
func (t *Embedding) Truncated(s batch.Split) (texts, limit int) { return t.cut[s], t.length }

// Limit returns how many tokens a text may have before it is cut.
func (t *Embedding) Limit() int { return t.length }

// Width returns the number of values of a vector.
func (t *Embedding) Width() int { return t.model.Width() }

// Set returns the examples of a split, or nil.
func (t *Embedding) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

// Loss returns the summed loss of the pairs of b and their number.
func (t *Embedding) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	x := op.NormalizeRows(p.Tape, t.pooled(p, b))
	if t.cfg.Loss == CosineLoss {
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

// pooled returns the vectors of the B sequences of b, B×Width.
func (t *Embedding) pooled(p *nn.Pass, b *batch.Batch) mat.Tensor {
	if t.cfg.Pooling == FirstPooling {
		p = p.With(b.Seqs)
		p.Keep = nn.FirstRows(p.Seqs)
		return t.model.Forward(p, b)
	}
	scope := p.Tape.Scope()
	y := op.MeanRows(p.Tape, t.model.Forward(p, b), b.Seqs.Starts)
	p.Tape.Leave(scope, y)
	return y
}

// Embed computes the vectors of the texts of a table, row after row: n×Width, for a table of pairs 2n×Width, those of a pair one after
// the other. It counts the texts that were cut to the length limit.
func (t *Embedding) Embed(ctx context.Context, table *text.File) (vectors []float32, truncated int, err error) {
	texts, cut, err := t.encode(ctx, table)
	if err != nil {
		return nil, 0, err
	}
	vectors, err = t.embed(ctx, texts)
	return vectors, cut, err
}

func (t *Embedding) embed(ctx context.Context, texts *textSet) ([]float32, error) {
	k := t.model.Width()
	out := make([]float32, texts.Len()*k)
	tape := op.NewEvalTape(t.cfg.Pool)
	err := eachBatch(ctx, texts, t.cfg.EvalTokens, func(rows []int, b *batch.Batch) error {
		v := op.Values(t.pooled(&nn.Pass{Tape: tape, Adapter: t.cfg.Adapter}, b))
		for i, r := range rows {
			copy(out[r*k:(r+1)*k], v[i*k:(i+1)*k])
		}
		tape.Reset()
		return nil
	})
	return out, errors.Join(err, tape.Close())
}

// encode tokenises the texts of a table, both of a pair one after the other.
func (t *Embedding) encode(ctx context.Context, table *text.File) (*textSet, int, error) {
	single := text.New(table.Name)
	for e := range table.Values() {
		single.Append(text.Example{Text: e.Text, Line: e.Line})
		if e.HasPair {
			single.Append(text.Example{Text: e.Pair, Line: e.Line})
		}
	}
	return encode(ctx, t.tok, single, tokenize.Options{MaxLength: t.length}, t.cfg.Pool.Workers())
}

var _ train.Task = (*Embedding)(nil)
