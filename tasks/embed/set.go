package embed

import (
	"context"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// pairSet is a list of pairs of tokenised texts: the [batch.Set] of [Task].
type pairSet struct {
	texts  *tasks.TextSet // pair i is texts 2i and 2i+1
	scores []float32      // one for each pair, or nil
}

// Len returns the number of pairs.
func (s *pairSet) Len() int { return s.texts.Len() / 2 }

// Bytes returns how much memory the set takes.
func (s *pairSet) Bytes() int64 { return s.texts.Bytes() + 4*int64(len(s.scores)) }

// Tokens returns the length of both texts of pair i.
func (s *pairSet) Tokens(i int) int { return s.texts.Tokens(2*i) + s.texts.Tokens(2*i+1) }

// Batch makes a batch of pairs: Seqs has a sequence for each text, Values a score for each pair. It never fails.
func (s *pairSet) Batch(ctx context.Context, examples []int, key op.Key) (*batch.Batch, error) {
	both := make([]int, 0, 2*len(examples))
	for _, e := range examples {
		both = append(both, 2*e, 2*e+1)
	}
	b, err := s.texts.Batch(ctx, both, key)
	if err != nil {
		return nil, err
	}
	if s.scores != nil {
		for _, e := range examples {
			b.Values = append(b.Values, s.scores[e])
		}
	}
	return b, nil
}
