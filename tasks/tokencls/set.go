package tokencls

import (
	"context"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks"
)

// set is a list of tokenised sentences, or windows of them, with a label for each token: the [batch.Set] of token
// classification. Of the words it keeps the labels of their first tokens alone, which are what is scored.
type set struct {
	*tasks.TextSet
	later  tasks.Buffer[bool] // whether a token is of a word after its first; empty if these have no label
	words  []int              // for each sequence the number of words with a label before it
	ends   []int              // for each sentence the number of words with a label up to its end
	counts Counts
}

// newSet makes a file with tags into sequences with a label for each token.
func (t *Task) newSet(ctx context.Context, f *tagged.File) (*set, error) {
	classes, err := f.Classes(t.cfg.Labels)
	if err != nil {
		return nil, err
	}
	s := &set{TextSet: t.NewSet()}
	if err := t.read(ctx, f, t.all, func(i int, _ tagged.Sentence, x *sentence) { t.add(s, x, classes[i]) }); err != nil {
		return nil, err
	}
	if s.counts.Sequences = s.Len(); s.counts.Sequences == 0 {
		return nil, data.Errorf(f.Name, 0, "no word of %d sentences has a tag and a token", f.Len())
	}
	return s, nil
}

// add appends the windows of a sentence in which a token has a label, and counts. classes are those of the words; nil:
// they have none.
func (t *Task) add(s *set, x *sentence, classes []int32) {
	s.counts.count(x)
	if classes != nil {
		for w := x.kept[0]; w < x.kept[1]; w++ {
			if !x.seen[w] && t.cfg.Labels.Names[classes[w]] != outside {
				s.counts.WithoutTokensTagged++
			}
		}
	}
	n, labelled := s.scored(), false
	for k, e := range x.windows {
		labels, targets := t.labels(x.words[k], x.first[k], classes)
		if targets == 0 {
			continue
		}
		labelled = true
		s.counts.Targets += targets
		s.Append(e.IDs, e.Types)
		s.TokenLabels.Append(labels...)
		s.words = append(s.words, n)
		for i, l := range labels {
			if t.cfg.LabelAllTokens {
				s.later.Append(!x.first[k][i])
			}
			if l != batch.Ignore && x.first[k][i] {
				n++
			}
		}
	}
	s.ends = append(s.ends, n)
	if !labelled {
		s.counts.Empty++
	}
}

// labels returns the label of each token of a window, given the word of each and the classes of the words, and the
// number of those that have one.
func (t *Task) labels(words []int32, first []bool, classes []int32) (labels []int32, n int) {
	labels = make([]int32, len(words))
	for i, w := range words {
		labels[i] = batch.Ignore
		switch {
		case w < 0 || classes == nil:
			continue
		case first[i]:
			labels[i] = classes[w]
		case t.cfg.LabelAllTokens:
			labels[i] = t.inside[classes[w]]
		default:
			continue
		}
		n++
	}
	return labels, n
}

// scored returns the number of words with a label.
func (s *set) scored() int {
	if len(s.ends) == 0 {
		return 0
	}
	return s.ends[len(s.ends)-1]
}

// isFirst reports whether a token is the first of a word with a label.
func (s *set) isFirst(token int) bool {
	return s.TokenLabels.At(token) != batch.Ignore && (s.later.Len() == 0 || !s.later.At(token))
}

// wanted returns the labels of the words that have one, in order.
func (s *set) wanted() []int32 {
	out := make([]int32, 0, s.scored())
	for token := range s.TokenLabels.Len() {
		if s.isFirst(token) {
			out = append(out, s.TokenLabels.At(token))
		}
	}
	return out
}

// eachWord calls f for each word with a label in a batch of the given sequences, with its number among those of the set
// and the number of its first token's row among rows; rows nil: among all rows of the batch.
func (s *set) eachWord(seqs []int, rows []int, b *batch.Batch, f func(word, row int)) {
	place := make([]int, len(b.IDs))
	for i := range place {
		place[i] = i
	}
	for i, r := range rows {
		place[r] = i
	}
	for i, q := range seqs {
		n, lo := s.words[q], b.Seqs.Starts[i]
		for row := lo; row < b.Seqs.Starts[i+1]; row++ {
			if s.isFirst(s.Start(q) + row - lo) {
				f(n, place[row])
				n++
			}
		}
	}
}
