package audio

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/spalora/spalora/internal/settings"
)

// The files that have the settings of an [Extractor]. The first one has them under a key of its own; it is used if it
// has that key.
const (
	ProcessorConfig    = "processor_config.json" // transformers 5
	PreprocessorConfig = "preprocessor_config.json"
)

// maxWindow is the largest number of samples of a window: 30 minutes at 16 kHz. No checkpoint comes near.
const maxWindow = 30 * 60 * 16_000

// maxValues is the largest number of values in the features of a window, 256 MiB. Whisper's have at most 384,000.
const maxValues = 1 << 26

// config is preprocessor_config.json. Fields without a value have that of WhisperFeatureExtractor.
type config struct {
	FeatureSize  int `json:"feature_size"`
	SamplingRate int `json:"sampling_rate"`
	HopLength    int `json:"hop_length"`
	ChunkLength  int `json:"chunk_length"`
	Size         int `json:"n_fft"`
}

// HasSettings reports whether the content of a file named [ProcessorConfig] has the settings of an extractor.
func HasSettings(processor []byte) bool {
	inner, err := inner(processor)
	return err == nil && inner != nil
}

// inner returns the settings of the extractor in a processor_config.json, nil if it has none.
func inner(processor []byte) (json.RawMessage, error) {
	var keys struct {
		Extractor json.RawMessage `json:"feature_extractor"`
		Audio     json.RawMessage `json:"audio_processor"`
	}
	err := json.Unmarshal(processor, &keys)
	if keys.Extractor == nil {
		return keys.Audio, err
	}
	return keys.Extractor, err
}

// NewExtractor returns the extractor with the settings in content, that of preprocessor_config.json, or of
// processor_config.json as transformers 5 writes it. warnings lists settings without effect. It returns an error about
// settings that this package does not honour and that would change results, and about values that make no sense.
func NewExtractor(content []byte) (e *Extractor, warnings []string, err error) {
	own, err := inner(content)
	if err != nil {
		return nil, nil, fmt.Errorf("audio: %s: %w", PreprocessorConfig, err)
	}
	if own != nil {
		content = own
	}
	c := config{FeatureSize: 80, SamplingRate: 16_000, HopLength: 160, ChunkLength: 30, Size: 400}
	if warnings, err = settings.SoundPreprocessor.Check(content); err != nil {
		return nil, nil, fmt.Errorf("audio: %w", err)
	}
	if err = json.Unmarshal(content, &c); err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("audio: %s: %w", PreprocessorConfig, err)
	}
	return newExtractor(c), warnings, nil
}

// check returns an error about the first value that makes no sense.
func (c config) check() error {
	for _, v := range []struct {
		name          string
		got, min, max int
	}{
		{"feature_size", c.FeatureSize, 1, 1024},
		{"sampling_rate", c.SamplingRate, MinRate, MaxRate},
		{"n_fft", c.Size, 2, 1 << 16},
		{"hop_length", c.HopLength, 1, c.Size},
		{"chunk_length", c.ChunkLength, 1, maxWindow / max(c.SamplingRate, 1)},
	} {
		if v.got < v.min || v.got > v.max {
			return fmt.Errorf("%s is %d, want %d to %d", v.name, v.got, v.min, v.max)
		}
	}
	window := c.ChunkLength * c.SamplingRate
	switch {
	case c.Size%2 != 0:
		return fmt.Errorf("n_fft is %d, want an even number", c.Size)
	case c.Size > window:
		return fmt.Errorf("n_fft is %d, want at most the %d samples of a window", c.Size, window)
	case window/c.HopLength*c.FeatureSize > maxValues:
		return fmt.Errorf("hop_length and feature_size make %d values of a window, want at most %d",
			window/c.HopLength*c.FeatureSize, maxValues)
	}
	return nil
}

func newExtractor(c config) *Extractor {
	e := &Extractor{rate: c.SamplingRate, hop: c.HopLength, samples: c.ChunkLength * c.SamplingRate,
		window: make([]float64, c.Size), filters: melFilters(c.FeatureSize, c.Size/2+1, c.SamplingRate)}
	for i := range e.window { // Hann's, periodic
		e.window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(c.Size))
	}
	return e
}
