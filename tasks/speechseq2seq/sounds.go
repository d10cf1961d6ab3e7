package speechseq2seq

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/transcribe"
)

// Sounds are the settings of how recordings and transcripts are read, which adapters remember. The zero value of each
// is the default.
type Sounds struct {
	// Language and Task are what is spoken, a name or a code, and transcribe or translate. Without them predictions take
	// what the checkpoint's files say, and a multilingual model detects the language; labels then name neither.
	Language, Task string
	// AudioContext is the number of seconds of sound that the model reads at a time, if it is less than its window (30 s
	// for Whisper). The time of the encoder falls in proportion; the results are not those of whole windows. 0: whole
	// windows.
	AudioContext float64
	// MaxTargetLength is the largest number of tokens of a transcript to learn; of longer ones the end is cut. 0: the
	// positions of the model.
	MaxTargetLength int
}

// options lists the settings as adapters remember them.
func (s *Sounds) options() []base.Option {
	return []base.Option{
		base.Given("language", &s.Language), base.Given("task", &s.Task), base.Given("audio-context", &s.AudioContext),
		base.Given("max-target-length", &s.MaxTargetLength),
	}
}

// check returns the errors about settings that can be found without a model.
func (s *Sounds) check() []error {
	var errs []error
	if !(s.AudioContext >= 0) {
		errs = append(errs, fmt.Errorf("`audio_context` is %g; want a number of seconds, or 0 for whole windows",
			s.AudioContext))
	}
	if s.MaxTargetLength < 0 {
		errs = append(errs, fmt.Errorf("`max_target_length` is %d; want 1 or more, or 0 for the model's",
			s.MaxTargetLength))
	}
	return errs
}

// targetLimit returns the largest number of tokens of a transcript.
func (s *Sounds) targetLimit(m models.SpeechSeq2SeqLM) (int, error) {
	const least = 3 // <|notimestamps|>, one token, <|endoftext|>
	limit := cmp.Or(s.MaxTargetLength, m.MaxLength())
	if limit < least || limit > m.MaxLength() {
		return 0, fmt.Errorf("`max_target_length` is %d; want %d to %d, the positions of the model, or 0 for the default",
			limit, least, m.MaxLength())
	}
	return limit, nil
}

// Decoding are the settings of how transcripts are written. The zero value of each is the default: what transformers'
// generate does with the checkpoint's files.
type Decoding struct {
	NumBeams     int  // beams of beam search; 0: those of generation_config.json, else 1
	MaxNewTokens int  // most tokens of a window; 0: max_length of generation_config.json, else the model's positions
	Timestamps   bool // divide transcripts into segments by timestamps; clips longer than a window always are
	// Temperatures are tried one after another until a window passes the thresholds; nil: 0.
	Temperatures []float64
	// CompressionRatioThreshold, LogprobThreshold and NoSpeechThreshold are described by [transcribe.Options]; nil: those
	// of generation_config.json, if it has any.
	CompressionRatioThreshold, LogprobThreshold, NoSpeechThreshold *float64
	ConditionOnPrevTokens                                          *bool   // let windows read the text of those before
	Seed                                                           *uint64 // decides what is drawn; nil: 42
}

// Check returns the errors about settings that have no meaning.
func (d *Decoding) Check() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(d.NumBeams < 0, "`num_beams` is %d; want 1 or more, or 0 for the checkpoint's", d.NumBeams)
	add(d.MaxNewTokens < 0, "`max_new_tokens` is %d; want 1 or more, or 0 for the checkpoint's", d.MaxNewTokens)
	for _, t := range d.Temperatures {
		add(!(t >= 0), "`temperature` is %g; want 0 or more", t)
	}
	return errors.Join(errs...)
}

// options returns how a predictor transcribes with the settings.
func (d *Decoding) options(p *Predictor) transcribe.Options {
	c := p.front.Tokens.Config()
	c.NumBeams = cmp.Or(d.NumBeams, c.NumBeams)
	c.MaxNewTokens = d.MaxNewTokens
	if d.Seed != nil {
		c.Seed = *d.Seed
	}
	return transcribe.Options{
		Language: p.cfg.Language, Task: p.cfg.Task, AudioContext: p.cfg.AudioContext, Generate: &c,
		Timestamps: d.Timestamps, Temperatures: d.Temperatures,
		CompressionRatioThreshold: d.CompressionRatioThreshold, LogprobThreshold: d.LogprobThreshold,
		NoSpeechThreshold: d.NoSpeechThreshold, ConditionOnPrevTokens: d.ConditionOnPrevTokens,
	}
}
