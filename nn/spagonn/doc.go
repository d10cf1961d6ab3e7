// Package spagonn runs modules and functions of spago on the tape: any layer of spago/nn with its parameters, any
// function of spago/ag, and modules that a program made for spago.
//
// [New] makes a module a [Layer] of a model. Its parameters are weights of the model like those of nn's layers,
// named by the paths of their fields: they are filled, trained, clipped, saved in modules_to_save, loaded and
// resumed in the same ways. [Layer.Forward] calls a function for each sequence with a copy of the module and with
// the rows of the sequence as spago's vectors; [Apply] is Forward for modules whose Forward takes rows and returns
// rows. [Graph] runs functions of ag without parameters.
//
// The operators that spago runs are walked backward in a fixed order, so that the same inputs give the same bits
// for every number of workers. A panic, an end of the process by log.Fatal and a gradient that would be lost are
// errors, and so are results that spago is known to compute wrongly: dropout (it has one random stream for the
// process), exponentials and logarithms outside of float32 and of NaN, ag.ScalarMax of numbers that are not above
// 0, ag.SparseMax of small numbers, ag.MaxPooling over windows that are not square or without a value above 0, and
// spago's multi-head attention. ag.Max and ag.Min of equal numbers give each half of the gradient, as in PyTorch,
// where spago gives none.
//
// Importing the package calls ag.SetForceSyncExecution(true): spago's functions then run on the goroutine that
// calls them, where a panic can be recovered, and give the same results. While a graph runs, the standard logger
// writes to its output by way of this package, which alone can keep spago's log.Fatal from ending the process.
//
// spago computes row by row with a graph of small operators: a layer of nn, which has one operator for all rows of
// a batch, is several times faster. Use this package for the layers that nn does not have.
package spagonn
