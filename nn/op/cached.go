package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Past holds the keys and values of one sequence in one layer, a row of KV·Dim keys and one of KV·Dim values for each
// position: for causal attention of the positions up to now, new ones included, otherwise of all positions of the
// sequence that is attended to.
type Past struct {
	Keys, Values []float32
}

// CachedAttention returns the attention of q (Nq×Q·Dim, one segment of qs for each sequence) to the keys and values
// of past, Nq×Q·Dim, as [Attention] computes it. Generation uses it: segment i attends to past[i]; with h.Causal,
// qs.First[i] is the number of rows of past[i] that precede the segment. It has no gradient. It panics if the sizes do
// not fit or the tape records.
func CachedAttention(t *Tape, q Columns, qs Seqs, past []Past, h Heads) mat.Tensor {
	n, cols := Size(q.X)
	mustBe(!t.record, "CachedAttention on a tape that records")
	mustBe(h.KV > 0 && h.Q%h.KV == 0 && q.From+h.Q*h.Dim <= cols,
		"CachedAttention with %d query and %d key heads of %d columns over %d columns", h.Q, h.KV, h.Dim, cols)
	mustBe(qs.Len() == len(past) && qs.Rows() == n,
		"CachedAttention of %d segments of %d rows with %d queries and %d pasts", qs.Len(), qs.Rows(), n, len(past))
	keys := Seqs{Starts: make([]int, len(past)+1)}
	for i, p := range past {
		width := h.KV * h.Dim
		rows := len(p.Keys) / width
		keys.Starts[i+1] = keys.Starts[i] + rows
		mustBe(len(p.Keys) == rows*width && len(p.Values) == len(p.Keys) &&
			(!h.Causal || rows == qs.first(i)+qs.Starts[i+1]-qs.Starts[i]),
			"CachedAttention with %d keys and %d values of width %d for segment %d", len(p.Keys), len(p.Values), width, i)
	}
	h.Bias.mustCover(qs, keys, h)
	h.Scale = h.scale()
	return t.run(&cached{node: node{inputs: []mat.Tensor{q.X}}, q: q, qs: qs, past: past, h: h})
}

type cached struct {
	node
	q    Columns
	qs   Seqs
	past []Past
	h    Heads
}

// Forward computes y query by query, since there are few queries. Each reads its keys and values once.
func (f *cached) Forward() (mat.Tensor, error) {
	t, h := f.t, f.h
	y := t.tensor(f.qs.Rows(), h.Q*h.Dim)
	out, q := Columns{X: y}, Values(f.q.X)
	most := 0
	for _, p := range f.past {
		most = max(most, len(p.Keys)/(h.KV*h.Dim))
	}
	scores, bias := t.alloc(t.pool.Workers()*most), h.Bias.byHead(t)
	group, width := h.Q/h.KV, h.KV*h.Dim
	f.eachHead(func(worker, segment, head int) {
		past, first := f.past[segment], f.qs.first(segment)
		at := head / group * h.Dim
		for row := f.qs.Starts[segment]; row < f.qs.Starts[segment+1]; row++ {
			position := first + row - f.qs.Starts[segment]
			from, to := h.seen(position, position+1, 0, len(past.Keys)/width)
			dst, query := out.view(y.data, row, head, h.Dim).data[:h.Dim], f.q.view(q, row, head, h.Dim).data[:h.Dim]
			keys, values := past.Keys, past.Values
			if to > from {
				keys, values = keys[from*width+at:], values[from*width+at:]
			}
			var add []float32
			if bias != nil {
				add = bias[h.Bias.at(segment, head, from-position):][:to-from]
			}
			kernel.AttendOne(dst, query, keys, values, width, to-from, h.Scale, add, scores[worker*most:][:to-from])
		}
	})
	t.free(scores)
	t.free(bias)
	return y, nil
}

// eachHead runs body for every query head of every segment.
func (f *cached) eachHead(body func(worker, segment, head int)) {
	f.t.pool.For(f.qs.Len()*f.h.Q, func(task, worker int) { body(worker, task/f.h.Q, task%f.h.Q) })
}

// Backward is never called: the tape does not record.
func (f *cached) Backward(mat.Tensor) error { panic("op: CachedAttention has no gradient") }
