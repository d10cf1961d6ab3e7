package audio

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// TestReadEqualsLibsndfile decodes a file of every encoding as libsndfile does; integers are exact.
func TestReadEqualsLibsndfile(t *testing.T) {
	g := golden.Open(t, "testdata/files.safetensors")
	if n := len(g.Names()); n < 13 {
		t.Fatalf("%d files", n)
	}
	for _, name := range g.Names() {
		path := filepath.Join("testdata", name)
		clip, err := Read(path, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		golden.Close(t, name, clip.Samples, g.Float32(name), 6e-8, 0) // the mean of libsndfile's is rounded once more
		if clip.Rate != 16000 || clip.Seconds() != float64(len(clip.Samples))/16000 {
			t.Errorf("%s: %d Hz, %v s", name, clip.Rate, clip.Seconds())
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(data, name, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		golden.Close(t, name+" in memory", again.Samples, clip.Samples, 0, 0)
		h, err := Probe(path)
		if err != nil || h.Frames != int64(len(clip.Samples)) || h.Seconds() != clip.Seconds() {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// TestTruncated cuts every file after every number of bytes: each is an error that names the file.
func TestTruncated(t *testing.T) {
	g := golden.Open(t, "testdata/files.safetensors")
	for _, name := range g.Names() {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		end := len(data)
		if strings.HasSuffix(name, ".wav") { // padding or a chunk may follow the samples
			end = lastSample(t, data)
		}
		for n := range end {
			_, err := Decode(data[:n], name, Limits{})
			var e *Error
			if !errors.As(err, &e) || e.File != name {
				t.Errorf("%s cut to %d of %d bytes: %v", name, n, len(data), err)
				break
			}
		}
	}
}

// lastSample returns the offset behind the samples of a WAV file.
func lastSample(t *testing.T, data []byte) int {
	t.Helper()
	w, err := file{strings.NewReader(string(data)), int64(len(data)), "f"}.wav()
	if err != nil {
		t.Fatal(err)
	}
	return int(w.offset) + int(w.Frames)*w.Channels*w.width
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none.wav"), "there is no such file"},
		{dir, "this is a directory"},
		{os.DevNull, "this is not a regular file"},
		{write("empty.wav", ""), "the file is empty"},
		{write("text.wav", "Hello, world"), `it is neither WAV nor FLAC: it begins with "Hello, world"`},
		{write("a.mp3", "ID3\x04\x00\x00\x00\x00\x00\x04tags\xff\xfb\x90"), "it is MP3, which is not supported"},
		{write("b.mp3", "\xff\xfb\x90\x64\x00\x00\x00"), "it is MP3"},
		{write("a.ogg", "OggS\x00\x02"), "it is Ogg"},
		{write("a.m4a", "\x00\x00\x00\x1cftypM4A "), "it is MP4 or M4A"},
		{write("a.aiff", "FORM\x00\x00\x00\x00AIFF"), "it is AIFF"},
		{write("a.avi", "RIFF\x00\x00\x00\x00AVI "), "it is a RIFF file without sound"},
		{write("big.wav", "RIFX\x00\x00\x00\x00WAVE"), "it is WAV in the byte order of RIFX"},
		{write("lfs.flac", "version https://git-lfs"), "it is a pointer of Git LFS"},
		{"testdata/mulaw.wav", "samples are encoded as µ-law"},
		{"testdata/adpcm.wav", "samples are encoded as Microsoft ADPCM"},
	} {
		_, err := Read(c.path, Limits{})
		var e *Error
		if !errors.As(err, &e) || e.File != c.path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
		if _, perr := Probe(c.path); perr == nil || perr.Error() != err.Error() {
			t.Errorf("%s: Probe: %v", c.path, perr)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		rate    int
		seconds float64
		n       int64
		lasts   float64
	}{
		{16000, 0, 16000 * 7200, 7200}, {16000, 1.5, 24000, 1.5}, {48000, 2, 96000, 2}, {96000, 2, 96000, 1},
	} {
		if n, lasts := (Limits{MaxSeconds: c.seconds}).frames(c.rate); n != c.n || lasts != c.lasts {
			t.Errorf("%+v: %d, %v", c, n, lasts)
		}
	}
	for name, frames := range map[string]float64{"s16.wav": 37, "s16.flac": 301} {
		path := filepath.Join("testdata", name)
		if _, err := Read(path, Limits{MaxSeconds: frames / 16000}); err != nil {
			t.Error(err)
		}
		_, err := Read(path, Limits{MaxSeconds: (frames - 1) / 16000})
		if err == nil || !strings.Contains(err.Error(), "more than the limit of 0.0; divide it or raise") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSilence: silence is sound.
func TestSilence(t *testing.T) {
	data := wavFile(chunk("fmt ", pcm(1, 16, 16000)), chunk("data", make([]byte, 64)))
	clip, err := Decode(data, "f.wav", Limits{})
	if err != nil || len(clip.Samples) != 32 {
		t.Fatal(clip, err)
	}
	for _, v := range clip.Samples {
		if v != 0 || math.Signbit(float64(v)) {
			t.Fatal(clip.Samples)
		}
	}
}
