// Package kernel is the arithmetic of this project: float32 functions on slices, a pool of workers to run them on, and an arena
// for large buffers outside the garbage-collected heap.
//
// Products of matrices go through [Pool.MatMul], which computes a sum of products in one pass over the result:
//
//	pool := kernel.NewPool(0)
//	defer pool.Close()
//	y := make([]float32, n*out) // Y = X·Wᵀ, X is n×in, W is out×in
//	pool.MatMul(y, out, n, out, []kernel.Term{{
//		A: kernel.Mat{F32: x, Stride: in},
//		B: kernel.Mat{F32: w, Stride: in, Trans: true},
//		K: in,
//	}}, kernel.Epilogue{})
//
// Every family of functions has a version in plain Go and, for some processors, versions in assembly. The assembly is written by the
// generator in asm/ (a module of its own, so that this module does not depend on it). Which version runs is decided once, when the
// program starts, from what the processor offers; the build tag purego leaves the assembly out. The tests run every version that the
// machine can run.
//
// The bits of a result depend on the version, never on the number of workers: work is split by rows and columns of the result, and
// every element is summed in one fixed order.
//
// Functions here check that slices are long enough and panic if they are not: a wrong length is always a mistake of the caller.
package kernel
