package transcribe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// window transcribes the next window of each recording.
func (t *Transcriber) window(ctx context.Context, open []*recording, s *settled) error {
	for _, r := range open {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.open(r)
		if err := t.encode(r, s); err != nil {
			return err
		}
	}
	pending := slices.Clone(open)
	for k := range s.temperatures {
		if err := t.decode(ctx, pending, s, k); err != nil {
			return err
		}
		pending = slices.DeleteFunc(pending, func(r *recording) bool { return !r.result.retry })
		if len(pending) == 0 {
			break
		}
	}
	for _, r := range open {
		r.rows = nil
		if err := t.advance(r, s); err != nil {
			return err
		}
	}
	return nil
}

// encode computes the encoder's rows of a window, and what the logits after the start of the transcript tell: the
// language, if it is to be detected, and the probability of silence.
func (t *Transcriber) encode(r *recording, s *settled) error {
	tape := op.NewEvalTape(t.pool)
	defer tape.Close()
	p := &nn.Pass{Tape: tape}
	p.Serve([]nn.AdapterSet{t.Adapter})
	b := &batch.Batch{
		Seqs: op.Seqs{Starts: []int{0, s.frames}, Index: []int{r.number}}, Features: r.cut(s.frames, t.model.Bins()),
	}
	memory := t.model.Encode(p, b)
	r.rows = slices.Clone(op.Values(memory.X))
	unknown := slices.Index(r.prefix, Detect)
	if unknown < 0 && s.noSpeech == nil {
		return nil
	}
	start := r.start[:slices.Index(r.start, t.tokens.Start)+1]
	q := p.Read(memory)
	target := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, len(start)}, Index: []int{r.number}}, IDs: start}
	q.Keep = nn.LastRows(target.Seqs)
	logits := op.Values(t.model.Decode(q, target))
	if unknown >= 0 {
		id, err := t.spoken(logits)
		if err != nil {
			return fmt.Errorf("transcribe: clip %d: %w", r.number, err)
		}
		r.prefix[unknown], r.start[slices.Index(r.start, Detect)] = id, id
	}
	if s.noSpeech != nil && t.tokens.NoTimestamps > 0 {
		r.silence = probability(logits, int(t.tokens.NoTimestamps)-1) // <|nospeech|>
	}
	return nil
}

// spoken returns the token of the most probable language.
func (t *Transcriber) spoken(logits []float32) (best int32, err error) {
	best = Detect
	for _, id := range t.tokens.Languages {
		if best == Detect || logits[id] > logits[best] || logits[id] == logits[best] && id < best {
			best = id
		}
	}
	if best == Detect {
		return best, errors.New("the language cannot be detected: the checkpoint has no language tokens; set `language`")
	}
	return best, nil
}

// probability returns the probability of a token.
func probability(logits []float32, id int) float64 {
	best, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - best)
	}
	return math.Exp(float64(logits[id])-best) / sum
}

// decode generates the tokens of the windows at a temperature, and compares them with the thresholds.
func (t *Transcriber) decode(ctx context.Context, list []*recording, s *settled, attempt int) error {
	temperature := s.temperatures[attempt]
	for list = slices.Clone(list); len(list) > 0; {
		cfg := t.config(list[0], s, temperature)
		same := func(r *recording) bool {
			c := t.config(r, s, temperature)
			return (c.Timestamps == nil) == (cfg.Timestamps == nil) && c.MaxNewTokens == cfg.MaxNewTokens
		}
		group := slices.DeleteFunc(slices.Clone(list), func(r *recording) bool { return !same(r) })
		list = slices.DeleteFunc(list, same)
		prompts := make([]generate.Prompt, len(group))
		for i, r := range group {
			prompts[i] = generate.Prompt{
				Features: r.rows, Start: r.start, Number: r.seek*len(s.temperatures) + attempt, Adapter: t.Adapter,
			}
		}
		g := generate.NewOf(encoded{t.model, len(group[0].rows) / (s.frames / stride)}, t.tokens.tok, t.pool)
		out, err := g.Generate(ctx, prompts, cfg)
		if err != nil {
			return err
		}
		for i, r := range group {
			r.result = t.judge(out[i], r, s)
			r.result.temperature = temperature
		}
	}
	return nil
}

// config returns the configuration with which the window of a recording is generated at a temperature.
func (t *Transcriber) config(r *recording, s *settled, temperature float64) generate.Config {
	c := s.at(temperature)
	if c.Timestamps = nil; r.rule {
		c.Timestamps = t.tokens.rule()
	}
	if c.MaxNewTokens == 0 {
		c.MaxNewTokens = max(1, min(r.limit, t.model.MaxLength())-len(r.start))
	}
	return c
}

// judge compares what was generated for a window with the thresholds.
func (t *Transcriber) judge(g generate.Sequence, r *recording, s *settled) windowResult {
	w := windowResult{tokens: g.IDs, logProb: g.LogProb}
	unlikely := s.logprob != nil && g.LogProb < *s.logprob
	w.retry = unlikely
	if s.compression != nil && compressionRatio(g.IDs, t.model.Vocabulary()) > *s.compression {
		w.retry = true
	}
	if s.noSpeech != nil && unlikely && r.silence > *s.noSpeech {
		w.retry, w.skip = false, true
	}
	if g.Finish == generate.Stop {
		w.tokens = g.IDs[:len(g.IDs)-1]
	}
	return w
}

// encoded is a model whose prompts are windows that the encoder has read: their features are its rows.
type encoded struct {
	models.SpeechSeq2SeqLM
	width int
}

// Begin implements generate.Model.
func (m encoded) Begin([]int32) []int32 { return m.Shift([]int32{0}) }

// Read implements generate.Model.
func (m encoded) Read(_ *nn.Pass, b *batch.Batch) *nn.Memory {
	x := mat.NewDense[float32](mat.WithShape(b.Seqs.Rows(), m.width), mat.WithBacking(b.Features))
	return &nn.Memory{X: x, Seqs: b.Seqs}
}

// Logits implements generate.Model.
func (m encoded) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor { return m.Decode(p, b) }

// Columns implements generate.FeatureModel.
func (m encoded) Columns() int { return m.width }

// CheckRows implements generate.FeatureModel.
func (m encoded) CheckRows(rows int) error {
	if rows < 1 || rows > m.Frames()/stride {
		return fmt.Errorf("%d encoded rows; want at most %d", rows, m.Frames()/stride)
	}
	return nil
}
