// Package generation holds the settings of generated text that the tasks of all generating models share, and reads
// those of a checkpoint's generation_config.json.
package generation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/generate"
)

// StandardNewTokens is the default number of new tokens of a sequence; transformers' 20 are hardly a sentence.
const StandardNewTokens = 128

// Settings holds the settings of generated text. Fields that are nil or zero take the values of the checkpoint's
// generation_config.json (of its config.json, if it has no such file), else transformers' defaults. Names are those of
// its GenerationConfig; [generate.Config] says what each does.
type Settings struct {
	// MaxNewTokens is the largest number of new tokens of a prompt. 0: max_new_tokens of the file, else its max_length,
	// which counts the prompt (of an encoder–decoder the token that the decoder starts with), else StandardNewTokens.
	MaxNewTokens int
	MaxLength    int // the largest number of tokens with the prompt; no effect if MaxNewTokens is set; 0: none
	MinNewTokens *int
	MinLength    *int          // with the prompt; no effect if MinNewTokens is set
	Stop         []string      // stop_strings
	MaxTime      time.Duration // for the prompts of a call together

	SequenceBias             []generate.Bias
	EncoderRepetitionPenalty *float64
	RepetitionPenalty        *float64
	NoRepeatNgramSize        *int
	EncoderNoRepeatNgramSize *int
	BadWordsIDs              [][]int32
	// DecoderStartTokenID is the token that the targets of an encoder–decoder begin with; for causal models it is an
	// error. Without decoder_start_token_id the file's bos_token_id counts, then what the model begins with.
	DecoderStartTokenID *int32
	ForcedBosTokenID    *int32
	ForcedEosTokenIDs   []int32
	RemoveInvalidValues *bool
	// ExponentialDecayLengthPenalty has no effect if there is no end token.
	ExponentialDecayLengthPenalty *generate.LengthPenalty
	SuppressTokens                []int32
	BeginSuppressTokens           []int32

	DoSample      *bool    // draw tokens by their probability; the settings below down to EtaCutoff imply it
	Temperature   *float64 // below 1 favours likely tokens, above 1 flattens the distribution; 0 is greedy
	TopH          *float64 // draw from the most probable tokens that have this share of the entropy
	TopK          *int     // draw from this number of most probable tokens; 0: all
	TopP          *float64 // draw from the most probable tokens that make up this probability; 1: all
	MinP          *float64 // draw from tokens that are at least this share as probable as the most probable one
	TypicalP      *float64 // draw from the most typical tokens that make up this probability; 1: all
	EpsilonCutoff *float64 // draw from tokens of at least this probability; 0: all
	EtaCutoff     *float64 // draw from tokens of at least this probability, or less if many are likely; 0: all
	Seed          *uint64  // decides what is drawn; nil: 42

	NumBeams      int                     // beams of beam search; 1: none; 0: num_beams of the file, else 1
	LengthPenalty *float64                // of beam search: above 0 favours long texts, below 0 short ones
	EarlyStopping *generate.EarlyStopping // of beam search: when it ends

	NumReturnSequences int // sequences for each prompt; 0: num_return_sequences of the file, else 1
}

// Check returns an error if settings contradict each other.
func (g *Settings) Check() error {
	zero := g.Temperature != nil && *g.Temperature == 0
	if g.MinLength != nil && g.MinNewTokens != nil {
		return errors.New("`min_length` has no effect with `min_new_tokens`; leave one of them out")
	}
	if g.NumBeams > 1 {
		names := g.sampling()
		if g.DoSample != nil && *g.DoSample {
			names = append(names, "do_sample")
		}
		if len(names) > 0 {
			return fmt.Errorf("`num_beams` searches the most probable texts, `%s` draws tokens; leave one of them out", names[0])
		}
	}
	if g.DoSample == nil {
		return nil
	}
	if *g.DoSample {
		if zero {
			return errors.New("`temperature 0` takes the most probable token, `do_sample` draws one; leave one of them out")
		}
		return nil
	}
	if names := g.sampling(); len(names) > 0 {
		return fmt.Errorf("`%s` has no effect with `do_sample`=false; leave one of them out", names[0])
	}
	return nil
}

// sampling returns the names of the settings that imply sampling.
func (g *Settings) sampling() (names []string) {
	for _, x := range []struct {
		option string
		given  bool
	}{
		{"temperature", g.Temperature != nil && *g.Temperature != 0}, {"top_k", g.TopK != nil}, {"top_p", g.TopP != nil},
		{"min_p", g.MinP != nil}, {"top_h", g.TopH != nil}, {"typical_p", g.TypicalP != nil},
		{"epsilon_cutoff", g.EpsilonCutoff != nil}, {"eta_cutoff", g.EtaCutoff != nil},
	} {
		if x.given {
			names = append(names, x.option)
		}
	}
	return names
}

// draws reports whether tokens are drawn, where inFile is do_sample of the file.
func (g *Settings) draws(inFile *bool) bool {
	switch {
	case g.Temperature != nil && *g.Temperature == 0:
		return false
	case g.DoSample != nil:
		return *g.DoSample
	}
	return len(g.sampling()) > 0 || g.NumBeams <= 1 && inFile != nil && *inFile
}

// Config returns the configuration of generation with a checkpoint whose model has the given number of tokens, and
// warnings about settings of its files that are not honoured.
func (g *Settings) Config(b *base.Base, vocabulary int) (c generate.Config, warnings []string, err error) {
	if err := g.Check(); err != nil {
		return c, nil, base.Settings(err)
	}
	f, err := read(b)
	if err != nil {
		return c, nil, base.Input(fmt.Errorf("%s: %w", b.Name, err))
	}
	if g.DecoderStartTokenID != nil && !f.seq2seq {
		return c, nil, base.Settings(errors.New("`decoder_start_token_id` is for encoder–decoders, but the model " +
			"continues its prompts; leave it out"))
	}
	ends, unknown := EndIDs(b, vocabulary)
	resolve := func(g *Settings) (generate.Config, []string, error) {
		m, warnings, err := f.over(g, len(ends) > 0)
		if err != nil {
			return c, nil, err
		}
		c := m.build(ends)
		if err = c.Validate(); err == nil {
			err = c.CheckTokens(vocabulary)
		}
		if err == nil && c.NumBeams <= 1 && (g.LengthPenalty != nil || g.EarlyStopping != nil) {
			err = errors.New("`length_penalty` and `early_stopping` are for beam search; set `num_beams` to 2 or more, or " +
				"leave them out")
		}
		return c, warnings, err
	}
	c, warnings, err = resolve(g)
	if err != nil {
		if _, _, inFile := resolve(new(Settings)); inFile != nil {
			// The file is wrong, not the options. Without backquotes the command line keeps the names of its keys.
			text := strings.TrimPrefix(inFile.Error(), "generate: "+generate.ErrConfig.Error()+": ")
			return c, nil, base.Input(fmt.Errorf("%s: %s: %s", b.Name, f.name, strings.ReplaceAll(text, "`", "")))
		}
		return c, nil, base.Settings(err)
	}
	if len(unknown) > 0 {
		warnings = append(warnings, fmt.Sprintf("eos_token_id has %d, but the model has %d tokens; it is ignored", unknown,
			vocabulary))
	}
	return c, append(f.warnings, warnings...), nil
}

// Use is like Config, and logs the warnings.
func (g *Settings) Use(b *base.Base, vocabulary int, log zerolog.Logger) (generate.Config, error) {
	c, warnings, err := g.Config(b, vocabulary)
	for _, w := range warnings {
		log.Warn().Msgf("%s: %s", b.Name, w)
	}
	return c, err
}

// build returns the configuration of settings in which DoSample is set.
func (g *Settings) build(ends []int32) generate.Config {
	c := generate.Defaults()
	c.MaxNewTokens, c.MaxLength = g.MaxNewTokens, g.MaxLength
	if g.MaxNewTokens == 0 && g.MaxLength == 0 {
		c.MaxNewTokens = StandardNewTokens
	}
	use(&c.MinNewTokens, g.MinNewTokens)
	if g.MinNewTokens == nil {
		use(&c.MinLength, g.MinLength)
	}
	c.EosTokenIDs, c.StopStrings, c.MaxTime = ends, g.Stop, g.MaxTime
	c.SequenceBias, c.BadWordsIDs, c.ForcedEosTokenIDs = g.SequenceBias, g.BadWordsIDs, g.ForcedEosTokenIDs
	c.DecoderStartTokenID, c.ForcedBosTokenID = g.DecoderStartTokenID, g.ForcedBosTokenID
	c.ExponentialDecayLengthPenalty = g.ExponentialDecayLengthPenalty
	c.SuppressTokens, c.BeginSuppressTokens = g.SuppressTokens, g.BeginSuppressTokens
	use(&c.EncoderRepetitionPenalty, g.EncoderRepetitionPenalty)
	use(&c.RepetitionPenalty, g.RepetitionPenalty)
	use(&c.NoRepeatNgramSize, g.NoRepeatNgramSize)
	use(&c.EncoderNoRepeatNgramSize, g.EncoderNoRepeatNgramSize)
	use(&c.RemoveInvalidValues, g.RemoveInvalidValues)
	c.Seed = 42
	use(&c.Seed, g.Seed)
	if g.NumBeams != 0 {
		c.NumBeams = g.NumBeams
	}
	use(&c.LengthPenalty, g.LengthPenalty)
	use(&c.EarlyStopping, g.EarlyStopping)
	if g.NumReturnSequences != 0 {
		c.NumReturnSequences = g.NumReturnSequences
	}
	if c.DoSample = *g.DoSample; c.DoSample { // without sampling transformers ignores these, whatever their values
		use(&c.Temperature, g.Temperature)
		use(&c.TopH, g.TopH)
		use(&c.TopK, g.TopK)
		use(&c.TopP, g.TopP)
		use(&c.MinP, g.MinP)
		use(&c.TypicalP, g.TypicalP)
		use(&c.EpsilonCutoff, g.EpsilonCutoff)
		use(&c.EtaCutoff, g.EtaCutoff)
	}
	return c
}

// use replaces a default by a setting that is given.
func use[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}

// EndIDs returns the tokens that end a generated text: those of the checkpoint's configuration, else the tokenizer's.
// unknown are those that a model of the given number of tokens does not have.
func EndIDs(b *base.Base, vocabulary int) (ends, unknown []int32) {
	ends = slices.Clone(b.Info.EosIDs)
	if id := b.Tokenizer.EosID(); len(ends) == 0 && id >= 0 {
		ends = []int32{id}
	}
	has := func(id int32) bool { return int(id) < vocabulary }
	for _, id := range ends {
		if !has(id) {
			unknown = append(unknown, id)
		}
	}
	return slices.DeleteFunc(ends, func(id int32) bool { return !has(id) }), unknown
}
