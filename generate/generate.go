package generate

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// Generator goes on with prompts. Its methods may be called from several goroutines at once.
type Generator struct {
	model models.CausalLM
	tok   *tokenize.Tokenizer
	pool  *op.Pool

	// Adapter is used with the model; nil: the base model. It must not change while a method runs.
	Adapter nn.AdapterSet
	// OnText, if it is set, is called with the text of each sequence as it becomes certain; the pieces of a sequence, put together, are
	// its Text. It runs on the caller's goroutine. seq is the place of the sequence in the result.
	OnText func(seq int, text string)
}

// New returns a generator. Without a tokenizer there are ids but no text; a nil pool runs everything on the caller.
func New(m models.CausalLM, tok *tokenize.Tokenizer, pool *op.Pool) *Generator {
	return &Generator{model: m, tok: tok, pool: pool}
}

// Text goes on with a text, encoded as the tokenizer does by itself: a sample of what the model writes. It returns
// NumReturnSequences sequences. An empty text begins with the tokenizer's BosID, or EosID.
func (g *Generator) Text(ctx context.Context, text string, cfg Config) ([]Sequence, error) {
	p, err := g.Encode(text)
	if err != nil {
		return nil, err
	}
	return g.Generate(ctx, []Prompt{p}, cfg)
}

// Encode returns the prompt of a text, encoded as the tokenizer does by itself. Where that gives no token it is the tokenizer's BosID,
// or EosID; without either it is an error.
func (g *Generator) Encode(text string) (Prompt, error) {
	if g.tok == nil {
		return Prompt{}, fmt.Errorf("generate: %w: a text without a tokenizer", ErrConfig)
	}
	e, err := g.tok.Encode(text, tokenize.Options{})
	if err != nil {
		return Prompt{}, fmt.Errorf("generate: %w", err)
	}
	if len(e.IDs) == 0 {
		id := g.tok.BosID()
		if id < 0 {
			id = g.tok.EosID()
		}
		if id < 0 {
			return Prompt{}, fmt.Errorf("generate: an empty text, and the tokenizer has neither bos_token nor eos_token to begin with")
		}
		e.IDs = []int32{id}
	}
	return Prompt{IDs: e.IDs}, nil
}

// Generate goes on with all prompts at once and returns NumReturnSequences sequences for each, in the order of the prompts. What a
// prompt gets does not depend on the others, but calls of more than 8 sequences add up products in another order, which can decide
// between tokens that are within rounding of each other. A prompt that is empty, has an unknown id or fills all the model's positions is an error, as
// are options that do not fit; nothing is generated then. If ctx ends or the model's logits are not numbers, what there is so far is
// returned with the error.
func (g *Generator) Generate(ctx context.Context, prompts []Prompt, cfg Config) ([]Sequence, error) {
	if err := g.check(prompts, cfg); err != nil {
		return nil, err
	}
	if len(prompts) == 0 {
		return nil, nil
	}
	n := cfg.NumReturnSequences
	out := make([]Sequence, len(prompts)*n)
	r := &run{g: g, cfg: cfg, limit: g.model.MaxLength(), choose: chooser{cfg: cfg}, ends: g.ends(cfg), copies: n}
	defer r.close()
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	longest := 0
	for i, p := range prompts {
		b.Seqs.Index, b.IDs = append(b.Seqs.Index, i), append(b.IDs, p.IDs...)
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
		longest = max(longest, len(p.IDs))
		for k := range n {
			s := &out[i*n+k]
			*s = Sequence{Prompt: i, Copy: k}
			r.live = append(r.live, newLive(i*n+k, p, s, cfg, g.tok))
		}
	}
	r.tape = op.NewEvalTape(g.pool)
	r.cache = g.model.NewCache(len(prompts), min(longest+min(cfg.MaxNewTokens, reserve), r.limit))
	err := r.loop(ctx, b)
	for _, s := range r.live { // not ended, because of an error
		r.emit(s, s.interrupt())
	}
	return out, err
}

const (
	reserve = 256 // new rows that the cache takes memory for in advance; it grows beyond
	few     = 8   // sequences of a call for which products read the weights row by row
)

// check returns everything that does not fit.
func (g *Generator) check(prompts []Prompt, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	var p problems
	p.check(g.tok != nil || len(cfg.StopStrings) == 0, "stop strings without a tokenizer")
	for _, id := range cfg.EosTokenIDs {
		p.check(int(id) < g.model.Vocabulary(), "eos_token_id is %d, the model knows %d tokens", id, g.model.Vocabulary())
	}
	if err := p.err(); err != nil {
		return err
	}
	for i, q := range prompts {
		switch n := len(q.IDs); {
		case n == 0:
			return fmt.Errorf("generate: prompt %d is empty; begin with the tokenizer's bos or eos token", i)
		case n >= g.model.MaxLength():
			return fmt.Errorf("generate: prompt %d has %d tokens; the model has %d positions, which leaves none for new ones", i, n, g.model.MaxLength())
		}
		for k, id := range q.IDs {
			if id < 0 || int(id) >= g.model.Vocabulary() {
				return fmt.Errorf("generate: prompt %d: token %d is %d; the model knows %d tokens", i, k, id, g.model.Vocabulary())
			}
		}
	}
	return nil
}

// ends returns the tokens that end a sequence: a special token among the stop strings does too, though it is not in the text.
func (g *Generator) ends(cfg Config) map[int32]Finish {
	ends := map[int32]Finish{}
	for _, s := range cfg.StopStrings {
		if id, ok := g.tok.ID(s); ok && g.tok.IsSpecial(id) {
			ends[id] = StopString
		}
	}
	for _, id := range cfg.EosTokenIDs {
		ends[id] = Stop
	}
	return ends
}

// run is one call of Generate.
type run struct {
	g      *Generator
	cfg    Config
	limit  int // positions
	ends   map[int32]Finish
	choose chooser
	tape   *op.Tape
	cache  *nn.Cache
	live   []*live
	copies int       // sequences that go on from one of the cache's: at first all of a prompt, then one
	row    []float32 // logits of a sequence whose copies need them too
	keep   []int     // of live, by place
}

func (r *run) close() {
	if r.tape != nil {
		r.tape.Close()
	}
}

// loop runs the model on the prompts, then on the last token of each sequence that goes on, until none does.
func (r *run) loop(ctx context.Context, b *batch.Batch) error {
	sequences := len(r.live) // of the call: that others have ended must not change the bits of the rest
	for len(r.live) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := &nn.Pass{Tape: r.tape, Adapter: r.g.Adapter, Cache: r.cache}
		if rows := len(b.Seqs.Starts) - 1; len(b.IDs) > rows {
			p.Keep = nn.LastRows(r.cache.Place(b.Seqs))
		}
		logits := op.Values(r.g.model.Logits(p, b))
		if err := r.step(logits); err != nil {
			return err
		}
		r.tape.Reset()
		r.tape.FewRows(sequences <= few)
		r.next(b)
	}
	return nil
}

// step gives every sequence the token that its row of logits leads to.
func (r *run) step(logits []float32) error {
	v := r.g.model.Vocabulary()
	r.keep = r.keep[:0]
	for i, s := range r.live {
		row := logits[i/r.copies*v:][:v]
		if i%r.copies < r.copies-1 { // choosing changes it
			r.row = append(r.row[:0], row...)
			row = r.row
		}
		id, err := r.choose.next(row, s.seen, len(s.out.IDs), s.draw)
		if err != nil {
			return fmt.Errorf("generate: prompt %d, new token %d: %w", s.out.Prompt, len(s.out.IDs), err)
		}
		r.emit(s, s.add(id, r.cfg, r.limit, r.ends))
		if s.out.Finish == "" {
			r.keep = append(r.keep, i)
		}
	}
	return nil
}

// emit hands text on.
func (r *run) emit(s *live, text string) {
	if text != "" && r.g.OnText != nil {
		r.g.OnText(s.at, text)
	}
}

// next lets the finished sequences go and makes the batch of the last tokens of the others.
func (r *run) next(b *batch.Batch) {
	if len(r.keep) < len(r.live) || r.copies > 1 {
		for to, from := range r.keep {
			r.live[to], r.keep[to] = r.live[from], from/r.copies
		}
		r.cache.Keep(r.keep)
		clear(r.live[len(r.keep):])
		r.live, r.copies = r.live[:len(r.keep)], 1
	}
	b.Seqs.Index, b.IDs, b.Seqs.Starts = b.Seqs.Index[:0], b.IDs[:0], b.Seqs.Starts[:1]
	for i, s := range r.live {
		b.Seqs.Index, b.IDs, b.Seqs.Starts = append(b.Seqs.Index, s.at), append(b.IDs, s.last), append(b.Seqs.Starts, i+1)
	}
}
