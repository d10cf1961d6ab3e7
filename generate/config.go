package generate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Config holds the options of generation, with the names and the meaning of transformers' GenerationConfig. Start from
// [Defaults]: the zero value is not valid. The zero value of every field that Defaults does not set switches it off.
type Config struct {
	// MaxNewTokens is the largest number of new tokens of a sequence, including the end token. A sequence also ends when
	// the model has no more positions. 0: MaxLength counts instead.
	MaxNewTokens int
	// MaxLength is the largest number of tokens of a sequence, including those of its prompt. It has no effect if
	// MaxNewTokens is set.
	MaxLength int
	// MinNewTokens is the number of new tokens of a sequence before an end token may follow.
	MinNewTokens int
	// MinLength is the number of tokens of a sequence, including those of its prompt, before an end token may follow.
	MinLength int
	// MaxTime ends all sequences of a call after the first step that ends later than this after the call began.
	MaxTime time.Duration
	// EosTokenIDs are the end tokens: each of them ends a sequence. The ids of a sequence include the end token, its text
	// does not.
	EosTokenIDs []int32
	// StopStrings end a sequence when its text contains one of them, also across tokens. The text ends before it.
	StopStrings []string

	// SequenceBias adds to the logits of tokens that complete a sequence of tokens.
	SequenceBias []Bias
	// EncoderRepetitionPenalty multiplies the positive logits of the tokens of the prompt, and divides their negative
	// logits; 0 or 1: no penalty. transformers takes the prompt of a causal model for the text of an encoder.
	EncoderRepetitionPenalty float64
	// RepetitionPenalty divides the positive logits of all tokens of the prompt and the new tokens, and multiplies their
	// negative logits (Keskar et al. 2019, arXiv:1909.05858); 1: no penalty.
	RepetitionPenalty float64
	// NoRepeatNgramSize is the size of the groups of tokens that a sequence, including its prompt, has only once; 0: off.
	NoRepeatNgramSize int
	// EncoderNoRepeatNgramSize is the size of the groups of tokens of the prompt that must not occur again; 0: off.
	EncoderNoRepeatNgramSize int
	// BadWordsIDs are sequences of tokens that must not be generated. An end token alone is ignored.
	BadWordsIDs [][]int32
	// DecoderStartTokenID is the token that the targets of an encoder–decoder begin with, unless their prompts have a
	// Start; nil: what the model begins with. It has no effect on causal models.
	DecoderStartTokenID *int32
	// ForcedBosTokenID is the token that follows a prompt of one token; nil: any.
	ForcedBosTokenID *int32
	// ForcedEosTokenIDs are the tokens that may be the last one of a sequence that ends by its length.
	ForcedEosTokenIDs []int32
	// RemoveInvalidValues takes 0 for logits that are NaN, and the largest finite numbers for infinite ones.
	RemoveInvalidValues bool
	// ExponentialDecayLengthPenalty makes end tokens more probable the longer a sequence gets; nil: off.
	ExponentialDecayLengthPenalty *LengthPenalty
	// SuppressTokens are tokens that are never chosen, BeginSuppressTokens those that are not the first new token (the
	// second, if ForcedBosTokenID is the first). Tokens that the model does not have are ignored.
	SuppressTokens, BeginSuppressTokens []int32
	// Timestamps is the rule for the timestamps of a transcript; nil: timestamps are tokens like others.
	Timestamps *TimestampRule
	// LogProbs requests Sequence.LogProb.
	LogProbs bool

	// NumBeams is the number of beams of beam search, which looks for the most probable sequences; 0 or 1: one token
	// after another is chosen. It excludes DoSample.
	NumBeams int
	// LengthPenalty is the exponent of the number of new tokens that divides the log-probability of a sequence when beam
	// search compares finished sequences: above 0 favours longer ones, below 0 shorter ones.
	LengthPenalty float64
	// EarlyStopping says when the beam search of a prompt ends.
	EarlyStopping EarlyStopping

	// DoSample draws tokens from their probabilities. Otherwise the most probable token is chosen, and the fields below
	// have no effect.
	DoSample bool
	// Temperature divides the logits: below 1 favours likely tokens, above 1 flattens the distribution.
	Temperature float64
	// TopH keeps the most probable tokens, as many as have this share of the entropy of the 100 most probable ones; 0:
	// all.
	TopH float64
	// TopK keeps the TopK tokens with the largest logits, and those with a logit equal to the smallest of them; 0: all.
	TopK int
	// TopP keeps the most probable tokens, as few as reach this total probability (Holtzman et al. 2019,
	// arXiv:1904.09751); 1: all.
	TopP float64
	// MinP keeps the tokens with at least this share of the largest probability (Nguyen et al. 2024, arXiv:2407.01082); 0:
	// all.
	MinP float64
	// TypicalP keeps the tokens whose information is nearest to the entropy, as few as reach this total probability
	// (Meister et al. 2022, arXiv:2202.00666); 0 or 1: all.
	TypicalP float64
	// EpsilonCutoff keeps the tokens with at least this probability (Hewitt et al. 2022, arXiv:2210.15191); 0: all.
	EpsilonCutoff float64
	// EtaCutoff keeps the tokens with at least this probability, or at least √EtaCutoff·e^−H if that is smaller; H is
	// the entropy (Hewitt et al. 2022, arXiv:2210.15191); 0: all.
	EtaCutoff float64
	// Seed determines the random numbers, together with the number of the prompt, the copy and the position.
	Seed uint64
	// NumReturnSequences is the number of sequences for each prompt: of drawn ones, or of the best ones of a beam search,
	// of which there are NumBeams. Without both it must be 1, since all would be equal.
	NumReturnSequences int
}

// Bias is a number that is added to the logit of the last token of IDs where the other tokens of IDs come before it.
type Bias struct {
	IDs  []int32
	Bias float64
}

// LengthPenalty adds |x|·(Factor^(n − Start) − 1) to the logit x of an end token, where n > Start is the number of
// new tokens so far.
type LengthPenalty struct {
	Start  int
	Factor float64
}

// UnmarshalJSON reads the pair [IDs, Bias].
func (b *Bias) UnmarshalJSON(text []byte) error { return readPair(text, &b.IDs, &b.Bias) }

// UnmarshalJSON reads the pair [Start, Factor].
func (p *LengthPenalty) UnmarshalJSON(text []byte) error { return readPair(text, &p.Start, &p.Factor) }

func readPair(text []byte, first, second any) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a list of %d; want a pair", len(pair))
	}
	return errors.Join(json.Unmarshal(pair[0], first), json.Unmarshal(pair[1], second))
}

// limit returns the number of tokens with which a sequence ends whose prompt has n tokens.
func (c *Config) limit(n, positions int) int {
	if c.MaxNewTokens > 0 {
		return min(n+c.MaxNewTokens, positions)
	}
	return min(c.MaxLength, positions)
}

// LongestPrompt returns the largest number of tokens of a prompt that leaves room for a new token, for a model of the
// given number of positions.
func (c *Config) LongestPrompt(positions int) int {
	if c.MaxNewTokens > 0 {
		return positions - 1
	}
	return min(c.MaxLength, positions) - 1
}

// Defaults returns transformers' defaults: greedy choice, and a TopK of 50 when sampling. In place of transformers'
// max_length of 20, which includes the prompt, it has a MaxNewTokens of 20.
func Defaults() Config {
	return Config{MaxNewTokens: 20, RepetitionPenalty: 1, Temperature: 1, TopK: 50, TopP: 1, NumReturnSequences: 1,
		NumBeams: 1, LengthPenalty: 1}
}

// ErrConfig is wrapped by every error about options: those of [Config.Validate], and those of [Generator.Generate] and
// [Generator.Encode] if the options do not fit the model or the tokenizer.
var ErrConfig = errors.New("the options do not fit")

// Validate returns an error that names all options that are out of range or contradict each other, or nil if there are
// none.
func (c Config) Validate() error {
	var p problems
	p.check(c.MaxNewTokens > 0 || c.MaxNewTokens == 0 && c.MaxLength > 0, "`max_new_tokens` is %d; want at least 1",
		c.MaxNewTokens)
	p.check(c.MaxLength >= 0, "max_length is %d; want at least 1, or `max_new_tokens` instead", c.MaxLength)
	p.check(c.MinNewTokens >= 0, "`min_new_tokens` is %d; want 0 or more", c.MinNewTokens)
	p.check(c.MinNewTokens <= c.MaxNewTokens || c.MaxNewTokens <= 0,
		"`min_new_tokens` is %d; want at most `max_new_tokens`, %d", c.MinNewTokens, c.MaxNewTokens)
	p.check(c.MinLength >= 0, "`min_length` is %d; want 0 or more", c.MinLength)
	p.check(c.MaxTime >= 0, "`max_time` is %v; want more than 0, or 0 for no limit", c.MaxTime)
	for _, b := range c.SequenceBias {
		p.check(len(b.IDs) > 0, "`sequence_bias` has a bias without tokens; remove it")
		p.check(!math.IsNaN(b.Bias), "`sequence_bias` of %d is not a number", b.IDs)
	}
	p.check(c.EncoderRepetitionPenalty == 0 || positive(c.EncoderRepetitionPenalty),
		"`encoder_repetition_penalty` is %v; want more than 0, or 1 for none", c.EncoderRepetitionPenalty)
	p.check(positive(c.RepetitionPenalty), "`repetition_penalty` is %v; want more than 0, or 1 for none",
		c.RepetitionPenalty)
	p.check(c.NoRepeatNgramSize >= 0, "`no_repeat_ngram_size` is %d; want at least 1, or 0 for none", c.NoRepeatNgramSize)
	p.check(c.EncoderNoRepeatNgramSize >= 0, "`encoder_no_repeat_ngram_size` is %d; want at least 1, or 0 for none",
		c.EncoderNoRepeatNgramSize)
	if d := c.ExponentialDecayLengthPenalty; d != nil {
		p.check(d.Start >= 0 && positive(d.Factor),
			"`exponential_decay_length_penalty` is [%d, %v]; want a number of tokens and a factor above 0", d.Start, d.Factor)
		p.check(len(c.EosTokenIDs) > 0, "`exponential_decay_length_penalty` needs an `eos_token_id`; give one, or remove it")
	}
	p.check(positive(c.Temperature),
		"`temperature` is %v; want more than 0, or no `do_sample` for the most probable token", c.Temperature)
	p.check(c.TopK >= 0, "`top_k` is %d; want at least 1, or 0 for all", c.TopK)
	p.check(c.TopP >= 0 && c.TopP <= 1, "`top_p` is %v; want 0 to 1", c.TopP)
	p.check(c.MinP >= 0 && c.MinP <= 1, "`min_p` is %v; want 0 to 1", c.MinP)
	for _, x := range []struct {
		name  string
		value float64
	}{{"top_h", c.TopH}, {"typical_p", c.TypicalP}} {
		p.check(x.value >= 0 && x.value <= 1, "`%s` is %v; want more than 0, up to 1", x.name, x.value)
	}
	for _, x := range []struct {
		name  string
		value float64
	}{{"epsilon_cutoff", c.EpsilonCutoff}, {"eta_cutoff", c.EtaCutoff}} {
		p.check(x.value >= 0 && x.value < 1, "`%s` is %v; want a number between 0 and 1, or 0 for all", x.name, x.value)
	}
	beams := c.NumBeams > 1
	p.check(c.NumBeams >= 0, "`num_beams` is %d; want at least 2, or 1 for no beam search", c.NumBeams)
	p.check(!beams || !c.DoSample,
		"`num_beams` is %d with `do_sample`, but beam search draws no tokens; leave one of them out", c.NumBeams)
	p.check(!math.IsNaN(c.LengthPenalty) && !math.IsInf(c.LengthPenalty, 0),
		"`length_penalty` is %v; want a finite number", c.LengthPenalty)
	p.check(c.EarlyStopping >= UntilUnlikely && c.EarlyStopping <= UntilImpossible,
		"`early_stopping` is %v; want false, true or never", c.EarlyStopping)
	p.check(c.NumReturnSequences > 0, "`num_return_sequences` is %d; want at least 1", c.NumReturnSequences)
	p.check(c.NumReturnSequences <= 1 || c.DoSample || beams,
		"`num_return_sequences` is %d, but without `do_sample` or `num_beams` all would be equal; set one of them, or 1",
		c.NumReturnSequences)
	p.check(c.NumReturnSequences <= c.NumBeams || !beams,
		"`num_return_sequences` is %d; want at most `num_beams`, %d", c.NumReturnSequences, c.NumBeams)
	for _, id := range c.EosTokenIDs {
		p.check(id >= 0, "`eos_token_id` is %d; want 0 or more", id)
	}
	for _, s := range c.StopStrings {
		p.check(s != "", "`stop_strings` has an empty string; remove it")
		p.check(utf8.ValidString(s), "`stop_strings` has %q, which is not valid UTF-8", s)
	}
	return p.err()
}

// Within returns c without the end tokens that a model of the given number of tokens does not have and so never
// generates.
func (c Config) Within(vocabulary int) Config {
	c.EosTokenIDs = slices.DeleteFunc(slices.Clone(c.EosTokenIDs), func(id int32) bool { return int(id) >= vocabulary })
	return c
}

// CheckTokens returns an error that names all tokens of the options that a model of the given number of tokens does not
// have, or nil if there are none.
func (c *Config) CheckTokens(vocabulary int) error {
	var p problems
	c.checkTokens(&p, vocabulary)
	return p.err()
}

func (c *Config) checkTokens(p *problems, vocabulary int) {
	check := func(option string, ids []int32) {
		for _, id := range ids {
			p.check(id >= 0 && int(id) < vocabulary, "`%s` is %d; want an id below the model's %d tokens", option, id,
				vocabulary)
		}
	}
	check("eos_token_id", c.EosTokenIDs)
	for _, x := range []struct {
		option string
		id     *int32
	}{{"decoder_start_token_id", c.DecoderStartTokenID}, {"forced_bos_token_id", c.ForcedBosTokenID}} {
		if x.id != nil {
			check(x.option, []int32{*x.id})
		}
	}
	check("forced_eos_token_id", c.ForcedEosTokenIDs)
	if r := c.Timestamps; r != nil {
		check("no_timestamps_token_id", []int32{r.Begin - 1})
		check("eos_token_id", []int32{r.End})
	}
	for _, word := range c.BadWordsIDs {
		check("bad_words_ids", word)
	}
	for _, b := range c.SequenceBias {
		check("sequence_bias", b.IDs)
	}
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
