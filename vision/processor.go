package vision

import (
	"fmt"
	"math"
)

// Processor turns images into the pixels that a model expects, as transformers 5.23 does with ViTImageProcessorPil,
// DeiTImageProcessorPil and BitImageProcessorPil: it resizes with Pillow's filters at 8 bits, cuts out the middle,
// rescales in float64 rounded to float32, and normalises in float32. A processor is not changed by its methods, so any
// number of goroutines may use it.
type Processor struct {
	channels int
	resize   *size // nil: images keep their size
	filter   Filter
	crop     *size // nil: images are not cut; Height and Width are set
	// values[c][v] is the result for value v in channel c.
	values [][256]float32
}

// size says how large an image becomes. One of the pairs is set.
type size struct {
	height, width       int
	shortest, longest   int // longest may be 0: no limit
	maxHeight, maxWidth int
}

// of returns the size for an image of w×h pixels, rounded as transformers rounds it.
func (s *size) of(w, h int) (width, height int) {
	switch {
	case s.shortest > 0 && s.longest > 0:
		return s.between(w, h)
	case s.shortest > 0:
		short, long := min(w, h), max(w, h)
		other := int(float64(s.shortest*long) / float64(short))
		if w <= h {
			return s.shortest, other
		}
		return other, s.shortest
	case s.maxHeight > 0:
		scale := min(float64(s.maxHeight)/float64(h), float64(s.maxWidth)/float64(w))
		return int(float64(w) * scale), int(float64(h) * scale)
	}
	return s.width, s.height
}

// between brings the shorter side to s.shortest, or less, so that the other one is at most s.longest.
func (s *size) between(w, h int) (width, height int) {
	short, exact := s.shortest, float64(s.shortest)
	least, most := float64(min(w, h)), float64(max(w, h))
	if most/least*float64(short) > float64(s.longest) {
		exact = float64(s.longest) * least / most
		short = int(math.RoundToEven(exact))
	}
	switch {
	case h <= w && h == short || w <= h && w == short:
		return w, h
	case w < h:
		return short, int(exact * float64(h) / float64(w))
	}
	return int(exact * float64(w) / float64(h)), short
}

// Channels returns the number of channels of the pixels, 1 or 3.
func (p *Processor) Channels() int { return p.channels }

// Size returns the size of the pixels of an image of the given size, and an error if it would be empty or has more than
// [MaxPixels] pixels on the way.
func (p *Processor) Size(width, height int) (int, int, error) {
	w, h := width, height
	if w <= 0 || h <= 0 {
		return 0, 0, bad("an image has %d×%d pixels, want at least 1×1", width, height)
	}
	if p.resize != nil {
		w, h = p.resize.of(w, h)
		if w <= 0 || h <= 0 || w > MaxPixels/h {
			return 0, 0, bad("an image of %d×%d pixels becomes %d×%d, want at least 1×1 and at most %d pixels; crop it",
				width, height, w, h, MaxPixels)
		}
	}
	if p.crop != nil {
		w, h = p.crop.width, p.crop.height
	}
	return w, h, nil
}

// Prepare returns the image as the model sees it, with 8 bits per channel: grey if it wants one channel, resized, and
// cut out.
func (p *Processor) Prepare(m *Image) (*Image, error) {
	if _, _, err := p.Size(m.Width, m.Height); err != nil {
		return nil, err
	}
	m = p.colours(m)
	if p.resize != nil {
		w, h := p.resize.of(m.Width, m.Height)
		m = m.Resize(w, h, p.filter)
	}
	if p.crop != nil {
		left, top := half(m.Width-p.crop.width), half(m.Height-p.crop.height)
		m = m.Crop(left, top, p.crop.width, p.crop.height)
	}
	return m, nil
}

// colours returns the image in grey if the model wants one channel.
func (p *Processor) colours(m *Image) *Image {
	if p.channels == 1 {
		return m.Gray()
	}
	return m
}

// half returns n/2 rounded down.
func half(n int) int { return n >> 1 }

// Values returns the channels×height×width pixels of a prepared image, rescaled and normalised. The rows of a channel
// run from top to bottom.
func (p *Processor) Values(m *Image) []float32 {
	n := m.Width * m.Height
	out := make([]float32, p.channels*n)
	for c := range p.channels {
		table, plane := &p.values[c], out[c*n:(c+1)*n]
		for i := range plane {
			plane[i] = table[m.Pix[3*i+c]]
		}
	}
	return out
}

// Pixels returns what the model sees of an image: channels×height×width values and the size. It returns an error that
// wraps [ErrImage] where [Processor.Size] does.
func (p *Processor) Pixels(m *Image) (pix []float32, width, height int, err error) {
	m, err = p.Prepare(m)
	if err != nil {
		return nil, 0, 0, err
	}
	return p.Values(m), m.Width, m.Height, nil
}

// String describes the steps, for logs.
func (p *Processor) String() string {
	var s string
	add := func(format string, args ...any) {
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf(format, args...)
	}
	if p.channels == 1 {
		add("grey")
	}
	if r := p.resize; r != nil {
		switch {
		case r.shortest > 0 && r.longest > 0:
			add("resize to a side of %d, the other of at most %d (%v)", r.shortest, r.longest, p.filter)
		case r.shortest > 0:
			add("resize to a side of %d (%v)", r.shortest, p.filter)
		case r.maxHeight > 0:
			add("resize into %d×%d (%v)", r.maxWidth, r.maxHeight, p.filter)
		default:
			add("resize to %d×%d (%v)", r.width, r.height, p.filter)
		}
	}
	if p.crop != nil {
		add("cut out the middle %d×%d", p.crop.width, p.crop.height)
	}
	add("values from %.4g to %.4g", p.values[0][0], p.values[0][255])
	return s
}
