package generate

import "math"

// TimestampRule makes timestamps come as Whisper was trained to write them: the first token is one, they come in pairs
// except at the end, and they do not go back. Where all timestamps together are more probable than the most probable
// other token, one of them follows (transformers' WhisperTimeStampLogitsProcessor).
type TimestampRule struct {
	Begin int32 // the first timestamp; all tokens from here on are timestamps, the one before is <|notimestamps|>
	End   int32 // <|endoftext|>; the tokens below it are those of texts
	// MaxInitial is the largest difference of the first timestamp and Begin; below 0: any.
	MaxInitial int
}

// apply excludes the tokens that must not follow the new tokens of a sequence.
func (r *TimestampRule) apply(logits []float32, tokens []int32) {
	begin := min(int(r.Begin), len(logits))
	logits[begin-1] = none
	is := func(back int) bool { return len(tokens) >= back && tokens[len(tokens)-back] >= r.Begin }
	last, before := is(1), len(tokens) < 2 || is(2)
	switch {
	case last && before: // a pair is complete
		exclude(logits[begin:])
	case last: // a second one follows, or the end
		exclude(logits[:r.End])
	}
	least := begin
	for _, id := range tokens {
		if id >= r.Begin {
			least = int(id) + 1
		}
	}
	if last && !before { // which may be the same
		least--
	}
	exclude(logits[begin:min(max(least, begin), len(logits))])
	if len(tokens) == 0 {
		exclude(logits[:begin])
		if r.MaxInitial >= 0 && begin+r.MaxInitial+1 < len(logits) {
			exclude(logits[begin+r.MaxInitial+1:])
		}
	}
	text := math.Inf(-1)
	for _, x := range logits[:begin] {
		text = max(text, float64(x))
	}
	if begin < len(logits) && logSumExp(logits[begin:]) > text {
		exclude(logits[:begin])
	}
}

// exclude sets logits to −∞.
func exclude(logits []float32) {
	for i := range logits {
		logits[i] = none
	}
}
