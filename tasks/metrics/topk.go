package metrics

import (
	"fmt"

	"github.com/spalora/spalora/batch"
)

// TopK returns the part of the rows whose label is among the n classes with the largest of the k logits of the row
// (rows×k). Of equal logits the first counts as larger. Rows whose label is [batch.Ignore] do not count. It is an
// error if the lengths differ, a label is not in 0 to k-1, or no row counts.
func TopK(labels []int32, logits []float32, k, n int) (Score, error) {
	if len(logits) != len(labels)*k {
		return Score{}, fmt.Errorf("metrics: %d labels for %d logits of %d classes", len(labels), len(logits), k)
	}
	rows, hits := 0, 0
	for i, label := range labels {
		if label == batch.Ignore {
			continue
		}
		if label < 0 || int(label) >= k {
			return Score{}, fmt.Errorf("metrics: label %d of row %d is not in 0 to %d", label, i, k-1)
		}
		row, larger := logits[i*k:(i+1)*k], 0
		for c, v := range row {
			if v > row[label] || v == row[label] && c < int(label) {
				larger++
			}
		}
		if rows++; larger < n {
			hits++
		}
	}
	if rows == 0 {
		return Score{}, fmt.Errorf("metrics: %w", ErrNoTargets)
	}
	return Score{Value: ratio(hits, rows)}, nil
}
