// Package op holds the differentiable functions that layers are made of, each with its forward beside its backward, and
// the tape that runs them.
//
// Every function takes the [Tape] first and works on a whole ragged batch at once: a matrix N×C whose rows are the
// tokens of all sequences, one after another, without padding. A function is an operator of spago's ag (Forward,
// Backward, Operands). The tape runs it with ag.NewOperator(f).Run() and remembers it if a gradient will be wanted;
// [Tape.Backward] walks the operators in reverse order, on one goroutine (the work inside an operator is spread over the
// pool), so the same inputs give the same bits. Values and gradients live in the tape's arena and go back to it as soon
// as they are spent.
//
//	t := op.NewTape(pool)
//	y := op.Affine(t, x, op.Drop{}, op.Projection{Weight: w, Bias: b})
//	loss := op.CrossEntropy(t, y, labels, op.CrossEntropyConfig{})
//	err := t.Backward(loss)   // gradients are added to the parameters
//	t.Reset()
//
// Shapes are checked before an operator is built, and a wrong one panics with both shapes: only a mistake of the calling
// code can cause it. What comes from files is checked by the packages that read them.
//
// A tape made with [NewHeapTape] keeps everything on the Go heap; its operators also work under spago's ag.Backward.
package op
