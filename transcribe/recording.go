package transcribe

import (
	"fmt"
	"slices"

	"github.com/spalora/spalora/audio"
)

// precision is the time between two timestamps, in seconds, and stride the number of frames in that time.
const (
	precision = 0.02
	stride    = 2
)

// recording is a clip that is being transcribed, window by window.
type recording struct {
	number   int // of the clip
	seconds  float64
	long     bool      // more than a window
	features []float32 // of the whole clip, or of a window with silence behind it
	frames   int
	seek     int     // the frame at which the next window begins
	prefix   []int32 // what the text of a window begins with; has Detect until the language is known
	rule     bool    // timestamps are wanted
	segments []Segment
	follows  bool // the next window reads the text of those before it

	// of the window
	start   []int32   // what its text begins with
	limit   int       // largest number of its tokens, those of start included; of the window before at first
	rows    []float32 // of the encoder
	silence float64   // probability that nobody speaks
	result  windowResult
}

// windowResult is what was generated for a window.
type windowResult struct {
	tokens               []int32 // without the end
	temperature, logProb float64
	skip                 bool // nobody speaks
	retry                bool // the thresholds ask for the next temperature
}

// begin computes the features of a clip.
func (t *Transcriber) begin(number int, clip *audio.Clip, s *settled) (*recording, error) {
	r := &recording{number: number, seconds: clip.Seconds(), limit: s.config.MaxLength}
	if clip.Rate != t.extractor.Rate() {
		var err error
		if clip, err = clip.Resample(t.extractor.Rate()); err != nil {
			return nil, err
		}
	}
	r.frames = len(clip.Samples) / t.extractor.Hop()
	r.long = r.frames > s.frames
	if r.long {
		r.features = t.extractor.FeaturesOfAll(clip.Samples)
	} else {
		r.features, r.frames = t.extractor.FeaturesOf(clip.Samples, s.frames), s.frames
	}
	r.rule = s.timestamps || r.long
	var err error
	r.prefix, err = t.tokens.Prefix(s.language, s.task, r.rule)
	return r, err
}

// done reports whether there is no further window.
func (r *recording) done() bool { return r.seek >= r.frames }

// size returns the number of frames of the next window that belong to the clip.
func (r *recording) size(whole int) int { return min(r.frames-r.seek, whole) }

// cut returns the features of the next window, whole×bins. Those beyond the clip are 0, as in transformers.
func (r *recording) cut(whole, bins int) []float32 {
	rows := r.features[r.seek*bins:][:r.size(whole)*bins]
	if len(rows) == whole*bins {
		return rows
	}
	return append(make([]float32, 0, whole*bins), append(slices.Clone(rows), make([]float32, whole*bins-len(rows))...)...)
}

// open sets what the next window begins with, and how long its text may be.
func (t *Transcriber) open(r *recording) {
	r.start = t.before(r)
	r.limit = min(r.limit, t.model.MaxLength()) + min(t.model.MaxLength()/2-1, len(r.start))
}

// before returns the tokens that the text of the next window begins with.
func (t *Transcriber) before(r *recording) []int32 {
	if !r.follows || len(r.segments) == 0 {
		return r.prefix
	}
	var earlier []int32
	begin := t.tokens.timestampBegin()
	for _, s := range r.segments {
		n := len(s.Tokens)
		if n > 2 && s.Tokens[n-2] >= begin { // of the two timestamps at its end, the segment after it begins with one
			n--
		}
		earlier = append(earlier, s.Tokens[:n]...)
	}
	most := t.model.MaxLength()/2 - 1
	earlier = earlier[max(0, len(earlier)-most):]
	if t.tokens.Previous >= 0 {
		earlier = append([]int32{t.tokens.Previous}, earlier...)
	}
	return slices.Concat(earlier, r.prefix)
}

// advance adds the segments of the window's result, and moves to the next window.
func (t *Transcriber) advance(r *recording, s *settled) error {
	size := r.size(s.frames)
	r.follows = s.condition && r.result.temperature < 0.5
	step := size
	if !r.result.skip {
		var list []Segment
		list, step = split(r.result.tokens, t.tokens.timestampBegin(), r.seek, size)
		for _, x := range list {
			x.Temperature, x.LogProb = r.result.temperature, r.result.logProb
			if !hasTimestamp(x.Tokens, t.tokens.timestampBegin()) {
				x.End = min(x.End, max(x.Start, r.seconds))
			}
			r.segments = append(r.segments, x)
		}
	}
	if step <= 0 {
		return fmt.Errorf("transcribe: clip %d: the window at %.2f seconds ends where it begins; the model wrote timestamps "+
			"without their rule", r.number, float64(r.seek)*precision/stride)
	}
	r.seek += step
	return nil
}

// hasTimestamp reports whether there is a timestamp among tokens.
func hasTimestamp(tokens []int32, begin int32) bool {
	return slices.ContainsFunc(tokens, func(id int32) bool { return id >= begin })
}

// split divides the tokens of a window at pairs of timestamps, as _retrieve_segment of transformers does. The window
// begins at the frame seek and has size frames of the clip. It returns the segments and the number of frames after
// which the next window begins: tokens behind the last pair are left to that, unless the window ends with a single
// timestamp, behind which nobody speaks.
func split(tokens []int32, begin int32, seek, size int) (list []Segment, step int) {
	offset := float64(seek) * precision / stride
	is := func(i int) bool { return i >= 0 && i < len(tokens) && tokens[i] >= begin }
	at := func(i int) float64 { return offset + float64(tokens[i]-begin)*precision }
	var ends []int
	for i := range tokens {
		if is(i) && is(i+1) {
			ends = append(ends, i+1)
		}
	}
	n := len(tokens)
	if len(ends) == 0 {
		last := float64(int(float32(size) * float32(precision/stride) / float32(precision))) // float32, as torch computes it
		for i := n - 1; i >= 0; i-- {
			if is(i) {
				if tokens[i] != begin {
					last = float64(tokens[i] - begin)
				}
				break
			}
		}
		return []Segment{{Start: offset, End: offset + last*precision, Tokens: tokens}}, size
	}
	single := n >= 2 && is(n-1) && !is(n-2)
	if single {
		ends = append(ends, n)
	} else {
		ends[len(ends)-1]++ // the last segment has both timestamps of its end
	}
	first := 0
	for i, end := range ends {
		final := end - 1
		if i == len(ends)-1 && !single {
			final--
		}
		list = append(list, Segment{Start: at(first), End: at(final), Tokens: tokens[first:end]})
		first = end
	}
	if single {
		return list, size
	}
	return list, int(tokens[first-2]-begin) * stride
}
