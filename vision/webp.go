package vision

import "image"

// fromWebP fills m with the colours of a frame of VP8, whose colour differences have half the width and height. libwebp
// interpolates them by weights of 9, 3, 3 and 1 sixteenths, rounded twice, and has a conversion of its own: brightness
// from 16 to 235, colour differences from 16 to 240.
func (m *Image) fromWebP(s *image.YCbCr) {
	cw, ch := (m.Width+1)/2, (m.Height+1)/2
	m.rows(func(y int, row []byte) {
		near := y / 2
		far := min(max(near-1+y%2*2, 0), ch-1)
		for x, v := range s.Y[y*s.YStride:][:m.Width] {
			i := x / 2
			j := i - 1 + x%2*2
			var c [2]int32
			for k, plane := range [2][]byte{s.Cb, s.Cr} {
				at, next := plane[near*s.CStride:], plane[far*s.CStride:]
				a, b := int32(at[i]), int32(next[i])
				if j < 0 || j >= cw { // the first pixel, and the last one of an even width
					c[k] = (3*a + b + 2) >> 2
					continue
				}
				p, q := int32(at[j]), int32(next[j])
				c[k] = ((a+3*(p+b)+q+8)>>3 + a) >> 1
			}
			l, b, r := int32(v)*19077>>8, c[0], c[1]
			row[3*x] = clip8((l + r*26149>>8 - 14234) >> 6)
			row[3*x+1] = clip8((l - b*6419>>8 - r*13320>>8 + 8708) >> 6)
			row[3*x+2] = clip8((l + b*33050>>8 - 17685) >> 6)
		}
	})
}
