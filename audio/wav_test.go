package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// chunk returns a chunk of RIFF with its padding.
func chunk(id string, content []byte) []byte {
	b := append([]byte(id), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(content)))
	b = append(b, content...)
	if len(content)%2 != 0 {
		b = append(b, 0)
	}
	return b
}

// format describes samples.
func format(encoding, channels, bits, rate, block int) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(encoding))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*block))
	b = binary.LittleEndian.AppendUint16(b, uint16(block))
	return binary.LittleEndian.AppendUint16(b, uint16(bits))
}

func pcm(channels, bits, rate int) []byte {
	return format(wavPCM, channels, bits, rate, channels*((bits+7)/8))
}

// wavFile returns a file with these chunks.
func wavFile(chunks ...[]byte) []byte {
	return chunk("RIFF", append([]byte("WAVE"), bytes.Join(chunks, nil)...))
}

// sized returns a copy of a file with other sizes in its header and in the chunk that begins with data.
func sized(file []byte, riff, data uint32) []byte {
	b := slices.Clone(file)
	binary.LittleEndian.PutUint32(b[4:], riff)
	binary.LittleEndian.PutUint32(b[bytes.Index(b, []byte("data"))+4:], data)
	return b
}

func TestWAV(t *testing.T) {
	four := []byte{0, 0x40, 0, 0xC0, 0xFF, 0x7F, 0, 0x80} // 0.5, −0.5, almost 1, −1
	want := []float32{0.5, -0.5, 32767.0 / 32768, -1}
	plain := wavFile(chunk("fmt ", pcm(1, 16, 16000)), chunk("data", four))
	listed := wavFile(chunk("fmt ", pcm(1, 16, 16000)), chunk("LIST", []byte("INFOodd")), chunk("data", four))
	for _, c := range []struct {
		name string
		file []byte
		want []float32
	}{
		{"plain", plain, want},
		{"unknown chunks, one of odd size", wavFile(chunk("JUNK", []byte{1}), chunk("fmt ", pcm(1, 16, 16000)),
			chunk("cue ", []byte("abc")), chunk("data", four), chunk("LIST", []byte("INFO"))), want},
		{"a chunk behind the samples that is cut off", append(slices.Clone(plain), "LIST\xff\xff\x00\x00IN"...), want},
		{"a stream of FFmpeg", sized(listed, math.MaxUint32, math.MaxUint32), want},
		{"a stream of SoX", sized(plain, 0x7FFFF024, 0x7FFFF000), want},
		{"a stream without sizes", sized(plain, 0, 0), want},
		{"a stream whose file ends with its header", sized(plain, 36, 0), want},
		{"two channels", wavFile(chunk("fmt ", pcm(2, 16, 8000)), chunk("data", four)), []float32{0, -0.5 / 32768}},
		{"8 bits, odd", wavFile(chunk("fmt ", pcm(1, 8, 8000)), chunk("data", []byte{0, 128, 192})), []float32{-1, 0, 0.5}},
		{"20 bits in 24", wavFile(chunk("fmt ", pcm(1, 20, 8000)), chunk("data", []byte{0, 0, 0x40})), []float32{0.5}},
		{"floats above 1", wavFile(chunk("fmt ", format(wavFloat, 1, 32, 8000, 4)),
			chunk("data", binary.LittleEndian.AppendUint32(nil, math.Float32bits(2.5)))), []float32{2.5}},
	} {
		clip, err := Decode(c.file, "f.wav", Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(clip.Samples, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, clip.Samples, c.want)
		}
	}
}

func TestBadWAV(t *testing.T) {
	two := []byte{1, 2, 3, 4}
	mono := chunk("fmt ", pcm(1, 16, 16000))
	long := wavFile(mono, chunk("data", make([]byte, 40)))
	extensible := append(format(wavExtensible, 1, 16, 16000, 2), 22, 0, 16, 0, 0, 0, 0, 0, 1, 0)
	nan := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"no samples", wavFile(mono), "truncated: it ends after 36 bytes, before its samples"},
		{"0 samples", wavFile(mono, chunk("data", nil)), "it has no sound: its WAV header is followed by 0 samples"},
		{"0 samples and a chunk", wavFile(mono, chunk("data", nil), chunk("LIST", two)), "it has no sound"},
		{"an empty stream", sized(wavFile(mono, chunk("data", nil)), math.MaxUint32, math.MaxUint32), "it has no sound"},
		{"truncated", long[:len(long)-7], "the file is truncated: it has 33 of 40 bytes of sound"},
		{"a truncated stream", sized(long, 0, 0)[:len(long)-7], "its 33 bytes of sound end within a sample of 2 bytes"},
		{"truncated before the samples", append(slices.Clone(wavFile(mono)), "LIST\xff\x00\x00\x00ab"...),
			`chunk "LIST" at byte 36 has 255 bytes, but 2 are left`},
		{"half a sample", wavFile(mono, chunk("data", []byte{1, 2, 3})), "its 3 bytes of sound end within a sample of 2"},
		{"not described", wavFile(chunk("data", two)), "no chunk before the samples describes them"},
		{"a short description", wavFile(chunk("fmt ", pcm(1, 16, 16000)[:14]), chunk("data", two)), "has 14 bytes, want at " +
			"least 16"},
		{"0 channels", wavFile(chunk("fmt ", pcm(0, 16, 16000)), chunk("data", two)), "there are 0 channels"},
		{"0 Hz", wavFile(chunk("fmt ", pcm(1, 16, 0)), chunk("data", two)), "the sampling rate is 0 Hz, want 1000 to 384000"},
		{"4 GHz", wavFile(chunk("fmt ", pcm(1, 16, -1)), chunk("data", two)), "the sampling rate is 4294967295 Hz"},
		{"0 bits", wavFile(chunk("fmt ", pcm(1, 0, 16000)), chunk("data", two)), "samples of 0 bits"},
		{"64 bits", wavFile(chunk("fmt ", pcm(1, 64, 16000)), chunk("data", two)), "samples of 64 bits"},
		{"floats of 16 bits", wavFile(chunk("fmt ", format(wavFloat, 1, 16, 16000, 2)), chunk("data", two)), "of 16 bits"},
		{"another size of frames", wavFile(chunk("fmt ", format(wavPCM, 2, 16, 16000, 2)), chunk("data", two)),
			"2 channels of 16 bits take 4 bytes, but it says 2"},
		{"A-law", wavFile(chunk("fmt ", format(6, 1, 8, 8000, 1)), chunk("data", two)), "encoded as A-law"},
		{"no known encoding", wavFile(chunk("fmt ", format(0x1234, 1, 8, 8000, 1)), chunk("data", two)), "format 0x1234"},
		{"extensible without an encoding", wavFile(chunk("fmt ", extensible), chunk("data", two)),
			"WAVE_FORMAT_EXTENSIBLE has no known kind of samples"},
		{"NaN", wavFile(chunk("fmt ", format(wavFloat, 1, 32, 8000, 4)), chunk("data", nan)), "sample 0 is not a finite"},
		{"many chunks", wavFile(bytes.Repeat(chunk("JUNK", nil), maxChunks), mono, chunk("data", two)),
			"more than 1000 chunks"},
	} {
		_, err := Decode(c.file, "f.wav", Limits{})
		if err == nil || !strings.HasPrefix(err.Error(), "audio: f.wav: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
