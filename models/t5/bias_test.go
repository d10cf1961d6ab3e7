package t5

import (
	"fmt"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// TestBuckets compares the buckets of distances with transformers' (reference/seq2seq_fixtures.py).
func TestBuckets(t *testing.T) {
	g := golden.Open(t, "../../testdata/seq2seq/buckets.safetensors")
	for _, size := range [][2]int{{32, 128}, {8, 10}, {12, 20}, {64, 500}} {
		for name, both := range map[string]bool{"both": true, "causal": false} {
			want := g.Ints(fmt.Sprintf("%d.%d.%s", size[0], size[1], name))
			if len(want) != 601 {
				t.Fatalf("%d distances", len(want))
			}
			for i, w := range want {
				if got := bucket(i-300, size[0], size[1], both); got != w {
					t.Errorf("%d buckets up to %d, %s: distance %d has bucket %d, want %d", size[0], size[1], name, i-300, got, w)
				}
			}
		}
	}
}
