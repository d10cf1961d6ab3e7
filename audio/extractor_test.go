package audio

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// featureCase is an entry of testdata/features.json.
type featureCase struct {
	Config  json.RawMessage
	Samples int
	Longest bool // features of the whole sound
	Frames  int
	Silence *float32 // of the rows that are not in the file
}

// TestFeaturesEqualTransformers compares features with those of WhisperFeatureExtractor.
func TestFeaturesEqualTransformers(t *testing.T) {
	text, err := os.ReadFile("testdata/features.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]featureCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	g := golden.Open(t, "testdata/features.safetensors")
	for name, c := range cases {
		e, warnings, err := NewExtractor(c.Config)
		if err != nil || len(warnings) > 0 {
			t.Fatal(name, warnings, err)
		}
		x := g.Float32("x")[:c.Samples]
		got := e.Features(x)
		if c.Longest {
			got = e.FeaturesOfAll(x)
		}
		want := g.Float32(name)
		if len(got) != c.Frames*e.Bins() || !c.Longest && e.Frames() != c.Frames {
			t.Fatalf("%s: %d values, want %d rows of %d", name, len(got), c.Frames, e.Bins())
		}
		if rest := got[len(want):]; c.Silence != nil {
			silence := make([]float32, len(rest))
			for i := range silence {
				silence[i] = *c.Silence
			}
			golden.Close(t, name+", silence", rest, silence, 0, 1e-5)
		}
		golden.Close(t, name, got[:len(want)], want, 0, 1e-4) // the reference computes in float32
	}
}

// TestClips compares features of real recordings that reference/audio_fixtures.py --clips has computed.
func TestClips(t *testing.T) {
	path := os.Getenv("SPALORA_CLIPS")
	if path == "" {
		t.Skip("SPALORA_CLIPS does not name a file of reference/audio_fixtures.py --clips")
	}
	g := golden.Open(t, path)
	worst := map[string]float64{}
	for _, name := range g.Names() {
		bins, file, _ := strings.Cut(name, ":")
		e, _, err := NewExtractor([]byte(`{"feature_size": ` + bins + `}`))
		if err != nil {
			t.Fatal(err)
		}
		clip, err := Read(file, Limits{})
		if err == nil {
			clip, err = clip.Resample(e.Rate())
		}
		if err != nil {
			t.Fatal(err)
		}
		want, got := g.Float32(name), e.Features(clip.Samples)
		golden.Close(t, name, got[:len(want)], want, 0, 1e-4)
		worst[bins] = max(worst[bins], largestDifference(got[:len(want)], want))
	}
	t.Logf("%d features, largest difference by bins: %v", len(g.Names()), worst)
}

// TestPartsOfWindows: fewer rows are the first rows of the whole window.
func TestPartsOfWindows(t *testing.T) {
	e, _, err := NewExtractor([]byte(`{"chunk_length": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 3*16000)
	for i := range x {
		x[i] = float32(math.Sin(float64(i)*float64(i)/70000)) / 2
	}
	for _, frames := range []int{0, 1, 7, 100, 299, 300} {
		n := frames * e.Hop()
		whole := e.Features(x[:n])
		part := e.FeaturesOf(x, frames)
		if !slices.Equal(part, whole[:frames*e.Bins()]) {
			t.Errorf("%d rows differ from those of the window", frames)
		}
	}
	if got := e.FeaturesOf(x, 1000); len(got) != 300*e.Bins() {
		t.Errorf("%d values", len(got))
	}
	if got := e.FeaturesOf(x, -1); len(got) != 0 {
		t.Errorf("%d values", len(got))
	}
	if got := e.FeaturesOfAll(x[:100]); len(got) != 0 { // less than a hop
		t.Errorf("%d values", len(got))
	}
	if got := e.FeaturesOfAll(x[:160]); len(got) != e.Bins() { // less than half a transform
		t.Errorf("%d values", len(got))
	}
}

func TestNewExtractor(t *testing.T) {
	nested := `{"processor_class": "WhisperProcessor", "feature_extractor": {"feature_size": 128}}`
	for _, c := range []struct {
		content, warning string
		bins             int
	}{
		{`{}`, "", 80},
		{`{"feature_size": 128, "mel_filters": [[1]], "n_samples": 1, "nb_max_frames": 2}`, "", 128},
		{nested, "", 128},
		{`{"audio_processor": {"feature_size": 40}}`, "", 40},
		{`{"hop": 3}`, "preprocessor_config.json (sound): not known and without effect: hop", 80},
	} {
		e, warnings, err := NewExtractor([]byte(c.content))
		if err != nil || strings.Join(warnings, "\n") != c.warning {
			t.Errorf("%s: %q, %v", c.content, warnings, err)
			continue
		}
		if e.Rate() != 16000 || e.Bins() != c.bins || e.Frames() != 3000 || e.Hop() != 160 || e.Window() != 480000 {
			t.Errorf("%s: %d Hz, %d×%d, hop %d", c.content, e.Rate(), e.Frames(), e.Bins(), e.Hop())
		}
	}
	if !HasSettings([]byte(nested)) || HasSettings([]byte(`{"processor_class": "x"}`)) || HasSettings([]byte(`[`)) {
		t.Error("HasSettings is wrong")
	}
	for _, c := range []struct{ content, want string }{
		{`[]`, "preprocessor_config.json: json: cannot unmarshal array"},
		{`{"feature_size": "80"}`, "cannot unmarshal string"},
		{`{"dither": 0.001}`, "preprocessor_config.json (sound): dither is 0.001: no noise is added"},
		{`{"padding_value": -1}`, "padding_value is -1"},
		{`{"padding_side": "left"}`, `padding_side is "left"`},
		{`{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}`, "only the features of Whisper are computed"},
		{`{"image_processor_type": "ViTImageProcessor"}`, "this checkpoint sees"},
		{`{"feature_size": 0}`, "feature_size is 0, want 1 to 1024"},
		{`{"sampling_rate": 0}`, "sampling_rate is 0, want 1000 to 384000"},
		{`{"n_fft": 401}`, "n_fft is 401, want an even number"},
		{`{"n_fft": 0}`, "n_fft is 0, want 2 to 65536"},
		{`{"hop_length": 0}`, "hop_length is 0, want 1 to 400"},
		{`{"chunk_length": 1801}`, "chunk_length is 1801, want 1 to 1800"},
		{`{"chunk_length": -1}`, "chunk_length is -1"},
		{`{"chunk_length": 1, "sampling_rate": 1000, "n_fft": 4096}`, "n_fft is 4096, want at most the 1000 samples"},
		{`{"hop_length": 1, "feature_size": 1024}`, "hop_length and feature_size make 491520000 values of a window"},
	} {
		if _, _, err := NewExtractor([]byte(c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.content, err, c.want)
		}
	}
}

func BenchmarkFeatures(b *testing.B) {
	for _, bins := range []int{80, 128} {
		b.Run(fmt.Sprint(bins), func(b *testing.B) {
			e, _, err := NewExtractor([]byte(fmt.Sprintf(`{"feature_size": %d}`, bins)))
			if err != nil {
				b.Fatal(err)
			}
			x := make([]float32, e.Window())
			for i := range x {
				x[i] = float32(math.Sin(float64(i%9000)*float64(i%7000)/70000)) / 2
			}
			for b.Loop() {
				e.Features(x)
			}
			b.ReportMetric(float64(b.N)*30/b.Elapsed().Seconds(), "×real-time")
		})
	}
}
