package seq2seq

import (
	"context"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// Counts counts the rows of a split and their tokens.
type Counts struct {
	Rows, SourceTokens, TargetTokens int
	// CutSources and CutTargets are the numbers of texts that were cut to their length limit.
	CutSources, CutTargets int
	// Endless is the number of targets that do not end in the tokenizer's end token, after which a model does not learn
	// to stop.
	Endless int
}

// set is a list of sources with the labels of their targets: the [batch.Set] of encoder–decoders.
type set struct {
	source, target *tasks.TextSet
	shift          func(labels []int32) []int32 // the decoder's inputs
	rows           *pair.File                   // with the references; nil: not kept
	counts         Counts
}

// Len implements [batch.Set].
func (s *set) Len() int { return s.source.Len() }

// Tokens implements [batch.Set]: the tokens of both sides.
func (s *set) Tokens(i int) int { return s.source.Tokens(i) + s.target.Tokens(i) }

// Bytes returns how much memory the tokens take.
func (s *set) Bytes() int64 { return s.source.Bytes() + s.target.Bytes() }

// Batch implements [batch.Set].
func (s *set) Batch(ctx context.Context, examples []int, key op.Key) (*batch.Batch, error) {
	b, err := s.source.Batch(ctx, examples, key)
	if err != nil {
		return nil, err
	}
	t, err := s.target.Batch(ctx, examples, key)
	if err != nil {
		return nil, err
	}
	b.Target = tasks.DecoderSide(t, s.shift)
	return b, nil
}

// sources returns the texts that the encoder reads for the rows of a file.
func (p *Predictor) sources(f *pair.File) tasks.Texts {
	return tasks.Texts{
		Name: f.Name, Len: f.Len(), Line: func(i int) int { return f.At(i).Line },
		Input: func(i int) tokenize.Input { return tokenize.Input{Text: p.cfg.SourcePrefix + f.At(i).Source} },
	}
}

// targets returns the first target of each row.
func targets(f *pair.File) tasks.Texts {
	return tasks.Texts{
		Name: f.Name, Len: f.Len(), Line: func(i int) int { return f.At(i).Line },
		Input: func(i int) tokenize.Input { return tokenize.Input{Text: f.At(i).Targets[0]} },
	}
}

// sourceOptions returns how a source is tokenised.
func (p *Predictor) sourceOptions() tokenize.Options {
	return tokenize.Options{MaxLength: p.Limit(), Truncation: tokenize.OnlyFirst}
}

// encode tokenises rows, each with a target, of which the first is learned.
func (p *Predictor) encode(ctx context.Context, f *pair.File) (*set, error) {
	s := &set{source: p.NewSet(), target: tasks.NewTextSet(false), shift: p.Net.Shift, counts: Counts{Rows: f.Len()}}
	for i, row := range f.All() {
		if len(row.Targets) == 0 {
			return nil, data.Errorf(f.Name, row.Line, "row %d has no target to learn", i+1)
		}
	}
	side := func(t tasks.Texts, o tokenize.Options, to *tasks.TextSet, what string) error {
		each := func(i int, e *tokenize.Encoding) error {
			if len(e.IDs) == 0 {
				return &data.Error{File: t.Name, Line: t.Line(i), Msg: "the " + what + " has no tokens"}
			}
			to.Append(e.IDs, e.Types)
			if e.Truncated > 0 {
				to.Cut++
			}
			if o.Target && !p.ends(e.IDs) {
				s.counts.Endless++
			}
			return nil
		}
		return tasks.Encode(ctx, p.Tok, t, func(int) tokenize.Options { return o }, p.Pool.Workers(), each)
	}
	if err := side(p.sources(f), p.sourceOptions(), s.source, "source"); err != nil {
		return nil, err
	}
	o := tokenize.Options{MaxLength: p.cfg.MaxTargetLength, Truncation: tokenize.OnlyFirst, Target: true}
	if err := side(targets(f), o, s.target, "target"); err != nil {
		return nil, err
	}
	s.counts.SourceTokens, s.counts.TargetTokens = s.source.Start(s.Len()), s.target.Start(s.Len())
	s.counts.CutSources, s.counts.CutTargets = s.source.Cut, s.target.Cut
	return s, nil
}

// ends reports whether the end token is among the special tokens that end a target: a language may follow it.
func (p *Predictor) ends(ids []int32) bool {
	eos := p.Tok.EosID()
	for n := len(ids) - 1; n >= 0; n-- {
		if ids[n] == eos {
			return true
		}
		if !p.Tok.IsSpecial(ids[n]) {
			break
		}
	}
	return false
}
