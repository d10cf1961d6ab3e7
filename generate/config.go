package generate

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Config says how to generate. Start from [Defaults]: the zero value is refused. Names and meaning follow GenerationConfig of
// transformers.
type Config struct {
	// MaxNewTokens is the most tokens that a sequence gets, the end token counted. A sequence also ends where the model has no
	// more positions.
	MaxNewTokens int
	// MinNewTokens is how many tokens a sequence gets before an end token may be chosen.
	MinNewTokens int
	// EosTokenIDs end a sequence, any of them. They are part of its ids, not of its text.
	EosTokenIDs []int32
	// StopStrings end a sequence when its text contains one, also across tokens. The text is cut before it.
	StopStrings []string

	// RepetitionPenalty divides the positive logits of all tokens that the prompt and what followed contain, and multiplies the
	// negative ones (Keskar et al. 2019, arXiv:1909.05858); 1: none.
	RepetitionPenalty float64

	// DoSample draws tokens from their probabilities; otherwise the most probable one is taken and the fields below do not act.
	DoSample bool
	// Temperature divides the logits; 1: none.
	Temperature float64
	// TopK keeps the so many largest logits, and those equal to the last of them; 0: all.
	TopK int
	// TopP keeps the most probable tokens, as few as make up this probability (Holtzman et al. 2019, arXiv:1904.09751); 1: all.
	TopP float64
	// MinP keeps the tokens that are at least this share as probable as the most probable one (arXiv:2407.01082); 0: all.
	MinP float64
	// Seed decides what is drawn, together with the prompt's number, the copy and the position.
	Seed uint64
	// NumReturnSequences is how many sequences each prompt gets. Without DoSample they would all be equal: only 1 is accepted.
	NumReturnSequences int
}

// Defaults returns what transformers takes where neither call nor checkpoint says anything: greedy, and a TopK of 50 when sampling.
// Its max_length of 20, which counts the prompt too, is 20 new tokens here.
func Defaults() Config {
	return Config{MaxNewTokens: 20, RepetitionPenalty: 1, Temperature: 1, TopK: 50, TopP: 1, NumReturnSequences: 1}
}

// ErrConfig is what every error about options wraps: of Validate, and of Generate if they do not fit model or tokenizer.
var ErrConfig = errors.New("the options do not fit")

// Validate errs if an option is out of its range or contradicts another, and names all that are.
func (c Config) Validate() error {
	var p problems
	p.check(c.MaxNewTokens > 0, "max_new_tokens is %d, want at least 1", c.MaxNewTokens)
	p.check(c.MinNewTokens >= 0, "min_new_tokens is %d, want 0 or more", c.MinNewTokens)
	p.check(c.MinNewTokens <= c.MaxNewTokens || c.MaxNewTokens <= 0, "min_new_tokens is %d, more than max_new_tokens %d", c.MinNewTokens, c.MaxNewTokens)
	p.check(positive(c.RepetitionPenalty), "repetition_penalty is %v, want more than 0, or 1 for none", c.RepetitionPenalty)
	p.check(positive(c.Temperature), "temperature is %v, want more than 0 (without do_sample the most probable token is taken)", c.Temperature)
	p.check(c.TopK >= 0, "top_k is %d, want at least 1, or 0 for all", c.TopK)
	p.check(c.TopP >= 0 && c.TopP <= 1, "top_p is %v, want 0 to 1", c.TopP)
	p.check(c.MinP >= 0 && c.MinP <= 1, "min_p is %v, want 0 to 1", c.MinP)
	p.check(c.NumReturnSequences > 0, "num_return_sequences is %d, want at least 1", c.NumReturnSequences)
	p.check(c.NumReturnSequences <= 1 || c.DoSample, "num_return_sequences is %d without do_sample: all would be equal", c.NumReturnSequences)
	for _, id := range c.EosTokenIDs {
		p.check(id >= 0, "eos_token_id is %d, want 0 or more", id)
	}
	for _, s := range c.StopStrings {
		p.check(s != "", "a stop string is empty")
		p.check(utf8.ValidString(s), "the stop string %q is not valid UTF-8", s)
	}
	return p.err()
}

// positive reports whether v and 1/v are numbers above 0, in float32 too.
func positive(v float64) bool {
	f := float32(v)
	return f > 0 && !math.IsInf(float64(f), 0) && !math.IsInf(float64(1/f), 0)
}

// problems collects what is wrong, so that all of it can be told at once.
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
