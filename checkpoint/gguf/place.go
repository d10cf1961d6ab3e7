package gguf

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// place checks that the tensors' data follow each other with only padding between them, and makes the views. r is at
// the end of the descriptions; offsets are those of f.tensors.
func (f *File) place(r *reader, offsets []uint64, alignment uint64) error {
	if len(f.tensors) == 0 {
		return nil
	}
	start, ok := roundUp(uint64(r.at), alignment)
	if !ok || start > uint64(len(r.data)) {
		return fmt.Errorf("byte %d: the tensors' data should begin at the next multiple of %d, "+
			"but the file has %d bytes; it is cut off",
			r.at, alignment, len(r.data))
	}
	buffer := r.data[start:]
	f.order = make([]int, len(f.tensors))
	for i := range f.order {
		f.order[i] = i
	}
	slices.SortStableFunc(f.order, func(a, b int) int { return cmp.Compare(offsets[a], offsets[b]) })
	var end, next uint64 // end of the preceding tensor, and the same rounded up
	for _, i := range f.order {
		t, offset := &f.tensors[i], offsets[i]
		last, carry := bits.Add64(offset, t.size, 0)
		var err error
		switch {
		case carry != 0 || last > uint64(len(buffer)):
			err = fmt.Errorf("its data, %d bytes at byte %d of the data, do not fit into the %d bytes that the file holds; "+
				"it is cut off or damaged",
				t.size, offset, len(buffer))
		case offset < end:
			err = fmt.Errorf("its data at byte %d of the data overlap the preceding tensor, which ends at %d", offset, end)
		case offset != next:
			err = fmt.Errorf("its data at byte %d of the data leave a gap after byte %d", offset, end)
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(t.Name), err)
		}
		t.Data = buffer[offset:last:last]
		end = last
		if next, ok = roundUp(end, alignment); !ok {
			next = end // past the end of any file: a following tensor does not fit
		}
	}
	if rest := uint64(len(buffer)) - end; rest >= alignment {
		return fmt.Errorf("%d bytes after the last tensor's data, which end at byte %d of the file", rest, start+end)
	}
	return nil
}

// roundUp returns the next multiple of alignment, a power of two; ok is false if that overflows.
func roundUp(n, alignment uint64) (rounded uint64, ok bool) {
	sum, carry := bits.Add64(n, alignment-1, 0)
	return sum &^ (alignment - 1), carry == 0
}
