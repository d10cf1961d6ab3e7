package generate

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// sampler chooses one token after another for each sequence: the most probable one, or one that it draws.
type sampler struct {
	*run
	live   []*live // unfinished sequences
	copies int     // sequences that share one of the cache's: at first all copies of a prompt, then one
	sets   []nn.AdapterSet
	row    []float32 // copy of the logits of a sequence, for all but its last copy
	keep   []int     // indices of the sequences in live that continue
}

// newSampler returns a sampler of a call. order has the numbers of the prompts in the order of the cache.
func newSampler(r *run, prompts []Prompt, order []int, out []Sequence) *sampler {
	d := &sampler{run: r, copies: r.cfg.NumReturnSequences}
	for _, i := range order {
		for at := i * d.copies; at < (i+1)*d.copies; at++ {
			d.live = append(d.live, newLive(at, prompts[i], &out[at], r.cfg, r.g.model.MaxLength(), r.g.tok))
		}
	}
	return d
}

func (d *sampler) sequences() int { return len(d.live) }

// adapters returns the adapter of each sequence of the cache.
func (d *sampler) adapters() []nn.AdapterSet {
	d.sets = d.sets[:0]
	for i := 0; i < len(d.live); i += d.copies {
		d.sets = append(d.sets, d.live[i].adapter)
	}
	return d.sets
}

// step chooses the next token of every sequence from its row of logits.
func (d *sampler) step(logits mat.Tensor) error {
	_, cols := op.Size(logits)
	d.keep = d.keep[:0]
	for i, s := range d.live {
		row := op.Values(logits)[i/d.copies*cols:][:d.vocabularies[s.adapter]]
		if i%d.copies < d.copies-1 { // choosing changes the row
			d.row = append(d.row[:0], row...)
			row = d.row
		}
		id, err := d.choose.next(row, &s.history, s.draw)
		if err != nil {
			return fmt.Errorf("generate: prompt %d, new token %d: %w", s.out.Prompt, len(s.out.IDs), err)
		}
		d.emit(s.at, s.add(id, d.ends))
		s.out.LogProb = s.logp / float64(len(s.out.IDs))
		if s.out.Finish == "" {
			d.keep = append(d.keep, i)
		}
	}
	if d.late() {
		for _, i := range d.keep {
			d.emit(d.live[i].at, d.live[i].finish(TimeUp))
		}
		d.keep = d.keep[:0]
	}
	return nil
}

// next removes the finished sequences and sets b to the last tokens of the others.
func (d *sampler) next(b *batch.Batch) {
	if len(d.keep) < len(d.live) || d.copies > 1 {
		for to, from := range d.keep {
			d.live[to], d.keep[to] = d.live[from], from/d.copies
		}
		d.cache.Keep(d.keep)
		clear(d.live[len(d.keep):])
		d.live, d.copies = d.live[:len(d.keep)], 1
	}
	b.Seqs.Index, b.IDs, b.Seqs.Starts = b.Seqs.Index[:0], b.IDs[:0], b.Seqs.Starts[:1]
	for i, s := range d.live {
		b.Seqs.Index, b.IDs, b.Seqs.Starts = append(b.Seqs.Index, s.at), append(b.IDs, s.last()), append(b.Seqs.Starts, i+1)
	}
}

// interrupt ends the sequences that an error has left unfinished.
func (d *sampler) interrupt() {
	for _, s := range d.live {
		d.emit(s.at, s.finish(Interrupted))
	}
}
