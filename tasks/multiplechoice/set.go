package multiplechoice

import (
	"context"
	"sort"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// questions is a list of questions: the [batch.Set] of multiple choice.
type questions struct {
	texts  *tasks.TextSet // all choices of all questions, one after another
	starts []int          // n+1: question q has the choices starts[q] to starts[q+1]
	labels []int32        // index of the right choice of each question, batch.Ignore for none
	cut    int            // questions of which a choice was cut to the length limit
}

// Len returns the number of questions.
func (s *questions) Len() int { return len(s.labels) }

// Bytes returns how much memory the set takes.
func (s *questions) Bytes() int64 {
	return s.texts.Bytes() + 8*int64(len(s.starts)) + 4*int64(len(s.labels))
}

// Tokens returns the length of all choices of question q.
func (s *questions) Tokens(q int) int {
	return s.texts.Start(s.starts[q+1]) - s.texts.Start(s.starts[q])
}

// Batch returns the given questions: Seqs has a sequence for each choice, numbered among all choices of the set, and
// Groups has the sequences of each question.
func (s *questions) Batch(ctx context.Context, list []int, key op.Key) (*batch.Batch, error) {
	var choices []int
	groups := make([]int, 1, len(list)+1)
	labels := make([]int32, len(list))
	for g, q := range list {
		for i := s.starts[q]; i < s.starts[q+1]; i++ {
			choices = append(choices, i)
		}
		groups = append(groups, len(choices))
		labels[g] = s.labels[q]
	}
	b, err := s.texts.Batch(ctx, choices, key)
	if err != nil {
		return nil, err
	}
	b.Groups, b.Labels = groups, labels
	return b, nil
}

// question returns the number of the question that a choice belongs to, and the number of the choice within it.
func (s *questions) question(choice int) (q, i int) {
	q = sort.SearchInts(s.starts, choice+1) - 1
	return q, choice - s.starts[q]
}
