package kernel

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/edsrzf/mmap-go"
)

// Arena hands out float32 buffers from memory outside the Go heap, so that the garbage collector neither scans them nor
// lets the heap double because of them. Buffers are not zeroed, start on a cache line and are returned one by one with
// Free, in any order; the arena joins neighbouring free spans. The arena keeps its memory until Close, so a loop whose
// steps need the same amount asks the system for nothing after the first steps.
//
// The zero value is an empty arena, ready to use. It is safe for concurrent use.
type Arena struct {
	mu     sync.Mutex
	chunks []*chunk
	inUse  int // floats handed out, rounded up to cache lines
	peak   int // largest inUse so far
	lazy   bool
}

// chunk is one mapping. Its free spans are sorted by offset and never adjoin.
type chunk struct {
	mapping mmap.MMap
	data    []float32
	free    []span
	top     int // end of the last float that was ever handed out
}

type span struct{ off, n int }

const (
	lineFloats  = 16       // one cache line
	chunkFloats = 16 << 20 // 64 MiB: the smallest mapping asked for
	pageFloats  = 1 << 19  // 2 MiB: a huge page
)

// NewLazyArena returns an arena for buffers of which hardly any is written to: it does without huge pages, so that the
// system gives memory only for the small pages that are.
func NewLazyArena() *Arena { return &Arena{lazy: true} }

// Alloc returns a buffer of n floats with undefined contents, or nil if n <= 0. Like make, it panics if the system has
// no memory left.
func (a *Arena) Alloc(n int) []float32 {
	if n <= 0 {
		return nil
	}
	size := (n + lineFloats - 1) / lineFloats * lineFloats
	a.mu.Lock()
	defer a.mu.Unlock()
	c, i := a.bestFit(size)
	if c == nil {
		c, i = a.grow(size), 0
	}
	s := c.free[i]
	if s.n == size {
		c.free = append(c.free[:i], c.free[i+1:]...)
	} else {
		c.free[i] = span{s.off + size, s.n - size}
	}
	c.top = max(c.top, s.off+size)
	a.inUse += size
	a.peak = max(a.peak, a.inUse)
	return c.data[s.off : s.off+n : s.off+size]
}

// bestFit returns the chunk and the index of the smallest free span of at least size floats; among equal spans it takes
// the one found first. The chunk is nil if no span is large enough.
func (a *Arena) bestFit(size int) (*chunk, int) {
	var best *chunk
	at, n := 0, math.MaxInt
	for _, c := range a.chunks {
		for i, s := range c.free {
			if s.n >= size && s.n < n {
				best, at, n = c, i, s.n
			}
		}
	}
	return best, at
}

func (a *Arena) grow(size int) *chunk {
	n := (max(size, chunkFloats) + chunkFloats - 1) / chunkFloats * chunkFloats
	m, err := mmap.MapRegion(nil, 4*n, arenaAccess, mmap.ANON, 0)
	if err != nil {
		panic(fmt.Sprintf("kernel: no memory for %d MiB of activations: %v; use smaller batches or shorter sequences",
			n>>18, err))
	}
	if !a.lazy {
		hugePages(m)
	}
	c := &chunk{mapping: m, data: unsafe.Slice((*float32)(unsafe.Pointer(&m[0])), n), free: []span{{0, n}}}
	a.chunks = append(a.chunks, c)
	return c
}

// Free returns to the arena a buffer that Alloc returned. It panics if the buffer is not in the arena's memory, or if
// its memory overlaps a free span, as after freeing twice.
func (a *Arena) Free(buf []float32) {
	if cap(buf) == 0 {
		return
	}
	buf = buf[:cap(buf)]
	if poisonFreed {
		for i := range buf {
			buf[i] = float32(math.NaN())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := uintptr(unsafe.Pointer(&buf[0]))
	for _, c := range a.chunks {
		base := uintptr(unsafe.Pointer(&c.data[0]))
		if p < base || p >= base+4*uintptr(len(c.data)) {
			continue
		}
		c.put(span{int(p-base) / 4, len(buf)})
		a.inUse -= len(buf)
		return
	}
	panic("kernel: Free: the buffer does not belong to this arena")
}

// put inserts a span and joins it with its free neighbours.
func (c *chunk) put(s span) {
	lo, hi := 0, len(c.free)
	for lo < hi {
		mid := (lo + hi) / 2
		if c.free[mid].off < s.off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo > 0 && c.free[lo-1].off+c.free[lo-1].n > s.off || lo < len(c.free) && s.off+s.n > c.free[lo].off {
		panic("kernel: Free: the buffer is already free")
	}
	joinsLeft := lo > 0 && c.free[lo-1].off+c.free[lo-1].n == s.off
	joinsRight := lo < len(c.free) && s.off+s.n == c.free[lo].off
	switch {
	case joinsLeft && joinsRight:
		c.free[lo-1].n += s.n + c.free[lo].n
		c.free = append(c.free[:lo], c.free[lo+1:]...)
	case joinsLeft:
		c.free[lo-1].n += s.n
	case joinsRight:
		c.free[lo] = span{s.off, s.n + c.free[lo].n}
	default:
		c.free = append(c.free, span{})
		copy(c.free[lo+1:], c.free[lo:])
		c.free[lo] = s
	}
}

// InUse returns the number of bytes that are handed out now, and the largest number that ever was.
func (a *Arena) InUse() (now, peak int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return 4 * a.inUse, 4 * a.peak
}

// Footprint returns the number of bytes of the arena's memory that were ever handed out, in whole pages of 2 MiB: what
// the process holds once they have been written to. It is at least the largest number of bytes in use at a time, and
// more where that left gaps between buffers.
func (a *Arena) Footprint() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, c := range a.chunks {
		n += roundUp(c.top, pageFloats)
	}
	return 4 * n
}

// Close returns all memory to the system and leaves the arena empty; buffers still in use become invalid. It returns
// the first error of unmapping.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var first error
	for _, c := range a.chunks {
		if err := c.mapping.Unmap(); err != nil && first == nil {
			first = fmt.Errorf("kernel: unmap arena: %w", err)
		}
	}
	a.chunks, a.inUse = nil, 0
	return first
}
