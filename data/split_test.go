package data

import "testing"

// The first outputs of SplitMix64 from 0, as its author publishes them.
func TestMix(t *testing.T) {
	for i, want := range []uint64{0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F} {
		if got := mix(0, i); got != want {
			t.Errorf("mix(0, %d) = %#x, want %#x", i, got, want)
		}
	}
}
