package vision

import (
	"slices"
	"testing"
)

// TestPatches: an image of two channels, 4×6 pixels, in patches of 2×3; the values count up in the image.
func TestPatches(t *testing.T) {
	pix := make([]float32, 2*4*6)
	for i := range pix {
		pix[i] = float32(i)
	}
	down, across, err := Grid(4, 6, 2, 3)
	if err != nil || down != 2 || across != 2 {
		t.Fatalf("%d×%d, %v", down, across, err)
	}
	got := Patches(nil, pix, 2, 4, 6, 2, 3)
	want := []float32{
		0, 1, 2, 6, 7, 8, 24, 25, 26, 30, 31, 32, // the upper left patch: channel 0, then channel 1
		3, 4, 5, 9, 10, 11, 27, 28, 29, 33, 34, 35,
		12, 13, 14, 18, 19, 20, 36, 37, 38, 42, 43, 44,
		15, 16, 17, 21, 22, 23, 39, 40, 41, 45, 46, 47,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for _, c := range [][4]int{{4, 6, 3, 3}, {4, 6, 2, 4}, {0, 6, 2, 3}, {4, 6, 0, 3}, {4, 6, 2, -3}} {
		if _, _, err := Grid(c[0], c[1], c[2], c[3]); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}
