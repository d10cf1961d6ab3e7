package vision

import (
	"fmt"
	"image"
	"image/color"
)

// Image is an image in red, green and blue with 8 bits each. Pix has the rows from top to bottom, three bytes for each
// pixel from left to right: 3·Width·Height bytes.
type Image struct {
	Pix           []byte
	Width, Height int
}

// NewImage returns a black image. It panics if a size is negative.
func NewImage(width, height int) *Image {
	if width < 0 || height < 0 {
		panic(fmt.Sprintf("vision: NewImage: %d×%d pixels, want sizes >= 0", width, height))
	}
	return &Image{Pix: make([]byte, 3*width*height), Width: width, Height: height}
}

// Gray returns the image in grey, as Pillow's convert("L") computes it, with three equal bytes for each pixel.
func (m *Image) Gray() *Image {
	out := NewImage(m.Width, m.Height)
	for i := 0; i < len(m.Pix); i += 3 {
		v := luma(m.Pix[i], m.Pix[i+1], m.Pix[i+2])
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = v, v, v
	}
	return out
}

// luma returns 0.299·r + 0.587·g + 0.114·b rounded, in Pillow's fixed-point numbers.
func luma(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// Crop returns a copy of the rectangle of the given size whose corner is at (left, top); pixels outside m are black.
func (m *Image) Crop(left, top, width, height int) *Image {
	out := NewImage(width, height)
	x0, x1 := max(left, 0), min(left+width, m.Width)
	if x0 >= x1 {
		return out
	}
	for y := max(top, 0); y < min(top+height, m.Height); y++ {
		copy(out.Pix[3*((y-top)*width+x0-left):], m.Pix[3*(y*m.Width+x0):3*(y*m.Width+x1)])
	}
	return out
}

// FromImage returns the colours of src as Pillow's convert("RGB") does for the modes of the files that [Decode] reads:
// alpha is dropped without blending, so that a transparent pixel shows its stored colour; a palette is looked up; cyan,
// magenta, yellow and black are multiplied out. There is one exception: of grey with 16 bits the upper 8 are kept, as
// Pillow keeps them for colours with 16 bits, while Pillow clips such grey to 255, which makes it nearly white.
func FromImage(src image.Image) *Image {
	b := src.Bounds()
	m := NewImage(b.Dx(), b.Dy())
	switch s := src.(type) {
	case *image.Gray:
		m.spread(s.Pix, s.Stride, 1, [3]int{})
	case *image.Gray16: // high byte first
		m.spread(s.Pix, s.Stride, 2, [3]int{})
	case *image.NRGBA:
		m.spread(s.Pix, s.Stride, 4, [3]int{0, 1, 2})
	case *image.NRGBA64:
		m.spread(s.Pix, s.Stride, 8, [3]int{0, 2, 4})
	case *image.Paletted:
		m.lookUp(s)
	case *image.CMYK:
		m.rows(func(y int, row []byte) {
			for x := range m.Width {
				ink := s.Pix[y*s.Stride+4*x:][:4]
				for i, v := range ink[:3] {
					row[3*x+i] = lighten(v, ink[3])
				}
			}
		})
	case *image.RGBA:
		if s.Opaque() {
			m.spread(s.Pix, s.Stride, 4, [3]int{0, 1, 2})
		} else {
			m.draw(src)
		}
	case *image.YCbCr:
		if s.Rect.Min == (image.Point{}) { // elsewhere, samples of colour difference may begin in the middle
			m.fromJPEG(s)
		} else {
			m.draw(src)
		}
	default:
		m.draw(src)
	}
	return m
}

// draw fills m from an image of any kind, pixel by pixel.
func (m *Image) draw(src image.Image) {
	corner := src.Bounds().Min
	m.rows(func(y int, row []byte) {
		for x := range m.Width {
			c := plain(src.At(corner.X+x, corner.Y+y))
			copy(row[3*x:], c[:])
		}
	})
}

// rows calls set with the bytes of every row.
func (m *Image) rows(set func(y int, row []byte)) {
	for y := range m.Height {
		set(y, m.Pix[3*y*m.Width:3*(y+1)*m.Width])
	}
}

// spread fills m from pixels of the given number of bytes; at says which of them are red, green and blue.
func (m *Image) spread(pix []byte, stride, size int, at [3]int) {
	m.rows(func(y int, row []byte) {
		src := pix[y*stride:]
		for x := range m.Width {
			p := src[x*size:]
			row[3*x], row[3*x+1], row[3*x+2] = p[at[0]], p[at[1]], p[at[2]]
		}
	})
}

// lookUp fills m with the colours of a palette. Numbers beyond its end are black.
func (m *Image) lookUp(s *image.Paletted) {
	var table [256][3]byte
	for i, c := range s.Palette[:min(len(s.Palette), len(table))] {
		table[i] = plain(c)
	}
	m.rows(func(y int, row []byte) {
		for x, number := range s.Pix[y*s.Stride:][:m.Width] {
			copy(row[3*x:], table[number][:])
		}
	})
}

// plain returns a colour without its alpha. A fully transparent colour with premultiplied alpha is black.
func plain(c color.Color) [3]byte {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return [3]byte{n.R, n.G, n.B}
}

// lighten returns the light that an ink of a pixel leaves beside its black, rounded as Pillow rounds it.
func lighten(ink, black byte) byte {
	rest := 255 - int(black)
	t := int(ink)*rest + 128
	return byte(max(rest-(t>>8+t)>>8, 0))
}
