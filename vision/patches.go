package vision

import "fmt"

// Grid returns how many patches of the given size an image has, down and across, and an error if it is not a whole
// number of them.
func Grid(height, width, patchHeight, patchWidth int) (down, across int, err error) {
	if patchHeight <= 0 || patchWidth <= 0 || height <= 0 || width <= 0 {
		return 0, 0, fmt.Errorf("vision: an image of %d×%d pixels in patches of %d×%d, want sizes of at least 1",
			width, height, patchWidth, patchHeight)
	}
	if height%patchHeight != 0 || width%patchWidth != 0 {
		return 0, 0, fmt.Errorf("vision: an image of %d×%d pixels is not a whole number of patches of %d×%d; change "+
			"`size` or `crop_size` in %s to a multiple of the patch", width, height, patchWidth, patchHeight, ConfigFile)
	}
	return height / patchHeight, width / patchWidth, nil
}

// Patches appends the patches of an image to dst and returns it: rows of patches from top to bottom, for each patch
// channels·patchHeight·patchWidth values in the order (channel, row, column), that of a convolution's weight. pix has
// channels×height×width values, whose size [Grid] accepts; otherwise Patches panics.
func Patches(dst, pix []float32, channels, height, width, patchHeight, patchWidth int) []float32 {
	down, across, err := Grid(height, width, patchHeight, patchWidth)
	if err == nil && len(pix) != channels*height*width {
		err = fmt.Errorf("vision: Patches: got %d values, want %d×%d×%d", len(pix), channels, height, width)
	}
	if err != nil {
		panic(err)
	}
	for i := range down {
		for j := range across {
			for c := range channels {
				for y := range patchHeight {
					at := (c*height+i*patchHeight+y)*width + j*patchWidth
					dst = append(dst, pix[at:at+patchWidth]...)
				}
			}
		}
	}
	return dst
}
