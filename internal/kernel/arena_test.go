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
