package audio

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

const (
	leastPower = 1e-10 // lower powers count as this
	decades    = 8     // powers further below the largest one are raised to this distance
)

// Extractor computes log-mel features as transformers' WhisperFeatureExtractor does: for each hop of the sound the
// decimal logarithm of its power in a number of frequency bands, shifted and scaled. It does not change after
// [NewExtractor], so any number of goroutines may use it.
type Extractor struct {
	rate, hop int
	samples   int // of a window
	window    []float64
	filters   []melFilter
}

// Rate returns the sampling rate of the sound that the extractor takes, in Hz.
func (e *Extractor) Rate() int { return e.rate }

// Bins returns the number of values of a row, one for each frequency band.
func (e *Extractor) Bins() int { return len(e.filters) }

// Frames returns the number of rows of a whole window: 3000 for Whisper's 30 seconds.
func (e *Extractor) Frames() int { return e.samples / e.hop }

// Hop returns the number of samples from one row to the next.
func (e *Extractor) Hop() int { return e.hop }

// Window returns the number of samples of a whole window.
func (e *Extractor) Window() int { return e.samples }

// Features returns the features of a window, Frames×Bins, row after row. Shorter sound is padded with silence, longer
// sound is cut. The slice belongs to the caller.
func (e *Extractor) Features(samples []float32) []float32 { return e.FeaturesOf(samples, e.Frames()) }

// FeaturesOf returns the features of the beginning of a window, frames×Bins: the first rows of what
// [Extractor.Features] returns for the samples cut to frames·Hop. At most Frames rows are computed.
func (e *Extractor) FeaturesOf(samples []float32, frames int) []float32 {
	frames = min(max(frames, 0), e.Frames())
	return e.compute(samples[:min(len(samples), frames*e.hop)], e.samples, frames)
}

// FeaturesOfAll returns the features of sound of any length, as transformers computes them for long recordings: one row
// for every whole hop, without padding to a window. The largest value, from which low ones are measured, is that of the
// whole sound.
func (e *Extractor) FeaturesOfAll(samples []float32) []float32 {
	n := max(len(samples), len(e.window)/2+1) // the least that can be mirrored
	return e.compute(samples, n, len(samples)/e.hop)
}

// compute returns the first rows of the features of samples followed by silence, n samples in all.
func (e *Extractor) compute(samples []float32, n, frames int) []float32 {
	transform := fourier.NewFFT(len(e.window))
	frame := make([]float64, len(e.window))
	spectrum := make([]complex128, len(e.window)/2+1)
	power := make([]float64, len(spectrum))
	largest := float32(math.Log10(leastPower))
	rows := make([]float32, frames*e.Bins())
	for i := range rows {
		rows[i] = largest
	}
	beyond := make([]float32, e.Bins()) // a row that is not asked for, but counts for the largest value
	for t := range n / e.hop {
		if !e.cut(frame, samples, t*e.hop-len(frame)/2, n) {
			break
		}
		transform.Coefficients(spectrum, frame)
		for i, c := range spectrum {
			power[i] = real(c)*real(c) + imag(c)*imag(c)
		}
		row := beyond
		if t < frames {
			row = rows[t*e.Bins() : (t+1)*e.Bins()]
		}
		for i, f := range e.filters {
			var sum float64
			for k, p := range power[f.first : f.first+len(f.weights)] {
				sum += p * f.weights[k]
			}
			row[i] = float32(math.Log10(max(sum, leastPower)))
			largest = max(largest, row[i])
		}
	}
	for i, v := range rows {
		rows[i] = (max(v, largest-decades) + 4) / 4
	}
	return rows
}

// cut copies what begins at start of samples, followed by silence up to n samples in all, into frame, multiplied by the
// window. Beyond both ends the sound is mirrored. It returns false if there is no sound from start on.
func (e *Extractor) cut(frame []float64, samples []float32, start, n int) bool {
	if start >= len(samples) {
		return false
	}
	if start >= 0 && start+len(frame) <= len(samples) {
		for i, v := range samples[start : start+len(frame)] {
			frame[i] = float64(v) * e.window[i]
		}
		return true
	}
	for i := range frame {
		j := start + i
		switch {
		case j < 0:
			j = -j
		case j >= n:
			j = 2*(n-1) - j
		}
		frame[i] = 0
		if j < len(samples) {
			frame[i] = float64(samples[j]) * e.window[i]
		}
	}
	return true
}
