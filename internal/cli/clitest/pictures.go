package clitest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"testing"
)

// ViT returns the directory of a small ViT for images of 16×16 pixels and five classes, which says how images become
// pixels.
func ViT(t testing.TB) string {
	t.Helper()
	dir := CopyDir(t, filepath.Join(Testdata, "vit", "vit", "base"))
	Write(t, filepath.Join(dir, "preprocessor_config.json"),
		`{"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}`)
	return dir
}

// Picture returns image number i: 20×18 pixels whose colours and pattern depend on i.
func Picture(i int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, 20, 18))
	for y := range 18 {
		for x := range 20 {
			m.SetNRGBA(x, y, color.NRGBA{uint8(37 * i), uint8(x * (3 + i%7)), uint8(y * (2 + i%5)), 255})
		}
	}
	return m
}

// Pictures writes n pictures as PNG files into class folders below a new directory, as many in each, and returns that.
func Pictures(t testing.TB, n int, classes ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		var b bytes.Buffer
		if err := png.Encode(&b, Picture(i)); err != nil {
			t.Fatal(err)
		}
		Write(t, filepath.Join(dir, classes[i%len(classes)], fmt.Sprintf("%03d.png", i)), b.String())
	}
	return dir
}
