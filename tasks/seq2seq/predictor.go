package seq2seq

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// Config says how texts become tokens. The zero value of each field is usable.
type Config struct {
	tasks.CoreConfig        // MaxLength is that of sources
	MaxTargetLength  int    // tokens of a target; 0: StandardTarget, or what the model allows
	SourcePrefix     string // put before every source
	// TargetLanguage says that targets begin with the token of the tokenizer's target language, whatever the model's
	// files say.
	TargetLanguage bool
}

// Predictor writes targets for sources, and computes the logits of targets. It is safe for concurrent use and keeps the
// memory of a call for the next; Close releases it.
type Predictor struct {
	tasks.Core[models.Seq2SeqLM]
	cfg          Config
	first, start *int32 // what targets begin with, and decoders start with, in the language of the settings; nil: any
}

// NewPredictor returns a predictor. Settings that contradict the model or the tokenizer are reported in one error.
func NewPredictor(m models.Seq2SeqLM, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	c.MaxLength = length(c.MaxLength, StandardSource, m, tok)
	c.MaxTargetLength = length(c.MaxTargetLength, StandardTarget, m, tok)
	if err := checkLengths(m, tok, c.MaxLength, c.MaxTargetLength); err != nil {
		return nil, fmt.Errorf("seq2seq: %w", err)
	}
	p := &Predictor{Core: tasks.NewCore(m, tok, c.CoreConfig), cfg: c}
	return p, p.setLanguage()
}

// TargetLimit returns how many tokens a target may have; what is longer is cut.
func (p *Predictor) TargetLimit() int { return p.cfg.MaxTargetLength }

// WarnCut logs how many sources and targets of a file were cut to their length limits, if there are any.
func (p *Predictor) WarnCut(log zerolog.Logger, file string, c Counts) {
	for _, side := range []struct {
		what, option string
		cut, limit   int
	}{
		{"sources", "max_source_length", c.CutSources, p.Limit()},
		{"targets", "max_target_length", c.CutTargets, p.TargetLimit()},
	} {
		if side.cut > 0 {
			log.Warn().Msgf("%s: %d of %d %s are longer than %d tokens and were cut (`%s`)", file, side.cut, c.Rows,
				side.what, side.limit, side.option)
		}
	}
}

// Logits computes the logits of the targets of rows, each token given those before it: f is called in order with the
// number of each row that has a target, the T ids of its first target (which the logits should predict) and its T×V
// logits, which are valid until f returns. It returns the counts of these rows.
func (p *Predictor) Logits(
	ctx context.Context, rows *pair.File, f func(i int, labels []int32, logits []float32) error,
) (Counts, error) {
	var numbers []int
	for i, row := range rows.All() {
		if len(row.Targets) > 0 {
			numbers = append(numbers, i)
		}
	}
	list, err := p.encode(ctx, rows.WithTargets())
	if err != nil {
		return Counts{}, err
	}
	return list.counts, tasks.TargetLogits(ctx, &p.Runner, list, func(i int, labels []int32, logits []float32) error {
		return f(numbers[i], labels, logits)
	})
}

// Score returns the metrics of rows with targets, each token given those before it: loss, perplexity and accuracy.
func (p *Predictor) Score(ctx context.Context, rows *pair.File) (tasks.TargetScores, Counts, error) {
	list, err := p.encode(ctx, rows)
	if err != nil {
		return tasks.TargetScores{}, Counts{}, err
	}
	s, err := tasks.ScoreTargets(ctx, &p.Runner, list, 0)
	return s, list.counts, err
}

// Generate writes targets for sources: each is called in order with the number of a source and its
// c.NumReturnSequences sequences. It returns the number of sources that were cut to the length limit.
func (p *Predictor) Generate(
	ctx context.Context, sources []string, c generate.Config, each func(i int, list []generate.Sequence) error,
) (cut int, err error) {
	return GenerateEach(ctx, sources, func(int) *Predictor { return p }, c, each)
}

// GenerateEach is like [Predictor.Generate] for sources that several predictors serve: of returns that of each source.
// The predictors have one model in common, see [tasks.Opening], and their sources share batches.
func GenerateEach(
	ctx context.Context, sources []string, of func(i int) *Predictor, c generate.Config,
	each func(i int, list []generate.Sequence) error,
) (cut int, err error) {
	type key struct {
		options tokenize.Options
		tok     *tokenize.Tokenizer // which has the languages
	}
	for lo := 0; lo < len(sources); lo += sourcesAtOnce {
		n := min(sourcesAtOnce, len(sources)-lo)
		lists := make([][]generate.Sequence, n)
		keyOf := func(i int) key {
			p := of(lo + i)
			return key{p.sourceOptions(), p.Tok}
		}
		for _, same := range tasks.Alike(n, keyOf) {
			p := of(lo + same[0])
			texts := tasks.Texts{
				Name: "texts", Len: len(same), Line: func(i int) int { return lo + same[i] + 1 },
				Input: func(i int) tokenize.Input {
					return tokenize.Input{Text: of(lo+same[i]).cfg.SourcePrefix + sources[lo+same[i]]}
				},
			}
			options := func(int) tokenize.Options { return p.sourceOptions() }
			prompts := make([]generate.Prompt, len(same))
			err = tasks.Encode(ctx, p.Tok, texts, options, p.Pool.Workers(), func(i int, e *tokenize.Encoding) error {
				if len(e.IDs) == 0 {
					return &data.Error{File: texts.Name, Line: texts.Line(i), Msg: "the source has no tokens"}
				}
				if e.Truncated > 0 {
					cut++
				}
				number := lo + same[i]
				prompts[i] = generate.Prompt{IDs: e.IDs, Number: number, Adapter: of(number).Adapter}
				return nil
			})
			if err != nil {
				return cut, err
			}
			err = p.decode(ctx, prompts, c, func(i int, list []generate.Sequence) error {
				lists[same[i]] = list
				return nil
			})
			if err != nil {
				return cut, err
			}
		}
		for i, list := range lists {
			if err := each(lo+i, list); err != nil {
				return cut, err
			}
		}
	}
	return cut, nil
}

const (
	// sourcesAtOnce is the number of sources whose targets are generated before the first of them is passed on.
	sourcesAtOnce = 128
	// sequencesAtOnce is the largest number of targets that are generated side by side, beams counted.
	sequencesAtOnce = 64
)

// decode generates targets for prompts, those of similar length side by side, and calls each in order. Targets are in
// the language that the settings name.
func (p *Predictor) decode(
	ctx context.Context, prompts []generate.Prompt, c generate.Config, each func(i int, list []generate.Sequence) error,
) error {
	c = c.Within(p.Vocabulary())
	if p.first != nil {
		c.ForcedBosTokenID = p.first
	}
	if p.start != nil {
		c.DecoderStartTokenID = p.start
	}
	order := make([]int, len(prompts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(prompts[b].IDs), len(prompts[a].IDs)) })
	lists := make([][]generate.Sequence, len(prompts))
	g := generate.NewSeq2Seq(p.Net, p.Tok, p.Pool)
	step := max(1, sequencesAtOnce/max(c.NumReturnSequences, c.NumBeams, 1))
	for lo := 0; lo < len(order); {
		hi, tokens := lo, 0
		for hi < len(order) && hi-lo < step && (hi == lo || tokens+len(prompts[order[hi]].IDs) <= tasks.EvalTokens) {
			tokens += len(prompts[order[hi]].IDs)
			hi++
		}
		part := make([]generate.Prompt, 0, hi-lo)
		for _, i := range order[lo:hi] {
			part = append(part, prompts[i])
		}
		out, err := g.Generate(ctx, part, c)
		if err != nil {
			return err
		}
		for k, i := range order[lo:hi] {
			lists[i] = out[k*c.NumReturnSequences : (k+1)*c.NumReturnSequences]
			for j := range lists[i] {
				lists[i][j].Prompt = prompts[i].Number
			}
		}
		lo = hi
	}
	for i, list := range lists {
		if err := each(i, list); err != nil {
			return err
		}
	}
	return nil
}

// setLanguage sets what targets begin with if the settings name their language. If its token ends the tokens of a
// target, a model whose decoder starts with what ends a text starts with the language.
func (p *Predictor) setLanguage() error {
	id, ok := p.Tok.ID(p.Tok.TargetLanguage())
	if !p.cfg.TargetLanguage || !ok {
		return nil
	}
	e, err := p.Tok.Encode("", tokenize.Options{Target: true})
	switch {
	case err != nil:
		return fmt.Errorf("seq2seq: %w", err)
	case e.IDs[0] == id:
		p.first = &id
	default:
		p.start = &p.Net.Shift(e.IDs)[0]
	}
	return nil
}
