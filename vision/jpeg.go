package vision

import "image"

// fromJPEG fills m with the colours of s. The planes of colour difference may have fewer samples than that of
// brightness. libjpeg, which Pillow uses, interpolates between them: three parts of the nearest sample and one part of
// the next one in each direction. The standard library repeats samples instead.
func (m *Image) fromJPEG(s *image.YCbCr) {
	up := newUpsampler(s)
	cb, cr := make([]byte, m.Width+1), make([]byte, m.Width+1)
	m.rows(func(y int, row []byte) {
		up.row(cb, s.Cb, y)
		up.row(cr, s.Cr, y)
		for x, v := range s.Y[y*s.YStride:][:m.Width] {
			l, b, r := int32(v), int32(cb[x])-128, int32(cr[x])-128
			row[3*x] = clip8(l + (91881*r+1<<15)>>16) // libjpeg's fixed-point numbers
			row[3*x+1] = clip8(l + (-22554*b-46802*r+1<<15)>>16)
			row[3*x+2] = clip8(l + (116130*b+1<<15)>>16)
		}
	})
}

func clip8(v int32) byte { return byte(min(max(v, 0), 255)) }

// upsampler brings rows of colour difference to the width of an image.
type upsampler struct {
	stepX, stepY   int // pixels of the image to one sample
	smoothX        bool
	smoothY        bool
	width, height  int // samples that belong to the image, without the padding of blocks
	stride         int
	between        []int32 // a row of samples: 4 times the values of smoothY, otherwise the values
	round0, round1 int32   // what is added before shifting, for the two pixels of a sample
	shift          int
}

func newUpsampler(s *image.YCbCr) *upsampler {
	u := &upsampler{stepX: 1, stepY: 1, stride: s.CStride}
	switch s.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.stepX = 2
	case image.YCbCrSubsampleRatio420:
		u.stepX, u.stepY = 2, 2
	case image.YCbCrSubsampleRatio440:
		u.stepY = 2
	case image.YCbCrSubsampleRatio411:
		u.stepX = 4
	case image.YCbCrSubsampleRatio410:
		u.stepX, u.stepY = 4, 2
	}
	u.width, u.height = (s.Rect.Dx()+u.stepX-1)/u.stepX, (s.Rect.Dy()+u.stepY-1)/u.stepY
	// libjpeg interpolates 2:1 only, and only planes that are wider than two samples.
	u.smoothX = u.stepX == 2 && u.width > 2
	u.smoothY = u.stepY == 2 && (u.smoothX || u.stepX == 1)
	u.between = make([]int32, u.width)
	u.round0, u.round1, u.shift = 1, 2, 2
	if u.smoothX && u.smoothY {
		u.round0, u.round1, u.shift = 8, 7, 4
	}
	return u
}

// row writes row y of the image from a plane; dst holds one sample more than the image is wide.
func (u *upsampler) row(dst, plane []byte, y int) {
	near := y / u.stepY
	at := plane[near*u.stride:][:u.width]
	next := at
	if u.smoothY {
		far := min(max(near-1+y%2*2, 0), u.height-1)
		next = plane[far*u.stride:][:u.width]
	}
	switch {
	case u.smoothX:
		for i, v := range at {
			u.between[i] = int32(v)
			if u.smoothY {
				u.between[i] = 3*int32(v) + int32(next[i])
			}
		}
		for i, v := range u.between {
			left, right := u.between[max(i-1, 0)], u.between[min(i+1, u.width-1)]
			dst[2*i] = byte((3*v + left + u.round0) >> u.shift)
			dst[2*i+1] = byte((3*v + right + u.round1) >> u.shift)
		}
	case u.smoothY:
		for i, v := range at {
			dst[i] = byte((3*int32(v) + int32(next[i]) + 1 + int32(y%2)) >> 2)
		}
	default:
		for x := range len(dst) - 1 {
			dst[x] = at[x/u.stepX]
		}
	}
}
