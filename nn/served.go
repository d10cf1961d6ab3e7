package nn

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// Served is a run of consecutive sequences of a batch that one adapter serves.
type Served struct {
	Adapter   AdapterSet // nil: the base model
	Sequences int
}

// Serve lets each sequence of a batch have its own adapter: sets has one for each sequence, nil for the base model.
// Sequences of one adapter should follow one another, since layers compute each run of them separately. The dynamic
// types of sets must be comparable, as pointers are.
func (p *Pass) Serve(sets []AdapterSet) {
	p.Adapter, p.Served = nil, nil
	for i, set := range sets {
		if i > 0 && set == sets[i-1] {
			p.Served[len(p.Served)-1].Sequences++
			continue
		}
		p.Served = append(p.Served, Served{set, 1})
	}
	if len(p.Served) == 1 {
		p.Adapter, p.Served = p.Served[0].Adapter, nil
	}
}

// Run is a run of consecutive sequences of a batch for which a layer has the same weights.
type Run struct {
	*Pass            // for these sequences
	First, Last int  // sequences First to Last−1 of the batch
	from, to    int  // their rows
	whole       bool // all sequences
}

// Apart calls compute for the sequences of the pass and returns its result. If the adapters of a batch differ in the
// given weights, it calls compute for each run of sequences for which they do not, and returns the results one below
// the other. A layer with weights of its own, and no [Linear] for them, computes its result in that way: with the
// weights of the pass of the run, and those rows of its inputs.
func (p *Pass) Apart(compute func(r Run) mat.Tensor, weights ...*op.Weight) mat.Tensor {
	if p.Served == nil {
		return compute(p.entire())
	}
	runs := p.runs(weights)
	if len(runs) == 1 {
		return compute(runs[0])
	}
	ys := make([]mat.Tensor, len(runs))
	for i, r := range runs {
		ys[i] = compute(r)
	}
	return op.Below(p.Tape, ys...)
}

// Bias looks up the rows of a table of biases (buckets×heads) for some distances, of which low is the first. All
// sequences of the pass share them, unless adapters of the batch differ in the table: then each has those of its
// adapter.
func (e *Embedding) Bias(p *Pass, buckets []int32, low int) op.Bias {
	b := op.Bias{Low: low}
	var tables []mat.Tensor
	add := func(r Run) {
		if len(tables) > 0 || !r.whole {
			for range r.Last - r.First {
				b.Tables = append(b.Tables, len(tables))
			}
		}
		tables = append(tables, op.Embedding(p.Tape, buckets, r.known(e.Key(), e.Weight), r.correction(e.Key()), e.Padding))
	}
	if p.Served == nil {
		add(p.entire())
	} else {
		for _, r := range p.runs([]*op.Weight{e.Key()}) {
			add(r)
		}
	}
	if b.X = tables[0]; len(tables) > 1 {
		b.X = op.Below(p.Tape, tables...)
	}
	return b
}

// entire returns all sequences of the pass.
func (p *Pass) entire() Run { return Run{Pass: p, Last: p.Seqs.Len(), whole: true} }

// runs divides the sequences of a pass with several adapters into the fewest runs for each of which one of them, or
// several that make the same of the given weights, serve all.
func (p *Pass) runs(weights []*op.Weight) []Run {
	p.checkServed()
	var runs []Run
	at := 0
	for _, s := range p.Served {
		from, end := at, at+s.Sequences
		at = end
		if n := len(runs); n > 0 && sameWeights(runs[n-1].Adapter, s.Adapter, weights) {
			runs[n-1].Last, runs[n-1].to = end, p.Seqs.Starts[end]
			continue
		}
		q := *p
		q.Adapter, q.Served = s.Adapter, nil
		runs = append(runs, Run{Pass: &q, First: from, Last: end, from: p.Seqs.Starts[from], to: p.Seqs.Starts[end]})
	}
	if len(runs) == 1 {
		runs[0].whole = true
		return runs
	}
	for _, r := range runs {
		r.Seqs = p.Seqs.Part(r.First, r.Last)
		r.Keep, r.Rotary, r.Cache = nil, nil, nil // those of the whole batch
	}
	return runs
}

// Rows returns the rows of the run in x, which has those of all sequences of the batch. x may be nil.
func (r Run) Rows(x mat.Tensor) mat.Tensor {
	if x == nil || r.whole {
		return x
	}
	list := make([]int, r.to-r.from)
	for i := range list {
		list[i] = r.from + i
	}
	return op.Rows(r.Tape, x, list)
}

// ids returns the ids of the run.
func (r Run) ids(all []int32) []int32 {
	if r.whole {
		return all
	}
	return all[r.from:r.to]
}

// checkServed panics unless the adapters serve all sequences of the pass.
func (p *Pass) checkServed() {
	n := 0
	for _, s := range p.Served {
		n += s.Sequences
	}
	if n != p.Seqs.Len() {
		panic(fmt.Sprintf("nn: adapters for %d sequences in a batch of %d", n, p.Seqs.Len()))
	}
}

// sameWeights reports whether two adapters make the same of the weights.
func sameWeights(a, b AdapterSet, weights []*op.Weight) bool {
	if a == b {
		return true
	}
	return !slices.ContainsFunc(weights, func(w *op.Weight) bool {
		return known(a, w, nil) != known(b, w, nil) || correction(a, w) != correction(b, w)
	})
}

// parts returns the rows of the pass as the layer computes them, or nil if all are computed with the same weights.
func (l *Linear) parts(p *Pass) []op.Part {
	if p.Served == nil {
		return nil
	}
	runs := p.runs([]*op.Weight{l.Key(), l.added()})
	if len(runs) == 1 {
		return nil
	}
	parts := make([]op.Part, len(runs))
	for i, r := range runs {
		parts[i] = op.Part{Rows: r.to - r.from, Weight: r.known(l.Key(), l.Weight), Bias: r.Weight(l.added()),
			Adapt: r.correction(l.Key())}
	}
	return parts
}
