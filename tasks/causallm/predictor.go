package causallm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// TooLong is the treatment of documents of more tokens than the length limit.
type TooLong int

// The treatment of documents that are too long.
const (
	CutTooLong    TooLong = iota // its end is cut off, and counted
	RefuseTooLong                // it is an error
)

// ParseTooLong reads cut or error; "" is cut.
func ParseTooLong(s string) (TooLong, error) {
	switch s {
	case "cut", "":
		return CutTooLong, nil
	case "error":
		return RefuseTooLong, nil
	}
	return 0, fmt.Errorf("`too_long` is %q; want cut or error", s)
}

// Config says how documents become sequences. The zero value of each field is usable.
type Config struct {
	tasks.CoreConfig
	// BlockSize cuts texts into windows of this number of tokens: all texts of a file one after another, with the eos
	// token, if the tokenizer has one, between two. The last window has the rest. 0: each document is a sequence of its
	// own. Prompts with completions and chats are never cut into windows.
	BlockSize int
	OnTooLong TooLong // for documents of more than MaxLength tokens
	// TrainOnPrompt learns prompts and the turns of others too, not only completions and the assistant's turns.
	TrainOnPrompt bool
	Template      *chat.Template // for chats; nil refuses them
	// Chat says how chats are rendered. The zero Now is the time of [NewPredictor], for templates that write the date: a
	// run that is to be resumed on another day sets it.
	Chat chat.Options
}

// Predictor computes logits and continues prompts. It is safe for concurrent use and keeps the memory of a call for
// the next; Close releases it.
type Predictor struct {
	tasks.Core[models.CausalLM]
	cfg Config
}

// NewPredictor returns a predictor. Settings that contradict each other, the model or the tokenizer are reported in
// one error.
func NewPredictor(m models.CausalLM, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	p := &Predictor{tasks.NewCore(m, tok, c.CoreConfig), c}
	if c.Chat.Now.IsZero() {
		p.cfg.Chat.Now = time.Now()
	}
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(c.MaxLength != 0 && (c.MaxLength < 2 || c.MaxLength > m.MaxLength()),
		"`max_length` is %d; want 2 to %d, the positions of the model", c.MaxLength, m.MaxLength())
	add(c.BlockSize != 0 && (c.BlockSize < 2 || c.BlockSize > p.Limit()),
		"`block_size` is %d; want 0 (no windows) or 2 to %d, the longest sequence", c.BlockSize, p.Limit())
	add(c.OnTooLong != CutTooLong && c.OnTooLong != RefuseTooLong, "unknown value %d for documents that are too long",
		c.OnTooLong)
	if len(errs) > 0 {
		return nil, fmt.Errorf("causallm: %w", errors.Join(errs...))
	}
	return p, nil
}

// Positions returns how many tokens the model can read: a prompt with what follows it.
func (p *Predictor) Positions() int { return p.Net.MaxLength() }

// Tokenizer returns the tokenizer.
func (p *Predictor) Tokenizer() *tokenize.Tokenizer { return p.Tok }

// Template returns the chat template, nil if there is none.
func (p *Predictor) Template() *chat.Template { return p.cfg.Template }

// Logits computes the logits of the next token for each document on its own, whatever BlockSize says: f is called in
// order with the number of the document, its T token ids and its T×V logits, which are valid until f returns. A
// document of no tokens has none. It returns the number of documents that were truncated to the length limit.
func (p *Predictor) Logits(
	ctx context.Context, docs *document.File, f func(i int, ids []int32, logits []float32) error,
) (cut int, err error) {
	i := -1
	return cut, p.Tapes.Use(func(tape *op.Tape) error {
		return p.eachSequence(ctx, docs, func(d *document.Document, q sequence) error {
			i++
			if err := ctx.Err(); err != nil {
				return err
			}
			q, lost, err := p.cut(docs, d, q)
			if err != nil {
				return err
			}
			if lost > 0 {
				cut++
			}
			if len(q.ids) == 0 {
				return f(i, nil, nil)
			}
			b := &batch.Batch{IDs: q.ids, Seqs: op.Seqs{Index: []int{i}, Starts: []int{0, len(q.ids)}}}
			err = f(i, q.ids, op.Values(p.Net.Logits(&nn.Pass{Tape: tape, Adapter: p.Adapter}, b)))
			tape.Reset()
			return err
		})
	})
}

// Generate continues prompts; see [generate.Generator.Generate]. onText, if it is not nil, is called with each piece
// of a sequence's text as soon as later tokens cannot change it.
func (p *Predictor) Generate(
	ctx context.Context, prompts []generate.Prompt, c generate.Config, onText func(seq int, text string),
) ([]generate.Sequence, error) {
	return GenerateEach(ctx, prompts, func(int) *Predictor { return p }, c, onText)
}

// GenerateEach is like [Predictor.Generate] for prompts that several predictors serve: of returns that of each prompt.
// The predictors have one model in common, see [tasks.Opening], and their prompts share batches, which changes no bit
// of the results.
func GenerateEach(
	ctx context.Context, prompts []generate.Prompt, of func(i int) *Predictor, c generate.Config,
	onText func(seq int, text string),
) ([]generate.Sequence, error) {
	if len(prompts) == 0 {
		return nil, ctx.Err()
	}
	p := of(0)
	prompts = slices.Clone(prompts)
	for i := range prompts {
		prompts[i].Adapter = of(i).Adapter
	}
	g := generate.New(p.Net, p.Tok, p.Pool)
	g.OnText = onText
	return g.Generate(ctx, prompts, c.Within(p.Vocabulary()))
}

// Prompt returns the tokens of a prompt: of the messages of a chat, rendered by the template up to where the
// assistant begins, or without messages of a text as the tokenizer encodes it.
func (p *Predictor) Prompt(text string, messages []document.Message) (generate.Prompt, error) {
	if messages == nil {
		return generate.New(nil, p.Tok, nil).Encode(text)
	}
	if p.cfg.Template == nil {
		return generate.Prompt{}, chat.ErrNoTemplate
	}
	text, err := p.cfg.Template.Render(messages, chat.Options{AddGenerationPrompt: true})
	if err != nil {
		return generate.Prompt{}, err
	}
	e, err := p.Tok.Encode(text, tokenize.Options{NoSpecial: true}) // the template has written the special tokens
	if err == nil && len(e.IDs) == 0 {
		err = errors.New("the chat template makes an empty text of it")
	}
	return generate.Prompt{IDs: e.IDs}, err
}
