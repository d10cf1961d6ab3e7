package mapping

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestFile(t *testing.T) {
	for _, size := range []int{0, 1, 3*os.Getpagesize() + 7} {
		want := bytes.Repeat([]byte{7}, size)
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Open(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		m.Release(m.Bytes())
		m.Release(want) // not a view of the mapping
		if !bytes.Equal(m.Bytes(), want) {
			t.Errorf("%d bytes: the content changed after Release", size)
		}
		for range 2 {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	d, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := Open(d); err == nil {
		t.Error("mapped a directory")
	}
	var none *File
	none.Release([]byte{1})
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

func TestRegion(t *testing.T) {
	r, err := NewRegion(os.Getpagesize() + 1)
	if err != nil {
		t.Fatal(err)
	}
	b := r.Bytes()
	if len(b) != os.Getpagesize()+1 || b[0] != 0 || b[len(b)-1] != 0 {
		t.Error("the region does not have the requested number of zeros")
	}
	b[len(b)-1] = 1
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
