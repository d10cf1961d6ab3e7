package picture

import (
	"errors"
	"testing"

	"github.com/spalora/spalora/data"
)

// checkRead holds what a file that was read from memory must fulfil: its rows can be read too, or are refused.
func checkRead(t *testing.T, f *File, err error) {
	t.Helper()
	var e *data.Error
	if err != nil {
		if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
			t.Fatalf("the error %v is of no known kind", err)
		}
		return
	}
	if f.Len() == 0 {
		t.Fatal("there are no rows")
	}
	const most = 1 << 20
	for i, row := range f.All() {
		if i == 100 {
			break
		}
		content, err := f.images.content(row, most)
		if err != nil && !errors.As(err, &e) || len(content) > most {
			t.Fatalf("row %d: %d bytes, %v", i, len(content), err)
		}
	}
	if _, err := FindLabels(data.SingleLabel, data.LabelSource{}, f); err != nil && !errors.As(err, &e) {
		t.Fatalf("the error %v is of no known kind", err)
	}
}

func FuzzIDX(f *testing.F) {
	images, labels := idxOf(imagesMagic, []byte("abcdefghijkl"), 2, 2, 3), idxOf(labelsMagic, []byte{7, 12}, 2)
	f.Add(images, labels)
	f.Add(gzipped(f, images), gzipped(f, labels))
	f.Add(idxOf(imagesMagic, nil, 1<<31, 1<<14, 1<<14), idxOf(labelsMagic, nil, 1<<31))
	f.Add(gzipped(f, images)[:30], labels[:7])
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		file, err := ReadIDX(images, labels, "fuzz", Options{OptionalLabels: true})
		checkRead(t, file, err)
	})
}

func FuzzZip(f *testing.F) {
	f.Add(zipOf(f, nil, "a/1.png", "b/2.png"))
	f.Add(zipOf(f, nil, "a/../1.png"))
	f.Add(zipOf(f, nil, "x/y/a/1.png", "x/y/2.txt")[:80])
	f.Add([]byte("PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00.\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := ReadZip(content, "fuzz.zip", Options{OptionalLabels: true})
		checkRead(t, file, err)
	})
}
