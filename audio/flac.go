package audio

import (
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
)

// flacMarker is what FLAC begins with.
const flacMarker = "fLaC"

// flacStream is a FLAC file whose header was read.
type flacStream struct {
	file
	Header
	s *flac.Stream
}

func (f *flacStream) header() Header { return f.Header }

// flac reads the header of a FLAC file that begins at an offset.
func (f file) flac(offset int64) (s *flacStream, err error) {
	defer f.recovered(&err)
	parsed, err := flac.New(io.NewSectionReader(f.r, offset, f.size-offset))
	if err != nil {
		return nil, f.damaged("header", err)
	}
	info := parsed.Info
	if info.SampleRate < MinRate || info.SampleRate > MaxRate {
		return nil, f.errorf("the sampling rate is %d Hz, want %d to %d", info.SampleRate, MinRate, MaxRate)
	}
	if info.BitsPerSample > 24 {
		return nil, f.errorf("samples of %d bits are not supported in FLAC; convert the file to 24 bits or to WAV",
			info.BitsPerSample)
	}
	h := Header{Format: "FLAC", Rate: int(info.SampleRate), Channels: int(info.NChannels),
		Bits: int(info.BitsPerSample), Frames: int64(info.NSamples)}
	if h.Frames == 0 {
		h.Frames = -1
	}
	return &flacStream{f, h, parsed}, nil
}

// samples decodes the frames.
func (f *flacStream) samples(limit int64) (values []float32, err error) {
	defer f.recovered(&err)
	if f.Frames > 0 {
		values = make([]float32, 0, min(f.Frames, 1<<20)) // a damaged header may claim any length
	}
	scale := 1 / (float64(f.Channels) * float64(int64(1)<<(f.Bits-1)))
	for n := 0; f.Frames < 0 || int64(len(values)) < f.Frames; n++ {
		fr, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, f.damaged(fmt.Sprintf("frame %d", n), err)
		}
		if int64(len(values))+int64(fr.BlockSize) > limit {
			return nil, errTooLong
		}
		for i := range int(fr.BlockSize) {
			var sum int64
			for _, c := range fr.Subframes {
				sum += int64(c.Samples[i])
			}
			values = append(values, float32(float64(sum)*scale))
		}
	}
	switch got := int64(len(values)); {
	case f.Frames >= 0 && got < f.Frames:
		return nil, f.errorf("the file is truncated: it has %d of %d samples", got, f.Frames)
	case f.Frames >= 0 && got > f.Frames:
		return nil, f.errorf("the FLAC data are damaged: there are %d samples, but the header says %d", got, f.Frames)
	}
	return values, nil
}

// next returns the next frame with its samples, or io.EOF behind the last one.
func (f *flacStream) next() (*frame.Frame, error) {
	fr, err := f.s.Next()
	if err != nil {
		return nil, err
	}
	if fr.BitsPerSample == 0 { // as in the header of the file
		fr.BitsPerSample = uint8(f.Bits)
	}
	switch rate := int(fr.SampleRate); {
	case fr.Channels.Count() != f.Channels:
		return nil, fmt.Errorf("got %d channels, but the header says %d", fr.Channels.Count(), f.Channels)
	case int(fr.BitsPerSample) != f.Bits:
		return nil, fmt.Errorf("got %d bits, but the header says %d", fr.BitsPerSample, f.Bits)
	case rate != 0 && rate != f.Rate:
		return nil, fmt.Errorf("got %d Hz, but the header says %d", rate, f.Rate)
	}
	if err := fr.Parse(); errors.Is(err, io.EOF) { // within the frame
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	for _, s := range fr.Subframes {
		if len(s.Samples) != int(fr.BlockSize) {
			return nil, fmt.Errorf("got %d samples, want %d", len(s.Samples), fr.BlockSize)
		}
	}
	return fr, nil
}

// damaged returns an error about a part of the file.
func (f file) damaged(part string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f.errorf("the file is truncated: it ends within the FLAC %s", part)
	}
	return &Error{File: f.name, Msg: "the FLAC data are damaged in the " + part, Err: err}
}

// recovered turns a panic of the decoder, which trusts its input in places, into an error.
func (f file) recovered(err *error) {
	if r := recover(); r != nil {
		*err = f.errorf("the FLAC data are damaged (%v)", r)
	}
}
