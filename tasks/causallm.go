package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// TooLong says what happens to a document of more tokens than the length limit.
type TooLong int

const (
	CutTooLong    TooLong = iota // its end is cut off, and counted
	RefuseTooLong                // it is an error
)

// CausalLMConfig says how documents become sequences. The zero value of each field is usable.
type CausalLMConfig struct {
	// BlockSize cuts texts into windows of so many tokens: all texts of a table one after another, with the eos token, if the
	// tokenizer has one, between two. The last window keeps what is left. 0: each document is a sequence of its own. Prompts with
	// completions and chats are never cut into windows.
	BlockSize int
	MaxLength int     // tokens of a sequence; 0: what model and tokenizer allow
	OnTooLong TooLong // for documents of more tokens
	// TrainOnPrompt learns prompts and the turns of others too, not only completions and the assistant's turns.
	TrainOnPrompt bool
	Template      *chat.Template // for chats; nil refuses them
	// Chat says how chats are rendered. The zero Now is the time of [NewCausalLM], for templates that write the date: a run that is to
	// be resumed on another day gives it.
	Chat       chat.Options
	EvalTokens int // tokens of an evaluation batch; 0: 4096
	Pool       *op.Pool
	Adapter    nn.AdapterSet // in use when evaluating and computing logits; nil: the base model
}

// CausalLM is language modelling: the next token of texts, completions and chats. It implements [train.Task]. Once made
// and given its examples it is not changed and is safe for concurrent use.
//
// Samples of what the model writes are not its business: train.Config.OnEval is called after each evaluation, with the parameters as
// they are.
type CausalLM struct {
	model  models.CausalLM
	tok    *tokenize.Tokenizer
	cfg    CausalLMConfig
	sets   map[batch.Split]*causalSet
	length int
}

// NewCausalLM returns a task without examples; Add gives it some. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewCausalLM(m models.CausalLM, tok *tokenize.Tokenizer, c CausalLMConfig) (*CausalLM, error) {
	t := &CausalLM{model: m, tok: tok, cfg: c, sets: map[batch.Split]*causalSet{}, length: c.MaxLength}
	if t.length == 0 {
		t.length = m.MaxLength()
		if n := tok.MaxLength(); n > 0 && n < t.length {
			t.length = n
		}
	}
	if c.EvalTokens == 0 {
		t.cfg.EvalTokens = 4096
	}
	if c.Chat.Now.IsZero() {
		t.cfg.Chat.Now = time.Now()
	}
	var errs []error
	if tok.VocabSize() > m.Vocabulary() {
		errs = append(errs, fmt.Errorf("the tokenizer has %d tokens, the model's embeddings %d rows: they do not belong together", tok.VocabSize(), m.Vocabulary()))
	}
	if c.MaxLength != 0 && (c.MaxLength < 2 || c.MaxLength > m.MaxLength()) {
		errs = append(errs, fmt.Errorf("max_length is %d; want 2 to %d, the model's positions", c.MaxLength, m.MaxLength()))
	}
	if c.BlockSize != 0 && (c.BlockSize < 2 || c.BlockSize > t.length) {
		errs = append(errs, fmt.Errorf("block_size is %d; want 0 (no windows) or 2 to %d, the longest sequence", c.BlockSize, t.length))
	}
	if c.OnTooLong != CutTooLong && c.OnTooLong != RefuseTooLong {
		errs = append(errs, fmt.Errorf("unknown way with long documents: %d", c.OnTooLong))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("tasks: %w", errors.Join(errs...))
	}
	return t, nil
}

// Add tokenises documents and makes them one of the task's splits. It must not be called while the task is in use. Documents of
// which nothing is left to learn are counted; it is an error if there are no others.
func (t *CausalLM) Add(ctx context.Context, s batch.Split, docs *document.File) error {
	set, err := t.set(ctx, docs)
	if err == nil {
		t.sets[s] = set
	}
	return err
}

// Counts says what became of the documents of a split.
func (t *CausalLM) Counts(s batch.Split) CausalCounts {
	if set, ok := t.sets[s]; ok {
		return set.counts
	}
	return CausalCounts{}
}

// Limit returns how many tokens a sequence may have.
func (t *CausalLM) Limit() int { return t.length }

// Set returns the sequences of a split, or nil.
func (t *CausalLM) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

// Loss returns the cross-entropy of the next token, summed over the tokens of b that are learned, and their number.
func (t *CausalLM) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, stats := t.model.Loss(p, b)
	return sum, float64(stats.Targets), nil
}

// MetricNames lists the metrics of Evaluate, the deciding one first.
func (t *CausalLM) MetricNames() []string { return []string{"loss", "perplexity", "accuracy"} }

// Evaluate scores a split with the adapter of the configuration: the mean loss of a learned token in nats, its exponential, and
// the share of learned tokens that have the largest logit.
func (t *CausalLM) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, ok := t.sets[s]
	if !ok {
		return train.Metrics{}, fmt.Errorf("tasks: there are no %v examples to evaluate", s)
	}
	loss := 0.0
	var all op.TargetStats
	tape := op.NewEvalTape(t.cfg.Pool)
	err := eachBatch(ctx, set, t.cfg.EvalTokens, func(_ []int, b *batch.Batch) error {
		sum, stats := t.model.Loss(&nn.Pass{Tape: tape, Adapter: t.cfg.Adapter}, b)
		loss += float64(op.Values(sum)[0])
		all.Targets += stats.Targets
		all.Correct += stats.Correct
		tape.Reset()
		return nil
	})
	if err := errors.Join(err, tape.Close()); err != nil {
		return train.Metrics{}, err
	}
	loss /= float64(all.Targets)
	return train.Metrics{Main: "loss", Values: []train.Metric{
		{Name: "loss", Value: loss, LowerIsBetter: true},
		{Name: "perplexity", Value: math.Exp(loss), LowerIsBetter: true},
		{Name: "accuracy", Value: float64(all.Correct) / float64(all.Targets)},
	}}, nil
}

// Logits computes the logits of the next token for each document on its own, whatever BlockSize says: f is called in order with the
// number of the document, its T token ids and its T×V logits, which are valid until f returns. A document of no tokens has none. It
// returns how many documents were cut to the length limit.
func (t *CausalLM) Logits(ctx context.Context, docs *document.File, f func(i int, ids []int32, logits []float32) error) (cut int, err error) {
	tape := op.NewEvalTape(t.cfg.Pool)
	i := -1
	err = t.eachSequence(ctx, docs, func(d *document.Document, q sequence) error {
		i++
		if err := ctx.Err(); err != nil {
			return err
		}
		q, lost, err := t.cut(docs, d, q)
		if err != nil {
			return err
		}
		if lost > 0 {
			cut++
		}
		if len(q.ids) == 0 {
			return f(i, nil, nil)
		}
		b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, len(q.ids)}, Index: []int{i}}, IDs: q.ids}
		err = f(i, q.ids, op.Values(t.model.Logits(&nn.Pass{Tape: tape, Adapter: t.cfg.Adapter}, b)))
		tape.Reset()
		return err
	})
	return cut, errors.Join(err, tape.Close())
}
