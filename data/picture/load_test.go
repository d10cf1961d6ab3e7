package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/vision"
)

// pngOf returns a PNG file of one colour.
func pngOf(t *testing.T, width, height int, grey byte) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	m.SetGray(0, 0, color.Gray{Y: 255 - grey})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLoad reads images of folders, archives and IDX.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"a/1.png", "b/2.png", "b/3.png"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, pngOf(t, 3, 2+i, byte(i)), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Read(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	checked, bad, err := f.Check(t.Context(), vision.Limits{}, 0)
	if err != nil || len(bad) > 0 || checked.Len() != 3 {
		t.Fatal(checked, bad, err)
	}
	sums := map[int]bool{}
	for i, e := range checked.All() {
		m, err := checked.Load(i, vision.Limits{})
		if err != nil || m.Width != 3 || m.Height != 2+i || m.Pix[3] != byte(i) || m.Pix[0] != 255-byte(i) {
			t.Errorf("image %d: %v, %v", i, m, err)
		}
		if e.Width != 3 || e.Height != 2+i || e.Sum == 0 || sums[e.Sum] {
			t.Errorf("row %d: %+v", i, e)
		}
		sums[e.Sum] = true
	}
	idx, err := ReadIDX(idxOf(imagesMagic, []byte("abcdef"), 1, 2, 3), idxOf(labelsMagic, []byte{7}, 1), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.Load(0, vision.Limits{})
	if err != nil || m.Width != 3 || m.Height != 2 || string(m.Pix[3*4:3*5]) != "eee" {
		t.Errorf("IDX: %v, %v", m, err)
	}
	zip, err := ReadZip(zipOf(t, nil, "a/1.png", "b/2.png"), "x.zip", Options{}) // whose content is no image
	if err != nil {
		t.Fatal(err)
	}
	if _, err = zip.Load(1, vision.Limits{}); !errors.Is(err, vision.ErrImage) ||
		!strings.Contains(err.Error(), "x.zip/b/2.png") {
		t.Errorf("zip: %v", err)
	}
}

// TestCheckBadImages: every kind of bad file is an error that names it and the reason, and as many as are allowed are
// left out.
func TestCheckBadImages(t *testing.T) {
	dir := t.TempDir()
	good := pngOf(t, 4, 4, 9)
	huge := bytes.Clone(good)
	copy(huge[16:], "\x00\x10\x00\x00\x00\x10\x00\x00")
	rows := "image,label\ngood.png,x\n"
	says := map[string]string{}
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"empty.png":   {nil, "the file is empty"},
		"text.png":    {[]byte("not an image"), "unknown content"},
		"cut.png":     {good[:len(good)/2], "is cut off"},
		"huge.png":    {huge, "PNG"},
		"archive.jpg": {[]byte("PK\x03\x04"), "ZIP"},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), c.content, 0o666); err != nil {
			t.Fatal(err)
		}
		rows += name + ",y\n"
		says[name] = c.says
	}
	rows += "missing.png,y\n"
	says["missing.png"] = "no such file"
	list := filepath.Join(dir, "rows.csv")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "good.png"), good, 0o666),
		os.WriteFile(list, []byte(rows), 0o666)); err != nil {
		t.Fatal(err)
	}
	f, err := Read(list, Options{})
	if err != nil {
		t.Fatal(err)
	}
	kept, bad, err := f.Check(t.Context(), vision.Limits{}, len(says))
	if err != nil || kept.Len() != 1 || len(bad) != len(says) {
		t.Fatalf("%v, %v, %v", kept, bad, err)
	}
	for _, b := range bad {
		name := f.At(b.Line - 2).Image
		if text := b.String(); !strings.Contains(text, name) || !strings.Contains(text, says[name]) ||
			!strings.HasPrefix(text, fmt.Sprintf("%s:%d: ", list, b.Line)) {
			t.Errorf("%s: %s", name, text)
		}
	}
	_, _, err = f.Check(t.Context(), vision.Limits{}, len(says)-1)
	var e *data.Error
	if !errors.As(err, &e) || e.Line != 3 || !strings.Contains(err.Error(), "`skip_bad_files`") {
		t.Errorf("too many bad files: %v", err)
	}
}
