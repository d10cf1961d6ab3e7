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

// ceiling returns the GFLOP/s of one core that does only 256-bit fused multiply-adds, the best of some short runs. It
// returns 0 if the processor does not support them.
func ceiling() float64 {
	if !cpu.X86.HasFMA {
		return 0
	}
	const rounds = 200_000
	best := time.Hour
	for range 50 {
		start := time.Now()
		multiplyAdd(rounds)
		best = min(best, time.Since(start))
	}
	return rounds * 12 * 8 * 2 / float64(best.Nanoseconds())
}
