package audio

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// fuzzDecode checks that any bytes give sound within the limits or an error that names the file.
func fuzzDecode(f *testing.F, pattern string) {
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		clip, err := Decode(data, "f", Limits{MaxSeconds: 2})
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.File != "f" {
				t.Fatal(err)
			}
			return
		}
		if len(clip.Samples) == 0 || clip.Rate < MinRate || clip.Rate > MaxRate || clip.Seconds() > 2 {
			t.Fatalf("%d samples at %d Hz", len(clip.Samples), clip.Rate)
		}
		for _, v := range clip.Samples {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatal(v)
			}
		}
	})
}

func FuzzWAV(f *testing.F) { fuzzDecode(f, "*.wav") }

func FuzzFLAC(f *testing.F) { fuzzDecode(f, "*.flac") }

// FuzzSettings: any settings give an extractor that works, or an error.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"feature_size": 128, "n_fft": 512, "hop_length": 120, "chunk_length": 1, "sampling_rate": 8000}`))
	f.Add([]byte(`{"feature_extractor": {"dither": 0.0}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		e, _, err := NewExtractor(content)
		if err != nil {
			return
		}
		for _, v := range e.FeaturesOf(make([]float32, 100), 2) {
			if v != -1.5 { // silence: (−10 + 4) / 4
				t.Fatal(v)
			}
		}
	})
}
