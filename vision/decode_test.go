package vision

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// header returns the beginning of a PNG file that announces the given size.
func header(w, h uint32) []byte {
	ihdr := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	ihdr = append(binary.BigEndian.AppendUint32(ihdr, h), 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(ihdr))
}

// TestDecodeErrors: each error names the file and the reason, and wraps ErrImage.
func TestDecodeErrors(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"", "x: the file is empty"},
		{"hello", "x: got unknown content, want an image as PNG"},
		{"<svg/>", "a file of the format SVG or HTML"},
		{"II*\x00....", "a file of the format TIFF"},
		{"\x00\x00\x00\x20ftypavif", "HEIC or AVIF"},
		{"PK\x03\x04", "ZIP"},
		{"\x89PNG\r\n\x1a\n", "x: the PNG image is cut off"},
		{"\xff\xd8\xff", "x: the JPEG image is cut off"},
		{"\xff\xd8\xff\xd8\xff\xd8", "x: cannot decode the JPEG image"},
		{"GIF89a", "x: the GIF image is cut off"},
		{"RIFF\x00\x00\x00\x00WEBP", "x: cannot decode the WebP image"},
		{"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x07\x00\x00", "an animation"},
		{"BM", "x: the BMP image is cut off"},
		{string(header(8, 8)), "x: the PNG image is cut off"},
		{string(header(0, 8)), "x: cannot decode the PNG image"},
		{string(header(20_000, 20_000)), "20000×20000 pixels, the limit is 89478485"},
	} {
		m, err := Decode([]byte(c.data), "x", Limits{})
		if m != nil || !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", c.data, err, c.want)
		}
	}
}

// TestDecodeTruncated: no file that ends early decodes, whatever its format.
func TestDecodeTruncated(t *testing.T) {
	for _, c := range decodeCases(t) {
		switch {
		case strings.HasPrefix(c.Name, "jpeg_4"): // the same decoder as the other ones
			continue
		case c.Name == "gif_animated.gif", c.Name == "webp_xmp.webp", c.Name == "webp_exif.webp":
			continue // what follows the image is not needed
		}
		for _, n := range []int{len(c.File) / 3, len(c.File) / 2, len(c.File) * 3 / 4} {
			if _, err := Decode(c.File[:n], c.Name, Limits{}); !errors.Is(err, ErrImage) {
				t.Errorf("%s, %d of %d bytes: %v", c.Name, n, len(c.File), err)
			}
		}
	}
}

// TestRead reads files with their limits.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jpg") // the name does not matter
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 5, 4))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	if m, err := Read(path, Limits{}); err != nil || m.Width != 5 || m.Height != 4 {
		t.Errorf("%v, %v", m, err)
	}
	_, err := Read(path, Limits{MaxPixels: 19})
	if !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "limit is 19") {
		t.Error(err)
	}
	if _, err := Read(path, Limits{MaxBytes: 10}); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if _, err := Read(filepath.Join(dir, "b.png"), Limits{}); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrImage) {
		t.Error(err)
	}
	if _, err := Read(dir, Limits{}); err == nil {
		t.Error("a directory was read")
	}
}

// TestPanicOfDecoder: a panic of a decoder is an error about the file.
func TestPanicOfDecoder(t *testing.T) {
	f := formats[0]
	f.decode = func([]byte) (*Image, error) { panic("index out of range") }
	data := append(header(1, 1), "\x00\x00\x00\x00IEND"...)
	_, err := f.read(data, "x", Limits{})
	if !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "PNG decoder failed") {
		t.Error(err)
	}
}

// TestFromImage: the colours of images that programs make, also of parts of them and with premultiplied alpha.
func TestFromImage(t *testing.T) {
	whole := image.Rect(0, 0, 9, 7)
	pick := func(x, y int) color.NRGBA { return color.NRGBA{byte(20 * x), byte(30 * y), byte(x * y), 255} }
	nrgba, rgba, custom := image.NewNRGBA(whole), image.NewRGBA(whole), image.NewRGBA64(whole)
	for y := range 7 {
		for x := range 9 {
			nrgba.Set(x, y, pick(x, y))
			rgba.Set(x, y, pick(x, y))
			custom.Set(x, y, pick(x, y))
		}
	}
	for _, src := range []interface {
		image.Image
		SubImage(image.Rectangle) image.Image
	}{nrgba, rgba, custom} {
		part := src.SubImage(image.Rect(3, 2, 8, 6))
		m := FromImage(part)
		if m.Width != 5 || m.Height != 4 {
			t.Fatalf("%T: %d×%d", src, m.Width, m.Height)
		}
		for i := range m.Width * m.Height {
			want := pick(3+i%5, 2+i/5)
			if got := (color.NRGBA{m.Pix[3*i], m.Pix[3*i+1], m.Pix[3*i+2], 255}); got != want {
				t.Errorf("%T, pixel %d: %v, want %v", src, i, got, want)
			}
		}
	}
	clear := image.NewRGBA(image.Rect(0, 0, 1, 1))
	clear.SetRGBA(0, 0, color.RGBA{100, 50, 0, 128})
	if m := FromImage(clear); m.Pix[0] != 199 || m.Pix[1] != 99 || m.Pix[2] != 0 {
		t.Errorf("alpha was not divided out: %v", m.Pix)
	}
	odd := image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420).SubImage(image.Rect(1, 1, 4, 4))
	if m := FromImage(odd); m.Width != 3 || m.Height != 3 {
		t.Errorf("%d×%d", m.Width, m.Height)
	}
}

// FuzzDecode: no file makes the decoder panic or gives an image without pixels.
func FuzzDecode(f *testing.F) {
	for i, c := range decodeCases(f) {
		if i%4 == 0 {
			f.Add(c.File)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data, "x", Limits{MaxPixels: 1 << 16})
		if err != nil {
			if !errors.Is(err, ErrImage) || !strings.HasPrefix(err.Error(), "x: ") {
				t.Error(err)
			}
			return
		}
		if m.Width < 1 || m.Height < 1 || len(m.Pix) != 3*m.Width*m.Height {
			t.Errorf("%d×%d, %d bytes", m.Width, m.Height, len(m.Pix))
		}
	})
}
