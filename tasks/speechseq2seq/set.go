package speechseq2seq

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// Counts counts the rows of a split.
type Counts struct {
	Rows, TargetTokens int
	// CutTargets and CutSounds are the numbers of transcripts and recordings that were cut: to the length limit, and to
	// the window that the model reads.
	CutTargets, CutSounds int
	Seconds               float64 // of all recordings
}

// set is a list of recordings with the labels of their transcripts: the [batch.Set] of the task. A batch decodes its
// recordings, so nothing of them is kept.
type set struct {
	p       *Predictor
	rows    *speech.File
	targets *tasks.TextSet
	counts  Counts
}

// Len implements [batch.Set].
func (s *set) Len() int { return s.targets.Len() }

// Tokens implements [batch.Set]: the frames of the recording, of which the encoder makes half as many rows, and the
// tokens of the transcript.
func (s *set) Tokens(i int) int { return s.p.frames + s.targets.Tokens(i) }

// Bytes returns how much memory the labels take.
func (s *set) Bytes() int64 { return s.targets.Bytes() }

// Batch implements [batch.Set].
func (s *set) Batch(ctx context.Context, examples []int, key op.Key) (*batch.Batch, error) {
	t, err := s.targets.Batch(ctx, examples, key)
	if err != nil {
		return nil, err
	}
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}, Index: examples}, Target: tasks.DecoderSide(t, s.p.Net.Shift)}
	window := s.p.frames * s.p.front.Extractor.Bins()
	b.Features = make([]float32, 0, len(examples)*window)
	for k, i := range examples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row := s.rows.At(i)
		clip, err := row.Load(audio.Limits{})
		if err == nil {
			var values []float32
			if values, err = s.p.features(clip); err == nil {
				b.Features = append(b.Features, values...)
			}
		}
		if err != nil {
			return nil, inRow(s.rows, row, err)
		}
		b.Seqs.Starts = append(b.Seqs.Starts, (k+1)*s.p.frames)
	}
	return b, nil
}

// inRow says where a recording is named that cannot be read.
func inRow(f *speech.File, row speech.Row, err error) error {
	return &data.Error{File: f.Name, Line: row.Line, Msg: "the recording cannot be read", Err: err}
}

// encode tokenises the transcripts of rows: labels are what the checkpoint's tokenizer puts around a text, without the
// first token, which the decoder begins with.
func (p *Predictor) encode(rows *speech.File) (*set, error) {
	s := &set{p: p, rows: rows, targets: tasks.NewTextSet(false), counts: Counts{Rows: rows.Len()}}
	window := p.Seconds()
	for i, row := range rows.All() {
		if !row.HasText {
			return nil, data.Errorf(rows.Name, row.Line, "row %d has no transcript to learn", i+1)
		}
		labels, err := p.front.Tokens.Labels(row.Text, p.cfg.Language, p.cfg.Task)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", rows.Name, row.Line, err)
		}
		labels = labels[1:]
		if len(labels) > p.limit {
			s.counts.CutTargets++
			labels = append(labels[:p.limit-1], p.front.Tokens.End)
		}
		s.targets.Append(labels, nil)
		s.counts.Seconds += row.Duration.Seconds()
		if row.Duration.Seconds() > window {
			s.counts.CutSounds++
		}
	}
	s.counts.TargetTokens = s.targets.Start(s.Len())
	return s, nil
}
