package spagonn

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Some of spago's functions run on goroutines of their own, where a panic ends the process. They give the same results
// on the caller's.
func init() { ag.SetForceSyncExecution(true) }

// call is a forward over the sequences of a batch, and its backward.
type call struct {
	name   string
	first  int // number of the first sequence
	params []param
	inputs []mat.Tensor // x, then the parameters that train
	cols   int          // of x
	seqs   op.Seqs
	graphs []*graph // one for each sequence, until its backward is done
	rows   []int    // offsets of the sequences' outputs
	width  int      // elements of an output
}

// param is a parameter of the module in a call.
type param struct {
	values []float32
	shape  [2]int
	train  *spago.Param // nil: it does not train
}

// bind adds a parameter with the values of w. Values that do not train are copied: they may lie in mapped memory, where
// a write would end the process, or be stored in another type.
func (c *call) bind(w *op.Weight, shape [2]int, frozen bool) {
	p := param{shape: shape}
	if w.Param == nil {
		p.values = w.Float32()
	} else if p.values = op.Values(w.Param); !frozen {
		p.train = w.Param
	}
	c.params = append(c.params, p)
}

// leaf returns a matrix of spago.
func leaf(values []float32, rows, cols int, grad bool) *mat.Dense[float32] {
	return mat.NewDense[float32](mat.WithShape(rows, cols), mat.WithBacking(values), mat.WithGrad(grad))
}

// forward calls run for each sequence with a graph that has rows and parameters, and sets its outputs. It returns the
// outputs, one below the other.
func (c *call) forward(p *nn.Pass, x mat.Tensor, run func(i int, g *graph) error) (mat.Tensor, error) {
	n, cols := op.Size(x)
	if p.Seqs.Rows() != n {
		return nil, fmt.Errorf("%s: x has %d rows, the sequences of the pass have %d; use p.With(b.Seqs), or p.After() "+
			"behind a model that kept some rows", c.name, n, p.Seqs.Rows())
	}
	c.cols, c.seqs, c.inputs = cols, p.Seqs, []mat.Tensor{x}
	for _, q := range c.params {
		if q.train != nil {
			c.inputs = append(c.inputs, q.train)
		}
	}
	tracks, rowsTrain := p.Tape.Tracks(c.inputs...), p.Tape.Tracks(x)
	values := op.Values(x)
	c.graphs = make([]*graph, c.seqs.Len())
	errs := make([]error, c.seqs.Len())
	defer watchExits()()
	c.each(p.Tape.Pool(), func(_, i int) bool {
		g := &graph{}
		for r := c.seqs.Starts[i]; r < c.seqs.Starts[i+1]; r++ {
			// A copy: the tape may free the values of x and compute them again elsewhere.
			g.rows = append(g.rows, leaf(slices.Clone(values[r*cols:(r+1)*cols]), cols, 1, rowsTrain))
		}
		for _, q := range c.params {
			g.params = append(g.params, leaf(q.values, q.shape[0], q.shape[1], tracks && q.train != nil))
		}
		if errs[i] = run(i, g); errs[i] == nil {
			errs[i] = g.finish()
		}
		c.graphs[i] = g
		return errs[i] == nil
	})
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: sequence %d: %w", c.name, c.first+i, err)
		}
	}
	if err := c.layOut(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	y, err := p.Tape.Run(op.Custom{
		Name: c.name, Inputs: c.inputs, Rows: c.rows[len(c.rows)-1], Cols: c.width,
		Forward: func(y []float32) error {
			for i, g := range c.graphs {
				for j, out := range g.outs {
					copy(y[(c.rows[i]+j)*c.width:], mat.Data[float32](out))
				}
			}
			return nil
		},
		Backward: func(dy []float32, g op.Gradients) error { return c.backward(p.Tape.Pool(), dy, g) },
	})
	if !tracks {
		c.graphs = nil
	}
	return y, err
}

// finish checks the graph that spago computed.
func (g *graph) finish() error {
	var err error
	if e := guarded(func() {
		if slices.Contains(g.outs, nil) {
			err = fmt.Errorf("an output is nil")
			return
		}
		err = g.trace()
	}); e != nil {
		return e
	}
	return err
}

// layOut computes where the outputs of each sequence go.
func (c *call) layOut() error {
	c.rows = make([]int, 1, len(c.graphs)+1)
	c.width = -1
	for i, g := range c.graphs {
		for j, out := range g.outs {
			if c.width < 0 {
				c.width = out.Size()
			}
			if out.Size() != c.width {
				return fmt.Errorf("output %d of sequence %d has %d elements, those before have %d; want equal sizes", j, i,
					out.Size(), c.width)
			}
		}
		c.rows = append(c.rows, c.rows[i]+len(g.outs))
	}
	if c.width < 0 {
		return fmt.Errorf("there is no output for any of %d sequences", len(c.graphs))
	}
	return nil
}

// chunks is the largest number of parts of a batch that are computed at the same time. Each has a buffer for the
// gradients of all parameters.
const chunks = 8

// each calls f for every sequence on the pool, with the number of its chunk: sequences in a row with about the same
// number of rows together. Chunks depend on the batch, not on the workers, so that sums over them have the same order.
// The sequences of a chunk run one after another, until f returns false.
func (c *call) each(pool *op.Pool, f func(chunk, i int) bool) {
	n := c.seqs.Len()
	total := c.seqs.Rows() + n // a sequence also costs something by itself
	ends := make([]int, 0, chunks)
	for i := range n {
		if (c.seqs.Starts[i+1]+i+1)*chunks >= (len(ends)+1)*total {
			ends = append(ends, i+1)
			for len(ends) < chunks && (c.seqs.Starts[i+1]+i+1)*chunks >= (len(ends)+1)*total {
				ends = append(ends, i+1)
			}
		}
	}
	pool.For(len(ends), func(k, _ int) {
		first := 0
		if k > 0 {
			first = ends[k-1]
		}
		for i := first; i < ends[k]; i++ {
			if !f(k, i) {
				return
			}
		}
	})
}

// backward computes the gradients of rows and parameters: within a chunk in the order of the sequences, those of the
// parameters then added up in the order of the chunks.
func (c *call) backward(pool *op.Pool, dy []float32, g op.Gradients) error {
	dx := make([]float32, c.seqs.Rows()*c.cols)
	sums := make([][][]float32, chunks)
	for k := range sums {
		sums[k] = make([][]float32, len(c.params))
	}
	errs := make([]error, len(c.graphs))
	defer watchExits()()
	c.each(pool, func(chunk, i int) bool {
		q := c.graphs[i]
		c.graphs[i] = nil
		err := guarded(func() { errs[i] = q.backward(dy[c.rows[i]*c.width : c.rows[i+1]*c.width]) })
		if err != nil {
			errs[i] = err
		}
		if errs[i] != nil {
			return false
		}
		for r, row := range q.rows {
			copy(dx[(c.seqs.Starts[i]+r)*c.cols:], q.gradient(row))
		}
		for k, p := range q.params {
			sums[chunk][k] = added(sums[chunk][k], q.gradient(p))
		}
		return true
	})
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	g.Add(0, dx)
	input := 0
	for k, p := range c.params {
		if p.train == nil {
			continue
		}
		input++
		var sum []float32
		for _, of := range sums {
			sum = added(sum, of[k])
		}
		if sum != nil {
			g.Add(input, sum)
		}
	}
	return nil
}

// added returns sum + v, in the buffer of sum if there is one. Either may be nil: nothing to add.
func added(sum, v []float32) []float32 {
	switch {
	case v == nil:
		return sum
	case sum == nil:
		return slices.Clone(v)
	}
	for i, x := range v {
		sum[i] += x
	}
	return sum
}
