package lora

import (
	"math"
	"slices"
)

// The functions of this file mix the values of several adapters' tensors of one shape, in float32 and in the order of
// PEFT's merge_utils, so that the results have the same bits where PyTorch sums in order.

// weightedSum returns Σ wᵢ·tᵢ (task arithmetic, Ilharco et al. 2022, arXiv:2212.04089).
func weightedSum(tensors [][]float32, weights []float32) []float32 {
	sum := make([]float32, len(tensors[0]))
	for i, t := range tensors {
		for j, v := range t {
			sum[j] += v * weights[i]
		}
	}
	return sum
}

// disjointMean returns, for each element, the weighted sum of those values whose sign the majority has, divided by
// their number (TIES, Yadav et al. 2023, arXiv:2306.01708). The sign of the majority is that of the sum of the values,
// or of the sum of their signs with frequency; a sum of zero counts as positive.
func disjointMean(tensors [][]float32, weights []float32, frequency bool) []float32 {
	mean := make([]float32, len(tensors[0]))
	for j := range mean {
		var total float32
		for _, t := range tensors {
			if frequency {
				total += sign(t[j])
			} else {
				total += t[j]
			}
		}
		majority := float32(1)
		if total < 0 {
			majority = -1
		}
		var sum, n float32
		for i, t := range tensors {
			if sign(t[j]) == majority {
				sum += t[j] * weights[i]
				n++
			}
		}
		mean[j] = sum / max(n, 1)
	}
	return mean
}

func sign(v float32) float32 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// keepLargest returns values with all but a share of those of largest magnitude set to zero: ⌊density·n⌋ of n. Of
// equal magnitudes the first ones stay.
func keepLargest(values []float32, density float64) []float32 {
	n := int(density * float64(len(values)))
	kept := make([]float32, len(values))
	if n == 0 {
		return kept
	}
	sizes := make([]float32, len(values))
	for i, v := range values {
		sizes[i] = float32(math.Abs(float64(v)))
	}
	slices.Sort(sizes)
	least := sizes[len(sizes)-n]
	above := len(sizes) - n // number of values larger than least
	for above < len(sizes) && sizes[above] == least {
		above++
	}
	equal := n - (len(sizes) - above) // how many of the values equal to least stay
	for i, v := range values {
		switch size := float32(math.Abs(float64(v))); {
		case size > least:
			kept[i] = v
		case size == least && equal > 0:
			kept[i] = v
			equal--
		}
	}
	return kept
}

// keepMasked returns the values that keep selects, divided by density, and zeros (DARE, Yu et al. 2023,
// arXiv:2311.03099).
func keepMasked(values []float32, keep []bool, density float64) []float32 {
	kept := make([]float32, len(values))
	for i, v := range values {
		if keep[i] {
			kept[i] = v / float32(density)
		}
	}
	return kept
}

// clampAt limits all values of the matrices to [−q, q], where q is the given quantile of their values, with linear
// interpolation as in torch.quantile.
func clampAt(quantile float64, matrices ...[]float32) {
	all := slices.Concat(matrices...)
	slices.Sort(all)
	at := quantile * float64(len(all)-1)
	low := int(at)
	q := all[low]
	if low+1 < len(all) {
		q += float32(at-float64(low)) * (all[low+1] - q)
	}
	for _, m := range matrices {
		for i, v := range m {
			// PyTorch's clamp applies the lower limit first, so that the upper one wins if q is negative
			m[i] = min(max(v, -q), q)
		}
	}
}
