package spagonn_test

import (
	"fmt"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/birnn"
	"github.com/nlpodyssey/spago/nn/linear"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/nn/spagonn"
)

// A head of spago's layers gives one row of two logits for each of two sequences, and trains.
func Example() {
	type head struct {
		spago.Module
		RNN *birnn.Model
		Out *linear.Model
	}
	layer, err := spagonn.New(&head{RNN: birnn.NewBiGRU[float32](3, 2, birnn.Concat), Out: linear.New[float32](4, 2)})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := nn.Init(layer, 42, func(string) float64 { return 0.5 }); err != nil {
		fmt.Println(err)
		return
	}
	params := nn.Train(layer)
	tape := op.NewTape(nil)
	defer tape.Close()
	values := []float32{1, 0, 2, 3, 1, 0, 0, 2, 1, 1, 1, 0, 2, 0, 1}
	x := mat.NewDense[float32](mat.WithShape(5, 3), mat.WithBacking(values))
	pass := &nn.Pass{Tape: tape, Seqs: op.Seqs{Starts: []int{0, 3, 5}}}
	y, err := layer.Forward(pass, x, func(h *head, _ int, rows []mat.Tensor) []mat.Tensor {
		return h.Out.Forward(ag.Mean(h.RNN.Forward(rows...)))
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	rows, cols := op.Size(y)
	loss, _ := op.CrossEntropy(tape, y, []int32{0, 1}, op.CrossEntropyConfig{})
	if err := tape.Backward(loss); err != nil {
		fmt.Println(err)
		return
	}
	last := params[len(params)-1]
	fmt.Printf("%d×%d logits; %s is the last of %d parameters and has %d gradients\n", rows, cols, last.Name, len(params),
		len(op.Grad(last.Param)))
	// Output: 2×2 logits; Out.B is the last of 20 parameters and has 2 gradients
}
