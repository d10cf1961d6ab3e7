package data

import (
	"runtime"
	"strings"
	"testing"
)

func TestCheckMemory(t *testing.T) {
	for _, c := range []struct {
		size      int64
		available uint64
		want      string
	}{
		{1e9, 8e9, ""}, {2e9, 8e9, ""}, {1e12, 0, ""}, {0, 1, ""},
		{2e9 + 1, 8e9, "big.csv: the file has 2.0 GB, and reading it takes about 8.0 GB of memory, but 8.0 GB are free"},
		{5e10, 8e9, "50.0 GB, and reading it takes about 200.0 GB"},
	} {
		err := checkMemory("big.csv", c.size, c.available)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d bytes with %d free: %v, want %q", c.size, c.available, err, c.want)
		}
	}
	if runtime.GOOS == "linux" && AvailableMemory() == 0 {
		t.Error("the available memory is not known")
	}
}
