package vision

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Augmentation says how images to train on are changed at random. The zero value changes nothing.
type Augmentation struct {
	// Crop is the smallest share of the area that is cut out, at a random place and with sides of a ratio from 3:4 to 4:3,
	// and brought to the size of the model's pixels (torchvision's RandomResizedCrop); 0: images are not cut.
	Crop float64
	// Flip mirrors every other image, left to right.
	Flip bool
	// Jitter changes brightness, contrast and saturation, in random order, by factors from 1 − Jitter to 1 + Jitter
	// (torchvision's ColorJitter without hue); 0: colours stay.
	Jitter float64
}

// The values of parts of an augmentation that are named without one: those of torchvision and of its examples.
const (
	StandardCrop   = 0.08
	StandardJitter = 0.4
)

// Augmentations lists the parts of an augmentation, for messages.
const Augmentations = "crop, flip or jitter, crop and jitter also with a value (crop=0.5, jitter=0.2)"

// ParseAugmentation reads the parts of an augmentation: "crop" or "crop=0.5", "flip", "jitter" or "jitter=0.2".
func ParseAugmentation(parts []string) (a Augmentation, err error) {
	for _, part := range parts {
		name, text, given := strings.Cut(strings.TrimSpace(part), "=")
		value := map[string]float64{"crop": StandardCrop, "jitter": StandardJitter}[name]
		if given && name != "flip" {
			if value, err = strconv.ParseFloat(text, 64); err != nil || !(value > 0 && value <= 1) {
				return a, fmt.Errorf("the value of %q is not a number above 0 and at most 1", part)
			}
		}
		switch {
		case name == "crop":
			a.Crop = value
		case name == "jitter":
			a.Jitter = value
		case name == "flip" && !given:
			a.Flip = true
		default:
			return a, fmt.Errorf("%q is not a part of an augmentation; want %s", part, Augmentations)
		}
	}
	return a, nil
}

// String returns the parts as [ParseAugmentation] reads them, separated by commas.
func (a Augmentation) String() string {
	var parts []string
	if a.Crop > 0 {
		parts = append(parts, fmt.Sprintf("crop=%g", a.Crop))
	}
	if a.Flip {
		parts = append(parts, "flip")
	}
	if a.Jitter > 0 {
		parts = append(parts, fmt.Sprintf("jitter=%g", a.Jitter))
	}
	return strings.Join(parts, ",")
}

// Augment returns an image as the model sees it in training: like [Processor.Prepare], with random changes. draw
// returns uniform numbers in [0, 1); what Augment returns depends on them and on the image only.
func (p *Processor) Augment(m *Image, a Augmentation, draw func() float64) (*Image, error) {
	var err error
	if a.Crop > 0 {
		width, height, err := p.Size(m.Width, m.Height)
		if err != nil {
			return nil, err
		}
		left, top, w, h := randomCrop(m.Width, m.Height, a.Crop, draw)
		m = p.colours(m.Crop(left, top, w, h)).Resize(width, height, p.filter)
	} else if m, err = p.Prepare(m); err != nil {
		return nil, err
	}
	if a.Flip && draw() < 0.5 {
		m = m.mirrored()
	}
	if a.Jitter > 0 {
		m = m.jitter(a.Jitter, draw)
	}
	return m, nil
}

// randomCrop draws a rectangle in an image of w×h pixels, ten times, as RandomResizedCrop.get_params of torchvision.
// If none fits, it returns the middle.
func randomCrop(w, h int, least float64, draw func() float64) (left, top, width, height int) {
	const narrow, wide = 3.0 / 4, 4.0 / 3
	for range 10 {
		area := float64(w) * float64(h) * (least + (1-least)*draw())
		ratio := math.Exp(math.Log(narrow) + (math.Log(wide)-math.Log(narrow))*draw())
		width, height = int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if width > 0 && width <= w && height > 0 && height <= h {
			return int(draw() * float64(w-width+1)), int(draw() * float64(h-height+1)), width, height
		}
	}
	width, height = w, h
	switch ratio := float64(w) / float64(h); {
	case ratio < narrow:
		height = max(1, int(math.RoundToEven(float64(w)/narrow)))
	case ratio > wide:
		width = max(1, int(math.RoundToEven(float64(h)*wide)))
	}
	return (w - width) / 2, (h - height) / 2, width, height
}

// mirrored returns the image with left and right exchanged.
func (m *Image) mirrored() *Image {
	out := NewImage(m.Width, m.Height)
	out.rows(func(y int, row []byte) {
		src := m.Pix[3*y*m.Width : 3*(y+1)*m.Width]
		for x := range m.Width {
			copy(row[3*x:3*x+3], src[3*(m.Width-1-x):])
		}
	})
	return out
}

// jitter returns the image with another brightness, contrast and saturation.
func (m *Image) jitter(strength float64, draw func() float64) *Image {
	changes := [...]func(m *Image, factor float32) *Image{
		func(m *Image, factor float32) *Image { // brightness
			return m.blend(factor, func(int) float32 { return 0 })
		},
		func(m *Image, factor float32) *Image { // contrast
			mean := m.meanLuma()
			return m.blend(factor, func(int) float32 { return mean })
		},
		func(m *Image, factor float32) *Image { // saturation
			return m.blend(factor, func(i int) float32 {
				return float32(luma(m.Pix[3*i], m.Pix[3*i+1], m.Pix[3*i+2]))
			})
		},
	}
	for i := len(changes) - 1; i > 0; i-- {
		j := int(draw() * float64(i+1))
		changes[i], changes[j] = changes[j], changes[i]
	}
	for _, change := range changes {
		m = change(m, float32(1-strength+2*strength*draw()))
	}
	return m
}

// blend returns other + factor·(m − other) for each value, cut to 0 … 255 and to a whole number, as Pillow's
// Image.blend. other returns the value of a pixel, in all channels.
func (m *Image) blend(factor float32, other func(pixel int) float32) *Image {
	out := NewImage(m.Width, m.Height)
	for i := range m.Width * m.Height {
		grey := other(i)
		for c := 3 * i; c < 3*i+3; c++ {
			out.Pix[c] = byte(min(max(grey+float32(factor*(float32(m.Pix[c])-grey)), 0), 255))
		}
	}
	return out
}

// meanLuma returns the mean of the image in grey, rounded.
func (m *Image) meanLuma() float32 {
	sum := 0
	for i := 0; i < len(m.Pix); i += 3 {
		sum += int(luma(m.Pix[i], m.Pix[i+1], m.Pix[i+2]))
	}
	n := m.Width * m.Height
	return float32((2*sum + n) / (2 * n))
}
