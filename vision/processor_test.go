package vision

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

type processorCase struct {
	Config    json.RawMessage
	ModelType string `json:"model_type"`
	Channels  int
	Class     string
	Images    []struct {
		Seed, Kind int
		Size       [2]int
		Shape      []int
		First      []float32
		SHA256     string
	}
}

// TestProcessor: pixels have the bits of transformers' image processors, for old and new spellings of the settings.
func TestProcessor(t *testing.T) {
	for _, c := range readCases[processorCase](t, "testdata/processor.json.gz") {
		p, warnings, err := NewProcessor(c.Config, c.ModelType, c.Channels)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", c.Config, err, warnings)
			continue
		}
		for _, i := range c.Images {
			m := &Image{drawn(i.Seed, i.Kind, i.Size[0], i.Size[1], 3), i.Size[0], i.Size[1]}
			pix, w, h, err := p.Pixels(m)
			if err != nil {
				t.Errorf("%s: %v", c.Config, err)
				continue
			}
			sw, sh, err := p.Size(m.Width, m.Height)
			if err != nil || sw != w || sh != h {
				t.Errorf("%s: Size is %d×%d, %v; the pixels are %d×%d", c.Config, sw, sh, err, w, h)
			}
			if p.Channels() != i.Shape[0] || h != i.Shape[1] || w != i.Shape[2] || len(pix) != p.Channels()*w*h {
				t.Errorf("%s: %d values, %d×%d×%d, want %v", c.Config, len(pix), p.Channels(), h, w, i.Shape)
				continue
			}
			raw := make([]byte, 0, 4*len(pix))
			for _, v := range pix {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
			if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != i.SHA256 {
				t.Errorf("%s (%v), image %d: got %v …, want %v …", c.Config, p, i.Seed, pix[:len(i.First)], i.First)
			}
		}
	}
}

// TestProcessorErrors: a setting that cannot be followed is an error that names the key and what it may be.
func TestProcessorErrors(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{``, "preprocessor_config.json is missing"},
		{`[]`, "preprocessor_config.json: "},
		{`{"size": 1`, "preprocessor_config.json: "},
		{`{"image_processor": 3}`, "preprocessor_config.json"},
		{`{"image_processor_type": "SiglipImageProcessor"}`, `image_processor_type is "SiglipImageProcessor", want ViTImage`},
		{`{"feature_extractor_type": "WhisperFeatureExtractor"}`, "feature_extractor_type is"},
		{`{"image_processor_type": 3}`, "image_processor_type is 3"},
		{`{"do_pad": true}`, "do_pad is true"},
		{`{"do_resize": "yes"}`, `do_resize is "yes", want true or false`},
		{`{"resample": 6}`, "resample is 6, want 0 (nearest)"},
		{`{"resample": "cubic"}`, `resample is "cubic"`},
		{`{"resample": true}`, "resample is true"},
		{`{"size": 0}`, "size is 0, want"},
		{`{"size": -3}`, "size is -3, want"},
		{`{"size": 2.5}`, "size is 2.5, want"},
		{`{"size": "224"}`, `size is "224", want`},
		{`{"size": [3]}`, "size is [3], want"},
		{`{"size": {"longest_edge": 8}}`, "size is {\"longest_edge\":8}, want"},
		{`{"size": {"height": 8}}`, "size is"},
		{`{"size": {"height": 8, "width": 9, "shortest_edge": 3}}`, "size is"},
		{`{"size": {"min_pixels": 8, "max_pixels": 9}}`, "is not supported"},
		{`{"size": {"height": 100000, "width": 100000}}`, "100000×100000 pixels are more than"},
		{`{"do_center_crop": true}`, "crop_size"},
		{`{"do_center_crop": true, "crop_size": {"shortest_edge": 3}}`, "crop_size is"},
		{`{"image_mean": [0.5]}`, "image_mean is [0.5], want a number, or a list with 3"},
		{`{"image_std": "x"}`, `image_std is "x"`},
		{`{"image_std": 0}`, "image_std is 0, want numbers that are not 0"},
		{`{"image_std": [0.5, 0.5, 0]}`, "image_std is [0.5,0.5,0]"},
		{`{"rescale_factor": "x"}`, "rescale_factor is"},
	} {
		_, _, err := NewProcessor([]byte(c.config), "vit", 3)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", c.config, err, c.want)
		}
	}
	for _, c := range []struct {
		modelType string
		channels  int
		want      string
	}{
		{"swin", 3, "image_processor_type is missing"},
		{"vit", 4, "num_channels is 4"},
		{"vit", 1, "image_mean is missing"},
	} {
		_, _, err := NewProcessor([]byte(`{}`), c.modelType, c.channels)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestProcessorWarnings: keys that nothing reads are named.
func TestProcessorWarnings(t *testing.T) {
	config := []byte(`{"image_processor": {"do_centre_crop": true, "resample": "BICUBIC"}}`)
	_, warnings, err := NewProcessor(config, "vit", 3)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "without effect: do_centre_crop") {
		t.Errorf("%v, %v", warnings, err)
	}
}

// TestProcessorString: the steps in words.
func TestProcessorString(t *testing.T) {
	for config, want := range map[string]string{
		`{"size": 28, "image_mean": 0.5, "image_std": 0.5}`: "grey, resize to 28×28 (bilinear), values from -1 to 1",
		`{"size": {"shortest_edge": 9, "longest_edge": 12}, "resample": "box", "do_center_crop": true, "crop_size": [7, 8],
			"do_normalize": false}`: "grey, resize to a side of 9, the other of at most 12 (box), cut out the middle 8×7, " +
			"values from 0 to 1",
	} {
		p, _, err := NewProcessor([]byte(config), "vit", 1)
		if err != nil || p.String() != want {
			t.Errorf("got %v, %v, want %s", p, err, want)
		}
	}
}

// TestProcessorRefusesHugeResults: a thin image whose shorter side is brought to a size becomes very long.
func TestProcessorRefusesHugeResults(t *testing.T) {
	p, _, err := NewProcessor([]byte(`{"size": {"shortest_edge": 1000}}`), "vit", 3)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = p.Pixels(NewImage(1, 100_000))
	if !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "1×100000 pixels becomes 1000×100000000") {
		t.Error(err)
	}
	if _, _, _, err = p.Pixels(NewImage(0, 7)); !errors.Is(err, ErrImage) {
		t.Error(err)
	}
	q, _, err := NewProcessor([]byte(`{"size": {"max_height": 10, "max_width": 10}}`), "vit", 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err = q.Pixels(NewImage(1, 1000)); !errors.Is(err, ErrImage) { // the width rounds to 0
		t.Error(err)
	}
}

// FuzzProcessor: no settings make the processor panic, and the size it announces is that of its pixels.
func FuzzProcessor(f *testing.F) {
	for _, c := range readCases[processorCase](f, "testdata/processor.json.gz") {
		f.Add([]byte(c.Config), 7, 5, c.Channels == 3)
	}
	f.Fuzz(func(t *testing.T, config []byte, w, h int, colour bool) {
		channels := 1
		if colour {
			channels = 3
		}
		p, _, err := NewProcessor(config, "vit", channels)
		if err != nil || w < 1 || h < 1 || w > 50 || h > 50 {
			return
		}
		ow, oh, err := p.Size(w, h)
		if err != nil || ow*oh > 10_000 || p.resize != nil && tooBig(p.resize, w, h) {
			return
		}
		pix, gw, gh, err := p.Pixels(NewImage(w, h))
		if err != nil || gw != ow || gh != oh || len(pix) != channels*ow*oh {
			t.Errorf("%d values, %d×%d, %v; want %d×%d", len(pix), gw, gh, err, ow, oh)
		}
	})
}

func tooBig(s *size, w, h int) bool {
	w, h = s.of(w, h)
	return w*h > 100_000
}
