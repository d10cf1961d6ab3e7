// Package kernel does the arithmetic of this project: it has float32 functions on slices, a pool of workers that runs
// them, and an arena for large buffers outside the garbage-collected heap.
//
// [Pool.MatMul] multiplies matrices. It computes a sum of products in one pass over the result:
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
// Every family of functions has a version in plain Go and, for some processors, versions in assembly. The generator in
// asm/ writes the assembly; it is a module of its own, so that this module does not depend on it. When the program
// starts, the package chooses a version once, by the features of the processor; the build tag purego leaves the
// assembly out. SPALORA_KERNEL in the environment holds the program to a version: avx512, avx2 or go. The tests run
// every version that the machine can run.
//
// AVX2 and AVX-512 give the same bits, plain Go gives others, and so do terms in BF16 on processors with instructions
// for it. The number of workers never changes a bit: work is split by rows and columns of the result, and every element
// is summed in one fixed order.
//
// The functions panic if a slice is too short, because a wrong length is always a mistake of the caller.
package kernel
