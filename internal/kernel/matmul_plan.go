package kernel

import "sync"

// Sizes of the parts of a product. A tile multiplies up to tileKernels.rows rows by one panel of tileKernels.cols
// columns of B, with the running sums in registers. A panel of blockK rows (24 KiB with 16 columns) stays in the
// first-level cache while blockM rows of A stream through the second-level cache. The sizes of the summed dimension are
// the same for all versions: those that have fused multiply-add give the same bits.
const (
	blockK      = 384     // summed dimension of a packed block
	blockM      = 266     // largest number of rows of A per pass over a packed block
	blockN      = 1024    // columns of a packed block
	unpacked    = 32      // rows of a result that B is read for where it lies
	wideResult  = 96      // columns of a result from which on copying A pays
	skinny      = 64      // columns or rows of a result that stays in the cache by itself
	longK       = 1024    // a longer summed dimension makes a skinny result read its operands once from memory
	shortBlockK = 128     // summed dimension of a block of a skinny result
	streamK     = 32      // summed dimension of a block of a skinny result with more than longK
	fetchEvery  = 4       // steps of the summed dimension after which a tile fetches one cache line ahead
	smallWork   = 1 << 18 // multiplications below which waking the workers costs more than it saves
)

// scratch is the working memory of one worker. It grows to the size that products need and is then reused.
type scratch struct {
	b      []float32 // packed block of B: panels of blockK×panelCols
	a      []float32 // widened block of A
	wide   window    // widened part of a quantised B
	row    []float32 // widened rows of an operand that becomes pairs of BF16
	pairs  []float32 // pairs of it that are still to be transposed
	view   Mat       // of one of these; kept here because it is passed by reference
	turned []float32 // part of the transpose of a result
	tile   tile
}

// ScratchBytes returns how many bytes of scratch the given number of workers keep for products, of which each has its
// own: a packed block of B, a widened block of A and a part of a transposed result.
func ScratchBytes(workers int) int {
	return 4 * workers * (blockK*(blockN+blockM) + turnedRows*skinny)
}

// product is one call of MatMul, divided into tasks that each compute a rectangle of dst.
type product struct {
	kernel *tileKernels
	dst    []float32
	ldd    int
	m, n   int
	terms  []Term
	e      Epilogue
	turned bool // dst is n×m: the transpose is computed

	rows, cols int // size of a task's rectangle
	across     int // number of rectangles beside each other
	pool       *Pool
	body       func(task, worker int) // run, bound once: binding allocates
}

// products and scratches keep buffers of finished calls for later ones. Calls that do not own a pool take their scratch
// from scratches.
var (
	products = sync.Pool{New: func() any {
		p := new(product)
		p.body = p.run
		return p
	}}
	scratches = sync.Pool{New: func() any { return new(scratch) }}
)

// matMul is MatMul with the given version of the kernels.
func (p *Pool) matMul(kernel *tileKernels, dst []float32, ldd, m, n int, terms []Term, e Epilogue) {
	check(dst, ldd, m, n, terms, e)
	if m == 0 || n == 0 || p.Skips() {
		return
	}
	c := products.Get().(*product)
	c.kernel, c.dst, c.ldd, c.m, c.n, c.e, c.pool = kernel, dst, ldd, m, n, e, p
	c.terms = append(c.terms[:0], terms...) // a copy, so that the caller's slice may live on its stack
	if turns(m, n, terms) {
		c.turn()
	}
	work := 0
	for i := range terms {
		work += m * n * terms[i].K
	}
	if work > smallWork && p.acquire() {
		defer p.release()
		p.forAcquired(c.divide(p.workers), c.body)
	} else {
		s := scratches.Get().(*scratch)
		for task := range c.divide(1) {
			c.rectangle(task, s)
		}
		scratches.Put(s)
	}
	clear(c.terms)
	c.dst, c.e, c.pool, c.turned = nil, Epilogue{}, nil, false
	products.Put(c)
}

// divide chooses the rectangles and returns their number. The division does not change bits, so it may depend on the
// number of workers.
//
// A rectangle reads its rows of A once from memory and packs its columns of B, so wide rectangles save reading and high
// ones save packing. The two costs are about equal if a rectangle is twice as high as wide.
func (c *product) divide(workers int) int {
	tileRows, panelCols := c.kernel.rows, c.kernel.cols
	c.rows, c.cols = roundUp(c.m, tileRows), min(roundUp(c.n, panelCols), blockN)
	minRows, minCols := roundUp(48, tileRows), 64
	wanted := 4 * workers // so that workers of different speed finish together
	if min(c.m, c.n) <= skinny && len(c.terms) > 0 && c.terms[0].A.Trans {
		wanted = workers // keeping stored rows whole matters more
	}
	if c.turned { // each task packs all columns
		c.rows, wanted = min(c.rows, turnedRows), 2*workers
	}
	for workers > 1 && c.tasks() < wanted {
		switch {
		case c.rows > minRows && (c.rows > 2*c.cols || c.cols <= minCols):
			c.rows = roundUp(c.rows/2, tileRows)
		case c.cols > minCols:
			c.cols = roundUp(c.cols/2, panelCols)
		default:
			return c.tasks()
		}
	}
	return c.tasks()
}

func (c *product) tasks() int {
	c.across = ceilDiv(c.n, c.cols)
	return c.across * ceilDiv(c.m, c.rows)
}

func (c *product) run(task, worker int) { c.rectangle(task, &c.pool.scratch[worker]) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func roundUp(a, b int) int { return ceilDiv(a, b) * b }
