package op

import (
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Columns is the range of columns of X that starts at From. Queries, keys and values may be ranges of one N×3C tensor,
// but they must not overlap.
type Columns struct {
	X    mat.Tensor
	From int
	// Constant says that nothing that trains reaches these columns: they get a gradient of 0, whatever X needs.
	Constant bool
}

// Heads describes how columns are divided into heads, and which keys a query sees.
type Heads struct {
	Q      int     // query heads
	KV     int     // key and value heads; a divisor of Q, equal to Q without grouping
	Dim    int     // columns of one head
	Causal bool    // a query sees keys at its own and earlier positions only
	Window int     // with Causal: a query sees the Window nearest of these keys, its own included; 0: all
	Scale  float32 // factor of the products; 0: 1/√Dim
	Bias   Bias    // added to the scaled products; the zero value adds nothing
}

// Bias is what attention adds to the product of a query and a key, by head and by the distance of the key from the
// query (Raffel et al. 2020, arXiv:1910.10683). Layers that share it compute it once.
type Bias struct {
	X   mat.Tensor // distances×Q; nil: none
	Low int        // distance of row 0: the key's position less the query's
	// Tables, unless nil, says which of several tables one below the other, each of distances×Q, each segment has: 0 is
	// the first. They are for tapes that do not record.
	Tables []int
}

// distances returns the number of distances, which is the number of rows of a table.
func (b Bias) distances() int {
	rows, _ := Size(b.X)
	if len(b.Tables) == 0 {
		return rows
	}
	return rows / (slices.Max(b.Tables) + 1)
}

// mustCover panics unless b has a column for each head and a row for each distance of queries qs and keys ks.
func (b Bias) mustCover(qs, ks Seqs, h Heads) {
	if b.X == nil {
		return
	}
	_, cols := Size(b.X)
	rows := b.distances()
	mustBe(cols == h.Q, "Attention with %d query heads and a bias of %d", h.Q, cols)
	mustBe(b.Tables == nil || len(b.Tables) == qs.Len(), "Attention of %d segments with the biases of %d", qs.Len(),
		len(b.Tables))
	for i := range qs.Len() {
		nq, nk := qs.Starts[i+1]-qs.Starts[i], ks.Starts[i+1]-ks.Starts[i]
		if nq == 0 || nk == 0 {
			continue
		}
		low, high := ks.first(i)-qs.first(i)-nq+1, ks.first(i)+nk-1-qs.first(i)
		if h.Causal {
			low, high = min(low, 0), min(high, 0)
		}
		if h.Causal && h.Window > 0 {
			low = max(low, 1-h.Window)
		}
		mustBe(low >= b.Low && high < b.Low+rows, "Attention over distances %d to %d with a bias for %d to %d", low, high,
			b.Low, b.Low+rows-1)
	}
}

// byHead returns the values with a row for each head instead of each distance, in memory that the caller must free; nil
// without a bias.
func (b Bias) byHead(t *Tape) []float32 {
	if b.X == nil {
		return nil
	}
	rows, cols := Size(b.X)
	x, y := Values(b.X), t.alloc(rows*cols)
	for i := range rows {
		for head := range cols {
			y[head*rows+i] = x[i*cols+head]
		}
	}
	return y
}

// seen returns the range of keys that at least one of the queries at positions lo to hi−1 sees, out of n keys whose
// first is at position first.
func (h Heads) seen(lo, hi, first, n int) (from, to int) {
	if !h.Causal {
		return 0, n
	}
	to = max(0, min(n, hi-first))
	if h.Window > 0 {
		from = min(to, max(0, lo+1-h.Window-first))
	}
	return from, to
}

// Attention returns scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762) within each sequence:
//
//	P = softmax(scale·Q·Kᵀ + bias)    y = drop(P)·V    for each head
//
// q has Q·Dim columns, k and v have KV·Dim, y is Nq×Q·Dim. Segment i of the queries, qs, attends to segment i of
// the keys, ks; their positions are those of qs and ks. The T×T tensors exist for a block of queries of one head at a
// time, in scratch memory. The backward recomputes them, and dropout masks are never stored. Attention panics if the
// sizes do not fit or two ranges of columns overlap.
func Attention(t *Tape, q, k, v Columns, qs, ks Seqs, h Heads, drop Drop) mat.Tensor {
	f := &attention{q: q, k: k, v: v, qs: qs, ks: ks, h: h, drop: drop}
	nq, cq := Size(q.X)
	nk, ck := Size(k.X)
	nv, cv := Size(v.X)
	mustBe(h.KV > 0 && h.Q%h.KV == 0 && q.From+h.Q*h.Dim <= cq && k.From+h.KV*h.Dim <= ck && v.From+h.KV*h.Dim <= cv,
		"Attention with %d query and %d key heads of %d columns over %d, %d and %d columns", h.Q, h.KV, h.Dim, cq, ck, cv)
	mustBe(qs.Len() == ks.Len() && qs.Rows() == nq && ks.Rows() == nk && nk == nv,
		"Attention over %d and %d segments of %d and %d rows with %d queries, %d keys, %d values",
		qs.Len(), ks.Len(), qs.Rows(), ks.Rows(), nq, nk, nv)
	cols := h.KV * h.Dim
	mustBe(!overlap(q, h.Q*h.Dim, k, cols) && !overlap(q, h.Q*h.Dim, v, cols) && !overlap(k, cols, v, cols),
		"Attention with queries, keys and values from columns %d, %d and %d of one tensor, which overlap", q.From, k.From,
		v.From)
	h.Bias.mustCover(qs, ks, h)
	for _, c := range []Columns{q, k, v} {
		if !contains(f.inputs, c.X) {
			f.inputs = append(f.inputs, c.X)
		}
	}
	if h.Bias.X != nil {
		f.inputs = append(f.inputs, h.Bias.X)
	}
	f.h.Scale = h.scale()
	return t.run(f)
}

// scale returns the factor of the products of queries and keys.
func (h Heads) scale() float32 {
	if h.Scale == 0 {
		return float32(1 / math.Sqrt(float64(h.Dim)))
	}
	return h.Scale
}

// overlap reports whether two ranges of m and n columns share a column. Their gradients would be written to the same
// place.
func overlap(a Columns, m int, b Columns, n int) bool {
	return a.X == b.X && a.From < b.From+n && b.From < a.From+m
}

func contains(xs []mat.Tensor, x mat.Tensor) bool {
	for _, y := range xs {
		if x == y {
			return true
		}
	}
	return false
}

type attention struct {
	node
	q, k, v Columns
	qs, ks  Seqs
	h       Heads
	drop    Drop
	bias    []float32 // h.Bias by head, while a pass runs
}

// view holds the columns of one head from some row on.
type view struct {
	data   []float32
	stride int
}

func (c Columns) view(data []float32, row, head, dim int) view {
	_, stride := Size(c.X)
	return view{data[min(len(data), row*stride+c.From+head*dim):], stride}
}

func (v view) row(i int) view         { return view{v.data[min(len(v.data), i*v.stride):], v.stride} }
func (v view) mat() kernel.Mat        { return matrix(v.data, v.stride) }
func (v view) transposed() kernel.Mat { return transposed(v.data, v.stride) }

// blockRows returns the number of queries of a block against the given number of keys. Scores of a block stay in the
// second-level cache; against many keys that would leave so few queries that packing the keys for each block takes
// longer than reading the scores from memory.
func blockRows(keys int) int {
	scores := 1 << 15
	if keys > 1024 {
		scores = 1 << 18
	}
	return min(128, max(16, scores/max(keys, 1)))
}

// scratch is the memory of one worker. Its buffers have blockRows×keys elements.
type scratch struct {
	p, pd, dp []float32
	term      [1]kernel.Term
	bf16      bool
}

// product computes dst = a·b, or adds a·b to dst, on the calling goroutine with the worker's own term.
func (s *scratch) product(dst []float32, ldd, m, n int, a, b kernel.Mat, k int, add bool) {
	s.term[0] = kernel.Term{A: a, B: b, K: k, BF16: s.bf16}
	var alone *kernel.Pool
	alone.MatMul(dst, ldd, m, n, s.term[:], kernel.Epilogue{Accumulate: add})
}

// eachHead runs body on the pool for every segment and key head. buffers is the number of scratch buffers that body
// needs: 1 or 3.
func (f *attention) eachHead(buffers int, body func(s *scratch, segment, kv int)) {
	size := 0
	for i := range f.ks.Len() {
		n := f.ks.Starts[i+1] - f.ks.Starts[i]
		size = max(size, min(blockRows(n), f.qs.Starts[i+1]-f.qs.Starts[i])*n)
	}
	workers := f.t.pool.Workers()
	mem := f.t.alloc(workers * buffers * size)
	ss := make([]scratch, workers)
	for w := range ss {
		m := mem[w*buffers*size:]
		ss[w].p, ss[w].bf16 = m[:size], f.t.pool.BF16()
		if buffers > 1 {
			ss[w].pd, ss[w].dp = m[size:2*size], m[2*size:3*size]
		}
	}
	f.t.pool.For(f.ks.Len()*f.h.KV, func(task, worker int) {
		body(&ss[worker], task/f.h.KV, task%f.h.KV)
	})
	f.t.free(mem)
}

// part is a block of queries of one segment, rows lo to hi−1, and the range of keys that they see, from to to−1.
type part struct {
	segment, head, lo, hi, from, to int
}

func (b part) keys() int { return b.to - b.from }

// eachBlock runs body for every query head of a key head and every block of queries.
func (f *attention) eachBlock(segment, kv int, body func(b part)) {
	group := f.h.Q / f.h.KV
	nq, nk := f.qs.Starts[segment+1]-f.qs.Starts[segment], f.ks.Starts[segment+1]-f.ks.Starts[segment]
	step := blockRows(nk)
	first := f.qs.first(segment)
	for head := kv * group; head < (kv+1)*group; head++ {
		for lo := 0; lo < nq; lo += step {
			b := part{segment: segment, head: head, lo: lo, hi: min(nq, lo+step)}
			b.from, b.to = f.h.seen(first+b.lo, first+b.hi, f.ks.first(segment), nk)
			body(b)
		}
	}
}

// probabilities computes P of a block of queries in s.p. q and k are those of the whole segment.
func (f *attention) probabilities(s *scratch, b part, q, k view) {
	n := b.keys()
	s.product(s.p, n, b.hi-b.lo, n, q.row(b.lo).mat(), k.row(b.from).transposed(), f.h.Dim, false)
	for i := b.lo; i < b.hi; i++ {
		row := s.p[(i-b.lo)*n : (i-b.lo+1)*n]
		position := f.qs.first(b.segment) + i
		from, to := f.h.seen(position, position+1, f.ks.first(b.segment), b.to)
		hide(row[:from-b.from])
		hide(row[to-b.from:])
		if f.bias == nil {
			kernel.Softmax(row, f.h.Scale)
			continue
		}
		kernel.Scale(row, row, f.h.Scale)
		at := f.h.Bias.at(b.segment, b.head, f.ks.first(b.segment)+from-position)
		kernel.AddTo(row[from-b.from:to-b.from], f.bias[at:at+to-from])
		kernel.Softmax(row, 1)
	}
}

// at returns the index of a distance in the values by head, for a segment.
func (b Bias) at(segment, head, distance int) int {
	rows, _ := Size(b.X)
	at := head*rows + distance - b.Low
	if b.Tables != nil {
		at += b.Tables[segment] * b.distances()
	}
	return at
}

// hide sets products to −∞, so that their probability is 0.
func hide(x []float32) {
	for i := range x {
		x[i] = float32(math.Inf(-1))
	}
}

// mask writes src with the dropout of P to dst, for the probabilities of a block.
func (f *attention) mask(dst, src []float32, b part) {
	site := kernel.Site{Op: f.drop.Site, Example: uint32(f.qs.index(b.segment))}
	n := b.keys()
	for i := b.lo; i < b.hi; i++ {
		site.Row = uint32(b.head)<<20 | uint32(f.qs.first(b.segment)+i)
		lo, hi := (i-b.lo)*n, (i-b.lo+1)*n
		kernel.Dropout(dst[lo:hi], src[lo:hi], f.drop.Key, site, f.ks.first(b.segment)+b.from, f.drop.P)
	}
}

// Forward computes y.
func (f *attention) Forward() (mat.Tensor, error) {
	t, d := f.t, f.h.Dim
	y := t.tensor(f.qs.Rows(), f.h.Q*d)
	out := Columns{X: y}
	qx, kx, vx := Values(f.q.X), Values(f.k.X), Values(f.v.X)
	f.bias = f.h.Bias.byHead(t)
	f.eachHead(1, func(s *scratch, segment, kv int) {
		q0, k0 := f.qs.Starts[segment], f.ks.Starts[segment]
		k, v := f.k.view(kx, k0, kv, d), f.v.view(vx, k0, kv, d)
		f.eachBlock(segment, kv, func(b part) {
			f.probabilities(s, b, f.q.view(qx, q0, b.head, d), k)
			if f.drop.on() {
				f.mask(s.p, s.p, b)
			}
			o := out.view(y.data, q0+b.lo, b.head, d)
			s.product(o.data, o.stride, b.hi-b.lo, d, matrix(s.p, b.keys()), v.row(b.from).mat(), b.keys(), false)
		})
	})
	t.free(f.bias)
	f.bias = nil
	for _, x := range f.inputs {
		f.hold(x)
	}
	return y, nil
}

// gradient is the buffer that the gradient of one operand is written to.
type gradient struct {
	data []float32 // nil: the operand needs no gradient
	add  bool      // data holds a gradient already
}

// Backward, with Pd = drop(P):
//
//	dV = Pdᵀ·dY    dP = drop(dY·Vᵀ)    dL = P∘(dP − Σ P∘dP)    dS = scale·dL    dQ = dS·K    dK = dSᵀ·Q
//
// and the gradient of a bias is the sum of dL over all pairs of its distance.
func (f *attention) Backward(gy mat.Tensor) error {
	d, dy := f.h.Dim, Columns{X: gy}
	gv := Values(gy)
	qx, kx, vx := Values(f.q.X), Values(f.k.X), Values(f.v.X)
	grads := f.openGradients()
	gq, gk, gvv := f.q.gradient(grads), f.k.gradient(grads), f.v.gradient(grads)
	f.bias = f.h.Bias.byHead(f.t)
	diagonals := f.newDiagonals()
	f.eachHead(3, func(s *scratch, segment, kv int) {
		q0, k0 := f.qs.Starts[segment], f.ks.Starts[segment]
		nk := f.ks.Starts[segment+1] - k0
		k, v := f.k.view(kx, k0, kv, d), f.v.view(vx, k0, kv, d)
		dk, dv := f.k.view(gk.data, k0, kv, d), f.v.view(gvv.data, k0, kv, d)
		if f.h.Causal || f.qs.Starts[segment+1] == q0 { // some keys may get no gradient
			zeroRows(dk, gk, nk, d)
			zeroRows(dv, gvv, nk, d)
		}
		addK, addV := gk.add || f.h.Causal, gvv.add || f.h.Causal
		f.eachBlock(segment, kv, func(b part) {
			n, keys := b.hi-b.lo, b.keys()
			q, o := f.q.view(qx, q0, b.head, d), dy.view(gv, q0+b.lo, b.head, d)
			f.probabilities(s, b, q, k)
			pd := s.p
			if f.drop.on() {
				pd = s.pd
				f.mask(pd, s.p, b)
			}
			if gvv.data != nil {
				s.product(dv.row(b.from).data, dv.stride, keys, d, transposed(pd, keys), o.mat(), n, addV)
				addV = true
			}
			s.product(s.dp, keys, n, keys, o.mat(), v.row(b.from).transposed(), d, false)
			if f.drop.on() {
				f.mask(s.dp, s.dp, b)
			}
			for i := range n {
				row := s.dp[i*keys : (i+1)*keys]
				if diagonals == nil {
					kernel.SoftmaxBackward(row, row, s.p[i*keys:(i+1)*keys], f.h.Scale)
					continue
				}
				kernel.SoftmaxBackward(row, row, s.p[i*keys:(i+1)*keys], 1)
				diagonals.add(f, b, i, row)
				kernel.Scale(row, row, f.h.Scale)
			}
			if gq.data != nil {
				dq := f.q.view(gq.data, q0+b.lo, b.head, d)
				s.product(dq.data, dq.stride, n, d, matrix(s.dp, keys), k.row(b.from).mat(), keys, gq.add)
			}
			if gk.data != nil {
				s.product(dk.row(b.from).data, dk.stride, keys, d, transposed(s.dp, keys), q.row(b.lo).mat(), n, addK)
				addK = true
			}
		})
	})
	for _, x := range f.inputs {
		f.shut(x, grads[x].data)
	}
	f.t.free(f.bias)
	f.bias = nil
	if diagonals != nil {
		f.whole(f.h.Bias.X, diagonals.sum)
		f.t.free(diagonals.sums)
	}
	return nil
}

// diagonals are the sums of dL over the pairs of a segment that have the same head and distance. Each segment has its
// own, which are added up in the order of the segments, so that the number of workers does not change the bits.
type diagonals struct {
	sums          []float32 // segments×heads×distances
	heads, places int
}

// newDiagonals returns sums of 0, or nil if no bias needs a gradient.
func (f *attention) newDiagonals() *diagonals {
	if f.h.Bias.X == nil || !f.h.Bias.X.RequiresGrad() {
		return nil
	}
	rows, heads := Size(f.h.Bias.X)
	d := &diagonals{f.t.alloc(f.qs.Len() * heads * rows), heads, rows}
	clear(d.sums)
	return d
}

// add adds dL of query i of a block. Hidden keys have 0, and may have a distance that the bias lacks.
func (d *diagonals) add(f *attention, b part, i int, row []float32) {
	position, first := f.qs.first(b.segment)+b.lo+i, f.ks.first(b.segment)
	from, to := f.h.seen(position, position+1, first, b.to)
	at := b.segment*d.heads*d.places + f.h.Bias.at(b.segment, b.head, first+from-position)
	kernel.AddTo(d.sums[at:at+to-from], row[from-b.from:to-b.from])
}

// sum writes the sums over all segments to dst, distances×heads.
func (d *diagonals) sum(dst []float32) {
	clear(dst)
	for at := 0; at < len(d.sums); at += d.heads * d.places {
		for head := range d.heads {
			for i, v := range d.sums[at+head*d.places:][:d.places] {
				dst[i*d.heads+head] += v
			}
		}
	}
}

// gradient returns the buffer of c's gradient.
func (c Columns) gradient(of map[mat.Tensor]gradient) gradient {
	if c.Constant {
		return gradient{}
	}
	return of[c.X]
}

// openGradients opens the gradients of queries, keys and values once each. It clears a new gradient if not all columns
// will be written.
func (f *attention) openGradients() map[mat.Tensor]gradient {
	grads := make(map[mat.Tensor]gradient, len(f.inputs))
	for _, x := range f.inputs {
		if x == f.h.Bias.X {
			continue
		}
		dst, add := f.open(x)
		covered := 0
		for i, c := range []Columns{f.q, f.k, f.v} {
			if c.X == x && !c.Constant {
				covered += []int{f.h.Q, f.h.KV, f.h.KV}[i] * f.h.Dim
			}
		}
		if _, cols := Size(x); !add && covered < cols {
			clear(dst)
		}
		grads[x] = gradient{dst, add}
	}
	return grads
}

// zeroRows clears cols columns of the rows of v, a part of g, unless g holds a gradient already or is not wanted.
func zeroRows(v view, g gradient, rows, cols int) {
	if g.data == nil || g.add {
		return
	}
	for i := range rows {
		clear(v.row(i).data[:cols])
	}
}
