package audio

// The sampling rates of sound that is read or resampled, in Hz. Telephones have 8,000, studios up to 384,000.
const (
	MinRate = 1_000
	MaxRate = 384_000
)

// Clip is sound with one channel.
type Clip struct {
	Samples []float32 // full scale is −1 to 1; floating-point files may exceed it
	Rate    int       // samples per second
}

// Seconds returns the duration.
func (c *Clip) Seconds() float64 { return float64(len(c.Samples)) / float64(c.Rate) }
