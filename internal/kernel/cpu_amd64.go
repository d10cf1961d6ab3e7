//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// hasAVX2 reports whether the processor and the operating system offer everything that the AVX2 assembly uses: 256-bit
// integer and float vectors, fused multiply-add, and conversion from half precision.
var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C && allowed(avx2)

// hasAVX512 reports the same for the AVX-512 assembly: 512-bit vectors with masks, also of bytes and words, and short
// vectors with the new instructions. All processors with AVX-512 for servers have them since Skylake.
var hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL &&
	cpu.X86.HasBMI2 && allowed(avx512)
