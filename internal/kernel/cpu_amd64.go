//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// hasAVX2 reports whether the processor and the operating system offer everything that the AVX2 assembly uses: 256-bit
// integer and float vectors, fused multiply-add, and conversion from half precision.
var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
