package speechseq2seq

import (
	"context"
	"errors"
	"math"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/transcribe"
)

// Config says how recordings and transcripts become what the model reads. The zero value of each field is usable.
type Config struct {
	Sounds
	tasks.CoreConfig
}

// Predictor writes down what is said in recordings, and computes the logits of transcripts. It is safe for concurrent
// use and keeps the memory of a call for the next; Close releases it.
type Predictor struct {
	tasks.Core[models.SpeechSeq2SeqLM]
	cfg    Config
	front  *Front
	frames int // of the windows that the model reads
	limit  int // of the tokens of a transcript
}

// NewPredictor returns a predictor. Settings that contradict the model or its tokens are reported in one error.
func NewPredictor(m models.SpeechSeq2SeqLM, f *Front, c Config) (*Predictor, error) {
	p := &Predictor{Core: tasks.NewCore(m, f.base.Tokenizer, c.CoreConfig), cfg: c, front: f}
	t, err := p.transcriber()
	if err != nil {
		return nil, err
	}
	limit, limitErr := c.targetLimit(m)
	frames, framesErr := t.WindowFrames(c.AudioContext)
	_, labelErr := f.Tokens.Labels("", c.Language, c.Task)
	p.limit, p.frames = limit, frames
	return p, errors.Join(limitErr, framesErr, labelErr)
}

// transcriber returns the writer of transcripts with the adapter of the predictor.
func (p *Predictor) transcriber() (*transcribe.Transcriber, error) {
	t, err := transcribe.New(p.Net, p.front.Tokens, p.front.Extractor, p.Pool)
	if err == nil {
		t.Adapter = p.Adapter
	}
	return t, err
}

// checkOptions returns an error if options do not fit the checkpoint or each other.
func (p *Predictor) checkOptions(o transcribe.Options) error {
	t, err := p.transcriber()
	if err != nil {
		return err
	}
	return t.Check(o)
}

// TargetLimit returns how many tokens a transcript to learn may have; what is longer is cut.
func (p *Predictor) TargetLimit() int { return p.limit }

// Seconds returns how much sound the model reads at a time.
func (p *Predictor) Seconds() float64 {
	return float64(p.frames) * float64(p.front.Extractor.Hop()) / float64(p.front.Extractor.Rate())
}

// clipsAtOnce is the number of clips that are transcribed side by side, and kept in memory.
const clipsAtOnce = 16

// TranscribeEach writes down what is said in n clips: clip returns each of them, each is called in order with the
// number of a clip and its transcript. of returns the predictor of each, options how it transcribes; the predictors
// have one model in common, see [tasks.Opening].
func TranscribeEach(
	ctx context.Context, n int, clip func(i int) (*audio.Clip, error), of func(i int) *Predictor,
	options func(i int) transcribe.Options, each func(i int, t *transcribe.Transcript) error,
) error {
	for lo := 0; lo < n; lo += clipsAtOnce {
		count := min(clipsAtOnce, n-lo)
		out := make([]*transcribe.Transcript, count)
		for _, same := range tasks.Alike(count, func(i int) *Predictor { return of(lo + i) }) {
			clips := make([]*audio.Clip, len(same))
			for k, i := range same {
				var err error
				if clips[k], err = clip(lo + i); err != nil {
					return err
				}
			}
			first := lo + same[0]
			t, err := of(first).transcriber()
			if err != nil {
				return err
			}
			list, err := t.TranscribeAll(ctx, clips, options(first))
			if err != nil {
				return err
			}
			for k, i := range same {
				out[i] = list[k]
			}
		}
		for i, t := range out {
			if err := each(lo+i, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Features returns what the model reads of a clip: frames of bins of a window.
func (p *Predictor) Features(clip *audio.Clip) ([][]float32, error) {
	values, err := p.features(clip)
	if err != nil {
		return nil, err
	}
	bins := p.front.Extractor.Bins()
	rows := make([][]float32, len(values)/bins)
	for i := range rows {
		rows[i] = values[i*bins : (i+1)*bins]
	}
	return rows, nil
}

// features computes the features of a window, frames×bins; sound beyond it is left out.
func (p *Predictor) features(clip *audio.Clip) ([]float32, error) {
	e := p.front.Extractor
	if clip.Rate != e.Rate() {
		// Samples that the window does not reach need not be resampled. The filter reads a little beyond its end.
		if most := int(math.Ceil((p.Seconds() + 1) * float64(clip.Rate))); len(clip.Samples) > most {
			clip = &audio.Clip{Rate: clip.Rate, Samples: clip.Samples[:most]}
		}
		var err error
		if clip, err = clip.Resample(e.Rate()); err != nil {
			return nil, err
		}
	}
	return e.FeaturesOf(clip.Samples, p.frames), nil
}

// Logits computes the logits of the transcripts of rows, each token given those before it: f is called in order with
// the number of each row that has a transcript, its T labels (which the logits should predict) and its T×V logits,
// which are valid until f returns.
func (p *Predictor) Logits(
	ctx context.Context, rows *speech.File, f func(i int, labels []int32, logits []float32) error,
) error {
	var numbers []int
	for i, row := range rows.All() {
		if row.HasText {
			numbers = append(numbers, i)
		}
	}
	list, err := p.encode(rows.WithTargets())
	if err != nil {
		return err
	}
	return tasks.TargetLogits(ctx, &p.Runner, list, func(i int, labels []int32, logits []float32) error {
		return f(numbers[i], labels, logits)
	})
}

// Score returns the metrics of rows with transcripts, each token given those before it: loss, perplexity and accuracy.
func (p *Predictor) Score(ctx context.Context, rows *speech.File) (tasks.TargetScores, error) {
	list, err := p.encode(rows)
	if err != nil {
		return tasks.TargetScores{}, err
	}
	return tasks.ScoreTargets(ctx, &p.Runner, list, 0)
}
