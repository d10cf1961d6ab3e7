package causallm

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// Counts counts the documents of a split, and the sequences and tokens that they became.
type Counts struct {
	Documents int // that were given
	Sequences int // that are trained on or evaluated
	Tokens    int // of these
	Targets   int // tokens that are learned
	Cut       int // documents that were cut to the length limit
	Lost      int // tokens that were cut off
	// Unlearned is the number of sequences that were left out because no token of them is learned: a single token, or a
	// document whose completion was beyond the length limit. UnlearnedLine is the line of the first, 0 for a window of
	// text.
	Unlearned, UnlearnedLine int
}

// set is a list of sequences with the id that follows each row: the [batch.Set] of language models. TokenLabels are
// the next id of the same sequence, batch.Ignore where that is not learned.
type set struct {
	*tasks.TextSet
	counts Counts
}

// add appends a sequence, or counts it if nothing of it is learned. Row n's label is the token after it.
func (s *set) add(q sequence, line int) {
	targets := 0
	for n := 1; n < len(q.ids); n++ {
		if q.learned[n] {
			targets++
		}
	}
	if targets == 0 {
		if s.counts.Unlearned++; s.counts.Unlearned == 1 {
			s.counts.UnlearnedLine = line
		}
		return
	}
	for n := range q.ids {
		label := batch.Ignore
		if n+1 < len(q.ids) && q.learned[n+1] {
			label = q.ids[n+1]
		}
		s.TokenLabels.Append(label)
	}
	s.Append(q.ids, nil)
	s.counts.Sequences++
	s.counts.Tokens += len(q.ids)
	s.counts.Targets += targets
}

// set tokenises documents into windows or rows.
func (p *Predictor) encode(ctx context.Context, docs *document.File) (*set, error) {
	s := &set{TextSet: tasks.NewTextSet(false), counts: Counts{Documents: docs.Len()}}
	if p.cfg.BlockSize > 0 && docs.Kind != document.Text {
		return nil, fmt.Errorf("causallm: %s: `block_size` %d cuts texts into windows, but the rows are %v; set it to 0",
			docs.Name, p.cfg.BlockSize, docs.Kind)
	}
	var err error
	if p.cfg.BlockSize > 0 {
		err = p.windows(ctx, docs, s)
	} else {
		err = p.rows(ctx, docs, s)
	}
	if err != nil {
		return nil, err
	}
	if s.Len() == 0 {
		limit := ""
		if s.counts.Cut > 0 {
			limit = fmt.Sprintf("; %d were cut to %d tokens, and the part that is learned may have been cut off",
				s.counts.Cut, p.Limit())
		}
		return nil, data.Errorf(docs.Name, 0, "none of %d documents has a token to learn%s", docs.Len(), limit)
	}
	return s, nil
}

// windows cuts texts into sequences of BlockSize tokens: all texts one after another, the eos token between two. The
// last window may be shorter. The first token of a window is not learned, since nothing precedes it.
func (p *Predictor) windows(ctx context.Context, docs *document.File, s *set) error {
	var rest []int32
	flush := func(n int) {
		q := sequence{ids: rest[:n], learned: make([]bool, n)}
		for i := range q.learned {
			q.learned[i] = true
		}
		s.add(q, 0)
		rest = rest[n:]
	}
	eos, first := p.Tok.EosID(), true
	err := p.eachSequence(ctx, docs, func(_ *document.Document, q sequence) error {
		if !first && eos >= 0 && (len(rest) == 0 || rest[len(rest)-1] != eos) {
			if err := p.Tok.Check([]int32{eos}); err != nil {
				return base.Input(fmt.Errorf("causallm: %s: the texts cannot be joined: %w", docs.Name, err))
			}
			rest = append(rest, eos)
		}
		first = false
		rest = append(rest, q.ids...)
		for len(rest) > p.cfg.BlockSize {
			flush(p.cfg.BlockSize)
		}
		return nil
	})
	if err == nil && len(rest) > 0 {
		flush(len(rest))
	}
	return err
}

// rows makes each document a sequence.
func (p *Predictor) rows(ctx context.Context, docs *document.File, s *set) error {
	return p.eachSequence(ctx, docs, func(d *document.Document, q sequence) error {
		q, lost, err := p.cut(docs, d, q)
		if err != nil {
			return err
		}
		if lost > 0 {
			s.counts.Cut++
			s.counts.Lost += lost
		}
		s.add(q, d.Line)
		return nil
	})
}

// cut shortens a sequence to the length limit, or returns an error if the configuration refuses it. It returns the
// number of tokens lost.
func (p *Predictor) cut(docs *document.File, d *document.Document, q sequence) (sequence, int, error) {
	lost := len(q.ids) - p.Limit()
	if lost <= 0 {
		return q, 0, nil
	}
	if p.cfg.OnTooLong == RefuseTooLong {
		return q, 0, data.Errorf(docs.Name, d.Line, "the document has %d tokens, more than the limit of %d",
			len(q.ids), p.Limit())
	}
	return sequence{q.ids[:p.Limit()], q.learned[:p.Limit()]}, lost, nil
}

// PreviewToken is a token for display.
type PreviewToken struct {
	Text    string // its text; a character of several tokens is the text of the last one
	Trained bool   // it is a target of the loss
}

// Preview returns the first n sequences of a split, token by token, as they are trained on.
func (t *Task) Preview(s batch.Split, n int) [][]PreviewToken {
	list, ok := t.Splits[s]
	if !ok {
		return nil
	}
	return list.preview(t.Tok, n)
}

func (s *set) preview(tok *tokenize.Tokenizer, n int) [][]PreviewToken {
	list := make([][]PreviewToken, 0, max(0, min(n, s.Len())))
	for i := 0; i < s.Len() && i < n; i++ {
		tokens := make([]PreviewToken, 0, s.Tokens(i))
		stream := tok.Stream(false)
		for k, id := range s.IDs(nil, i) {
			learned := k > 0 && s.TokenLabels.At(s.Start(i)+k-1) != batch.Ignore
			tokens = append(tokens, PreviewToken{stream.Next(id), learned})
		}
		tokens[len(tokens)-1].Text += stream.Flush()
		list = append(list, tokens)
	}
	return list
}
