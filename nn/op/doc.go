// Package op holds the differentiable functions that layers are made of, each forward beside its backward, and the tape
// that runs them.
//
// Every function takes the [Tape] first and works on a whole ragged batch at once: a matrix N×C whose rows are the
// tokens of all sequences, one after another, without padding. A function is an operator of spago's ag (Forward,
// Backward, Operands). The tape runs it with ag.NewOperator(f).Run() and records it if a gradient can reach one of its
// operands. [Tape.Backward] walks the recorded operators in reverse order on one goroutine (the pool shares the work
// inside an operator), so the same inputs give the same bits. Values and gradients live in the tape's arena and go back
// to it as soon as nothing reads them any more.
//
//	t := op.NewTape(pool)
//	y := op.Affine(t, x, op.Drop{}, op.Projection{Weight: w, Bias: b})
//	loss := op.CrossEntropy(t, y, labels, op.CrossEntropyConfig{})
//	err := t.Backward(loss)   // gradients are added to the parameters
//	t.Reset()
//
// A function checks shapes before it builds an operator, and panics with both shapes if they do not fit: only a mistake
// in the calling code can cause that. The packages that read files check the data in them.
//
// A tape made with [NewHeapTape] keeps everything on the Go heap; its operators also work under spago's ag.Backward.
package op
