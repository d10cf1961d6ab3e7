package vision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spalora/spalora/internal/settings"
)

// ConfigFile is the file in a model's directory that [NewProcessor] reads, and ProcessorFile the one that wins over it
// if it has the key image_processor.
const (
	ConfigFile    = "preprocessor_config.json"
	ProcessorFile = "processor_config.json"
)

// class is an image processor of transformers with the values that a file need not name.
type class struct {
	resize, crop    json.RawMessage
	square          bool // a number as size is both sides
	filter          Filter
	centreCrop      bool
	mean, deviation []float64
}

var classes = map[string]class{
	"ViT": {resize: json.RawMessage(`224`), square: true, filter: Bilinear,
		mean: []float64{0.5, 0.5, 0.5}, deviation: []float64{0.5, 0.5, 0.5}},
	"DeiT": {resize: json.RawMessage(`256`), crop: json.RawMessage(`224`), square: true, filter: Bicubic, centreCrop: true,
		mean: []float64{0.5, 0.5, 0.5}, deviation: []float64{0.5, 0.5, 0.5}},
	"Bit": {resize: json.RawMessage(`224`), crop: json.RawMessage(`224`), filter: Bicubic, centreCrop: true,
		mean:      []float64{0.48145466, 0.4578275, 0.40821073},
		deviation: []float64{0.26862954, 0.26130258, 0.27577711}},
}

// classOfModel names the class of a file that does not name it, by the model_type of config.json.
var classOfModel = map[string]string{"vit": "ViT", "deit": "DeiT"}

// NewProcessor returns the processor that content describes, the text of preprocessor_config.json or of
// processor_config.json. modelType and channels are model_type and num_channels of the model's config.json.
// NewProcessor returns warnings about keys without effect, and an error if content is empty (the file is missing), is
// not an object of JSON, or has a setting that would change pixels in a way that is not supported.
func NewProcessor(content []byte, modelType string, channels int) (p *Processor, warnings []string, err error) {
	if len(content) == 0 {
		return nil, nil, fmt.Errorf("%s is missing, which says how images become pixels; copy it from where the model is "+
			"from, or write it by save_pretrained of its image processor", ConfigFile)
	}
	var outer struct {
		ImageProcessor json.RawMessage `json:"image_processor"`
	}
	if err := json.Unmarshal(content, &outer); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	if outer.ImageProcessor != nil {
		content = outer.ImageProcessor
	}
	if warnings, err = settings.ImagePreprocessor.Check(content); err != nil {
		return nil, nil, err
	}
	c := config{channels: channels}
	if err := json.Unmarshal(content, &c.keys); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	if p, err = c.processor(modelType); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	return p, warnings, nil
}

// config reads the keys of a file. A key that is null counts as missing, as in transformers.
type config struct {
	keys     map[string]json.RawMessage
	channels int
	err      error // the first one
}

func (c *config) fail(key string, want string) {
	if c.err == nil {
		c.err = fmt.Errorf("%s is %s, want %s", key, settings.Shortened(c.keys[key]), want)
	}
}

// read decodes the value of a key into v and reports whether there is one.
func (c *config) read(key, want string, v any) bool {
	raw, ok := c.keys[key]
	if !ok || string(raw) == "null" {
		return false
	}
	if json.Unmarshal(raw, v) != nil {
		c.fail(key, want)
		return false
	}
	return true
}

func (c *config) flag(key string, otherwise bool) bool {
	v := otherwise
	c.read(key, "true or false", &v)
	return v
}

// processor returns the processor of all keys.
func (c *config) processor(modelType string) (*Processor, error) {
	if c.channels != 1 && c.channels != 3 {
		return nil, fmt.Errorf("the model's num_channels is %d, want 1 or 3", c.channels)
	}
	preset, err := c.class(modelType)
	if err != nil {
		return nil, err
	}
	p := &Processor{channels: c.channels, filter: c.filter(preset.filter)}
	if c.flag("do_resize", true) {
		p.resize = c.size("size", preset.resize, c.flag("default_to_square", preset.square))
	}
	if c.flag("do_center_crop", preset.centreCrop) {
		p.crop = c.size("crop_size", preset.crop, true)
		if p.crop != nil && p.crop.width == 0 {
			c.fail("crop_size", "a number, or an object with height and width")
		}
	}
	c.table(p, preset)
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}

// class finds the class, by its name in transformers 4 or 5 or by the type of the model.
func (c *config) class(modelType string) (class, error) {
	const want = "ViTImageProcessor, DeiTImageProcessor or BitImageProcessor"
	for _, key := range []string{"image_processor_type", "feature_extractor_type"} {
		var name string
		if !c.read(key, want, &name) {
			continue
		}
		short := strings.TrimSuffix(strings.TrimSuffix(name, "Fast"), "Pil")
		short = strings.TrimSuffix(strings.TrimSuffix(short, "ImageProcessor"), "FeatureExtractor")
		preset, ok := classes[short]
		if !ok {
			c.fail(key, want+"; other ways to make pixels are not supported")
		}
		return preset, c.err
	}
	if c.err != nil {
		return class{}, c.err
	}
	preset, ok := classes[classOfModel[modelType]]
	if !ok {
		return class{}, fmt.Errorf("image_processor_type is missing and the model's type is %q; add the key with %s",
			modelType, want)
	}
	return preset, nil
}

// filter reads resample: Pillow's number, or a name.
func (c *config) filter(otherwise Filter) Filter {
	const key = "resample"
	const want = "0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)"
	var v any
	if !c.read(key, want, &v) {
		return otherwise
	}
	for i, name := range filterNames {
		if s, ok := v.(string); ok && strings.EqualFold(s, name) || v == float64(i) {
			return Filter(i)
		}
	}
	c.fail(key, want)
	return otherwise
}

// size reads a size, or takes preset if the key is missing.
func (c *config) size(key string, preset json.RawMessage, square bool) *size {
	const want = "a number, or an object with height and width, shortest_edge, shortest_edge and longest_edge, or " +
		"max_height and max_width"
	raw, ok := c.keys[key]
	if !ok || string(raw) == "null" {
		raw = preset
	}
	if raw == nil {
		c.fail(key, "a number, or an object with height and width")
		return nil
	}
	s, err := parseSize(raw, square)
	if err != nil {
		c.fail(key, want+": "+err.Error())
	}
	return s
}

// parseSize reads the spellings of a size.
func parseSize(raw json.RawMessage, square bool) (*size, error) {
	s := &size{}
	switch raw = bytes.TrimSpace(raw); raw[0] {
	case '{':
		parts := map[string]*int{"height": &s.height, "width": &s.width, "shortest_edge": &s.shortest,
			"longest_edge": &s.longest, "max_height": &s.maxHeight, "max_width": &s.maxWidth}
		var object map[string]*int
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, errors.New("the values have to be whole numbers")
		}
		for name, v := range object {
			part, ok := parts[name]
			switch {
			case !ok && v != nil:
				return nil, fmt.Errorf("%q is not supported", name)
			case v != nil:
				*part = *v
			}
		}
	case '[':
		var list []int
		if err := json.Unmarshal(raw, &list); err != nil || len(list) != 2 {
			return nil, errors.New("a list has to hold height and width")
		}
		s.height, s.width = list[0], list[1]
	default:
		var n int
		if err := json.Unmarshal(raw, &n); err != nil {
			return nil, errors.New("it has to be a whole number")
		}
		if s.shortest = n; square {
			s.height, s.width, s.shortest = n, n, 0
		}
	}
	return s, s.check()
}

// check returns an error unless exactly one of the ways to give a size is used with positive numbers.
func (s *size) check() error {
	for _, v := range []int{s.height, s.width, s.shortest, s.longest, s.maxHeight, s.maxWidth} {
		if v < 0 || v > MaxPixels {
			return fmt.Errorf("%d is out of range", v)
		}
	}
	switch {
	case s.height > 0 && s.width > 0 && s.shortest+s.longest+s.maxHeight+s.maxWidth == 0:
		if s.width > MaxPixels/s.height {
			return fmt.Errorf("%d×%d pixels are more than %d", s.width, s.height, MaxPixels)
		}
		return nil
	case s.shortest > 0 && s.height+s.width+s.maxHeight+s.maxWidth == 0:
		return nil
	case s.maxHeight > 0 && s.maxWidth > 0 && s.height+s.width+s.shortest+s.longest == 0:
		return nil
	}
	return errors.New("a positive size is missing, or there are several")
}

// table computes the results for all values of a pixel.
func (c *config) table(p *Processor, preset class) {
	rescale, normalise := c.flag("do_rescale", true), c.flag("do_normalize", true)
	factor := 1.0 / 255
	c.read("rescale_factor", "a number", &factor)
	mean := c.numbers("image_mean", preset.mean)
	deviation := c.numbers("image_std", preset.deviation)
	if c.err != nil {
		return
	}
	p.values = make([][256]float32, p.channels)
	for channel := range p.values {
		for v := range p.values[channel] {
			x := float32(v)
			if rescale {
				x = float32(float64(v) * factor)
			}
			if normalise {
				x -= float32(mean[channel%len(mean)])
				x /= float32(deviation[channel%len(deviation)])
				if y := float64(x); math.IsNaN(y) || math.IsInf(y, 0) {
					c.fail("image_std", "numbers that are not 0")
					return
				}
			}
			p.values[channel][v] = x
		}
	}
}

// numbers reads a number, or a list with one for each channel.
func (c *config) numbers(key string, preset []float64) []float64 {
	want := fmt.Sprintf("a number, or a list with %d, one for each channel of the model", c.channels)
	var list []float64
	raw := bytes.TrimSpace(c.keys[key])
	switch {
	case len(raw) > 0 && raw[0] != '[':
		var v float64
		if !c.read(key, want, &v) {
			list = preset
			break
		}
		return []float64{v}
	case !c.read(key, want, &list):
		list = preset
	}
	if len(list) == c.channels || !c.flag("do_normalize", true) {
		return list
	}
	if raw == nil && c.err == nil {
		c.err = fmt.Errorf("%s is missing, want %s", key, want)
	}
	c.fail(key, want)
	return nil
}

// HoldsProcessor reports whether the text of processor_config.json says how images become pixels.
func HoldsProcessor(content []byte) bool {
	var outer struct {
		ImageProcessor json.RawMessage `json:"image_processor"`
	}
	return json.Unmarshal(content, &outer) == nil && outer.ImageProcessor != nil
}
