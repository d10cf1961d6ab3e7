package transcribe

import (
	"errors"
	"fmt"
	"math"

	"github.com/spalora/spalora/generate"
)

// Options says how clips are transcribed. The zero value transcribes as transformers' generate does with the files of
// the checkpoint.
type Options struct {
	// Language is the language of the clips, a name or a code, and Task is Transcribe or Translate; see [Tokens.Prefix].
	// Where neither an option nor the files name the language of a multilingual checkpoint, the model detects it in the
	// first window of each clip.
	Language, Task string
	// Timestamps writes timestamps, which divide the transcript into segments. Clips that are longer than a window
	// always have them.
	Timestamps bool
	// Generate has the options of generation; nil: those of [Tokens.Config]. Its end tokens, if it has none, its
	// timestamps, sampling and temperature are replaced. MaxLength is the largest number of tokens of the first window,
	// without those that it begins with, and grows by the number of these with each further window, as in transformers;
	// it has no effect with MaxNewTokens. NumReturnSequences must be 1.
	Generate *generate.Config
	// Temperatures are tried one after another until a window passes the thresholds: 0 takes the most probable tokens, or
	// searches with the beams of Generate, the others draw tokens without beams. The last one is taken in any case. nil:
	// 0, or the temperature of Generate if that samples.
	Temperatures []float64
	// CompressionRatioThreshold is the largest ratio of the size of a window's tokens to their size after zlib's
	// compression: repeated text has a large one. LogprobThreshold is the smallest mean log-probability of a window's
	// tokens. nil: those of the files, if they have any.
	CompressionRatioThreshold, LogprobThreshold *float64
	// NoSpeechThreshold is the largest probability of silence: a window with a larger one has no text if it does not
	// reach LogprobThreshold either, which must be set. nil: that of the files, if they have one.
	NoSpeechThreshold *float64
	// ConditionOnPrevTokens lets each window read the text of those before it. nil: as the files say, else false.
	ConditionOnPrevTokens *bool
	// AudioContext is the number of seconds of a window, if it is less than that of the model: the encoder computes only
	// the frames of these seconds, and longer clips are divided into windows of this length. The results differ from those
	// of whole windows. 0: whole windows.
	AudioContext float64
}

// Fallback returns the usual temperatures of Whisper, each of which is tried if a window does not pass the thresholds
// with those before it: 0, 0.2 … 1.
func Fallback() []float64 { return []float64{0, 0.2, 0.4, 0.6, 0.8, 1} }

// settled holds options with all values that Options leaves open.
type settled struct {
	language, task                 string
	timestamps                     bool
	config                         generate.Config
	temperatures                   []float64
	compression, logprob, noSpeech *float64
	condition                      bool
	frames                         int // of a window
}

// settle returns the options with which clips are transcribed.
func (t *Transcriber) settle(o Options) (s settled, err error) {
	s = settled{language: o.Language, task: o.Task, timestamps: o.Timestamps, temperatures: o.Temperatures,
		compression: o.CompressionRatioThreshold, logprob: o.LogprobThreshold, noSpeech: o.NoSpeechThreshold,
		condition: t.tokens.ConditionOnPrevTokens, config: t.tokens.Config()}
	if o.Generate != nil {
		s.config = *o.Generate
	}
	if o.ConditionOnPrevTokens != nil {
		s.condition = *o.ConditionOnPrevTokens
	}
	for _, x := range []struct{ to, file **float64 }{{&s.compression, &t.tokens.CompressionRatioThreshold},
		{&s.logprob, &t.tokens.LogprobThreshold}, {&s.noSpeech, &t.tokens.NoSpeechThreshold}} {
		if *x.to == nil {
			*x.to = *x.file
		}
	}
	if s.temperatures == nil {
		s.temperatures = []float64{0}
		if s.config.DoSample {
			s.temperatures[0] = s.config.Temperature
		}
	}
	if _, err = t.tokens.Prefix(o.Language, o.Task, o.Timestamps); err != nil {
		return s, err
	}
	if s.frames, err = t.WindowFrames(o.AudioContext); err != nil {
		return s, err
	}
	c := &s.config
	if len(c.EosTokenIDs) == 0 {
		c.EosTokenIDs = []int32{t.tokens.End}
	}
	c.LogProbs = s.logprob != nil
	return s, s.check()
}

// Check returns the error that Transcribe returns for options that do not fit the checkpoint or each other.
func (t *Transcriber) Check(o Options) error {
	_, err := t.settle(o)
	return err
}

// WindowFrames returns the number of frames of a window of the given seconds, see Options.AudioContext; 0 is a whole
// window. It returns an error if the model cannot read so many.
func (t *Transcriber) WindowFrames(seconds float64) (int, error) {
	whole := t.model.Frames()
	if seconds == 0 {
		return whole, nil
	}
	rate := float64(t.extractor.Rate()) / float64(t.extractor.Hop())
	n := 2 * int(math.Round(seconds*rate/2))
	if n < 2 || n > whole || math.IsNaN(seconds) {
		return 0, fmt.Errorf("transcribe: `audio_context` is %v seconds; want more than 0, at most the model's %v", seconds,
			float64(whole)/rate)
	}
	return n, nil
}

// check returns an error if options do not fit each other.
func (s *settled) check() error {
	for _, temperature := range s.temperatures {
		if !(temperature >= 0) || math.IsInf(temperature, 0) {
			return fmt.Errorf("transcribe: `temperature` is %v; want 0 or more", temperature)
		}
	}
	switch {
	case len(s.temperatures) == 0:
		return errors.New("transcribe: there is no `temperature`; give at least one")
	case s.noSpeech != nil && s.logprob == nil:
		return errors.New("transcribe: `no_speech_threshold` has no effect without `logprob_threshold`; give both")
	case s.config.NumReturnSequences != 1:
		return fmt.Errorf("transcribe: `num_return_sequences` is %d, but a clip has one transcript; want 1",
			s.config.NumReturnSequences)
	}
	return nil
}

// at returns the configuration of generation at a temperature.
func (s *settled) at(temperature float64) generate.Config {
	c := s.config
	c.DoSample, c.Temperature = temperature > 0, 1
	if c.DoSample {
		c.Temperature, c.NumBeams = temperature, 1
	}
	return c
}

// Config returns the options of generation that the files of the checkpoint give: end tokens, tokens that are never
// generated, the largest number of tokens. They choose the most probable tokens.
func (t *Tokens) Config() generate.Config {
	c := generate.Defaults()
	c.EosTokenIDs, c.SuppressTokens, c.BeginSuppressTokens = []int32{t.End}, t.Suppress, t.BeginSuppress
	c.MaxNewTokens, c.MaxLength = 0, t.maxLength
	if c.MaxLength == 0 {
		c.MaxLength = math.MaxInt32 // up to the model's last position
	}
	return c
}

// rule returns the rule for timestamps.
func (t *Tokens) rule() *generate.TimestampRule {
	return &generate.TimestampRule{Begin: t.timestampBegin(), End: t.End, MaxInitial: t.MaxInitialTimestamp}
}
