package spagonn

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// graph is what spago computed for one sequence: its operators from the leaves to the outputs.
type graph struct {
	rows   []*mat.Dense[float32] // leaves: the rows of the sequence
	params []*mat.Dense[float32] // leaves: the parameters of the module
	outs   []mat.Tensor
	nodes  []node
	grads  map[mat.Tensor]*mat.Dense[float32] // sums of operators, rows and parameters
}

// node is an operator of a graph.
type node struct {
	op    *ag.Operator
	fn    ag.AutoGradFunction
	name  string
	needs bool // a gradient
}

// trace lists the operators that the outputs depend on, each after its operands, in an order that depends on the graph
// only. It returns an error if a gradient would be lost, or if spago's result of an operator is known to be wrong.
func (g *graph) trace() error {
	leaves := map[mat.Tensor]bool{}
	for _, l := range slices.Concat(g.rows, g.params) {
		leaves[l] = true
	}
	done := map[*ag.Operator]bool{} // false: on the path
	type visit struct {
		op       *ag.Operator
		operands []mat.Tensor
		next     int
	}
	var path []visit // a stack, since a graph may be deeper than calls should be
	enter := func(x mat.Tensor) error {
		switch x := source(x).(type) {
		case nil:
			return fmt.Errorf("an operand is nil")
		case *ag.Operator:
			known, seen := done[x]
			switch {
			case seen && !known:
				return fmt.Errorf("an operator depends on itself: its list of operands was changed after it had run")
			case !seen:
				done[x] = false
				if _, ours := x.Value().(*op.Tensor); ours {
					return errOurs
				}
				path = append(path, visit{op: x, operands: x.Operands()})
			}
		case *op.Tensor:
			return errOurs
		default:
			if x.RequiresGrad() && !leaves[x] {
				return fmt.Errorf("an operand of type %T needs a gradient, but is neither a row nor a parameter of the layer; "+
					"make it a field of type *nn.Param, or detach it with ag.StopGrad", x)
			}
		}
		return nil
	}
	for _, y := range g.outs {
		if err := enter(y); err != nil {
			return err
		}
		for len(path) > 0 {
			v := &path[len(path)-1]
			if v.next < len(v.operands) {
				v.next++
				if err := enter(v.operands[v.next-1]); err != nil {
					return fmt.Errorf("%s: %w", nameOf(functionOf(v.op)), err)
				}
				continue
			}
			fn := functionOf(v.op)
			n := node{op: v.op, fn: fn, name: nameOf(fn), needs: v.op.RequiresGrad()}
			if err := check(n.name, v.operands, v.op.Value()); err != nil {
				return fmt.Errorf("%s: %w", n.name, err)
			}
			g.nodes = append(g.nodes, n)
			done[v.op] = true
			path = path[:len(path)-1]
		}
	}
	return nil
}

var errOurs = fmt.Errorf("a tensor of the tape is an operand; a graph may only depend on its rows and on the layer")

// source returns the operator or the matrix whose gradient that of x is.
func source(x mat.Tensor) mat.Tensor {
	if p, ok := x.(*spago.Param); ok {
		if p == nil {
			return nil
		}
		return p.Matrix
	}
	return x
}

// backward computes the gradients of rows and parameters from dy, those of the outputs one after another. It walks the
// operators in reverse order and adds gradients in that order. The graph is spent afterwards.
func (g *graph) backward(dy []float32) error {
	g.grads = map[mat.Tensor]*mat.Dense[float32]{}
	for _, y := range g.outs {
		n := y.Size()
		if y.RequiresGrad() {
			g.add(y, shaped(slices.Clone(dy[:n]), y))
		}
		dy = dy[n:]
	}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := g.nodes[i]
		g.nodes[i] = node{}
		gy := g.grads[n.op]
		if gy == nil {
			continue
		}
		delete(g.grads, n.op)
		if err := g.step(n, gy); err != nil {
			return fmt.Errorf("backward of %s: %w", n.name, err)
		}
	}
	return nil
}

// step passes the gradient of an operator's result to its operands. A matrix of spago holds a gradient only in between:
// so the sums do not depend on the order in which spago's functions add to an operand that is listed twice.
func (g *graph) step(n node, gy *mat.Dense[float32]) error {
	operands := n.op.Operands()
	var err error
	own := ownBackward(n.name, operands, gy, func(i int, d mat.Matrix) {
		if fit, e := fitted(d, operands[i]); e != nil {
			err = e
		} else {
			g.add(operands[i], fit)
		}
	})
	if own || err != nil {
		return err
	}
	if err := n.fn.Backward(gy); err != nil {
		return err
	}
	for i, x := range operands {
		v := x.Value()
		switch {
		case v.HasGrad():
			d := v.Grad()
			v.ZeroGrad()
			if !x.RequiresGrad() {
				continue
			}
			fit, err := fitted(d, x)
			if err != nil {
				return err
			}
			g.add(x, fit)
		case x.RequiresGrad() && n.name != "ScalarMax" && !listed(operands[:i], x):
			return fmt.Errorf("operand %d needs a gradient, but spago computes none for it; if it is a parameter, exclude it "+
				"with WithGrad(false)", i)
		}
	}
	return nil
}

// listed reports whether x is among the operands.
func listed(operands []mat.Tensor, x mat.Tensor) bool {
	return slices.ContainsFunc(operands, func(o mat.Tensor) bool { return source(o) == source(x) })
}

// fitted returns the gradient d with the shape of x. Some of spago's functions return a gradient as a vector in the
// order of the elements.
func fitted(d, x mat.Tensor) (*mat.Dense[float32], error) {
	want := x.Value()
	if !mat.SameDims(d, want) && (d.Size() != want.Size() || !mat.IsVector(d) && !mat.IsVector(want)) {
		return nil, fmt.Errorf("the gradient has the shape %v, its operand %v", d.Shape(), want.Shape())
	}
	return shaped(mat.Data[float32](d), want), nil
}

// add adds d to the gradient of x and keeps it.
func (g *graph) add(x mat.Tensor, d *mat.Dense[float32]) {
	x = source(x)
	if sum := g.grads[x]; sum != nil {
		sum.AddInPlace(d)
		return
	}
	g.grads[x] = d
}

// gradient returns the gradient of a row or a parameter, or nil if there is none.
func (g *graph) gradient(leaf *mat.Dense[float32]) []float32 {
	if d := g.grads[leaf]; d != nil {
		return mat.Data[float32](d)
	}
	return nil
}
