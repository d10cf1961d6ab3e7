package audio

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// DefaultMaxSeconds is the longest sound that is read if [Limits] do not say otherwise: two hours.
const DefaultMaxSeconds = 7200

// fullRate is the sampling rate in Hz above which the largest number of samples is no longer proportional to the rate,
// so that [Limits] bound memory whatever rate a header claims.
const fullRate = 48_000

// Limits bounds what is decoded, so that no file can exhaust memory. It is checked before decoding, by the sizes in the
// file, and while decoding where a header says nothing.
type Limits struct {
	// MaxSeconds is the longest sound, in seconds; 0 is [DefaultMaxSeconds]. Above 48 kHz the limit is the number of
	// samples that this time has at 48 kHz. A decoded sample takes 4 bytes.
	MaxSeconds float64
}

// frames returns the largest number of samples of a channel at the given rate, and the seconds that they last.
func (l Limits) frames(rate int) (n int64, seconds float64) {
	seconds = l.MaxSeconds
	if seconds == 0 {
		seconds = DefaultMaxSeconds
	}
	n = int64(seconds * float64(min(rate, fullRate)))
	return n, float64(n) / float64(rate)
}

// Header is what a sound file says about itself.
type Header struct {
	Format   string // "WAV" or "FLAC"
	Rate     int    // samples per second and channel
	Channels int
	Bits     int   // of a sample
	Frames   int64 // samples of each channel, −1 if the file does not say
}

// Seconds returns the duration, −1 if the file does not say.
func (h Header) Seconds() float64 {
	if h.Frames < 0 {
		return -1
	}
	return float64(h.Frames) / float64(h.Rate)
}

// Read decodes the sound file at path and averages its channels. It returns an [*Error] if the file cannot be read, is
// neither WAV nor FLAC, is damaged, truncated or without samples, or exceeds the limits.
func Read(path string, o Limits) (*Clip, error) {
	f, closer, err := open(path)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return f.read(o)
}

// Decode is like [Read], with data as the content of a file that messages call name.
func Decode(data []byte, name string, o Limits) (*Clip, error) {
	return file{bytes.NewReader(data), int64(len(data)), name}.read(o)
}

// Probe returns what the header of the sound file at path says, without decoding samples. It returns an [*Error] if
// there is no such header or the file has fewer bytes than it says.
func Probe(path string) (Header, error) {
	f, closer, err := open(path)
	if err != nil {
		return Header{}, err
	}
	defer closer.Close()
	s, err := f.stream()
	if err != nil {
		return Header{}, err
	}
	return s.header(), nil
}

// file is the content of a sound file.
type file struct {
	r    io.ReaderAt
	size int64
	name string
}

// stream is a sound file whose header was read.
type stream interface {
	header() Header
	// samples returns the mean of the channels of every frame: at least one, at most limit, beyond which it returns
	// errTooLong.
	samples(limit int64) ([]float32, error)
}

// errTooLong is returned by streams whose headers do not say how long they are.
var errTooLong = errors.New("too long")

// open opens a regular file.
func open(path string) (file, io.Closer, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file{}, nil, &Error{File: path, Msg: "there is no such file", Err: err}
	case err != nil:
		return file{}, nil, &Error{File: path, Msg: "cannot read", Err: err}
	case info.IsDir():
		return file{}, nil, &Error{File: path, Msg: "this is a directory; give a sound file in it"}
	case !info.Mode().IsRegular():
		return file{}, nil, &Error{File: path, Msg: "this is not a regular file; write the sound to one first"}
	}
	f, err := os.Open(path)
	if err != nil {
		return file{}, nil, &Error{File: path, Msg: "cannot read", Err: err}
	}
	return file{f, info.Size(), path}, f, nil
}

// read decodes the file.
func (f file) read(o Limits) (*Clip, error) {
	s, err := f.stream()
	if err != nil {
		return nil, err
	}
	h := s.header()
	limit, seconds := o.frames(h.Rate)
	if h.Frames > limit {
		return nil, f.errorf("it has %.1f seconds of sound, more than the limit of %.1f; divide it or raise "+
			"`max_audio_seconds`", h.Seconds(), seconds)
	}
	samples, err := s.samples(limit)
	if errors.Is(err, errTooLong) {
		return nil, f.errorf("it has more sound than the limit of %.1f seconds; divide it or raise `max_audio_seconds`",
			seconds)
	}
	if err != nil {
		return nil, err
	}
	if len(samples) == 0 {
		return nil, f.errorf("it has no sound: its %s header is followed by 0 samples", h.Format)
	}
	return &Clip{samples, h.Rate}, nil
}

// stream reads the header of a file of any kind.
func (f file) stream() (stream, error) {
	var b [32]byte
	head, err := f.head(b[:], 0)
	if err != nil {
		return nil, err
	}
	skipped := int64(0)
	if tag := tagSize(head); tag > 0 { // some programs put the tag of an MP3 before FLAC
		var marker [4]byte
		if next, err := f.head(marker[:], tag); err != nil {
			return nil, err
		} else if bytes.Equal(next, []byte(flacMarker)) {
			head, skipped = next, tag
		}
	}
	switch {
	case len(head) == 0:
		return nil, f.errorf("the file is empty")
	case bytes.HasPrefix(head, []byte(flacMarker)):
		return f.flac(skipped)
	case isWAV(head):
		return f.wav()
	}
	if other := otherFormat(head); other != "" {
		return nil, f.errorf("it is %s, which is not supported; convert it to WAV or FLAC", other)
	}
	return nil, f.errorf("it is neither WAV nor FLAC: it begins with %q", head[:min(len(head), 12)])
}

// head returns up to len(b) bytes at an offset.
func (f file) head(b []byte, offset int64) ([]byte, error) {
	n, err := f.r.ReadAt(b, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{File: f.name, Msg: "cannot read", Err: err}
	}
	return b[:n], nil
}

// tagSize returns the size of the ID3 tag that a file begins with, 0 if there is none.
func tagSize(head []byte) int64 {
	if len(head) < 10 || string(head[:3]) != "ID3" {
		return 0
	}
	var n int64
	for _, b := range head[6:10] {
		n = n<<7 | int64(b&0x7F)
	}
	return 10 + n
}

// otherFormat names the kind of file that begins with these bytes, "" if it is not known.
func otherFormat(head []byte) string {
	s := string(head)
	switch {
	case strings.HasPrefix(s, "ID3"), len(s) > 1 && s[0] == 0xFF && s[1]&0xE6 == 0xE2:
		return "MP3"
	case strings.HasPrefix(s, "OggS"):
		return "Ogg"
	case len(s) > 8 && s[4:8] == "ftyp":
		return "MP4 or M4A"
	case strings.HasPrefix(s, "RIFX"):
		return "WAV in the byte order of RIFX"
	case strings.HasPrefix(s, "RIFF"):
		return "a RIFF file without sound"
	case strings.HasPrefix(s, "FORM"):
		return "AIFF"
	case strings.HasPrefix(s, "caff"):
		return "CAF"
	case strings.HasPrefix(s, ".snd"):
		return "AU"
	case strings.HasPrefix(s, "\x1aE\xdf\xa3"):
		return "WebM or Matroska"
	case strings.HasPrefix(s, "#!AMR"):
		return "AMR"
	case strings.HasPrefix(s, "version https://git"):
		return "a pointer of Git LFS, not the file itself"
	}
	return ""
}
