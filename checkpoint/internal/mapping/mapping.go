// Package mapping maps files of weights into memory, read-only, and returns their pages to the system.
package mapping

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/edsrzf/mmap-go"
)

// File is a mapped file. A nil File represents bytes that are not mapped: its methods do nothing.
type File struct{ data mmap.MMap }

// Open maps the regular file f, which may be closed as soon as Open has returned. The error does not name the file; the
// caller adds the name.
func Open(f *os.File) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if int64(int(info.Size())) != info.Size() {
		return nil, fmt.Errorf("%d bytes are more than this 32-bit program can map", info.Size())
	}
	if info.Size() == 0 {
		return &File{}, nil
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("mapping it into memory: %w", err)
	}
	return &File{data: m}, nil
}

// Bytes returns the content of the file, valid until Close. It must not be changed.
func (f *File) Bytes() []byte { return f.data }

// Release tells the system that the pages that lie completely within data are not needed for now: they no longer count
// as memory of this process and are read again from the file at the next access. It returns false for data that is not
// a view of this mapping, which it ignores. On systems other than Linux it releases nothing.
func (f *File) Release(data []byte) (mapped bool) {
	if f == nil || len(f.data) == 0 || len(data) == 0 {
		return false
	}
	base := uintptr(unsafe.Pointer(&f.data[0]))
	first := uintptr(unsafe.Pointer(&data[0]))
	if first < base || first-base > uintptr(len(f.data)) || uintptr(len(data)) > uintptr(len(f.data))-(first-base) {
		return false
	}
	page := os.Getpagesize()
	from := int(first - base)
	to := from + len(data)
	if to != len(f.data) { // the last page of the mapping is complete although the file is not
		to = to / page * page
	}
	from = (from + page - 1) / page * page
	if from < to {
		release(f.data[from:to])
	}
	return true
}

// Close removes the mapping; its bytes must not be used afterwards. A second Close does nothing.
func (f *File) Close() error {
	if f == nil || f.data == nil {
		return nil
	}
	if err := f.data.Unmap(); err != nil {
		return fmt.Errorf("unmapping: %w", err)
	}
	return nil
}

// Region is memory outside the Go heap. It is zeroed when it is made.
type Region struct{ data mmap.MMap }

// NewRegion returns a region of size bytes; size must be at least 1.
func NewRegion(size int) (*Region, error) {
	m, err := mmap.MapRegion(nil, size, mmap.RDWR, mmap.ANON, 0)
	if err != nil {
		return nil, fmt.Errorf("allocating %d bytes of memory: %w", size, err)
	}
	return &Region{data: m}, nil
}

// Bytes returns the region's memory, valid until Close.
func (r *Region) Bytes() []byte { return r.data }

// Close returns the memory to the system. A second Close does nothing.
func (r *Region) Close() error {
	if r.data == nil {
		return nil
	}
	return r.data.Unmap()
}
