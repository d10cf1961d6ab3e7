package spalora

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/tasks/speechseq2seq"
	"github.com/spalora/spalora/transcribe"
)

// Transcript is the text of a recording: with its tokens, its segments, its duration and its language.
type Transcript = transcribe.Transcript

// Sound is a recording with the adapter that serves it.
type Sound struct {
	File    string      // WAV or FLAC
	Clip    *audio.Clip // samples, in place of File
	Adapter string      // as in [Text]
}

// Transcribe writes down what is said in recordings, WAV or FLAC files of any length: one transcript for each, in
// order, with the settings of [speechseq2seq.Settings], else those that the adapter remembers and of the checkpoint's
// files. If the model is for another task, or a file cannot be read, Transcribe returns an error.
func (m *Model) Transcribe(ctx context.Context, files ...string) ([]*Transcript, error) {
	sounds := make([]Sound, len(files))
	for i, name := range files {
		sounds[i].File = name
	}
	return m.TranscribeAll(ctx, sounds)
}

// TranscribeAll writes down what is said in each recording, in order, with the adapter that it names. See
// [Model.Transcribe].
func (m *Model) TranscribeAll(ctx context.Context, sounds []Sound, options ...CallOption) ([]*Transcript, error) {
	names, err := perRow(len(sounds), func(i int) string { return sounds[i].Adapter }, options)
	if err != nil {
		return nil, err
	}
	return call(m, names, func(p []*speechseq2seq.Opened) ([]*Transcript, error) {
		var out []*Transcript
		err := speechseq2seq.TranscribeEach(ctx, len(sounds),
			func(i int) (*audio.Clip, error) { return sounds[i].load() },
			func(i int) *speechseq2seq.Predictor { return p[i].Predictor },
			func(i int) transcribe.Options { return p[i].Options },
			func(_ int, t *Transcript) error {
				out = append(out, t)
				return nil
			})
		return out, err
	})
}

// load returns the samples.
func (s Sound) load() (*audio.Clip, error) {
	switch {
	case s.Clip != nil && s.File != "":
		return nil, base.Settings(fmt.Errorf("a sound has both File (%s) and Clip; give one", s.File))
	case s.Clip != nil:
		return s.Clip, nil
	}
	return audio.Read(s.File, audio.Limits{})
}
