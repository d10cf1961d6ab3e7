package data_test

import (
	"testing"

	"github.com/spalora/spalora/data"
)

// TestUnitByte counts "é😀a" in each unit.
func TestUnitByte(t *testing.T) {
	const s = "é😀a" // bytes 0, 2 and 6, 7 in all
	for unit, want := range map[data.Unit][]int{
		data.CodePoints: {0, 2, 6, 7, -1, -1, -1, -1, -1},
		data.UTF16Units: {0, 2, -1, 6, 7, -1, -1, -1, -1},
		data.UTF8Bytes:  {0, -1, 2, -1, -1, -1, 6, 7, -1},
	} {
		for n, b := range want {
			if got := unit.Byte(s, n); got != b {
				t.Errorf("%s: offset %d is byte %d, want %d", unit, n, got, b)
			}
		}
		if got := unit.Byte(s, -1); got != -1 {
			t.Errorf("%s: offset -1 is byte %d", unit, got)
		}
	}
}
