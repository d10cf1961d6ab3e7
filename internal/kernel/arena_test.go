package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestArenaReuse(t *testing.T) {
	var a Arena
	defer a.Close()
	r := rand.New(rand.NewPCG(1, 2))
	type live struct {
		buf  []float32
		mark float32
	}
	var held []live
	for i := range 20000 {
		if len(held) > 0 && r.IntN(2) == 0 {
			j := r.IntN(len(held))
			h := held[j]
			for k, v := range h.buf {
				if v != h.mark {
					t.Fatalf("step %d: element %d of a held buffer changed from %g to %g", i, k, h.mark, v)
				}
			}
			a.Free(h.buf)
			held[j] = held[len(held)-1]
			held = held[:len(held)-1]
			continue
		}
		n := 1 + r.IntN(3000)
		b := a.Alloc(n)
		if len(b) != n {
			t.Fatalf("Alloc(%d) returned %d floats", n, len(b))
		}
		if p := uintptr(unsafe.Pointer(&b[0])); p%64 != 0 {
			t.Fatalf("Alloc(%d) is not on a cache line: %x", n, p)
		}
		for k := range b {
			b[k] = float32(i)
		}
		held = append(held, live{b, float32(i)})
	}
	for _, h := range held {
		a.Free(h.buf)
	}
	if now, _ := a.InUse(); now != 0 {
		t.Errorf("%d bytes in use after everything was freed", now)
	}
	for _, c := range a.chunks {
		if len(c.free) != 1 || c.free[0].n != len(c.data) {
			t.Errorf("free spans were not joined: %v", c.free)
		}
	}
}

func TestArenaMistakes(t *testing.T) {
	var a Arena
	defer a.Close()
	b := a.Alloc(100)
	c := a.Alloc(100)
	a.Free(b)
	mustPanic(t, "double free", func() { a.Free(b) })
	mustPanic(t, "foreign buffer", func() { a.Free(make([]float32, 8)) })
	a.Free(c)
	if got := a.Alloc(0); got != nil {
		t.Errorf("Alloc(0) = %v, want nil", got)
	}
	a.Free(nil)
	big := a.Alloc(chunkFloats + 5)
	big[len(big)-1] = 1
	a.Free(big)
}

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}

// TestArenaFootprint: the footprint is the memory that was ever handed out, in pages of 2 MiB, and does not shrink.
func TestArenaFootprint(t *testing.T) {
	for _, a := range []*Arena{new(Arena), NewLazyArena()} {
		if n := a.Footprint(); n != 0 {
			t.Errorf("an empty arena has %d bytes", n)
		}
		const page = 2 << 20
		first, second := a.Alloc(page/4), a.Alloc(1)
		if n := a.Footprint(); n != 2*page {
			t.Errorf("%d bytes after a page and a value, want %d", n, 2*page)
		}
		a.Free(first)
		a.Free(second)
		a.Free(a.Alloc(100))
		if n := a.Footprint(); n != 2*page {
			t.Errorf("%d bytes after buffers were reused, want %d", n, 2*page)
		}
		a.Free(a.Alloc(chunkFloats + 1)) // a chunk of its own
		if n := a.Footprint(); n != 2*page+4*chunkFloats+page {
			t.Errorf("%d bytes with a second chunk", n)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}
