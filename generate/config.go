package generate

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Config holds the options of generation, with the names and the meaning of transformers' GenerationConfig. Start from
// [Defaults]: the zero value is not valid.
type Config struct {
	// MaxNewTokens is the largest number of new tokens of a sequence, including the end token. A sequence also ends when
	// the model has no more positions.
	MaxNewTokens int
	// MinNewTokens is the number of new tokens of a sequence before an end token may follow.
	MinNewTokens int
	// EosTokenIDs are the end tokens: each of them ends a sequence. The ids of a sequence include the end token, its text
	// does not.
	EosTokenIDs []int32
	// StopStrings end a sequence when its text contains one of them, also across tokens. The text ends before it.
	StopStrings []string

	// RepetitionPenalty divides the positive logits of all tokens of the prompt and the new tokens, and multiplies their
	// negative logits (Keskar et al. 2019, arXiv:1909.05858); 1: no penalty.
	RepetitionPenalty float64

	// DoSample draws tokens from their probabilities. Otherwise the most probable token is chosen, and the fields below
	// have no effect.
	DoSample bool
	// Temperature divides the logits: below 1 favours likely tokens, above 1 flattens the distribution.
	Temperature float64
	// TopK keeps the TopK tokens with the largest logits, and those with a logit equal to the smallest of them; 0: all.
	TopK int
	// TopP keeps the most probable tokens, as few as reach this total probability (Holtzman et al. 2019,
	// arXiv:1904.09751); 1: all.
	TopP float64
	// MinP keeps the tokens with at least this share of the largest probability (Nguyen et al. 2024, arXiv:2407.01082); 0:
	// all.
	MinP float64
	// Seed determines the random numbers, together with the number of the prompt, the copy and the position.
	Seed uint64
	// NumReturnSequences is the number of sequences for each prompt. Without DoSample, under which all would be equal, it
	// must be 1.
	NumReturnSequences int
}

// Defaults returns transformers' defaults: greedy choice, and a TopK of 50 when sampling. In place of transformers'
// max_length of 20, which includes the prompt, it has a MaxNewTokens of 20.
func Defaults() Config {
	return Config{MaxNewTokens: 20, RepetitionPenalty: 1, Temperature: 1, TopK: 50, TopP: 1, NumReturnSequences: 1}
}

// ErrConfig is wrapped by every error about options: those of [Config.Validate], and those of [Generator.Generate] and
// [Generator.Encode] if the options do not fit the model or the tokenizer.
var ErrConfig = errors.New("the options do not fit")

// Validate returns an error that names all options that are out of range or contradict each other, or nil if there are
// none.
func (c Config) Validate() error {
	var p problems
	p.check(c.MaxNewTokens > 0, "`max_new_tokens` is %d; want at least 1", c.MaxNewTokens)
	p.check(c.MinNewTokens >= 0, "`min_new_tokens` is %d; want 0 or more", c.MinNewTokens)
	p.check(c.MinNewTokens <= c.MaxNewTokens || c.MaxNewTokens <= 0,
		"`min_new_tokens` is %d; want at most `max_new_tokens`, %d", c.MinNewTokens, c.MaxNewTokens)
	p.check(positive(c.RepetitionPenalty), "`repetition_penalty` is %v; want more than 0, or 1 for none",
		c.RepetitionPenalty)
	p.check(positive(c.Temperature),
		"`temperature` is %v; want more than 0, or no `do_sample` for the most probable token", c.Temperature)
	p.check(c.TopK >= 0, "`top_k` is %d; want at least 1, or 0 for all", c.TopK)
	p.check(c.TopP >= 0 && c.TopP <= 1, "`top_p` is %v; want 0 to 1", c.TopP)
	p.check(c.MinP >= 0 && c.MinP <= 1, "`min_p` is %v; want 0 to 1", c.MinP)
	p.check(c.NumReturnSequences > 0, "`num_return_sequences` is %d; want at least 1", c.NumReturnSequences)
	p.check(c.NumReturnSequences <= 1 || c.DoSample,
		"`num_return_sequences` is %d, but without `do_sample` all would be equal; set `do_sample`, or 1",
		c.NumReturnSequences)
	for _, id := range c.EosTokenIDs {
		p.check(id >= 0, "`eos_token_id` is %d; want 0 or more", id)
	}
	for _, s := range c.StopStrings {
		p.check(s != "", "`stop_strings` has an empty string; remove it")
		p.check(utf8.ValidString(s), "`stop_strings` has %q, which is not valid UTF-8", s)
	}
	return p.err()
}

// positive reports whether v and 1/v are finite numbers above 0 in float32.
func positive(v float64) bool {
	f := float32(v)
	return f > 0 && !math.IsInf(float64(f), 0) && !math.IsInf(float64(1/f), 0)
}

// problems collects the problems of options, so that one error reports all of them.
type problems []string

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("generate: %w: %s", ErrConfig, strings.Join(p, "; "))
}
