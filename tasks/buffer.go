package tasks

// Buffer is a list of values that grows without copying them, so that filling it takes no more memory than the final
// list. Only a list of less than a chunk grows as slices do, so that a short one is small.
type Buffer[T any] struct {
	chunks [][]T
	n      int
}

// chunkLen is the number of values of a chunk: large enough to be rare, small enough that the last one wastes little.
const chunkLen = 1 << 16

// Len returns the number of values.
func (b *Buffer[T]) Len() int { return b.n }

// Append adds values.
func (b *Buffer[T]) Append(values ...T) {
	b.n += len(values)
	for len(values) > 0 {
		last := len(b.chunks) - 1
		switch {
		case last < 0:
			b.chunks = append(b.chunks, nil)
			last++
		case len(b.chunks[last]) == chunkLen:
			b.chunks = append(b.chunks, make([]T, 0, chunkLen))
			last++
		}
		k := min(len(values), chunkLen-len(b.chunks[last]))
		b.chunks[last] = append(b.chunks[last], values[:k]...)
		values = values[k:]
	}
}

// At returns value i.
func (b *Buffer[T]) At(i int) T { return b.chunks[i/chunkLen][i%chunkLen] }

// AppendTo appends the values lo ≤ i < hi to dst and returns it.
func (b *Buffer[T]) AppendTo(dst []T, lo, hi int) []T {
	for lo < hi {
		chunk := b.chunks[lo/chunkLen]
		from := lo % chunkLen
		k := min(hi-lo, len(chunk)-from)
		dst = append(dst, chunk[from:from+k]...)
		lo += k
	}
	return dst
}
