package vision

import (
	"fmt"
	"math"
)

// Filter is a way to compute the pixels of an image of another size. The numbers are Pillow's.
type Filter int

// The filters of Pillow.
const (
	Nearest  Filter = 0 // the nearest pixel
	Lanczos  Filter = 1 // a sinc of three lobes
	Bilinear Filter = 2 // a triangle
	Bicubic  Filter = 3 // a cubic spline with a = −0.5
	Box      Filter = 4 // the mean of the pixels that a pixel covers
	Hamming  Filter = 5 // a sinc of one lobe in a Hamming window
)

var filterNames = [...]string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}

// String returns the name of the filter in lower case.
func (f Filter) String() string {
	if f < 0 || int(f) >= len(filterNames) {
		return fmt.Sprintf("filter %d", int(f))
	}
	return filterNames[f]
}

// Resize returns the image in another size, bit for bit as Pillow's Image.resize does: the filter is stretched when the
// image gets smaller, rows and columns are two passes with 8 bits between them, weights have 22 bits after the point.
// It panics if a size or the filter is out of range; m must have pixels if the result has. The result shares the
// memory of m if the size stays.
func (m *Image) Resize(width, height int, filter Filter) *Image {
	if width < 0 || height < 0 || filter < 0 || int(filter) >= len(filterNames) {
		panic(fmt.Sprintf("vision: Resize: %d×%d pixels by %v, want sizes >= 0 and a filter from 0 to %d",
			width, height, filter, len(filterNames)-1))
	}
	if filter == Nearest && (width != m.Width || height != m.Height) {
		return m.nearest(width, height)
	}
	out := *m
	// Pillow 13 begins with the columns if that saves much work; older versions always begin with the rows.
	if columnsFirst := m.Height > height && m.Height-height > 2*(m.Width-width); columnsFirst {
		out = out.resizeColumns(height, filter)
	}
	if width != out.Width {
		out = out.resizeRows(width, filter)
	}
	if height != out.Height {
		out = out.resizeColumns(height, filter)
	}
	return &out
}

// nearest adds up the steps from pixel to pixel as Pillow does, so that they round as there.
func (m *Image) nearest(width, height int) *Image {
	columns, rows := nearestOf(m.Width, width), nearestOf(m.Height, height)
	out := NewImage(width, height)
	out.rows(func(y int, row []byte) {
		src := m.Pix[3*rows[y]*m.Width:]
		for i, x := range columns {
			copy(row[3*i:3*i+3], src[3*x:])
		}
	})
	return out
}

// nearestOf returns the number of the source of each of n pixels.
func nearestOf(size, n int) []int {
	list := make([]int, n)
	step := float64(size) / float64(n)
	at := step * 0.5
	for i := range list {
		list[i] = min(int(at), size-1)
		at += step
	}
	return list
}

// taps are the weights of the pixels that make up one pixel of the result.
type taps struct {
	first   int     // pixel of the source
	weights []int32 // in units of 2^-precision
}

const precision = 32 - 8 - 2

// tapsOf returns the taps of each of n pixels of a row or column of the given size.
func tapsOf(size, n int, filter Filter) []taps {
	scale := float64(size) / float64(n)
	stretch := max(scale, 1)
	support := filter.support() * stretch
	list := make([]taps, n)
	var exact []float64
	for i := range list {
		centre := (float64(i) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		last := min(int(centre+support+0.5), size)
		exact = exact[:0]
		sum := 0.0
		for x := first; x < last; x++ {
			v := filter.at((float64(x) - centre + 0.5) * (1 / stretch))
			exact = append(exact, v)
			sum += v
		}
		list[i] = taps{first, make([]int32, len(exact))}
		for x, v := range exact {
			if sum != 0 {
				v /= sum
			}
			list[i].weights[x] = int32(math.Copysign(0.5, v) + v*(1<<precision))
		}
	}
	return list
}

// support returns how far from its centre the filter reaches, in pixels.
func (f Filter) support() float64 {
	return [...]float64{Nearest: 0, Lanczos: 3, Bilinear: 1, Bicubic: 2, Box: 0.5, Hamming: 1}[f]
}

// at returns the filter at a distance from its centre. Products that are added are rounded first (float64), so that no
// processor computes both in one step.
func (f Filter) at(x float64) float64 {
	switch f {
	case Box:
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	case Bilinear:
		return max(1-math.Abs(x), 0)
	case Hamming:
		x = math.Abs(x)
		if x == 0 {
			return 1
		}
		if x >= 1 {
			return 0
		}
		x *= math.Pi
		return math.Sin(x) / x * (float64(float32(0.54)) + float64(float64(float32(0.46))*math.Cos(x))) // as Pillow has them
	case Bicubic:
		const a = -0.5
		x = math.Abs(x)
		if x < 1 {
			return float64((float64((a+2)*x)-(a+3))*x*x) + 1
		}
		if x < 2 {
			return (float64((float64((x-5)*x)+8)*x) - 4) * a
		}
		return 0
	case Lanczos:
		if x >= -3 && x < 3 {
			return sinc(x) * sinc(x/3)
		}
		return 0
	}
	panic("vision: a filter without weights")
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// resizeRows brings the rows to the given width.
func (m *Image) resizeRows(width int, filter Filter) Image {
	list := tapsOf(m.Width, width, filter)
	out := NewImage(width, m.Height)
	out.rows(func(y int, row []byte) {
		src := m.Pix[3*y*m.Width:]
		for i, t := range list {
			r := int32(1) << (precision - 1)
			g, b := r, r
			p := src[3*t.first:][:3*len(t.weights)]
			for _, k := range t.weights {
				r += int32(p[0]) * k
				g += int32(p[1]) * k
				b += int32(p[2]) * k
				p = p[3:]
			}
			row[3*i], row[3*i+1], row[3*i+2] = clip8(r>>precision), clip8(g>>precision), clip8(b>>precision)
		}
	})
	return *out
}

// resizeColumns brings the columns to the given height.
func (m *Image) resizeColumns(height int, filter Filter) Image {
	list := tapsOf(m.Height, height, filter)
	out := NewImage(m.Width, height)
	sums := make([]int32, 3*m.Width)
	out.rows(func(y int, row []byte) {
		for i := range sums {
			sums[i] = 1 << (precision - 1)
		}
		for j, k := range list[y].weights {
			for i, v := range m.Pix[(list[y].first+j)*len(sums):][:len(sums)] {
				sums[i] += int32(v) * k
			}
		}
		for i, v := range sums {
			row[i] = clip8(v >> precision)
		}
	})
	return *out
}
