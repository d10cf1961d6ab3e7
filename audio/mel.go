package audio

import "math"

// topFrequency is the upper end of the highest mel filter in Hz, whatever the sampling rate.
const topFrequency = 8000

// melFilter weighs the powers of successive frequencies, from number first. It is zero elsewhere.
type melFilter struct {
	first   int
	weights []float64
}

// melFilters returns triangular filters on Slaney's mel scale from 0 Hz to topFrequency, each of area 2 in Hz. The
// powers are those of n frequencies, equally spaced from 0 to half the rate.
func melFilters(filters, n, rate int) []melFilter {
	// Filter i rises from edge i to edge i+1 and falls to edge i+2.
	edges := make([]float64, filters+2)
	top := hertzToMel(topFrequency)
	for i := range edges {
		edges[i] = melToHertz(top * float64(i) / float64(filters+1))
	}
	spacing := float64(rate/2) / float64(n-1)
	list := make([]melFilter, filters)
	for i := range list {
		low, peak, high := edges[i], edges[i+1], edges[i+2]
		f := &list[i]
		for k := range n {
			frequency := float64(k) * spacing
			w := min((frequency-low)/(peak-low), (high-frequency)/(high-peak))
			if w <= 0 {
				continue
			}
			if len(f.weights) == 0 {
				f.first = k
			}
			f.weights = append(f.weights, w*2/(high-low))
		}
	}
	return list
}

// Slaney's scale is linear up to 1000 Hz, 15 mel, and logarithmic above.
const (
	bendHertz = 1000
	bendMel   = 15
)

// logStep is the number of mel per e-fold of the frequency: 27 mel for a factor of 6.4.
var logStep = 27 / math.Log(6.4)

func hertzToMel(f float64) float64 {
	if f < bendHertz {
		return f * bendMel / bendHertz
	}
	return bendMel + math.Log(f/bendHertz)*logStep
}

func melToHertz(m float64) float64 {
	if m < bendMel {
		return m * bendHertz / bendMel
	}
	return bendHertz * math.Exp((m-bendMel)/logStep)
}
