//go:build amd64 && !purego

package main

import (
	"time"

	"golang.org/x/sys/cpu"
)

//go:generate go -C ../../internal/kernel/asm run ./ceiling -pkg main -out ../../../bench/gemm/ceiling_amd64.s

// multiplyAdd does 12 independent multiply-adds of 8 float32 in each round, on registers alone.
//
//go:noescape
func multiplyAdd(rounds int)

// multiplyAdd512 does 12 independent multiply-adds of 16 float32 in each round, on registers alone.
//
//go:noescape
func multiplyAdd512(rounds int)

// ceiling returns the GFLOP/s of one core that does only fused multiply-adds of the widest vectors that it has, 512 or
// 256 bits, the best of some short runs. It returns 0 if the processor does not support them.
func ceiling() float64 {
	switch {
	case cpu.X86.HasAVX512DQ:
		return fastest(multiplyAdd512, 16)
	case cpu.X86.HasFMA:
		return fastest(multiplyAdd, 8)
	}
	return 0
}

func fastest(loop func(rounds int), lanes float64) float64 {
	const rounds = 200_000
	best := time.Hour
	for range 50 {
		start := time.Now()
		loop(rounds)
		best = min(best, time.Since(start))
	}
	return rounds * 12 * lanes * 2 / float64(best.Nanoseconds())
}
