package tasks

import (
	"context"
	"fmt"
	"slices"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// CausalCounts says what became of the documents of a split.
type CausalCounts struct {
	Documents int // that were given
	Sequences int // that are trained on or evaluated
	Tokens    int // of these
	Targets   int // tokens that are learned
	Cut       int // documents that were cut to the length limit
	Lost      int // tokens that were cut off
	// Untaught is how many sequences were left out because nothing of them is learned: a single token, or a document whose
	// completion lay beyond the length limit. UntaughtLine is the line of the first, 0 for a window of text.
	Untaught, UntaughtLine int
}

// causalSet is a list of sequences with the id that follows each row: the batch.Set of language models.
type causalSet struct {
	ids, labels []int32 // labels: the next id of the same sequence, batch.Ignore where that is not learned
	starts      []int   // n+1
	counts      CausalCounts
}

// Len returns the number of sequences.
func (s *causalSet) Len() int { return len(s.starts) - 1 }

// Tokens returns the length of sequence i.
func (s *causalSet) Tokens(i int) int { return s.starts[i+1] - s.starts[i] }

// Batch makes a batch of sequences. It never fails.
func (s *causalSet) Batch(_ context.Context, examples []int, _ op.Key) (*batch.Batch, error) {
	n := 0
	for _, r := range examples {
		n += s.Tokens(r)
	}
	b := &batch.Batch{
		Seqs:   op.Seqs{Starts: make([]int, 1, len(examples)+1), Index: slices.Clone(examples)},
		IDs:    make([]int32, 0, n),
		Labels: make([]int32, 0, n),
	}
	for _, r := range examples {
		lo, hi := s.starts[r], s.starts[r+1]
		b.IDs, b.Labels = append(b.IDs, s.ids[lo:hi]...), append(b.Labels, s.labels[lo:hi]...)
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
	}
	return b, nil
}

// add appends a sequence, or counts it if nothing of it is learned. Row n's label is the token after it.
func (s *causalSet) add(q sequence, line int) {
	targets := 0
	for n := 1; n < len(q.ids); n++ {
		if q.learned[n] {
			targets++
		}
	}
	if targets == 0 {
		if s.counts.Untaught++; s.counts.Untaught == 1 {
			s.counts.UntaughtLine = line
		}
		return
	}
	for n, id := range q.ids {
		label := batch.Ignore
		if n+1 < len(q.ids) && q.learned[n+1] {
			label = q.ids[n+1]
		}
		s.ids, s.labels = append(s.ids, id), append(s.labels, label)
	}
	s.starts = append(s.starts, len(s.ids))
	s.counts.Sequences++
	s.counts.Tokens += len(q.ids)
	s.counts.Targets += targets
}

// set tokenises documents into windows or rows.
func (t *CausalLM) set(ctx context.Context, docs *document.File) (*causalSet, error) {
	s := &causalSet{starts: []int{0}, counts: CausalCounts{Documents: docs.Len()}}
	if t.cfg.BlockSize > 0 && docs.Kind != document.Text {
		return nil, fmt.Errorf("tasks: %s: a block size of %d cuts texts into windows, but the rows are %v: set it to 0", docs.Name, t.cfg.BlockSize, docs.Kind)
	}
	var err error
	if t.cfg.BlockSize > 0 {
		err = t.windows(ctx, docs, s)
	} else {
		err = t.rows(ctx, docs, s)
	}
	if err != nil {
		return nil, err
	}
	if s.Len() == 0 {
		limit := ""
		if s.counts.Cut > 0 {
			limit = fmt.Sprintf("; %d were cut to %d tokens, and what is learned of them may lie behind", s.counts.Cut, t.length)
		}
		return nil, &data.Error{File: docs.Name, Msg: fmt.Sprintf("nothing is left to learn of %d documents%s", docs.Len(), limit)}
	}
	return s, nil
}

// windows cuts texts into sequences of BlockSize tokens: all texts one after another, the eos token between two. The last window
// is shorter. A window's first token is not learned, as nothing stands before it.
func (t *CausalLM) windows(ctx context.Context, docs *document.File, s *causalSet) error {
	var rest []int32
	flush := func(n int) {
		q := sequence{ids: rest[:n], learned: make([]bool, n)}
		for i := range q.learned {
			q.learned[i] = true
		}
		s.add(q, 0)
		rest = rest[n:]
	}
	eos, first := t.tok.EosID(), true
	err := t.eachSequence(ctx, docs, func(_ *document.Document, q sequence) error {
		if !first && eos >= 0 && (len(rest) == 0 || rest[len(rest)-1] != eos) {
			rest = append(rest, eos)
		}
		first = false
		rest = append(rest, q.ids...)
		for len(rest) > t.cfg.BlockSize {
			flush(t.cfg.BlockSize)
		}
		return nil
	})
	if err == nil && len(rest) > 0 {
		flush(len(rest))
	}
	return err
}

// rows makes each document a sequence.
func (t *CausalLM) rows(ctx context.Context, docs *document.File, s *causalSet) error {
	return t.eachSequence(ctx, docs, func(d *document.Document, q sequence) error {
		q, lost, err := t.cut(docs, d, q)
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

// cut shortens a sequence to the length limit, or refuses it. It returns the number of tokens lost.
func (t *CausalLM) cut(docs *document.File, d *document.Document, q sequence) (sequence, int, error) {
	lost := len(q.ids) - t.length
	if lost <= 0 {
		return q, 0, nil
	}
	if t.cfg.OnTooLong == RefuseTooLong {
		return q, 0, &data.Error{File: docs.Name, Line: d.Line, Msg: fmt.Sprintf("the document has %d tokens, more than the limit of %d", len(q.ids), t.length)}
	}
	return sequence{q.ids[:t.length], q.learned[:t.length]}, lost, nil
}

// PreviewToken is a token as a person reads it.
type PreviewToken struct {
	Text    string // what it adds to the text; empty for a part of a character, whose last part has it all
	Trained bool   // it is learned: the loss counts how well it is predicted
}

// Preview returns the first n sequences of a split, token by token, as they are trained on.
func (t *CausalLM) Preview(s batch.Split, n int) [][]PreviewToken {
	set, ok := t.sets[s]
	if !ok {
		return nil
	}
	return set.preview(t.tok, n)
}

func (s *causalSet) preview(tok *tokenize.Tokenizer, n int) [][]PreviewToken {
	list := make([][]PreviewToken, 0, max(0, min(n, s.Len())))
	for i := 0; i < s.Len() && i < n; i++ {
		tokens := make([]PreviewToken, 0, s.Tokens(i))
		stream := tok.Stream(false)
		for row := s.starts[i]; row < s.starts[i+1]; row++ {
			learned := row > s.starts[i] && s.labels[row-1] != batch.Ignore
			tokens = append(tokens, PreviewToken{stream.Next(s.ids[row]), learned})
		}
		tokens[len(tokens)-1].Text += stream.Flush()
		list = append(list, tokens)
	}
	return list
}
