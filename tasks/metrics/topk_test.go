package metrics

import (
	"errors"
	"testing"

	"github.com/spalora/spalora/batch"
)

func TestTopK(t *testing.T) {
	logits := []float32{
		3, 1, 2, 0, // the order of classes is 0 2 1 3
		1, 1, 1, 1, // of equal logits, the first is the largest
		0, 1, 2, 3,
	}
	for _, tt := range []struct {
		labels []int32
		n      int
		want   float64
	}{
		{[]int32{0, 0, 3}, 1, 1}, {[]int32{2, 1, 2}, 1, 0}, {[]int32{2, 1, 2}, 2, 1}, {[]int32{1, 2, 0}, 2, 0},
		{[]int32{1, 2, 0}, 3, 2.0 / 3}, {[]int32{batch.Ignore, 3, 0}, 4, 1}, {[]int32{3, batch.Ignore, 3}, 1, 0.5},
	} {
		if got, err := TopK(tt.labels, logits, 4, tt.n); err != nil || got.Value != tt.want {
			t.Errorf("top %d of %v: got %v, %v, want %g", tt.n, tt.labels, got, err, tt.want)
		}
	}
	if _, err := TopK([]int32{batch.Ignore}, logits[:4], 4, 1); !errors.Is(err, ErrNoTargets) {
		t.Errorf("without labels: %v", err)
	}
	for _, bad := range [][]int32{{0, 1, 4}, {0, -1, 1}, {0, 1}} {
		if _, err := TopK(bad, logits, 4, 1); err == nil {
			t.Errorf("the labels %v are accepted", bad)
		}
	}
}
