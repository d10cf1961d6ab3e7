package op

import "github.com/spalora/spalora/internal/kernel"

// Draws returns a function that returns further uniform numbers in [0, 1), multiples of 2^-32. They depend on the key,
// the stream and the example only, so that what is drawn for an example does not depend on when, where or beside which
// others it is computed. Streams below 2^31 are those of dropout.
func Draws(k Key, stream, example uint32) func() float64 {
	var words [4]uint32
	drawn := uint32(0)
	return func() float64 {
		if drawn%4 == 0 {
			words = kernel.Random(k, kernel.Site{Op: stream, Example: example}, drawn/4)
		}
		w := words[drawn%4]
		drawn++
		return float64(w) / (1 << 32)
	}
}
