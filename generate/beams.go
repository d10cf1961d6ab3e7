package generate

import (
	"cmp"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// searcher finds the most probable sequences of each prompt by beam search, as transformers' _beam_search does.
type searcher struct {
	*run
	prompts  []Prompt
	out      []Sequence
	searches []*search // unfinished ones
	started  bool      // the cache has the beams of each prompt; before the first step it has the prompts
	keep     []int     // sequences of the cache that continue
	sets     []nn.AdapterSet
}

// newSearcher returns a searcher of a call. order has the numbers of the prompts in the order of the cache.
func newSearcher(r *run, prompts []Prompt, order []int, out []Sequence) *searcher {
	d := &searcher{run: r, prompts: prompts, out: out}
	for _, i := range order {
		d.searches = append(d.searches, newSearch(i, prompts[i], r))
	}
	return d
}

func (d *searcher) sequences() int { return len(d.searches) * d.cfg.NumBeams }

// each returns the number of sequences of the cache for a prompt.
func (d *searcher) each() int {
	if d.started {
		return d.cfg.NumBeams
	}
	return 1
}

// adapters returns the adapter of each sequence of the cache.
func (d *searcher) adapters() []nn.AdapterSet {
	d.sets = d.sets[:0]
	for _, s := range d.searches {
		for range d.each() {
			d.sets = append(d.sets, d.prompts[s.prompt].Adapter)
		}
	}
	return d.sets
}

// vocabulary returns the number of logits of a search.
func (d *searcher) vocabulary(s *search) int { return d.vocabularies[d.prompts[s.prompt].Adapter] }

// step extends the beams of every prompt by a token.
func (d *searcher) step(logits mat.Tensor) error {
	_, cols := op.Size(logits)
	each := d.each()
	row := func(search, k int) []float32 { return op.Values(logits)[(search*each+k)*cols:][:cols] }
	most := 0 // logits of the widest rows
	for _, s := range d.searches {
		most = max(most, d.vocabulary(s))
	}
	for i, s := range d.searches {
		for k := range each {
			narrow := row(i, k)[d.vocabulary(s):most]
			for j := range narrow {
				narrow[j] = none
			}
		}
	}
	op.LogSoftmax(d.g.pool, logits, most)
	late, errs := d.late(), make([]error, len(d.searches))
	d.g.pool.For(len(d.searches), func(i, _ int) { // each search has rows and beams of its own
		s := d.searches[i]
		rows := make([][]float32, each)
		for k := range rows {
			rows[k] = row(i, k)[:d.vocabulary(s)]
		}
		errs[i] = s.step(rows, late)
	})
	for i, s := range d.searches {
		if errs[i] != nil {
			return fmt.Errorf("generate: prompt %d, new token %d: %w", s.prompt, s.running[0].count(), errs[i])
		}
	}
	return nil
}

// next reorders the beams in the cache, without those of finished prompts, and sets b to their last tokens.
func (d *searcher) next(b *batch.Batch) {
	b.Seqs.Index, b.IDs, b.Seqs.Starts = b.Seqs.Index[:0], b.IDs[:0], b.Seqs.Starts[:1]
	d.keep = d.keep[:0]
	open := d.searches[:0]
	for i, s := range d.searches {
		if !s.open {
			d.write(s)
			continue
		}
		for _, x := range s.running {
			d.keep = append(d.keep, i*d.each()+min(x.parent, d.each()-1))
			b.Seqs.Index, b.IDs = append(b.Seqs.Index, s.prompt), append(b.IDs, x.ids[len(x.ids)-1])
			b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
		}
		open = append(open, s)
	}
	clear(d.searches[len(open):])
	d.searches, d.started = open, true
	d.cache.Keep(d.keep)
}

// interrupt ends the searches that an error has left unfinished.
func (d *searcher) interrupt() {
	for _, s := range d.searches {
		d.write(s)
	}
}

// write writes the best sequences of a search to the result. Places without a finished sequence get the best
// unfinished ones.
func (d *searcher) write(s *search) {
	n, running := d.cfg.NumReturnSequences, s.running
	for k, x := range s.finished[:n] {
		if x.finish == "" {
			x, running = running[0], running[1:]
			x.score /= s.divisor(max(x.count(), 1))
		}
		at := s.prompt*n + k
		l := newLive(at, d.prompts[s.prompt], &d.out[at], d.cfg, d.g.model.MaxLength(), d.g.tok)
		for _, id := range x.ids[x.prompt:] {
			l.add(id, d.ends)
		}
		l.finish(cmp.Or(x.finish, Interrupted)) // it has ended by now, unless time is up
		l.out.Score = x.score
		l.out.LogProb = x.logp / float64(max(x.count(), 1))
		d.emit(at, l.out.Text)
	}
}
