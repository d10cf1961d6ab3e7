package op

import (
	"crypto/sha256"
	"hash"
	"math"
	"unsafe"

	"github.com/spalora/spalora/internal/kernel"
)

// summed is the number of values that a task of [Hasher.Sum] hashes. Sums depend on it, so it must not change.
const summed = 1 << 15

// Hasher hashes the values of weights. The workers of a pool share the work and do not change the result.
type Hasher struct {
	pool   *Pool
	states []hashing // one for each worker
}

// NewHasher returns a hasher that uses the workers of a pool. It is not safe for concurrent use.
func NewHasher(pool *Pool) *Hasher { return &Hasher{pool, make([]hashing, pool.Workers())} }

// Sum returns a hash of all values of a weight in the order of Shape. Weights whose values have equal bits in float32
// have equal sums, whether they are stored as F32, F16 or BF16, as they are or transposed. The sum of a quantised
// weight is that of its blocks: a copy of it in another type has another sum.
func (s *Hasher) Sum(w *Weight) [sha256.Size]byte {
	if w.blocks != nil {
		return s.parts(w.Type.String(), len(w.blocks), func(h *hashing, from, to int) { h.Write(w.blocks[from:to]) })
	}
	values := w.f32
	switch {
	case w.Param != nil:
		values = Values(w.Param)
	case w.turned:
		values = w.Float32()
	}
	return s.parts("values", w.Len(), func(h *hashing, from, to int) {
		switch {
		case values != nil:
			h.values(values[from:to])
		case w.Type == BF16:
			h.typed(BF16, bytesOf(w.u16[from:to]))
		default: // F16, whose values may fit into BF16; widening and narrowing makes a NaN quiet, as it is in float32
			v, half := h.wide[:to-from], h.half[:to-from]
			kernel.Widen(v, w.u16[from:to], F16)
			if h.fitBF16(v) {
				h.typed(BF16, bytesOf(half))
				return
			}
			kernel.Narrow(half, v, F16)
			h.typed(F16, bytesOf(half))
		}
	})
}

// Stored returns the bytes of the stored values, for releasing their memory; they must not be changed. It returns nil
// if the weight trains or has no values.
func (w *Weight) Stored() []byte {
	switch {
	case w.f32 != nil:
		return bytesOf(w.f32)
	case w.u16 != nil:
		return bytesOf(w.u16)
	}
	return w.blocks
}

// parts hashes n elements in parts of equal size, each of which write passes to a hash of its own, and returns the hash
// of these hashes.
func (s *Hasher) parts(kind string, n int, write func(h *hashing, from, to int)) [sha256.Size]byte {
	sums := make([][sha256.Size]byte, (n+summed-1)/summed)
	s.pool.For(len(sums), func(i, worker int) {
		h := &s.states[worker]
		if h.Hash == nil {
			*h = hashing{
				Hash: sha256.New(), wide: make([]float32, summed), back: make([]float32, summed), half: make([]uint16, summed),
			}
		}
		h.Reset()
		write(h, i*summed, min((i+1)*summed, n))
		h.Hash.Sum(sums[i][:0])
	})
	all := []byte(kind)
	for i := range sums {
		all = append(all, sums[i][:]...)
	}
	return sha256.Sum256(all)
}

// hashing is the hash of a part of a weight, with memory for values in other types.
type hashing struct {
	hash.Hash
	wide, back []float32
	half       []uint16
}

// values hashes values in the first of BF16, F16 and F32 that holds their bits.
func (h *hashing) values(v []float32) {
	const few = 64 // enough to recognise most values that need F32
	start := v[:min(few, len(v))]
	switch {
	case h.fitBF16(start) && h.fitBF16(v):
		h.typed(BF16, bytesOf(h.half[:len(v)]))
	case h.fitF16(start) && h.fitF16(v):
		h.typed(F16, bytesOf(h.half[:len(v)]))
	default:
		h.typed(F32, bytesOf(v))
	}
}

// fitBF16 reports whether BF16 holds the bits of all values, and leaves them in h.half in this type.
func (h *hashing) fitBF16(v []float32) bool {
	half := h.half[:len(v)]
	for i, x := range v {
		b := math.Float32bits(x)
		if b<<16 != 0 {
			return false
		}
		half[i] = uint16(b >> 16)
	}
	return true
}

// fitF16 reports whether F16 holds the bits of all values, and leaves them in h.half in this type.
func (h *hashing) fitF16(v []float32) bool {
	half, back := h.half[:len(v)], h.back[:len(v)]
	kernel.Narrow(half, v, F16)
	kernel.Widen(back, half, F16)
	for i, x := range v {
		if math.Float32bits(x) != math.Float32bits(back[i]) {
			return false
		}
	}
	return true
}

// typed hashes bytes of a type.
func (h *hashing) typed(t DType, b []byte) {
	h.Write([]byte(t.String()))
	h.Write(b)
}

// bytesOf returns the bytes of values.
func bytesOf[T float32 | uint16](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(*new(T))))
}
