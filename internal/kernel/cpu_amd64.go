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

// hasBF16 reports whether there are instructions that multiply pairs of BF16 besides.
var hasBF16 = hasAVX512 && cpu.X86.HasAVX512BF16

// halves512 reports whether the processor computes 512-bit vectors in two halves, so that they multiply no faster than
// 256-bit ones: AMD's family 25, of which Zen 4 has AVX-512.
var halves512 = func() bool {
	const authentic, family15 = 0x68747541, 15
	if _, vendor, _, _ := cpuid(0); vendor != authentic {
		return false
	}
	eax, _, _, _ := cpuid(1)
	family := eax >> 8 & 15
	if family == family15 {
		family += eax >> 20 & 255
	}
	return family == 25
}()

// fastestFirst puts the versions of functions that multiply in order. SPALORA_KERNEL=avx512 asks for AVX-512 on every
// processor that has it.
func fastestFirst[K any](wide, narrow alternative[K]) []alternative[K] {
	if halves512 && wanted != avx512 {
		return []alternative[K]{narrow, wide}
	}
	return []alternative[K]{wide, narrow}
}

// wide512 makes the functions on slices jump to their AVX-512 versions. These give the bits of AVX2, and are faster
// even on processors that compute 512 bits in two halves.
var wide512 = hasAVX512
