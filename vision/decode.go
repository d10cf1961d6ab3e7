package vision

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// Defaults of [Limits].
const (
	// MaxPixels is the number of pixels above which Pillow warns of a decompression bomb.
	MaxPixels = 1 << 28 / 3
	// MaxBytes has room for every BMP file of MaxPixels pixels.
	MaxBytes = 512 << 20
)

// Limits bounds what an image may take before any of it is decoded. Zero values stand for the defaults.
type Limits struct {
	MaxPixels int   // width × height; MaxPixels
	MaxBytes  int64 // of a file that Read reads; MaxBytes
}

// ErrImage is wrapped by all errors about the content of an image.
var ErrImage = errors.New("bad image")

// contentError is an error about an image whose text does not repeat that the image is bad.
type contentError struct{ text string }

func (e contentError) Error() string        { return e.text }
func (e contentError) Is(target error) bool { return target == ErrImage }

func bad(format string, args ...any) error { return contentError{fmt.Sprintf(format, args...)} }

// format is a file format with its decoders.
type format struct {
	name   string
	magic  string // '?' stands for any byte
	config func(io.Reader) (image.Config, error)
	decode func(data []byte) (*Image, error)
	turn   func(data []byte) int // the orientation by EXIF or XMP; nil if the format has none
}

var formats = [...]format{
	{"PNG", "\x89PNG\r\n\x1a\n", png.DecodeConfig, decodeWith(png.Decode), orientationOfPNG},
	{"JPEG", "\xff\xd8\xff", jpeg.DecodeConfig, decodeWith(jpeg.Decode), orientationOfJPEG},
	{"GIF", "GIF8?a", gif.DecodeConfig, decodeGIF, nil},
	{"WebP", "RIFF????WEBP", webp.DecodeConfig, decodeWebP, orientationOfWebP},
	{"BMP", "BM", bmp.DecodeConfig, decodeWith(bmp.Decode), nil},
}

// others are formats that are recognised to name them in an error.
var others = [...]struct{ name, magic string }{
	{"TIFF", "II*\x00"}, {"TIFF", "MM\x00*"}, {"HEIC or AVIF", "????ftyp"}, {"JPEG XL", "\xff\x0a"},
	{"PDF", "%PDF"}, {"ZIP", "PK\x03\x04"}, {"gzip", "\x1f\x8b"}, {"SVG or HTML", "<"}, {"PSD", "8BPS"},
}

func matches(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != data[i] {
			return false
		}
	}
	return true
}

// Read decodes the image file at path; see [Decode].
func Read(path string, o Limits) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	most := o.MaxBytes
	if most <= 0 {
		most = MaxBytes
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, bad("%s: the file has more than %d bytes; make the image smaller", path, most)
	}
	return Decode(data, path, o)
}

// Decode decodes an image: PNG, JPEG, GIF (the first frame), WebP (not animated) or BMP, which its first bytes tell
// apart, and turns it upright as its EXIF or XMP orientation says. [FromImage] says how colours are converted. name is
// the file in error messages. Decode returns an error that wraps [ErrImage] if the data is empty, of another format or
// corrupt, or if it has more pixels than o allows, which Decode finds before it decodes any.
func Decode(data []byte, name string, o Limits) (*Image, error) {
	if len(data) == 0 {
		return nil, bad("%s: the file is empty; replace it or leave it out", name)
	}
	for i := range formats {
		if matches(data, formats[i].magic) {
			return formats[i].read(data, name, o)
		}
	}
	kind := "unknown content"
	for _, other := range others {
		if matches(data, other.magic) {
			kind = "a file of the format " + other.name
			break
		}
	}
	return nil, bad("%s: got %s, want an image as PNG, JPEG, GIF, WebP or BMP; convert it", name, kind)
}

// read decodes data of a known format. The decoders are not ours, so a panic of theirs is an error about the file.
func (f *format) read(data []byte, name string, o Limits) (m *Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, bad("%s: the %s decoder failed: %v; the file is corrupt: replace it or leave it out", name, f.name, p)
		}
	}()
	c, err := f.config(bytes.NewReader(data))
	if err != nil {
		return nil, f.corrupt(name, err)
	}
	most := o.MaxPixels
	if most <= 0 {
		most = MaxPixels
	}
	switch {
	case c.Width <= 0 || c.Height <= 0:
		return nil, bad("%s: the %s image has %d×%d pixels, want at least 1×1; replace it or leave it out",
			name, f.name, c.Width, c.Height)
	case c.Width > most/c.Height:
		return nil, bad("%s: the %s image has %d×%d pixels, the limit is %d; make it smaller",
			name, f.name, c.Width, c.Height, most)
	}
	if m, err = f.decode(data); err != nil {
		return nil, f.corrupt(name, err)
	}
	if f.turn != nil {
		m = m.upright(f.turn(data))
	}
	return m, nil
}

func (f *format) corrupt(name string, err error) error {
	if strings.HasSuffix(err.Error(), io.EOF.Error()) { // image/gif does not wrap it
		return bad("%s: the %s image is cut off; replace it or leave it out", name, f.name)
	}
	return bad("%s: cannot decode the %s image: %v; convert it or leave it out", name, f.name, err)
}

// decodeWith makes a decoder of ours of one that needs no other rules than those of FromImage.
func decodeWith(decode func(io.Reader) (image.Image, error)) func([]byte) (*Image, error) {
	return func(data []byte) (*Image, error) {
		src, err := decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return FromImage(src), nil
	}
}

func decodeWebP(data []byte) (*Image, error) {
	const animated = 1 << 1
	if len(data) > 20 && string(data[12:16]) == "VP8X" && data[20]&animated != 0 {
		return nil, errors.New("it is an animation, want a single image")
	}
	src, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch s := src.(type) {
	case *image.YCbCr:
		m := NewImage(s.Rect.Dx(), s.Rect.Dy())
		m.fromWebP(s)
		return m, nil
	case *image.NYCbCrA:
		m := NewImage(s.Rect.Dx(), s.Rect.Dy())
		m.fromWebP(&s.YCbCr)
		return m, nil
	}
	return FromImage(src), nil
}
