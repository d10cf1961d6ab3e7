package generate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// Generator continues prompts. Its methods are safe for concurrent use as long as its fields do not change.
type Generator struct {
	model Model
	tok   *tokenize.Tokenizer
	pool  *op.Pool

	// Adapter is the adapter of the model; nil: the base model. A prompt may have another. It must not change while a
	// method runs.
	Adapter nn.AdapterSet
	// OnText, unless nil, is called with each piece of text as soon as it is final, on the goroutine of the caller. seq is
	// the index of the sequence in the result. The pieces of a sequence, joined, are its Text.
	OnText func(seq int, text string)
}

// New returns a generator for m. Without a tokenizer (nil) its sequences have ids but no text. With a nil pool
// everything runs on the goroutine of the caller.
func New(m models.CausalLM, tok *tokenize.Tokenizer, pool *op.Pool) *Generator {
	return NewOf(causal{m}, tok, pool)
}

// Text continues a text and returns cfg.NumReturnSequences sequences. It encodes the text as [Generator.Encode] does
// and returns errors as [Generator.Generate] does.
func (g *Generator) Text(ctx context.Context, text string, cfg Config) ([]Sequence, error) {
	p, err := g.Encode(text)
	if err != nil {
		return nil, err
	}
	return g.Generate(ctx, []Prompt{p}, cfg)
}

// Encode returns the prompt for a text, encoded with the tokenizer's default special tokens. If that gives no tokens,
// the prompt is the tokenizer's BosID, or its EosID if it has no BosID. It returns an error if it has neither, or if
// the generator has no tokenizer.
func (g *Generator) Encode(text string) (Prompt, error) {
	if g.tok == nil {
		return Prompt{}, fmt.Errorf("generate: %w: cannot encode a text without a tokenizer; give token ids", ErrConfig)
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
			return Prompt{}, fmt.Errorf("generate: the text is empty and the tokenizer has neither bos_token nor eos_token; " +
				"give at least one token")
		}
		e.IDs = []int32{id}
	}
	return Prompt{IDs: e.IDs}, nil
}

// Generate continues all prompts in one batch and returns cfg.NumReturnSequences sequences for each, in the order of
// the prompts. The sequences of a prompt do not depend on the other prompts, except that calls with more than 8
// sequences sum products in another order, which can change the choice between tokens whose logits differ by no more
// than rounding.
//
// Generate returns an error and no sequences if the options do not fit, or if a prompt is empty, has an unknown id or
// leaves no position for a new token. If ctx ends or the logits are not numbers, it returns the sequences generated up
// to then with the error.
func (g *Generator) Generate(ctx context.Context, prompts []Prompt, cfg Config) ([]Sequence, error) {
	prompts = g.started(prompts, cfg)
	if err := g.check(prompts, cfg); err != nil {
		return nil, err
	}
	if len(prompts) == 0 {
		return nil, nil
	}
	n := cfg.NumReturnSequences
	out := make([]Sequence, len(prompts)*n)
	r := &run{g: g, cfg: cfg, began: time.Now(), choose: chooser{cfg: cfg}, ends: g.ends(cfg)}
	defer r.close()
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	r.prompts = &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	room := 0 // positions for which the cache reserves memory
	prompts = slices.Clone(prompts)
	order, columns := g.order(prompts), 0
	if m, ok := g.model.(FeatureModel); ok {
		columns = m.Columns()
	}
	r.vocabularies = g.vocabularies(prompts)
	for _, i := range order {
		p := &prompts[i]
		p.Adapter = g.adapter(*p)
		appendPrompt(r.prompts, i, *p, columns)
		p.Start = g.begin(*p)
		appendSequence(b, i, p.Start)
		room = max(room, min(cfg.limit(len(p.Start), g.model.MaxLength()), len(p.Start)+reserve))
		for k := range n {
			out[i*n+k] = Sequence{Prompt: i, Copy: k}
		}
	}
	r.tape = op.NewEvalTape(g.pool)
	r.cache = g.model.NewCache(len(prompts), room)
	var d decoder
	if cfg.NumBeams > 1 {
		d = newSearcher(r, prompts, order, out)
	} else {
		d = newSampler(r, prompts, order, out)
	}
	err := r.loop(ctx, d, b)
	d.interrupt()
	return out, err
}

// adapter returns the adapter that serves a prompt.
func (g *Generator) adapter(p Prompt) nn.AdapterSet {
	if p.Adapter != nil {
		return p.Adapter
	}
	return g.Adapter
}

// started returns prompts of which those without a Start have that of the options. A causal model has none.
func (g *Generator) started(prompts []Prompt, cfg Config) []Prompt {
	if _, ok := g.model.(causal); ok || cfg.DecoderStartTokenID == nil {
		return prompts
	}
	prompts = slices.Clone(prompts)
	for i := range prompts {
		if prompts[i].Start == nil {
			prompts[i].Start = []int32{*cfg.DecoderStartTokenID}
		}
	}
	return prompts
}

// begin returns the tokens that the sequence of a prompt begins with.
func (g *Generator) begin(p Prompt) []int32 {
	if p.Start != nil {
		return p.Start
	}
	return g.model.Begin(p.IDs)
}

// vocabularies returns the number of token ids with each adapter of the prompts, and with the generator's.
func (g *Generator) vocabularies(prompts []Prompt) map[nn.AdapterSet]int {
	sizes := map[nn.AdapterSet]int{g.Adapter: 0}
	for _, p := range prompts {
		sizes[g.adapter(p)] = 0
	}
	for a := range sizes {
		sizes[a] = g.model.Vocabulary()
		if m, ok := g.model.(causal); ok {
			sizes[a] = nn.Vocabulary(m.CausalLM, a)
		}
	}
	return sizes
}

// order returns the numbers of the prompts so that those of one adapter follow one another.
func (g *Generator) order(prompts []Prompt) []int {
	order, place := make([]int, len(prompts)), map[nn.AdapterSet]int{}
	for i, p := range prompts {
		order[i] = i
		if place[p.Adapter] == 0 {
			place[p.Adapter] = len(place) + 1
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return place[prompts[a].Adapter] - place[prompts[b].Adapter] })
	return order
}

const (
	reserve = 256 // new rows for which the cache reserves memory; it grows if there are more
	few     = 8   // largest number of sequences of a call for which op.Tape.FewRows is set
)

// check returns an error with all options that do not fit, or with the first prompt that does not, or nil.
func (g *Generator) check(prompts []Prompt, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	var p problems
	p.check(g.tok != nil || len(cfg.StopStrings) == 0, "`stop_strings` need a tokenizer; remove them")
	vocabularies := g.vocabularies(prompts)
	cfg.checkTokens(&p, slices.Min(slices.Collect(maps.Values(vocabularies))))
	if err := p.err(); err != nil {
		return err
	}
	longest := cfg.LongestPrompt(g.model.MaxLength())
	for i, q := range prompts {
		if err := g.checkInput(q); err != nil {
			return fmt.Errorf("generate: prompt %d %w", i, err)
		}
		if _, ok := g.model.(causal); ok && q.Start != nil {
			return fmt.Errorf("generate: prompt %d has start tokens, but the model has no encoder; append them to the prompt", i)
		}
		start := g.begin(q)
		switch n := len(start); {
		case n == 0:
			return fmt.Errorf("generate: prompt %d has a start without tokens; want at least one, or nil for the model's", i)
		case len(q.IDs) > g.model.MaxLength() && n < g.model.MaxLength():
			return fmt.Errorf("generate: prompt %d has %d tokens; want at most the model's %d", i, len(q.IDs),
				g.model.MaxLength())
		case n >= g.model.MaxLength():
			return fmt.Errorf("generate: prompt %d has %d tokens, which leave no position for a new one; want at most %d", i, n,
				g.model.MaxLength()-1)
		case n > longest:
			return fmt.Errorf("generate: %w: prompt %d has %d tokens, which leaves none for new ones, since max_length is %d "+
				"with the prompt counted; set `max_new_tokens`", ErrConfig, i, n, cfg.MaxLength)
		}
		vocabulary := vocabularies[g.adapter(q)]
		for _, x := range []struct {
			name string
			ids  []int32
		}{{"token", q.IDs}, {"start token", q.Start}} {
			for k, id := range x.ids {
				if id < 0 || int(id) >= vocabulary {
					return fmt.Errorf("generate: prompt %d: %s %d is %d; want an id below the model's %d tokens", i, x.name, k, id,
						vocabulary)
				}
			}
		}
	}
	return nil
}

// checkInput returns an error unless a prompt has what the model reads: features or tokens.
func (g *Generator) checkInput(p Prompt) error {
	m, ok := g.model.(FeatureModel)
	switch {
	case !ok && len(p.Features) > 0:
		return errors.New("has features, but the model reads tokens; give ids")
	case !ok && len(p.IDs) == 0:
		return errors.New("is empty; start it with the tokenizer's bos or eos token")
	case !ok:
		return nil
	case len(p.IDs) > 0:
		return errors.New("has ids, but the model reads features; give the tokens that the target begins with as its start")
	case len(p.Features) == 0 || len(p.Features)%m.Columns() != 0:
		return fmt.Errorf("has %d values of features; want rows of %d", len(p.Features), m.Columns())
	}
	if err := m.CheckRows(len(p.Features) / m.Columns()); err != nil {
		return fmt.Errorf("has %w", err)
	}
	return nil
}

// ends returns the tokens that end a sequence, with the reason. They include special tokens among the stop strings,
// which the text of a sequence does not contain.
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
	began  time.Time
	ends   map[int32]Finish
	choose chooser
	tape   *op.Tape
	cache  *nn.Cache

	prompts *batch.Batch // until the model has read them

	vocabularies map[nn.AdapterSet]int // number of logits of a position
}

// decoder chooses the tokens of the sequences of a run: a sampler, or a searcher with beams.
type decoder interface {
	// sequences returns the number of unfinished sequences.
	sequences() int
	// adapters returns the adapter of each sequence of the cache; it is valid until the next call.
	adapters() []nn.AdapterSet
	// step chooses the next tokens from the logits, a row for each sequence of the cache.
	step(logits mat.Tensor) error
	// next keeps the sequences of the cache that continue, and sets b to their last tokens.
	next(b *batch.Batch)
	// interrupt ends the unfinished sequences.
	interrupt()
}

func (r *run) close() {
	if r.tape != nil {
		r.tape.Close()
	}
}

// loop runs the model on the prompts, then on the last token of each unfinished sequence, until all are finished.
func (r *run) loop(ctx context.Context, d decoder, b *batch.Batch) error {
	sequences := d.sequences() // of the call, so that finished sequences do not change the bits of the others
	for d.sequences() > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := &nn.Pass{Tape: r.tape, Cache: r.cache}
		p.Serve(d.adapters())
		if r.prompts != nil {
			p.Memory = r.g.model.Read(p, r.prompts)
			r.prompts = nil
		}
		if rows := len(b.Seqs.Starts) - 1; len(b.IDs) > rows {
			p.Keep = nn.LastRows(r.cache.Place(b.Seqs))
		}
		if err := d.step(r.g.model.Logits(p, b)); err != nil {
			return err
		}
		r.tape.Reset()
		r.tape.FewRows(sequences <= few)
		d.next(b)
	}
	return nil
}

// late reports whether MaxTime is over.
func (r *run) late() bool { return r.cfg.MaxTime > 0 && time.Since(r.began) > r.cfg.MaxTime }

// emit calls OnText with text, unless that is empty. at is the index of the sequence in the result.
func (r *run) emit(at int, text string) {
	if text != "" && r.g.OnText != nil {
		r.g.OnText(at, text)
	}
}
