package transcribe

import (
	"context"
	"errors"
	"fmt"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Transcriber writes the text of clips. Its methods are safe for concurrent use as long as its field does not change.
type Transcriber struct {
	model     models.SpeechSeq2SeqLM
	tokens    *Tokens
	extractor *audio.Extractor
	pool      *op.Pool

	// Adapter is the adapter of the model; nil: the base model. It must not change while a method runs.
	Adapter nn.AdapterSet
}

// New returns a transcriber for the model m. tokens and extractor are those of its checkpoint. With a nil pool
// everything runs on the goroutine of the caller. New returns an error if the extractor makes other features than the
// model reads.
func New(m models.SpeechSeq2SeqLM, tokens *Tokens, extractor *audio.Extractor, pool *op.Pool) (*Transcriber, error) {
	if tokens == nil || extractor == nil {
		return nil, errors.New("transcribe: a transcriber needs the special tokens and the feature extractor of a checkpoint")
	}
	if extractor.Bins() != m.Bins() || extractor.Frames() != m.Frames() {
		return nil, fmt.Errorf("transcribe: the feature extractor makes windows of %d frames of %d bins, the model reads %d "+
			"of %d; give the preprocessor_config.json of the checkpoint", extractor.Frames(), extractor.Bins(), m.Frames(),
			m.Bins())
	}
	return &Transcriber{model: m, tokens: tokens, extractor: extractor, pool: pool}, nil
}

// Transcript is the text of a clip.
type Transcript struct {
	// Text is the text as the tokenizer decodes it; it usually begins with a space.
	Text string
	// Tokens are the tokens of all segments, timestamps included, without those that windows begin and end with.
	Tokens   []int32
	Segments []Segment
	Duration float64 // of the clip, in seconds
	Language string  // code of the language; "" if the checkpoint's files force other tokens
}

// Segment is a part of a transcript: what the model wrote between two timestamps, or in a window without timestamps.
type Segment struct {
	Start, End float64 // seconds since the beginning of the clip
	Text       string
	Tokens     []int32
	// Temperature is that of the segment's window, and LogProb the mean log-probability of the window's tokens, 0 without
	// a threshold for it.
	Temperature, LogProb float64
}

// Transcribe returns the text of a clip of any length and sampling rate. It returns an error if the options do not fit
// the checkpoint or each other, if ctx ends, or if the model's logits are not numbers.
func (t *Transcriber) Transcribe(ctx context.Context, clip *audio.Clip, o Options) (*Transcript, error) {
	list, err := t.TranscribeAll(ctx, []*audio.Clip{clip}, o)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// lanes is the number of sequences that are generated together. Each reads the weights of the decoder once a step for
// all of them; with more, products would be summed in another order.
const lanes = 8

// TranscribeAll returns the text of each clip. Windows of several clips are transcribed together, which takes less time
// and gives the tokens of one clip after another. It keeps the features of a few clips in memory. It returns errors as
// [Transcriber.Transcribe] does.
func (t *Transcriber) TranscribeAll(ctx context.Context, clips []*audio.Clip, o Options) ([]*Transcript, error) {
	s, err := t.settle(o)
	if err != nil {
		return nil, err
	}
	together := max(1, lanes/max(1, s.config.NumBeams))
	out := make([]*Transcript, len(clips))
	var open []*recording
	next := 0
	for len(open) > 0 || next < len(clips) {
		for len(open) < together && next < len(clips) {
			r, err := t.begin(next, clips[next], &s)
			if err != nil {
				return nil, fmt.Errorf("transcribe: clip %d: %w", next, err)
			}
			open = append(open, r)
			next++
		}
		if err := t.window(ctx, open, &s); err != nil {
			return nil, err
		}
		left := open[:0]
		for _, r := range open {
			if r.done() {
				out[r.number] = t.transcript(r)
			} else {
				left = append(left, r)
			}
		}
		clear(open[len(left):])
		open = left
	}
	return out, nil
}

// transcript returns the text of a recording that is done.
func (t *Transcriber) transcript(r *recording) *Transcript {
	out := &Transcript{Segments: r.segments, Duration: r.seconds, Language: t.tokens.Code(r.prefix), Tokens: []int32{}}
	for i := range out.Segments {
		s := &out.Segments[i]
		s.Text = t.tokens.Text(s.Tokens)
		out.Tokens = append(out.Tokens, s.Tokens...)
	}
	out.Text = t.tokens.Text(out.Tokens)
	return out
}
