package kernel

import (
	"fmt"
	"math/bits"
)

// Key selects the random numbers of one training step. The zero Key is a valid key; the caller decides whether dropout
// applies at all.
type Key struct {
	Seed uint64 // of the run
	Step uint64 // optimiser step, counted over the whole run
}

// Site identifies a row of a tensor that dropout is applied to.
type Site struct {
	Op      uint32 // number of the operator in the model
	Example uint32 // number of the example in the data set
	Row     uint32 // row within the example
}

// Dropout sets each element of a row to zero with probability p and scales the others by 1/(1-p); dst may be x:
//
//	dst[i] = x[i]/(1-p) if u(k, s, first+i) >= p, else 0
//
// u depends only on the key, the site and the element's column first+i (Philox, Salmon et al. 2011). So the backward
// pass computes the same mask again without storing it, in any order, in parts of any size, on any number of workers
// and with every implementation. The probability of dropping is p to within 2^-32. With p = 0 x is copied. A dropped
// NaN or Inf becomes 0. Dropout panics if the lengths differ, p is not in [0, 1) or first is negative.
func Dropout(dst, x []float32, k Key, s Site, first int, p float32) {
	mustMatch("Dropout", len(dst), len(x))
	mustBeDropout("Dropout", first, p)
	if p == 0 {
		copy(dst, x)
		return
	}
	dropout(dst, x, newMask(k, s, p), first)
}

// DropoutAdd adds to dst what Dropout would write, with the same mask; dst may be x:
//
//	dst[i] += x[i]/(1-p) if u(k, s, first+i) >= p
func DropoutAdd(dst, x []float32, k Key, s Site, first int, p float32) {
	mustMatch("DropoutAdd", len(dst), len(x))
	mustBeDropout("DropoutAdd", first, p)
	if p == 0 {
		AddTo(dst, x)
		return
	}
	dropoutAdd(dst, x, newMask(k, s, p), first)
}

func mustBeDropout(name string, first int, p float32) {
	if !(p >= 0 && p < 1) || first < 0 {
		panic(fmt.Sprintf("kernel: %s: probability %v at column %d, want a probability in [0, 1) and a column >= 0",
			name, p, first))
	}
}

// mask holds what decides which elements of a row are dropped.
type mask struct {
	key       [2]uint32 // of Philox
	site      Site
	threshold uint32  // an element is dropped if its random word is smaller
	scale     float32 // factor of the elements that are kept: 1/(1-p)
}

func newMask(k Key, s Site, p float32) mask {
	key := k.hash()
	return mask{
		key:       [2]uint32{uint32(key), uint32(key >> 32)},
		site:      s,
		threshold: uint32(float64(p) * (1 << 32)),
		scale:     float32(1 / (1 - float64(p))),
	}
}

// words returns the random words of columns 4·quad … 4·quad+3.
func (m *mask) words(quad int) [4]uint32 {
	return philox4x32([4]uint32{uint32(quad), m.site.Row, m.site.Example, m.site.Op}, m.key, 7)
}

// hash mixes a key to 64 bits: it is output number Step of SplitMix64 (Steele, Lea and Flood 2014) started at the mixed
// seed. Steps of one seed never collide, since every part of it is a bijection.
func (k Key) hash() uint64 {
	const golden = 0x9e3779b97f4a7c15
	return mix64(mix64(k.Seed+golden) + k.Step*golden)
}

// mix64 is the finaliser of SplitMix64, a bijection.
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Multipliers and key increments of Philox4x32.
const (
	philoxM0 = 0xd2511f53
	philoxM1 = 0xcd9e8d57
	philoxW0 = 0x9e3779b9
	philoxW1 = 0xbb67ae85
)

// philox4x32 is the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1,
// 2, 3" (2011). Seven rounds are the fewest that pass BigCrush in that paper; ten are the authors' default.
func philox4x32(c [4]uint32, key [2]uint32, rounds int) [4]uint32 {
	c0, c1, c2, c3 := c[0], c[1], c[2], c[3] // the compiler keeps no array in registers
	k0, k1 := key[0], key[1]
	for range rounds {
		hi0, lo0 := bits.Mul32(philoxM0, c0)
		hi1, lo1 := bits.Mul32(philoxM1, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += philoxW0
		k1 += philoxW1
	}
	return [4]uint32{c0, c1, c2, c3}
}
