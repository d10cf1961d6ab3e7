package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// QuantizedTypes returns the types that [Quantize] writes.
func QuantizedTypes() []Type { return []Type{Q8_0, Q4_1, Q5_0, Q4_K, Q6_K} }

// quantizers holds a function for each type that writes one block.
var quantizers = map[Type]func(b []byte, x []float32){
	Q8_0: quantizeQ8_0, Q4_1: quantizeQ4_1, Q5_0: quantizeQ5_0, Q4_K: quantizeQ4_K, Q6_K: quantizeQ6_K,
}

// Quantize rounds float32 numbers to whole blocks of one of [QuantizedTypes]. The bytes are those of llama.cpp's
// reference quantisers without an importance matrix, for finite numbers. Quantize panics if dst and src do not hold the
// same number of values, or if t is another type.
func Quantize(dst []byte, src []float32, t Type) {
	if !slices.Contains(QuantizedTypes(), t) {
		panic(fmt.Sprintf("kernel: Quantize: there is no quantiser for type %v", t))
	}
	values, bytes := t.BlockValues(), t.BlockBytes()
	blocks := len(src) / values
	if blocks*values != len(src) || blocks*bytes != len(dst) {
		panic(fmt.Sprintf("kernel: Quantize: %d values are not %d bytes of %v", len(src), len(dst), t))
	}
	write := quantizers[t]
	for i := range blocks {
		write(dst[i*bytes:][:bytes], src[i*values:][:values])
	}
}

// putF16 writes x as a binary16 to b and returns the rounded value.
func putF16(b []byte, x float32) float32 {
	var h [1]uint16
	narrowF16(h[:], []float32{x})
	binary.LittleEndian.PutUint16(b, h[0])
	return valueF16(h[0])
}

// inverse returns 1/d, or 0 for 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// The conversions of products to float32 prevent fused multiply-add: the reference rounds after each operation.

func quantizeQ8_0(b []byte, x []float32) {
	largest := float32(0)
	for _, v := range x {
		largest = max(largest, abs32(v))
	}
	d := largest / 127
	putF16(b, d)
	id := inverse(d)
	for i, v := range x {
		b[2+i] = byte(int8(math.Round(float64(v * id))))
	}
}

func quantizeQ4_1(b []byte, x []float32) {
	least, most := x[0], x[0]
	for _, v := range x {
		if v < least { // not min: of -0 and 0 the first stays
			least = v
		}
		if v > most {
			most = v
		}
	}
	d := (most - least) / 15
	id := inverse(d)
	putF16(b, d)
	putF16(b[2:], least)
	level := func(v float32) byte { return byte(min(15, int(float32((v-least)*id)+0.5))) }
	for i := range 16 {
		b[4+i] = level(x[i]) | level(x[i+16])<<4
	}
}

func quantizeQ5_0(b []byte, x []float32) {
	var extreme, largest float32
	for _, v := range x {
		if a := abs32(v); a > largest {
			extreme, largest = v, a
		}
	}
	d := extreme / -16
	id := inverse(d)
	putF16(b, d)
	level := func(v float32) byte { return byte(min(31, int(float32(v*id)+16.5))) }
	high := uint32(0)
	for i := range 16 {
		low, up := level(x[i]), level(x[i+16])
		b[6+i] = low&15 | up&15<<4
		high |= uint32(low>>4)<<i | uint32(up>>4)<<(i+16)
	}
	binary.LittleEndian.PutUint32(b[2:], high)
}

// nearestInt rounds to the nearest integer, ties to even, by adding 1.5·2²³: the reference keeps 23 bits of the sum.
func nearestInt(x float32) int {
	const big = 12582912
	return int(math.Float32bits(x+big)&0x7fffff) - 0x400000
}

func clampInt(n, least, most int) int { return max(least, min(most, n)) }

func quantizeQ4_K(b []byte, x []float32) {
	var levels [256]byte
	var scales, mins [8]float32
	var most, deepest float32
	for j := range scales {
		part := x[32*j:][:32]
		scales[j], mins[j] = scaleAndMin(part, levels[32*j:][:32], 15)
		most, deepest = max(most, scales[j]), max(deepest, mins[j])
	}
	var inverseScale, inverseMin float32
	if most > 0 {
		inverseScale = 63 / most
	}
	if deepest > 0 {
		inverseMin = 63 / deepest
	}
	packed := b[4:16]
	clear(packed)
	for j := range scales {
		s := byte(min(63, nearestInt(inverseScale*scales[j])&0xff))
		m := byte(min(63, nearestInt(inverseMin*mins[j])&0xff))
		if j < 4 {
			packed[j], packed[j+4] = s, m
			continue
		}
		packed[j+4] = s&15 | m&15<<4
		packed[j-4] |= s >> 4 << 6
		packed[j] |= m >> 4 << 6
	}
	d, dmin := putF16(b, most/63), putF16(b[2:], deepest/63)
	scale, minimum := scalesK(packed)
	for j := range scales {
		step, least := d*float32(scale[j]), dmin*float32(minimum[j])
		if step == 0 {
			continue // the levels of the search stay
		}
		for i, v := range x[32*j:][:32] {
			levels[32*j+i] = byte(clampInt(nearestInt((v+least)/step), 0, 15))
		}
	}
	q := b[16:]
	for j := 0; j < 256; j += 64 {
		for i := range 32 {
			q[j/2+i] = levels[j+i] | levels[j+i+32]<<4
		}
	}
}

// scaleAndMin searches a scale and a minimum, not above 0, by which levels 0 … most give x with the least squared
// error, each value weighted by its size. It sets the levels and returns the scale and the negated minimum.
func scaleAndMin(x []float32, levels []byte, most int) (scale, minimum float32) {
	var squares float32
	for _, v := range x {
		squares += float32(v * v)
	}
	mean := float32(math.Sqrt(float64(squares / 32)))
	var weights [32]float32
	for i, v := range x {
		weights[i] = mean + abs32(v)
	}
	least, greatest := x[0], x[0]
	sumW, sumX := weights[0], float32(weights[0]*x[0])
	for i, v := range x[1:] {
		if v < least {
			least = v
		}
		if v > greatest {
			greatest = v
		}
		sumW += weights[i+1]
		sumX += float32(weights[i+1] * v)
	}
	if least > 0 {
		least = 0
	}
	if greatest == least {
		clear(levels)
		return 0, -least
	}
	step := float32(most) / (greatest - least)
	scale = 1 / step
	var trial [32]byte
	level := func(step, v float32) int { return clampInt(nearestInt(step*(v-least)), 0, most) }
	failure := func(levels []byte, scale, least float32) (sum float32) {
		for i, v := range x {
			diff := float32(scale*float32(levels[i])) + least - v
			sum += float32(weights[i] * float32(diff*diff))
		}
		return sum
	}
	for i, v := range x {
		levels[i] = byte(level(step, v))
	}
	best := failure(levels, scale, least)
	for try := range 21 {
		step = (-1 + float32(0.1*float32(try)) + float32(most)) / (greatest - least) // of the best so far
		var sumL, sumL2, sumXL float32
		for i, v := range x {
			l := level(step, v)
			trial[i] = byte(l)
			w, f := weights[i], float32(l)
			sumL += float32(w * f)
			sumL2 += float32(float32(w*f) * f)
			sumXL += float32(float32(w*f) * v)
		}
		det := float32(sumW*sumL2) - float32(sumL*sumL)
		if !(det > 0) {
			continue
		}
		s := (float32(sumW*sumXL) - float32(sumX*sumL)) / det
		m := (float32(sumL2*sumX) - float32(sumL*sumXL)) / det
		if m > 0 {
			s, m = sumXL/sumL2, 0
		}
		if e := failure(trial[:], s, m); e < best {
			copy(levels, trial[:])
			best, scale, least = e, s, m
		}
	}
	return scale, -least
}

func quantizeQ6_K(b []byte, x []float32) {
	const tiny = 1e-15 // smaller scales are 0
	var levels [256]byte
	var scales [16]float32
	var extreme, largest float32
	for j := range scales {
		scales[j] = symmetricScale(x[16*j:][:16], levels[16*j:][:16], 32)
		if a := abs32(scales[j]); a > largest {
			extreme, largest = scales[j], a
		}
	}
	if largest < tiny {
		clear(b)
		return
	}
	step := -128 / extreme
	d := putF16(b[208:], 1/step)
	for j := range scales {
		s := int8(min(127, nearestInt(step*scales[j])))
		b[192+j] = byte(s)
		if by := d * float32(s); by != 0 {
			for i, v := range x[16*j:][:16] {
				levels[16*j+i] = byte(clampInt(nearestInt(v/by), -32, 31) + 32)
			}
		}
	}
	for half := range 2 {
		l, low, high := levels[128*half:], b[64*half:], b[128+32*half:]
		for i := range 32 {
			low[i] = l[i]&15 | l[i+64]&15<<4
			low[i+32] = l[i+32]&15 | l[i+96]&15<<4
			high[i] = l[i]>>4 | l[i+32]>>4<<2 | l[i+64]>>4<<4 | l[i+96]>>4<<6
		}
	}
}

// symmetricScale searches the scale by which levels -most … most-1 give x with the least squared error, each value
// weighted by its square. It sets the levels, counted from 0, and returns the scale.
func symmetricScale(x []float32, levels []byte, most int) float32 {
	const tiny = 1e-15
	var extreme, largest float32
	for _, v := range x {
		if a := abs32(v); a > largest {
			extreme, largest = v, a
		}
	}
	if largest < tiny {
		clear(levels)
		return 0
	}
	level := func(step, v float32) int { return clampInt(nearestInt(step*v), -most, most-1) }
	sums := func(step float32) (lx, l2 float32) {
		for _, v := range x {
			l := float32(level(step, v))
			w := v * v
			lx += float32(float32(w*v) * l)
			l2 += float32(float32(w*l) * l)
		}
		return lx, l2
	}
	set := func(step float32) {
		for i, v := range x {
			levels[i] = byte(level(step, v) + most)
		}
	}
	step := float32(-most) / extreme
	set(step)
	lx, l2 := sums(step)
	var scale float32
	if l2 != 0 {
		scale = lx / l2
	}
	best := scale * lx
	for try := -9; try <= 9; try++ {
		if try == 0 {
			continue
		}
		step = -(float32(most) + float32(0.1*float32(try))) / extreme
		if lx, l2 = sums(step); l2 > 0 && float32(lx*lx) > float32(best*l2) {
			set(step)
			scale = lx / l2
			best = scale * lx
		}
	}
	return scale
}
