package audio

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestFLACWithTags decodes a file with the tags of an MP3 around it.
func TestFLACWithTags(t *testing.T) {
	data, err := os.ReadFile("testdata/s16.flac")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Decode(data, "f.flac", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	tagged := append([]byte("ID3\x04\x00\x00\x00\x00\x01\x02"), make([]byte, 130)...)
	tagged = append(append(tagged, data...), "TAGtitle"...)
	got, err := Decode(tagged, "f.flac", Limits{})
	if err != nil || !slices.Equal(got.Samples, want.Samples) {
		t.Error(err)
	}
}

// TestFLACStream decodes a file whose header does not say how long it is.
func TestFLACStream(t *testing.T) {
	data, err := os.ReadFile("testdata/s16.flac")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Decode(data, "f.flac", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	data[21] &= 0xF0 // the number of samples has 36 bits
	copy(data[22:26], []byte{0, 0, 0, 0})
	f := file{bytes.NewReader(data), int64(len(data)), "f.flac"}
	s, err := f.stream()
	if err != nil {
		t.Fatal(err)
	}
	if h := s.header(); h.Frames != -1 || h.Seconds() != -1 || h.Rate != 16000 || h.Channels != 2 || h.Bits != 16 {
		t.Errorf("%+v", h)
	}
	got, err := Decode(data, "f.flac", Limits{})
	if err != nil || !slices.Equal(got.Samples, want.Samples) {
		t.Error(err)
	}
	_, err = Decode(data, "f.flac", Limits{MaxSeconds: 300.0 / 16000})
	if err == nil || !strings.Contains(err.Error(), "it has more sound than the limit of 0.0 seconds") {
		t.Error(err)
	}
	if _, err := Decode(data[:len(data)-1], "f.flac", Limits{}); err == nil {
		t.Error("a truncated frame is no error")
	}
}

// TestBadFLAC flips every bit of a file: where a checksum protects it, the result is an error, never a panic.
func TestBadFLAC(t *testing.T) {
	data, err := os.ReadFile("testdata/s8.flac")
	if err != nil {
		t.Fatal(err)
	}
	clip, err := Decode(data, "f.flac", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	frames := bytes.Index(data, []byte{0xFF, 0xF8}) // where the header ends
	for i := range data {
		for bit := range 8 {
			corrupt := slices.Clone(data)
			corrupt[i] ^= 1 << bit
			got, err := Decode(corrupt, "f.flac", Limits{MaxSeconds: 1})
			if i >= frames && err == nil {
				t.Errorf("bit %d of byte %d: no error", bit, i)
			}
			if err == nil && len(got.Samples) != len(clip.Samples) {
				t.Errorf("bit %d of byte %d: %d samples", bit, i, len(got.Samples))
			}
		}
	}
}
